"""What is known of a job before it runs: recipes that read logits want a teacher of the dataset's classes."""

from __future__ import annotations

from collections.abc import Iterator

from distill.tasks.detect_objects import SPEC
from distill.tasks.forecast import Misfit, Parts, class_misfits
from distill.tasks.image_forecast import ImageForecast


class Detectors(ImageForecast):
    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        return class_misfits(parts, SPEC)


ENTRY = Detectors(SPEC.name, framed=True)
