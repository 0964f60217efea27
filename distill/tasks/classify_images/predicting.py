"""One class a picture, of a backbone its features."""

from __future__ import annotations

from typing import Any

from PIL import Image

from distill.tasks._images.predicting import PicturePredicting
from distill.tasks.prediction import Answer, of_class, same_class


class Classifiers(PicturePredicting):
    def seen(self, network: Any, picture: Image.Image) -> Answer:
        if not network.classes:
            return {"kind": "features", "features": network.features([picture])[0].flatten().tolist()}
        return of_class(network.classes, network.probabilities([picture])[0].tolist())

    def agreement(self, student: Answer, teacher: Answer) -> float:
        return same_class(student, teacher)


ENTRY = Classifiers()
