"""Pictures of which none has a label: what a run on them needs, and the labelled set that judges its features."""

from __future__ import annotations

from pathlib import Path

from distill import labels_needed
from distill.errors import InvalidConfig
from distill.modalities.images import Dataset, open_dataset
from distill.models.names import resolve
from distill.tasks.base import Report, Splits
from distill.tasks.classify_images import SPEC
from distill.tasks.classify_images.forecast import PROBE_BESIDE_LABELS
from distill.tasks.opening import splits_of
from distill.tasks.spec import Metric
from distill.types import DistillConfig, RunSpec

_ROWS = ("knn", "linear_probe", "held_out_loss")
OF_FEATURES = tuple(metric for name in _ROWS for metric in SPEC.metrics if metric.name == name)
"""The report's rows: what features are worth."""
VALIDATED = Metric("loss", "loss", "number", higher_is_better=False)


def check_headless(run: RunSpec) -> None:
    """Raises `InvalidConfig` for a student whose library builds no network without a classifier."""
    found = labels_needed.with_a_classifier(str(resolve(run.student.name)))
    if found is not None:
        raise InvalidConfig(found.message, found.remedy, {"field": "student", "value": run.student.name})


def probe_of(run: RunSpec, classes: tuple[str, ...], scratch: Path) -> Dataset | None:
    """The run's labelled probe set, opened. Raises `InvalidConfig` for one beside a dataset with labels, and for one
    without."""
    if run.probe is None:
        return None
    if classes:
        raise InvalidConfig(*PROBE_BESIDE_LABELS, {"field": "probe"})
    (scratch / "probe").mkdir(parents=True, exist_ok=True)
    found = open_dataset(run.probe, scratch=scratch / "probe")
    if not found.classes:
        raise InvalidConfig(
            f"The probe {found.name} has no labels.", "Name a dataset with labels as the probe.", {"field": "probe"}
        )
    return found


def probe_splits(config: DistillConfig, probe: Dataset) -> Splits:
    """All of the probe set's labelled pictures, with the run's share for validation; its limits are for the dataset."""
    free = config.model_copy(update={"train_limit": None, "test_limit": None})
    return splits_of(free, probe.train.labels, probe.test.labels, labelled=True)


def described(probe: Dataset, splits: Splits) -> Report:
    """`train`, `validation`, `test`: pictures of each."""
    sizes = {name: len(getattr(splits, name)) for name in ("train", "validation", "test")}
    return {"name": probe.name, "classes": len(probe.classes), "digest": probe.digest} | sizes
