"""Any number of classes a picture."""

from __future__ import annotations

from typing import Any

from distill.tasks._images.predicting import PicturePredicting
from distill.tasks.prediction import Answer, Say, Writing, ranked, silent

MOST = 100
"""Classes whose probability is told, the most probable; `labels` has all that are said."""


class Taggers(PicturePredicting):
    """The teacher says a class from the student's threshold on."""

    def answer(self, network: Any, sample: Any, writing: Writing, say: Say = silent) -> Answer:
        found = network.predict(sample)
        scores = ranked(network.classes, list(found.scores.values()), MOST)
        told = {"threshold": network.threshold, "classes": len(network.classes)}
        return {"kind": "labels", "labels": list(found.labels), "scores": scores, **told}

    def agreement(self, student: Answer, teacher: Answer) -> float:
        """The share of the classes that both say or both do not say."""
        differing = set(student["labels"]) ^ set(teacher["labels"])
        return 1 - len(differing) / max(1, student["classes"])


ENTRY = Taggers()
