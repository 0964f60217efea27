"""A class and a box for each object of a picture."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from distill.tasks._images.predicting import PicturePredicting
from distill.tasks.detect_objects.apart import boxes_of
from distill.tasks.detect_objects.detections import SURE, Detections
from distill.tasks.detect_objects.evaluate import as_truth
from distill.tasks.detect_objects.judged import judged
from distill.tasks.prediction import Answer


class Detectors(PicturePredicting):
    def seen(self, network: Any, picture: Image.Image) -> Answer:
        """`boxes`: the best first; `corners`: x1 y1 x2 y2 in pixels of the picture; `sure`: the score from which a box
        counts in `agreement` and should be drawn."""
        boxes = boxes_of(network.detect(picture), network.classes)
        return {"kind": "boxes", "width": picture.width, "height": picture.height, "sure": SURE, "boxes": boxes}

    def agreement(self, student: Answer, teacher: Answer) -> float:
        """F1 of the student's sure boxes against the teacher's, a pair of a class being of IoU 0.5 at least
        (`distill.tasks.detect_objects.judged`)."""
        return judged(as_truth(_found(teacher)), _found(student)).f1


def _found(answer: Answer) -> Detections:
    boxes = answer["boxes"]
    corners = torch.tensor([each["corners"] for each in boxes], dtype=torch.float32).reshape(-1, 4)
    scores = torch.tensor([each["score"] for each in boxes], dtype=torch.float32)
    return Detections(corners, scores, torch.tensor([each["index"] for each in boxes], dtype=torch.int64))


ENTRY = Detectors()
