"""How a multi-label classifier is handed over: header and model card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distill.bootstrap import REPLICATES
from distill.export import Around, Context, Graph, class_section, share_in_words
from distill.tasks._images.around import around
from distill.tasks._images.delivery import PictureDelivery

_USE = """from distill.student import load_student

student = load_student("student.safetensors")
tags = student.predict("image.png")
print(tags.labels, tags.scores)
"""


@dataclass(frozen=True)
class TagContext(Context):
    """`threshold`: the probability from which the student says that a picture has a class."""

    threshold: float = 0.5


class TagDelivery(PictureDelivery):
    def more(self, context: Context) -> dict[str, Any]:
        assert isinstance(context, TagContext)
        return {"threshold": context.threshold}

    def answering(self, context: Context) -> dict[str, Any] | None:
        assert isinstance(context, TagContext)
        return {"kind": "labels", "threshold": context.threshold}

    def around(self, context: Context, graph: Graph) -> Around | None:
        assert isinstance(context, TagContext)
        classes = ascii(list(context.classes))
        return around(
            context, graph,
            f"classes = {classes}\nscores = 1 / (1 + np.exp(-output[0]))\n"
            f"print([(classes[i], float(scores[i])) for i in np.flatnonzero(scores >= {context.threshold:g})])",
        )  # fmt: skip

    def card(self, context: Context) -> str:
        assert isinstance(context, TagContext)
        report, how = context.report, context.preprocessing
        student, name = report["student"], context.architecture.name
        return f"""# {name}, {report["recipe"]}

A multi-label image classifier of {student["parameters"]:,} parameters for {len(context.classes)} classes, trained by
Retort with the recipe `{report["recipe"]}` on {report["dataset"]["name"]}. Test mean average precision
{share_in_words(student["mean_average_precision"])}, where guessing reaches about {100 * student["chance"]:.2f} %;
micro F1 at probability 0.5 {share_in_words(student["micro_f1"])}; intervals by bootstrap over images.
{report["verdict"]["text"]}

## Use

```python
{_USE}```

Input: {how.channels} channels, {how.size[0]} x {how.size[1]} pixels, values / 255, less mean {list(how.mean)}, divided
by std {list(how.std)}; {how.interpolation} resizing of the centre in that shape, of larger images {how.crop:g} of it.
Outputs are logits (n, {len(context.classes)}); the sigmoid of each is the probability that the picture has the class,
whatever the others are. `predict` says the classes of a probability of at least {context.threshold:g};
`predict(..., threshold=0.3)` takes another. `student.json` has the same, machine-readable; so has the header of
`student.safetensors`. `student.onnx`, where there is one, gives the logits. `report.md` compares the student with its
teacher and says how it was trained.

{class_section(context)}"""

    def sections(self, report: dict[str, Any]) -> list[str]:
        return [
            "Average precision is scikit-learn's: precision at every different score, weighed by the recall that it "
            "adds, without interpolation. Its mean is over the classes that a test image has. F1, subset accuracy and "
            "agreement are at probability 0.5, whatever the student's threshold. The 95 % intervals are bootstrap "
            f"percentiles over images ({REPLICATES:,} samples). Guessing: the mean share of images that have a class."
        ]
