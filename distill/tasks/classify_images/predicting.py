"""One class a picture, of a backbone its features."""

from __future__ import annotations

from typing import Any

from distill.tasks._images.predicting import PicturePredicting
from distill.tasks.prediction import Answer, Say, Writing, of_class, same_class, silent


class Classifiers(PicturePredicting):
    def answer(self, network: Any, sample: Any, writing: Writing, say: Say = silent) -> Answer:
        if not network.classes:
            return {"kind": "features", "features": network.features([sample])[0].flatten().tolist()}
        return of_class(network.classes, network.probabilities([sample])[0].tolist())

    def agreement(self, student: Answer, teacher: Answer) -> float:
        return same_class(student, teacher)


ENTRY = Classifiers()
