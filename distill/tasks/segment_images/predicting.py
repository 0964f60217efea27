"""A class for each pixel of a picture."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from distill.tasks._images.predicting import PicturePredicting
from distill.tasks.prediction import Answer
from distill.tasks.segment_images.apart import shares


class Segmenters(PicturePredicting):
    def seen(self, network: Any, picture: Image.Image) -> Answer:
        """`png`: base64 of a palette image of the picture's size, whose values are the classes' numbers; `classes`:
        those that are there, with their share of the pixels."""
        mask = network.predict(picture)
        out = io.BytesIO()
        mask.image().save(out, "PNG")
        height, width = mask.classes.shape
        there = shares(mask.classes.ravel(), mask.names, mask.palette, len(mask.names))
        png = base64.b64encode(out.getvalue()).decode()
        return {"kind": "mask", "width": width, "height": height, "png": png, "classes": there}

    def agreement(self, student: Answer, teacher: Answer) -> float:
        """The share of the pixels that have the same class."""
        return float((_classes(student) == _classes(teacher)).mean())


def _classes(answer: Answer) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["png"]))))


ENTRY = Segmenters()
