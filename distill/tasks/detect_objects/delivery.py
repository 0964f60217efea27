"""How a detector is handed over: header, model card, graph, pictures with boxes, predictions."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from distill.bootstrap import REPLICATES
from distill.export import Around, Artifact, Context, Graph, class_section, share_in_words, write_text
from distill.tasks._images.delivery import PictureDelivery
from distill.tasks.detect_objects.detections import LEAST_SCORE, MOST, OVERLAP, SURE
from distill.tasks.detect_objects.examples import Example, draw
from distill.tasks.detect_objects.flat import Apart, Final, Flat, Spread
from distill.tasks.detect_objects.gallery import Worst
from distill.tasks.detect_objects.heads import head_of
from distill.tasks.detect_objects.heads.files import FINAL, FLAT
from distill.tasks.detect_objects.program import SUPPRESSED, program

EXAMPLES, PREDICTIONS = "examples.webp", "predictions.json"
CURVES, WORST, SHEET = "precision-recall.json", "worst.json", "worst.webp"
_USE = """from distill.student import load_student

student = load_student("student.safetensors")
for box in student.predict("image.png").above(0.3):
    print(box.label, box.score, box.corners)
"""


@dataclass(frozen=True)
class BoxContext(Context):
    """`shown`: makes the test images that are drawn; and of a student that was evaluated, else None, `said`: what it
    says of all test images, as COCO's files have it; `by_recall`: its precision by recall and its teacher's, as JSON;
    `worst`: the test images that it does worst on."""

    shown: Callable[[], Sequence[Example]] = tuple
    said: Callable[[], dict[str, Any] | None] = lambda: None
    by_recall: Callable[[], dict[str, Any] | None] = lambda: None
    worst: Callable[[], Worst | None] = lambda: None


class BoxDelivery(PictureDelivery):
    suppresses: ClassVar[bool] = True
    framing: ClassVar[str] = "fitted"

    def answering(self, context: Context) -> dict[str, Any] | None:
        return {"kind": "boxes", "threshold": SURE}

    def card(self, context: Context) -> str:
        report, how = context.report, context.preprocessing
        student = report["student"]
        name, recipe = context.architecture.name, report["recipe"]
        return f"""# {name}, {recipe}

A detector of {student["parameters"]:,} parameters for {len(context.classes)} classes, trained by Retort with the recipe
`{recipe}` on {report["dataset"]["name"]}. Test AP (IoU .50:.95) {share_in_words(student["ap"])}, AP50
{share_in_words(student["ap50"])}; intervals by bootstrap over images.
{report["verdict"]["text"]}

## Use

```python
{_USE}```

Input: {how.channels} channels, {how.size[0]} x {how.size[1]} pixels: the picture resized ({how.interpolation}) as large
as fits, in the upper left, the rest of the mean colour; values / 255, less mean {list(how.mean)}, divided by std
{list(how.std)}. Boxes of a score below
{LEAST_SCORE} do not count; of boxes of one class that overlap by an IoU above {OVERLAP} the best stays, at most {MOST}
an image; they are given in pixels of the picture. `student.json` has the same, machine-readable; so has the header of
`student.safetensors`. `student.onnx`, where there is one, has the output `detections` (n, rows, 4 + classes): x1
y1 x2 y2 in pixels of the input and a score for each class, before boxes that overlap are removed; `student.boxes.onnx`
has `boxes` (n, {MOST}, 6): those that are left, the best first, as x1 y1 x2 y2, score and class; then 0 0 0 0 0 -1.
`predictions.json` has the boxes of the test images as COCO's files have them, `precision-recall.json` precision by
recall, class and IoU, `worst.json` the test images that the student does worst on. `report.md` compares the student
with its teacher and says how it was trained.

{class_section(context)}"""

    def graph(self, context: Context) -> Graph:
        head = head_of(context.student)
        kind = FLAT if head.kind.suppresses else FINAL
        return Graph(
            Flat(context.student), _example(context), "image", "detections", answers=kind,
            apart=Apart(_side(context), head.kind.averages),
        )  # fmt: skip

    def suppressed(self, context: Context) -> Graph:
        return Graph(
            Final(context.student), _example(context), "image", SUPPRESSED, decode=Spread(len(context.classes)),
            answers=FINAL, apart=Apart(_side(context), in_place=False),
        )  # fmt: skip

    def around(self, context: Context, graph: Graph) -> Around | None:
        return program(context, graph, head_of(context.student).kind.suppresses)

    def examples(self, context: Context, folder: Path) -> list[Artifact]:
        assert isinstance(context, BoxContext)
        path = folder / EXAMPLES
        draw(context.shown(), context.classes, path)
        worst = context.worst()
        texts = {
            PREDICTIONS: context.said(),
            CURVES: context.by_recall(),
            WORST: worst.told(context.classes) if worst else None,
        }
        written = [Artifact(EXAMPLES, path, "image/webp")]
        written += [
            write_text(folder, name, json.dumps(value) + "\n", "application/json")
            for name, value in texts.items()
            if value is not None
        ]
        return [*written, Artifact(SHEET, worst.draw(folder / SHEET), "image/webp")] if worst else written

    def sections(self, report: dict[str, Any]) -> list[str]:
        return [
            "AP, AP50, AP75, AP by size and AR are COCO's, by pycocotools, in pixels of the images themselves; small "
            "is an area below 32 x 32 pixels, large one from 96 x 96 on. Their 95 % intervals are bootstrap "
            f"percentiles over images (up to {REPLICATES:,} samples). A class without an object is left out of the "
            f"mean. Agreement takes the teacher's boxes of a score of at least {SURE} for objects."
        ]


def _example(context: Context) -> Tensor:
    return torch.zeros(2, context.preprocessing.channels, *context.preprocessing.size)


def _side(context: Context) -> int:
    """Of the input, the longer, in pixels."""
    return int(max(context.preprocessing.size))
