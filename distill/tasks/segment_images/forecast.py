"""What is known of a job before it runs: recipes that read logits want a teacher of the dataset's classes."""

from __future__ import annotations

from collections.abc import Iterator

from distill.tasks.forecast import Misfit, Parts, class_misfits, weight_misfits
from distill.tasks.image_forecast import ImageForecast
from distill.tasks.segment_images import SPEC


class Segmenters(ImageForecast):
    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        return class_misfits(parts, SPEC)

    def lacking(self, parts: Parts) -> Iterator[Misfit]:
        return weight_misfits(parts)


ENTRY = Segmenters(SPEC.name, framed=True)
