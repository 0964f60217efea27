"""Any number of classes a picture."""

from __future__ import annotations

from typing import Any

from PIL import Image

from distill.tasks._images.predicting import PicturePredicting
from distill.tasks.prediction import Answer, ranked

MOST = 100
"""Classes whose probability is told, the most probable; `labels` has all that are said."""


class Taggers(PicturePredicting):
    """The teacher says a class from the student's threshold on."""

    def seen(self, network: Any, picture: Image.Image) -> Answer:
        found = network.predict(picture)
        scores = ranked(network.classes, list(found.scores.values()), MOST)
        told = {"threshold": network.threshold, "classes": len(network.classes)}
        return {"kind": "labels", "labels": list(found.labels), "scores": scores, **told}

    def agreement(self, student: Answer, teacher: Answer) -> float:
        """The share of the classes that both say or both do not say."""
        differing = set(student["labels"]) ^ set(teacher["labels"])
        return 1 - len(differing) / max(1, int(student["classes"]))


ENTRY = Taggers()
