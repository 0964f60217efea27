"""How a network for masks is handed over: header, model card, graph, the report's confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.answers import logits_of
from distill.bootstrap import REPLICATES
from distill.export import Around, Artifact, Context, Graph, class_section, share_in_words
from distill.tasks._images.around import around
from distill.tasks._images.delivery import PictureDelivery
from distill.tasks.segment_images.examples import Example, draw
from distill.tasks.segment_images.legend import Colour

EXAMPLES = "examples.webp"
MOST_CLASSES = 40  # in the report's matrix: more columns than that nobody reads
_USE = """from distill.student import load_student

student = load_student("student.safetensors")
mask = student.predict("image.png")
mask.save("mask.png")
print(mask.shares())
"""


_SEEN = '''
def prepare(path):
    """An image file, the whole of it resized to the file's input, (1, {channels}, {height}, {width})."""
    image = Image.open(path).convert("{mode}").resize(({width}, {height}), Image.Resampling.{resampling})
'''
_READ = """
def resized(values, size):
    \"\"\"Values (..., n) at `size` places between them, linearly.\"\"\"
    n = values.shape[-1]
    places = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
    low = places.astype(int)
    share = (places - low).astype(np.float32)
    return values[..., low] * (1 - share) + values[..., np.minimum(low + 1, n - 1)] * share


picture = Image.open("image.png")
logits = resized(resized(output[0], picture.width).swapaxes(-1, -2), picture.height).swapaxes(-1, -2)
mask = logits.argmax(0)  # (height, width): the class of each pixel
Image.fromarray(mask.astype(np.{dtype})).save("mask.png")
classes = {classes}
print({{classes[i]: float((mask == i).mean()) for i in np.unique(mask)}})
"""


class Flat(nn.Module):
    """(n, c, h, w) -> logits (n, C, h, w) as one tensor at the input's size, whatever the network returns."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        logits = logits_of(self.network(image))
        if logits.shape[-2:] == image.shape[-2:]:
            return logits
        return F.interpolate(logits, size=image.shape[-2:], mode="bilinear", align_corners=False)


@dataclass(frozen=True)
class MaskContext(Context):
    """`palette`: a colour a class; `shown`: makes the test images that are drawn."""

    palette: Sequence[Colour] = ()
    shown: Callable[[], Sequence[Example]] = tuple


class MaskDelivery(PictureDelivery):
    framing: ClassVar[str] = "whole"

    def answering(self, context: Context) -> dict[str, Any] | None:
        assert isinstance(context, MaskContext)
        return {"kind": "mask", "palette": [list(colour) for colour in context.palette]}

    def header(self, context: Context) -> dict[str, str]:
        return super().header(context) | self._palette(context)

    def _palette(self, context: Context) -> dict[str, str]:
        assert isinstance(context, MaskContext)
        return {"palette": str([list(colour) for colour in context.palette])}

    def card(self, context: Context) -> str:
        report, how = context.report, context.preprocessing
        student = report["student"]
        name, recipe = context.architecture.name, report["recipe"]
        return f"""# {name}, {recipe}

A network for semantic segmentation of {student["parameters"]:,} parameters for {len(context.classes)} classes, trained
by Retort with the recipe `{recipe}` on {report["dataset"]["name"]}. Test mean IoU
{share_in_words(student["mean_iou"])}, pixel accuracy {share_in_words(student["pixel_accuracy"])};
intervals by bootstrap over images.
{report["verdict"]["text"]}

## Use

```python
{_USE}```

Input: {how.channels} channels, the whole picture resized ({how.interpolation}) to {how.size[0]} x {how.size[1]} pixels
whatever its shape, values / 255, less mean {list(how.mean)}, divided by std {list(how.std)}. Logits are resized
bilinearly to the picture's size before the class of each pixel is read; `mask.save` writes a PNG whose values are the
classes' numbers, in the dataset's colours. `student.json` has the same, machine-readable; so has the header of
`student.safetensors`. `student.onnx`, where there is one, gives logits (n, {len(context.classes)}, {how.size[0]},
{how.size[1]}). `report.md` compares the student with its teacher and says how it was trained.

{class_section(context)}"""

    def examples(self, context: Context, folder: Path) -> list[Artifact]:
        assert isinstance(context, MaskContext)
        path = folder / EXAMPLES
        draw(context.shown(), context.classes, context.palette, path)
        return [Artifact(EXAMPLES, path, "image/webp")]

    def graph(self, context: Context) -> Graph:
        how = context.preprocessing
        return Graph(Flat(context.student), torch.zeros(2, how.channels, *how.size), "image", "logits")

    def around(self, context: Context, graph: Graph) -> Around | None:
        names = list(context.classes)
        read = _READ.format(classes=ascii(names), dtype="uint8" if len(names) <= 256 else "uint16")
        return around(context, graph, read, _SEEN)

    def sections(self, report: dict[str, Any]) -> list[str]:
        return [section for section in (_confusion(report), _intervals()) if section]


def _intervals() -> str:
    return (
        "Mean IoU, IoU and pixel accuracy are over the pixels that have a class, at each image's own size; their 95 % "
        f"intervals are bootstrap percentiles over images ({REPLICATES:,} samples). A class that is neither in the "
        "masks nor said is left out of the mean."
    )


def _confusion(report: dict[str, Any]) -> str:
    """The student's matrix in per cent of each class's pixels."""
    rows, names = report["student"]["confusion"], list(report["student"]["per_class"])
    if len(names) > MOST_CLASSES:
        return ""
    lines = [
        "## Confusion of the student",
        "",
        "Of the pixels of a class (row), per cent that were said to be another.",
    ]
    lines += ["", "| | " + " | ".join(map(_cell, names)) + " |", "|---" * (len(names) + 1) + "|"]
    for name, row in zip(names, rows, strict=True):
        total = max(1, sum(row))
        lines.append(f"| {_cell(name)} | " + " | ".join(f"{100 * value / total:.1f}" for value in row) + " |")
    return "\n".join(lines)


def _cell(name: str) -> str:
    return name.replace("|", "\\|").replace("\n", " ")
