"""`retort score`: the Q curve of a local checkpoint on a local dataset, without any service."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from distill import selection
from distill.commands.failure import Failed
from distill.commands.study import parse_architecture, parse_dataset, said_by
from distill.curve import reading, to_csv, to_png, to_svg
from distill.errors import InvalidConfig, RetortError
from distill.layer_count import usual
from distill.selection import check_count
from distill.types import USUAL_LAYERS, Architecture, DistillConfig, LayerQuality, QCurve, RunSpec, TeacherInput

if TYPE_CHECKING:
    from rich.table import Table

    from distill.running.session import Session


RULES = [name for name in selection.names() if name != "explicit"]  # that one is `--layer`


@dataclass(frozen=True)
class Request:
    """The options of one call."""

    weights: Path
    architecture: str | None
    datasets: tuple[str, ...]
    layers: int | None
    rule: str
    named: tuple[str, ...]
    samples: int
    bootstrap: int
    memory_mib: int
    max_passes: int
    batch_size: int
    image_size: int | None
    device: str
    seed: int
    output: Path


@click.command()
@click.option(
    "--weights",
    required=True,
    type=click.Path(exists=True, path_type=Path),
    help="safetensors; of a language model its folder or zip.",
)
@click.option("--architecture", help="E.g. timm:resnet34 or retort:resnet8?width=8; default: what the file says.")
@click.option(
    "--dataset", "datasets", multiple=True, required=True, help="A named set, a path, or role=path (train, test)."
)
@click.option(
    "--layers", type=int, help=f"k: how many layers to choose; default: {USUAL_LAYERS}, or all where there are fewer."
)
@click.option(
    "--selection", "rule", default="auto", show_default=True, type=click.Choice(RULES), help="Selection rule."
)
@click.option("--layer", "named", multiple=True, help="Score this module, not what discovery finds (repeatable).")
@click.option(
    "--samples",
    type=click.IntRange(min=2),
    default=5000,
    show_default=True,
    help="N: class-stratified training samples.",
)
@click.option(
    "--bootstrap",
    type=click.IntRange(0, 1000),
    default=0,
    show_default=True,
    help="Replicates for standard errors, at least 2; 0: none.",
)
@click.option(
    "--memory-mib",
    type=click.IntRange(min=64),
    default=2048,
    show_default=True,
    help="Peak memory beside model and sample, MiB.",
)
@click.option(
    "--max-passes",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Forward passes before large layers are pooled.",
)
@click.option("--batch-size", default=64, show_default=True)
@click.option("--image-size", type=click.IntRange(min=1), help="Side in pixels; default: the network's own.")
@click.option("--device", default="auto", show_default=True)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Draws the sample and the bootstrap.",
)
@click.option("--output", type=click.Path(path_type=Path), default=Path("q-curve"), show_default=True)
def score(**options: Any) -> None:
    """Score the layers of a trained network and choose those worth distilling.

    Prints the curve and what it says, and writes q-curve.json, .csv, .svg, .png and .txt, and the samples
    that were drawn (q-curve-draw.json). A curve already there with
    the same weights, data, sample and parameters is reused.
    """
    from distill.run import memory_errors

    request = Request(**options)
    try:
        with memory_errors():
            found, draw = _curve(request)
            curve = selection.choose(found, request.rule, _count(request, len(found.layers)))
    except RetortError as error:
        raise Failed(error) from error
    write(curve, request.output)
    (request.output / "q-curve-draw.json").write_text(json.dumps(draw), encoding="utf-8")
    click.echo(
        f"\n{reading(curve)}\n\nWritten: {request.output}/q-curve.{{json,csv,svg,png,txt}} and q-curve-draw.json"
    )


def _count(request: Request, available: int) -> int:
    return usual(available) if request.layers is None else request.layers


def write(curve: QCurve, folder: Path) -> None:
    """The curve in five forms."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "q-curve.json").write_text(json.dumps(curve.to_dict(), indent=1), encoding="utf-8")
    (folder / "q-curve.csv").write_text(to_csv(curve), encoding="utf-8", newline="")
    (folder / "q-curve.svg").write_text(to_svg(curve), encoding="utf-8")
    (folder / "q-curve.png").write_bytes(to_png(curve))
    (folder / "q-curve.txt").write_text(reading(curve) + "\n", encoding="utf-8")


def _curve(request: Request) -> tuple[QCurve, dict[str, Any]]:
    """With the rows that it is computed on. By the path of a job that scores: the same sample, the same digest for the
    same configuration."""
    from distill.running.draw import draw_of
    from distill.running.scoring import frame_of, scored_layers, scores

    _check_output(request.output)
    with TemporaryDirectory() as scratch:
        session = _session(request, Path(scratch))
        teaching = session.teachings[0]
        groups = teaching.groups
        if isinstance(groups, str):
            raise InvalidConfig(f"There is no Q curve: {groups}.", "Give a dataset with classes.")
        layers = scored_layers(teaching, groups)
        check_count(_count(request, len(layers)), len(layers), "teacher")  # before the long work
        frame = frame_of(session, teaching, groups, layers, request.max_passes)
        draw = draw_of(session.task, groups, frame)
        earlier = _earlier(request.output / "q-curve.json", frame)
        if earlier is not None:
            click.echo("Reused: the curve of the same weights, data, sample and parameters is already there.")
            _show(earlier)
            return earlier, draw
        return _follow(frame, scores(session, teaching, groups, layers, request.max_passes)), draw


def _session(request: Request, scratch: Path) -> Session:
    """A run of which only the teacher is asked."""
    from distill.control import Control
    from distill.running.session import Session, open_task

    architecture, weights = _architecture(request), request.weights
    with (_packed(weights, scratch) if weights.is_dir() else weights).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        config = DistillConfig(
            quality_samples=request.samples, quality_memory_bytes=request.memory_mib * 2**20,
            quality_bootstrap=request.bootstrap, seed=request.seed, device=request.device,
        )  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidConfig(f"{first['loc'][0]}: {first['msg']}.", "Give another value.") from error
    teacher = TeacherInput(architecture=architecture, weights=str(weights), digest=digest)
    spec = RunSpec(config=config, student=architecture, dataset=parse_dataset(request.datasets), teacher=teacher)
    task = open_task(spec, scratch)
    task.evaluation_batch = request.batch_size
    if request.image_size is not None and task.teacher is not None:
        task.teacher = replace(task.teacher, preprocessing=task.teacher.preprocessing.at(request.image_size))
    session = Session(spec, scratch, Control(), task)
    if request.named:
        session.teachings[0].layers = task.layers(session.teacher, list(request.named))
    return session


def _packed(folder: Path, scratch: Path) -> Path:
    """A language model's folder as the service keeps it, so that its digest is the same there."""
    from distill.models.language.folder import open_folder, pack

    path = scratch / "packed.zip"
    pack(open_folder(folder, scratch), path)
    return path


def _check_output(folder: Path) -> None:
    """Raise `InvalidConfig` where no curve could be written at the end; makes nothing yet."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "is no folder" if not there.is_dir() else "may not be written to"
        raise InvalidConfig(f"The curve cannot be written: {there} {why}.", "Give another --output.")


def _architecture(request: Request) -> Architecture:
    """The architecture that was given, or that the checkpoint's header names; a folder or zip says it itself."""
    from distill.safetensors_header import read_header

    if request.architecture:
        return parse_architecture(request.architecture)
    if request.weights.is_dir() or request.weights.suffix == ".zip":
        return Architecture(name="transformers:auto")
    return said_by(read_header(request.weights).metadata, request.weights, "--architecture")


def _earlier(path: Path, frame: QCurve) -> QCurve | None:
    """A complete curve of the same digest in the output folder."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        curve = QCurve.from_dict(json.loads(path.read_text(encoding="utf-8")))
        if curve.complete and curve.digest == frame.digest:
            return replace(curve, chosen=(), rule="", reused=True)
    return None


def _follow(curve: QCurve, points: Iterator[LayerQuality]) -> QCurve:
    """Fill the curve, showing the table as it grows."""
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with Live(_table(curve), console=console, auto_refresh=False) as live:
        for point in points:
            curve = replace(curve, layers=(*curve.layers, point))
            live.update(_table(curve), refresh=console.is_terminal)
        live.refresh()
    return curve


def _show(curve: QCurve) -> None:
    from rich.console import Console

    Console().print(_table(curve))


def _table(curve: QCurve) -> Table:
    from rich.table import Table

    table = Table(title=f"{len(curve.layers)} of {curve.total_layers} layers, N = {curve.samples:,}")
    for name in ("#", "layer", "kind", "shape", "depth", "S", "I", "E", "Q"):
        table.add_column(name, justify="left" if name in ("layer", "kind", "shape") else "right")
    for layer in curve.layers:
        values = (layer.separation, layer.information, layer.efficiency, layer.quality)
        shape = "x".join(map(str, layer.shape)) + (" pooled" if layer.pooled else "")
        cells = [str(layer.index), layer.name, layer.kind, shape, f"{layer.relative_depth:.2f}"]
        table.add_row(*cells, *(f"{value:.3f}" for value in values))
    return table
