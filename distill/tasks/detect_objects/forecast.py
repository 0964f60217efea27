"""What is known of a job before it runs: recipes that read logits want a teacher of the dataset's classes, and a box
follows no RandAugment."""

from __future__ import annotations

from collections.abc import Iterator

from distill.tasks.detect_objects import AUGMENTATIONS, SPEC
from distill.tasks.forecast import Misfit, Parts, class_misfits
from distill.tasks.image_forecast import ImageForecast


class Detectors(ImageForecast):
    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        yield from class_misfits(parts, SPEC.offers)
        if (name := parts.config.augmentation) not in AUGMENTATIONS:
            message = f"The augmentation {name} would move the images and not their boxes."
            yield Misfit("/config/augmentation", message, f"Use one of {', '.join(AUGMENTATIONS)}.", "invalid_config")


ENTRY = Detectors(SPEC.name)
