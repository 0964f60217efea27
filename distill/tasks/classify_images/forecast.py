"""What is known of a job before it runs: recipes that read logits want a teacher of the dataset's classes, and recipes
that learn from labels want labels."""

from __future__ import annotations

from collections.abc import Iterator

from distill import labels_needed, recipes
from distill.tasks.classify_images import SPEC
from distill.tasks.forecast import Misfit, Parts, class_misfits
from distill.tasks.image_forecast import ImageForecast


class Classifiers(ImageForecast):
    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        return class_misfits(parts, SPEC.offers)

    def lacking(self, parts: Parts) -> Iterator[Misfit]:
        if parts.classes != 0 or parts.config.recipe not in recipes.names():
            return
        found = labels_needed.refusal(parts.config.recipe, SPEC.offers)
        if found is not None:
            yield Misfit("/config/recipe", found.message, found.remedy, "labels_required")
        elif (unfit := labels_needed.with_a_classifier(parts.student.name)) is not None:
            yield Misfit("/student", unfit.message, unfit.remedy, "labels_required")


ENTRY = Classifiers(SPEC.name)
