"""The model card of an image classifier."""

from __future__ import annotations

from distill.export import Context, class_section, probed, share_in_words
from distill.tasks._images.delivery import PictureDelivery
from distill.tasks._images.snippet import snippet


class ClassifierDelivery(PictureDelivery):
    def card(self, context: Context) -> str:
        report, how = context.report, context.preprocessing
        student = report["student"]
        name, recipe = context.architecture.name, report["recipe"]
        return f"""# {name}, {recipe}

An image classifier of {student["parameters"]:,} parameters for {len(context.classes)} classes, trained by Retort with
the recipe `{recipe}` on {report["dataset"]["name"]}. Test accuracy {share_in_words(student["accuracy"])}.
{report["verdict"]["text"]}{probed(report)}

## Use

```python
{snippet(context)}```

Input: {how.channels} channels, {how.size[0]} x {how.size[1]} pixels, values / 255, less mean {list(how.mean)}, divided
by std {list(how.std)}; {how.interpolation} resizing of the centre in that shape, of larger images {how.crop:g} of it.
`student.json` has the same, machine-readable; so has the header of `student.safetensors`. `report.md` compares the
student with its teacher and says how it was trained.

{class_section(context)}"""
