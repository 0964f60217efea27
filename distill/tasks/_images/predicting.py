"""Pictures one by one: a file as a picture, and a teacher beside a loaded student."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from distill.errors import InvalidDataset
from distill.modalities.images.sources import UnreadableImage, decode
from distill.models import Preprocessing, check, load
from distill.recorded import read_view
from distill.tasks.prediction import Answer, InvalidSample, Predicting, Say, Writing, silent
from distill.types import Architecture


class PicturePredicting(Predicting):
    """Loaded students of pictures are dataclasses with `model`, `architecture` and `preprocessing`. A sample is the
    path of a file."""

    def teacher(self, student: Any, weights: Path, told: Mapping[str, Any], scratch: Path) -> Any:
        report = check(Architecture.model_validate(told["architecture"]), weights)
        model = load(report.architecture, weights, report.num_classes or None)
        how = Preprocessing(**read_view(json.dumps(told["preprocessing"])))
        return replace(student, model=model, architecture=report.architecture, preprocessing=how)

    def answer(self, network: Any, sample: Any, writing: Writing, say: Say = silent) -> Answer:
        return self.seen(network, _decoded(sample, network.preprocessing))

    @abstractmethod
    def seen(self, network: Any, picture: Image.Image) -> Answer:
        """What the network says of a decoded picture, L or RGB."""


def _decoded(path: Any, how: Preprocessing) -> Image.Image:
    """Without the file's path in the error: the caller does not know it. Raises `InvalidSample`."""
    try:
        return decode(Path(path).read_bytes(), "the picture", between=how.pixel_range)
    except InvalidDataset as error:  # more pixels than are read
        pixels = error.details["pixels"]
        raise InvalidSample(f"The picture has more than {pixels:,} pixels.", "Scale it down.") from error
    except UnreadableImage as error:
        remedy = "Send a complete image file: PNG, JPEG, WebP, GIF, BMP or TIFF."
        raise InvalidSample(f"The picture cannot be read: {error}.", remedy) from error
