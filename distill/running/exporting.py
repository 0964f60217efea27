"""A finished student exported later: its network and data are opened as for a comparison, and nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distill import auto_recipe, export, offload
from distill.control import Control
from distill.exporting.all import export_all
from distill.exporting.subject import Subject
from distill.running.session import open_task
from distill.types import Event, RunSpec


def export_later(spec: RunSpec, folder: Path, control: Control) -> Iterator[Event]:
    """What `spec.export` asks for, on the test set of the student's own run. Ends with `result` and `done`, or without
    them after `control.handover`. Raises what `distill.exporting.made.make` raises."""
    given = spec.export
    assert given is not None
    yield Event("phase", {"phase": "evaluating"})
    report: dict[str, Any] = json.loads(Path(given.report).read_text(encoding="utf-8"))
    task = open_task(_opened(spec, report["recipe"]), folder / "work")
    network = task.comparison
    assert network is not None
    offload.take_back(network.module)
    subject = Subject(task, network, task.context(network, report), folder / "work" / "exports")
    artifacts = folder / "artifacts"
    found = yield from export_all([subject], given.requests, artifacts, control, strict=True)
    if control.handover:
        return
    report["exports"] = found
    for artifact in export.get("model_card")(task.context(network, report), artifacts):
        yield artifact.event()
    yield Event("result", {"exports": found})
    yield Event("done", {})


def _opened(spec: RunSpec, recipe: str) -> RunSpec:
    """The student's run with the student in the comparison's place, by the recipe that was named or chosen. What a new
    student would start from is left out."""
    assert spec.export is not None
    config = auto_recipe.variant(spec.config, recipe) if auto_recipe.asked(spec.config) else spec.config
    config = config.model_copy(update={"backbone_learning_rate": "auto"})
    changed = {"config": config, "comparison": spec.export.student, "start": None, "export": None}
    return spec.model_copy(update=changed)
