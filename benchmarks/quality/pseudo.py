"""Does the Q curve of pseudo-classes order a teacher's layers as the curve of labels does?

    python -m benchmarks.quality.pseudo --cifar PATH/cifar10-jpeg > benchmarks/results/quality-pseudo-classes.md

Teachers are trained here, by labels, on a part of each data set; the same sample is then scored by its labels and by
k-means clusters of the teacher's deepest feature (`distill.tasks.pseudo_classes`), which have never seen a label.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scipy.stats import spearmanr

from distill.control import Control
from distill.run import run
from distill.running.scoring import scored_layers, scores
from distill.running.session import Session
from distill.types import Architecture, DatasetInput, DistillConfig, LayerQuality, RunSpec, TeacherInput

TEACHER = Architecture(name="retort:resnet20", options={"width": 16})
CLUSTERS = (5, 10, 20, 50)
TOP = 4  # layers of highest Q: as many as `layers` chooses unless told otherwise
PARTS = ("quality", "separation", "information", "efficiency")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cifar", type=Path, help="folder with train.parquet and test.parquet of CIFAR-10")
    parser.add_argument("--images", type=int, default=6000, help="training images of a data set")
    parser.add_argument("--samples", type=int, default=1000, help="images that a curve is computed on")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3, help="of the sample and of k-means")
    given = parser.parse_args(arguments)
    sets = [DatasetInput(kind="named", name=name) for name in ("digits", "fashion-mnist")]
    if given.cifar is not None:
        files = {split: str(given.cifar / f"{split}.parquet") for split in ("train", "test")}
        sets.append(DatasetInput(kind="parquet", name="CIFAR-10 (JPEG copy)", files=files))
    else:
        print("CIFAR-10 is left out: no --cifar", file=sys.stderr)
    print(f"| data set | teacher's accuracy | k | Spearman of Q | of S | of I | of E | top {TOP} in common |")
    print("|---|---|---|---|---|---|---|---|")
    for dataset in sets:
        with TemporaryDirectory() as folder:
            _compare(dataset, Path(folder), given)


def _compare(dataset: DatasetInput, folder: Path, given: Any) -> None:
    teacher, accuracy = _teacher(dataset, folder / "teacher", given)
    labelled = [_curve(dataset, teacher, folder, given, seed, "auto") for seed in range(given.seeds)]
    for k in CLUSTERS:
        pairs = [(one, _curve(dataset, teacher, folder, given, seed, k)) for seed, one in enumerate(labelled)]
        cells = [_mean([_rank(a, b, part) for a, b in pairs]) for part in PARTS]
        common = sum(len(_top(a) & _top(b)) for a, b in pairs) / len(pairs)
        print(f"| {dataset.name} | {100 * accuracy:.1f} % | {k} | {' | '.join(cells)} | {common:.1f} |", flush=True)


def _teacher(dataset: DatasetInput, folder: Path, given: Any) -> tuple[TeacherInput, float]:
    config = _config(given, epochs=given.epochs * (4 if dataset.name == "digits" else 1), recipe="cross_entropy")
    spec = RunSpec(config=config, student=TEACHER, dataset=dataset)
    events = list(run(spec, folder, Control()))
    path = folder / "artifacts" / "student.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    result = next(event.data for event in events if event.kind == "result")
    made = TeacherInput(architecture=TEACHER, weights=str(path), num_classes=10, digest=digest)
    return made, float(result["student"]["accuracy"]["value"])


def _curve(
    dataset: DatasetInput, teacher: TeacherInput, folder: Path, given: Any, seed: int, k: Any
) -> list[LayerQuality]:
    config = _config(given, pseudo_classes=k, seed=seed, quality_samples=given.samples)
    spec = RunSpec(config=config, student=TEACHER, dataset=dataset, teacher=teacher)
    session = Session.open(spec, folder / "work", Control())
    groups = session.groups
    assert not isinstance(groups, str)
    return list(scores(session, groups, scored_layers(session, groups)))


def _config(given: Any, **changes: Any) -> DistillConfig:
    base = {"train_limit": given.images, "test_limit": 2000, "batch_size": 128, "device": "cpu", "precision": "fp32"}
    return DistillConfig.model_validate(base | changes)


def _rank(one: list[LayerQuality], other: list[LayerQuality], part: str) -> float:
    """Spearman's rank correlation of a quantity over the layers, in [-1, 1]."""
    found = spearmanr([getattr(layer, part) for layer in one], [getattr(layer, part) for layer in other])
    return float(found.statistic)


def _top(curve: list[LayerQuality]) -> set[int]:
    return {layer.index for layer in sorted(curve, key=lambda layer: -layer.quality)[:TOP]}


def _mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
