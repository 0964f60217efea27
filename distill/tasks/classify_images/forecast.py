"""What is known of a job before it runs: recipes that read logits want a teacher of the dataset's classes, and recipes
that learn from labels want labels."""

from __future__ import annotations

from collections.abc import Iterator

from distill import labels_needed, recipes
from distill.tasks.classify_images import SPEC
from distill.tasks.forecast import Misfit, Parts, class_misfits, scoring_misfits, skew_cautions, weight_misfits
from distill.tasks.image_forecast import ImageForecast
from distill.warned import RunWarning

PROBE_BESIDE_LABELS = (
    "A probe judges features where the dataset has no labels; this one has some.",
    "Leave the probe out: the report's figures are of the dataset's own test split.",
)


class Classifiers(ImageForecast):
    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        return class_misfits(parts, SPEC)

    def cautions(self, parts: Parts) -> Iterator[RunWarning]:
        yield from super().cautions(parts)
        yield from skew_cautions(parts, SPEC.samples)

    def lacking(self, parts: Parts) -> Iterator[Misfit]:
        yield from _label_settings(parts)
        yield from weight_misfits(parts)
        yield from scoring_misfits(parts)
        if parts.classes:
            if parts.probe is not None:
                yield Misfit("/probe", *PROBE_BESIDE_LABELS, "invalid_config")
            return
        if parts.classes is None or parts.config.recipe not in recipes.names():
            return
        found = labels_needed.refusal(parts.config.recipe, SPEC.offers)
        unfit = labels_needed.with_a_classifier(parts.student.name)
        if found is not None:
            yield Misfit("/config/recipe", found.message, found.remedy, "labels_required")
        elif unfit is not None:
            yield Misfit("/student", unfit.message, unfit.remedy, "labels_required")
        if parts.probe is not None and not parts.probe.get("classes"):
            message = "The probe has no labels, and so cannot judge features."
            yield Misfit("/probe", message, "Name a dataset with labels as the probe.", "labels_required")


def _label_settings(parts: Parts) -> Iterator[Misfit]:
    if parts.classes is None or parts.config.recipe not in recipes.names():
        return
    without = parts.dataset.get("without_label") or {}
    unlabelled = 0 if recipes.needs_labels(parts.config.recipe) else without.get("train", 0)
    for name, found in labels_needed.of_settings(parts.config, unlabelled, parts.classes > 0):
        yield Misfit(f"/config/{name}", found.message, found.remedy, "labels_required")


ENTRY = Classifiers(SPEC.name)
