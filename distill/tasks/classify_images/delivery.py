"""The model card of an image classifier."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from distill.export import Around, Context, Graph, class_section, probed, share_in_words
from distill.models import Preprocessing
from distill.recipe_parts.composite import Composite
from distill.tasks._images.around import around
from distill.tasks._images.delivery import PictureDelivery
from distill.tasks._images.snippet import snippet
from distill.tasks.classify_images.composite import told


class ClassifierDelivery(PictureDelivery):
    def graph(self, context: Context) -> Graph:
        graph = super().graph(context)
        return replace(graph, module=graph.module.traceable()) if isinstance(graph.module, Composite) else graph

    def more(self, context: Context) -> dict[str, Any]:
        return told(context)

    def answering(self, context: Context) -> dict[str, Any] | None:
        return {"kind": "class"} if context.classes else None

    def around(self, context: Context, graph: Graph) -> Around | None:
        if not context.classes:
            return around(context, graph, "print(output.shape)")
        classes = ascii(list(context.classes))
        return around(context, graph, f"classes = {classes}\nprint(classes[int(output[0].argmax())])")

    def card(self, context: Context) -> str:
        how = context.preprocessing
        name, recipe = context.architecture.name, context.report["recipe"]
        return f"""# {name}, {recipe}

{_what(context)}

## Use

```python
{snippet(context)}```

Input: {how.channels} channels, {how.size[0]} x {how.size[1]} pixels, values / 255, less mean {list(how.mean)}, divided
by std {list(how.std)}; {how.interpolation} resizing of the centre in that shape, of larger images {how.crop:g} of
it.{_depth(how)}
`student.json` has the same, machine-readable; so has the header of `student.safetensors`. `report.md` compares the
student with its teacher and says how it was trained.

{_beside(context)}{class_section(context) if context.classes else ""}"""


def _what(context: Context) -> str:
    """What it is and how good."""
    report = context.report
    student, recipe, data = report["student"], report["recipe"], report["dataset"]["name"]
    if not context.classes:
        size = f"{student['parameters']:,}"
        return f"""A backbone of {size} parameters without a classifier (`num_classes=0`), trained by Retort with
the recipe `{recipe}` on {data}, pictures without labels.
{report["verdict"]["text"]}"""
    size, classes = f"{student['parameters']:,}", len(context.classes)
    return f"""An image classifier of {size} parameters for {classes} classes, trained by Retort with
the recipe `{recipe}` on {data}. Test accuracy {share_in_words(student["accuracy"])}.
{report["verdict"]["text"]}{probed(report)}"""


def _depth(how: Preprocessing) -> str:
    if how.pixel_range is None:
        return ""
    low, high = how.pixel_range
    return f"\nOf grey with 16 bits a pixel the values {low} to {high} are read as 0 to 255, which `load_student` does."


def _beside(context: Context) -> str:
    """The card's section of the networks that are delivered beside the student."""
    if not context.companions:
        return ""
    lines = [
        f"* `{each.name}.safetensors`: test accuracy {share_in_words(each.report['student']['accuracy'])}, "
        f"{each.report['student']['parameters']:,} parameters. `load_student` reads it as it reads the student."
        for each in context.companions
    ]
    return "\n".join(["## Beside the student", "", *lines, "", ""])
