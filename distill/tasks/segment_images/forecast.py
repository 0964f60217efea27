"""What is known of a job before it runs: recipes that read logits want a teacher of the dataset's classes, and a mask
follows no RandAugment."""

from __future__ import annotations

from collections.abc import Iterator

from distill.tasks.forecast import Misfit, Parts, class_misfits, weight_misfits
from distill.tasks.image_forecast import ImageForecast
from distill.tasks.segment_images import AUGMENTATIONS, SPEC


class Segmenters(ImageForecast):
    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        yield from class_misfits(parts, SPEC)
        if (name := parts.config.augmentation) not in AUGMENTATIONS:
            message = f"The augmentation {name} would move the images and not their masks."
            yield Misfit("/config/augmentation", message, f"Use one of {', '.join(AUGMENTATIONS)}.", "invalid_config")

    def lacking(self, parts: Parts) -> Iterator[Misfit]:
        return weight_misfits(parts)


ENTRY = Segmenters(SPEC.name)
