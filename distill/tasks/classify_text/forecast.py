"""What is known of a job before it runs. A model without a head for these classes is a teacher of features, or started
from by a recipe that needs no teacher."""

from __future__ import annotations

from collections.abc import Iterator

from distill.tasks.classify_text import SPEC
from distill.tasks.forecast import Misfit, Parts, class_misfits, scoring_misfits, skew_cautions, weight_misfits
from distill.tasks.text_forecast import TextForecast
from distill.warned import RunWarning


class Classifiers(TextForecast):
    reduces = True

    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        yield from class_misfits(parts, SPEC)
        yield from super().misfits(parts)

    def cautions(self, parts: Parts) -> Iterator[RunWarning]:
        return skew_cautions(parts, SPEC.samples)

    def lacking(self, parts: Parts) -> Iterator[Misfit]:
        yield from weight_misfits(parts)
        yield from scoring_misfits(parts)

    def headed(self, parts: Parts) -> bool:
        return parts.needs_teacher or (parts.teacher or {}).get("num_classes") == (parts.classes or 0)


ENTRY = Classifiers(SPEC.name)
