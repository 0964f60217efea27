"""One format of one network: written, compared with torch, judged on the test set by its own runtime."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distill import exports
from distill.control import Control
from distill.errors import UserError
from distill.export import Artifact, Graph, Runner, Skipped, write_text
from distill.exporting.subject import Subject, latencies
from distill.exporting.tuned import tuned
from distill.exporting.written import nothing_left, written
from distill.same_answers import difference_on
from distill.tasks import unwritten
from distill.tasks.base import Report, Task
from distill.traced import Traced
from distill.types import Event, ExportRequest

COMPARED_SAMPLES = 1000
"""Test samples, at most, over which the largest difference of an output is told."""


class NoGraph(UserError):
    """The task's students are not traced to a graph."""

    code = "not_exportable"


@dataclass(frozen=True)
class Made:
    """`entry`: what `exports.json` says of it."""

    entry: Report
    artifacts: list[Artifact]


def make(
    subject: Subject, request: ExportRequest, folder: Path, control: Control
) -> Generator[Event, None, Made | None]:  # fmt: skip
    """None after `control.handover`. Raises `NotExportable`, `ExportDiffers`, `MissingPackage`, `InvalidConfig`,
    `UnknownName`, and of a format that trains what training raises; then nothing is left."""
    exporter = exports.get(request.format)(**request.parameters)
    for refusal in unwritten.refusals(subject.task.spec, request):
        raise refusal
    exporter.check_packages()
    traced = _traced(subject, request, exporter.final)
    graph, source, training = traced.graph, traced, dict[str, Any]()
    if exporter.trains:
        found = yield from tuned(subject, exporter, request.format, control)
        if found is None:
            return None
        source, training = found.traced, {"quantisation_aware": found.told}
    path = folder / exporter.name(subject.context.name)
    with nothing_left(folder):
        files, run = written(exporter, source, path, request.format)
        proven = proof(subject, graph, run, request)
    entry = {
        "format": request.format,
        "parameters": request.parameters,
        "network": subject.context.name,
        "files": [_file(each) for each in files],
        "bytes": sum(each.stat().st_size for each in files),
        "runtime": {"name": exporter.runtime, "version": exporter.runtime_version()},
        "input": _input(graph),
        "output": graph.output,
        **exporter.facts(),
        **training,
        "snippet": _snippet(subject, exporter, path.name, graph),
    }
    artifacts = [Artifact(each.name, each, exporter.media_type) for each in files]
    beside = [
        write_text(folder, subject.context.name + name, text, "application/json") for name, text in graph.beside.items()
    ]
    told = {"beside": [_file(each.path) for each in beside]} if beside else {}
    return Made(entry | told | proven, [*artifacts, *beside])


def _traced(subject: Subject, request: ExportRequest, final: bool) -> Traced:
    wanted = {name: bool(request.parameters.get(name)) for name in ("pixels", "suppression")}
    if final and subject.context.delivery.suppresses:
        wanted["suppression"] = True
    try:
        return subject.traced(**wanted)
    except Skipped as skipped:
        title = subject.task.spec.title
        raise NoGraph(
            f"{title}: there is no {request.format} file, because {skipped}.",
            "Use the student as it is delivered.",
            {"format": request.format, "task": subject.task.spec.name},
        ) from skipped


def proof(subject: Subject, graph: Graph, run: Runner, request: ExportRequest) -> Report:
    """What the file is worth beside torch's student: the task's primary metric with its interval, the paired
    difference, agreement, the largest difference of an output, latency."""
    served = replace(subject.network, module=graph.served(run, subject.network.module))
    few = subject.task.splits.test[:COMPARED_SAMPLES]
    found: Report = {
        "largest_difference": difference_on(run, graph, subject.inputs("test", few), request.format),
        "latency": latencies(subject.network, served.module),
        "max_drop": request.max_drop,
        "drop": None,
        "exceeds_max_drop": False,
    }
    return found | (judged(subject, served, request.max_drop) if subject.answers is not None else {})


def judged(subject: Subject, served: Any, max_drop: float) -> Report:
    """`figure`: the primary metric; `drop`: how much is lost of it, of a share in its own unit, of another figure
    relative to torch's."""
    task = subject.task
    metric, answers = task.metrics_shown[0], task.predict(served)
    figures = task.figures(served, answers, subject.answers)
    apart = task.difference(answers, subject.answers)
    lost = -apart.value if metric.higher_is_better else apart.value
    whole = metric.value(subject.figures)
    drop = 0.0 + lost if metric.unit == "share" else lost / max(abs(whole or 0.0), 1e-12)
    told: Report = {
        "figure": figure(figures, metric.path or metric.name),
        "difference": apart.to_dict(),
        "drop": drop,
        "exceeds_max_drop": drop > max_drop,
        "metrics": values(task, figures),
    }
    return told | ({"agreement": figures["agreement"]} if "agreement" in figures else {})


def values(task: Task, column: Mapping[str, Any]) -> dict[str, float]:
    """The task's metrics in a report's column, by name; those that it has. Where a test set has no object of a size,
    that size's precision is no number."""
    found = {metric.name: metric.value(column) for metric in task.metrics_shown}
    return {name: value for name, value in found.items() if value is not None and math.isfinite(value)}


def figure(column: Mapping[str, Any], path: str) -> Any:
    """What a report's column holds at `path`, keys joined by `/`."""
    found: Any = column
    for key in path.split("/"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _snippet(subject: Subject, exporter: Any, file: str, graph: Graph) -> str:
    """Python that runs the file on `image.png`, or on a text, without Retort; empty where the task has none."""
    told = subject.context.delivery.around(subject.context, graph)
    if told is None or exporter.use is None:
        return ""
    imports, run = exporter.use
    given = told.given or f'{{"{graph.input}": prepare("image.png")}}'
    return told.code(imports, run.format(file=file, given=given))


def _file(path: Path) -> Report:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}


def _input(graph: Graph) -> Report:
    """`tensors`: the names of the file's inputs, where those are several of one shape."""
    told = {"name": graph.input, "shape": graph.shape, "dtype": graph.dtype}
    return told | ({"tensors": [*graph.tensors]} if len(graph.tensors) > 1 else {})
