"""A class for each pixel of a picture."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.tasks._images.predicting import PicturePredicting
from distill.tasks.prediction import Answer, Say, Writing, silent


class Segmenters(PicturePredicting):
    def answer(self, network: Any, sample: Any, writing: Writing, say: Say = silent) -> Answer:
        """`png`: base64 of a palette image of the picture's size, whose values are the classes' numbers; `classes`:
        those that are there, with their share of the pixels."""
        mask = network.predict(sample)
        out = io.BytesIO()
        mask.image().save(out, "PNG")
        height, width = mask.classes.shape
        there = [
            {"label": name, "index": number, "colour": "#{:02x}{:02x}{:02x}".format(*mask.palette[number]), "share": share}
            for number, (name, share) in enumerate(mask.shares().items())
            if share
        ]  # fmt: skip
        there.sort(key=lambda each: -each["share"])
        png = base64.b64encode(out.getvalue()).decode()
        return {"kind": "mask", "width": width, "height": height, "png": png, "classes": there}

    def agreement(self, student: Answer, teacher: Answer) -> float:
        """The share of the pixels that have the same class."""
        return float((_classes(student) == _classes(teacher)).mean())


def _classes(answer: Answer) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["png"]))))


ENTRY = Segmenters()
