"""What is known of a job before it runs: recipes that read logits want a teacher of the dataset's
classes, which answers as the student does."""

from __future__ import annotations

from collections.abc import Iterator

from distill import recipes
from distill.errors import InvalidConfig
from distill.tasks.detect_objects import SPEC
from distill.tasks.detect_objects.answering import unequal, unpaired
from distill.tasks.forecast import Misfit, Parts, Report, class_misfits
from distill.tasks.image_forecast import ImageForecast, native_size
from distill.types import Architecture


class Detectors(ImageForecast):
    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        yield from class_misfits(parts, SPEC)
        if parts.config.recipe in recipes.names():
            for teacher in parts.teachers if parts.needs_teacher else ():
                found = self._unpaired(parts, teacher)
                if found is not None:
                    pointer = f"/config/{found.details['field']}"
                    yield Misfit(pointer, found.message, found.remedy, found.code, found.details)

    def _unpaired(self, parts: Parts, teacher: Report) -> InvalidConfig | None:
        named = Architecture.model_validate(teacher["architecture"])
        if found := unpaired(parts.config, parts.student, named):
            return found
        native = native_size(parts.dataset)
        ours = self.side(parts, native)
        theirs = self.teacher_side(teacher)
        if isinstance(ours, str) or isinstance(theirs, str):
            return None
        return unequal(parts.config, (parts.student, ours), (named, theirs))


ENTRY = Detectors(SPEC.name, framed=True)
