"""The scoring phase: the teacher's Q curve, layer by layer, or a finished one of the same inputs."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from distill.control import Control
from distill.quality import digest, score, stratified_sample
from distill.running.pairing import candidates, check_counts
from distill.running.prepare import Network, Prepared
from distill.training import distributed
from distill.types import Event, Layer, LayerQuality, QCurve

FILE = "q-curve.json"


def score_teacher(
    prepared: Prepared, folder: Path, carried: dict[str, Any] | None, control: Control
) -> Generator[Event, None, QCurve | None]:
    """Events: `layers`, then `layer_quality` for every layer. Returns the complete curve, or None after
    `control.handover`. A curve with the same digest from the checkpoint, from `folder` or from the spec is reused."""
    teacher = prepared.teacher
    assert teacher is not None
    check_counts(prepared)
    layers = candidates(prepared, teacher)
    sample = _sample(prepared)
    frame = _frame(prepared, layers, sample)
    reused = distributed.agree(lambda: _reusable(frame, carried, folder, prepared.spec.reuse_curve))
    yield Event("layers", _frame_event(reused or frame))
    if reused is not None:
        for layer in reused.layers:
            yield Event("layer_quality", layer.to_dict())
        return reused
    if distributed.rank() > 0:
        return distributed.agree(lambda: None)
    curve = frame
    for layer in _scores(prepared, teacher, layers, sample):
        curve = replace(curve, layers=(*curve.layers, layer))
        yield Event("layer_quality", layer.to_dict())
        if control.handover:
            return distributed.agree(lambda: None)
    _keep(folder, curve)
    return distributed.agree(lambda: curve)


def _sample(prepared: Prepared) -> Tensor:
    """Class-stratified positions in the dataset's training samples, taken from those that are trained on."""
    labels = prepared.dataset.train.labels[prepared.train]
    return prepared.train[stratified_sample(labels, prepared.config.quality_samples, prepared.config.seed)]


def _frame(prepared: Prepared, layers: list[Layer], sample: Tensor) -> QCurve:
    return QCurve(
        layers=(),
        total_layers=len(layers),
        samples=len(sample),
        classes=len(prepared.dataset.classes),
        train_size=len(prepared.train),
        seed=prepared.config.seed,
        digest=_digest(prepared, layers, sample),
    )


def _digest(prepared: Prepared, layers: list[Layer], sample: Tensor) -> str:
    """sha256 of all that the curve's numbers depend on."""
    teacher, config = prepared.teacher, prepared.config
    assert teacher is not None
    return digest(
        f"{teacher.digest} {teacher.architecture.model_dump_json()}",
        prepared.dataset.digest,
        prepared.dataset.train.labels[sample],
        sample,
        train_size=len(prepared.train),
        seed=config.seed,
        preprocessing=str(teacher.preprocessing),
        layers=[layer.name for layer in layers],
        memory_bytes=config.quality_memory_bytes,  # decides which layers are pooled
        bootstrap=config.quality_bootstrap,
    )


def _scores(prepared: Prepared, teacher: Network, layers: list[Layer], sample: Tensor) -> Iterator[LayerQuality]:
    loader = prepared.scoring_loader(sample, teacher)
    return score(
        teacher.module,
        layers,
        lambda: (batch.student for batch in loader.epoch(0)),
        prepared.dataset.train.labels[sample],
        len(prepared.train),
        prepared.config.quality_memory_bytes,
        bootstrap=prepared.config.quality_bootstrap,
        seed=prepared.config.seed,
        view=prepared.quality_view,
    )


def _frame_event(curve: QCurve) -> dict[str, Any]:
    keys = ("total_layers", "samples", "classes", "train_size", "seed", "digest", "reused")
    return {key: getattr(curve, key) for key in keys}


def _reusable(
    frame: QCurve, carried: dict[str, Any] | None, folder: Path, given: dict[str, Any] | None
) -> QCurve | None:
    """The first complete curve with this digest. Only one from another run counts as `reused`."""
    for data, reused in ((carried, False), (_kept(folder), False), (given, True)):
        with suppress(KeyError, TypeError):  # a curve of an older version: computed again
            curve = QCurve.from_dict(data) if data else None
            if curve and curve.complete and curve.digest == frame.digest:
                return replace(curve, chosen=(), rule="", reused=reused)
    return None


def _kept(folder: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        data: dict[str, Any] = json.loads((folder / FILE).read_text())
        return data
    return None


def _keep(folder: Path, curve: QCurve) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / (FILE + ".part")
    part.write_text(json.dumps(curve.to_dict()))
    part.replace(folder / FILE)
