"""What is known of a job before it runs: recipes that read logits want a teacher of the dataset's
classes, which answers as the student does."""

from __future__ import annotations

from collections.abc import Iterator

from distill import recipes
from distill.tasks.detect_objects import SPEC
from distill.tasks.detect_objects.answering import unpaired
from distill.tasks.forecast import Misfit, Parts, class_misfits
from distill.tasks.image_forecast import ImageForecast
from distill.types import Architecture


class Detectors(ImageForecast):
    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        yield from class_misfits(parts, SPEC)
        if parts.config.recipe in recipes.names():
            for teacher in parts.teachers if parts.needs_teacher else ():
                found = unpaired(parts.config, parts.student, Architecture.model_validate(teacher["architecture"]))
                if found is not None:
                    yield Misfit("/config/recipe", found.message, found.remedy, found.code, found.details)


ENTRY = Detectors(SPEC.name, framed=True)
