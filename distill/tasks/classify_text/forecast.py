"""What is known of a job before it runs. A base model without a head for these classes may be started from by a recipe
that needs no teacher."""

from __future__ import annotations

from collections.abc import Iterator

from distill.tasks._text_forecast import TextForecast
from distill.tasks.classify_text import SPEC
from distill.tasks.forecast import Misfit, Parts, same_classes


class Classifiers(TextForecast):
    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        return same_classes(parts) if parts.needs_teacher else iter(())

    def headed(self, parts: Parts) -> bool:
        return (parts.teacher or {}).get("num_classes") == (parts.classes or 0)


ENTRY = Classifiers(SPEC.name)
