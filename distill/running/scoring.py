"""The scoring phase: the teacher's Q curve, layer by layer, or a finished one of the same inputs. Several processes
share it."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from distill.quality import digest, score
from distill.running.session import Session
from distill.running.teaching import Teaching
from distill.tasks.base import Groups
from distill.training import distributed
from distill.types import Event, Layer, LayerQuality, QCurve

FILE = "q-curve.json"
MAX_PASSES = 8  # of the sample, before large layers are pooled


def score_teacher(session: Session, teaching: Teaching, groups: Groups) -> Generator[Event, None, QCurve | None]:
    """Events: `layers`, then `layer_quality` for every layer. Returns
    the complete curve, or None after `control.handover`. A curve with the same digest from the checkpoint, from the
    work folder or from the spec is reused."""
    path = _file(session.folder / "work", teaching)
    layers = scored_layers(teaching, groups)
    frame = frame_of(session, teaching, groups, layers)
    reused = distributed.agree(lambda: _reusable(frame, session, path))
    yield Event("layers", _frame_event(reused or frame) | teaching.whose)
    if reused is not None:
        for layer in reused.layers:
            yield Event("layer_quality", layer.to_dict() | teaching.whose)
        return reused
    curve = frame
    for layer in scores(session, teaching, groups, layers):
        curve = replace(curve, layers=(*curve.layers, layer))
        yield Event("layer_quality", layer.to_dict() | teaching.whose)
        if session.leaving():
            return None
    if distributed.rank() == 0:
        _keep(path, curve)
    return curve


def scored_layers(teaching: Teaching, groups: Groups) -> list[Layer]:
    """The teacher's layers, with the shapes of the rows that are scored."""
    return [replace(layer, shape=groups.view.shape(layer.shape)) for layer in teaching.layers]


def frame_of(
    session: Session, teaching: Teaching, groups: Groups, layers: list[Layer], max_passes: int = MAX_PASSES
) -> QCurve:
    """The curve without its points. `digest`: sha256 of all that the points depend on."""
    more: dict[str, Any] = {"max_passes": max_passes} if max_passes != MAX_PASSES else {}
    more |= {"groups": groups.key} if groups.key else {}
    teacher, config, train_size = teaching.network, session.config, len(session.task.splits.train)
    key = digest(
        f"{teacher.digest} {teacher.architecture.model_dump_json()}",
        session.task.dataset.digest,
        groups.labels,
        groups.sample,
        train_size=train_size,
        seed=config.seed,
        preprocessing=str(teacher.preprocessing),
        layers=[layer.name for layer in layers],
        memory_bytes=config.quality_memory_bytes,  # decides which layers are pooled
        bootstrap=config.quality_bootstrap,
        **more,
    )
    return QCurve(
        (), len(layers), len(groups.labels), groups.groups, train_size, config.seed, key, grouping=groups.grouping
    )


def scores(
    session: Session, teaching: Teaching, groups: Groups, layers: list[Layer], max_passes: int = MAX_PASSES
) -> Iterator[LayerQuality]:
    """The curve's points, in depth order."""
    config = session.config
    return score(
        teaching.network.module,
        layers,
        groups.batches,
        groups.labels,
        len(session.task.splits.train),
        config.quality_memory_bytes,
        bootstrap=config.quality_bootstrap,
        seed=config.seed,
        max_passes=max_passes,
        view=groups.view,
        counted=groups.counted,
    )


def _frame_event(curve: QCurve) -> dict[str, Any]:
    keys = ("total_layers", "samples", "classes", "train_size", "seed", "digest", "reused", "grouping")
    return {key: getattr(curve, key) for key in keys}


def _reusable(frame: QCurve, session: Session, path: Path) -> QCurve | None:
    """The first complete curve with this digest. Only one from another run counts as `reused`."""
    own = [*carried_curves(session.carry), _kept(path)]
    given = session.spec.reuse_curves
    for data, reused in (*((each, False) for each in own), *((each, True) for each in given)):
        with suppress(KeyError, TypeError):  # a curve of an older version: computed again
            curve = QCurve.from_dict(data) if data else None
            if curve and curve.complete and curve.digest == frame.digest:
                return replace(curve, chosen=(), rule="", reused=reused)
    return None


def carried_curves(carry: dict[str, Any]) -> list[dict[str, Any]]:
    """The curves in a checkpoint; those of earlier releases hold one, or none."""
    return carry["curves"] if "curves" in carry else [carry["curve"]] if carry.get("curve") else []


def _file(folder: Path, teaching: Teaching) -> Path:
    return folder / (FILE if not teaching.position else f"q-curve-{teaching.position + 1}.json")


def _kept(path: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError):
        data: dict[str, Any] = json.loads(path.read_text())
        return data
    return None


def _keep(path: Path, curve: QCurve) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(curve.to_dict()))
    part.replace(path)
