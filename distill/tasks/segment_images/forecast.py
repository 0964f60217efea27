"""What is known of a job before it runs: teacher and dataset have the same classes."""

from __future__ import annotations

from collections.abc import Iterator

from distill.tasks._image_forecast import ImageForecast
from distill.tasks.forecast import Misfit, Parts, same_classes
from distill.tasks.segment_images import SPEC


class Segmenters(ImageForecast):
    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        return same_classes(parts)


ENTRY = Segmenters(SPEC.name)
