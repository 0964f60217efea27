"""Every format that was asked for, of every network that is delivered."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from distill.control import Control
from distill.errors import RetortError
from distill.export import Artifact, write_text
from distill.exporting.made import figure, make, values
from distill.exporting.subject import Subject
from distill.tasks.base import Report
from distill.types import Event, ExportRequest

FILE = "exports.json"
SCHEMA = 1


def export_all(
    subjects: Sequence[Subject], requests: Sequence[ExportRequest], folder: Path, control: Control,
    strict: bool = False,
) -> Generator[Event, None, Report]:  # fmt: skip
    """An `artifact` event for every file, and in the end `exports.json`; what it says is returned. What cannot be
    exported is named there and in the log, unless `strict`: then its error is raised. After `control.handover` none
    is begun, one that trains ends, and nothing is said: another attempt begins anew."""
    entries, failed, artifacts = list[Report](), list[Report](), list[Artifact]()
    for subject in subjects:
        for request in requests:
            if control.handover:
                break
            try:
                made = yield from make(subject, request, folder, control)
            except RetortError as error:
                if strict:
                    raise
                failed.append({"format": request.format, "network": subject.context.name, "error": error.to_dict()})
                message = f"No {request.format} of the {subject.context.name}: {error.message}"
                yield Event("log", {"level": "warning", "message": message})
                continue
            if made is None:
                break
            entries.append(made.entry)
            artifacts += made.artifacts
            yield Event("log", {"level": "info", "message": told(made.entry)})
    if control.handover:
        return {}
    found = {
        "schema": SCHEMA,
        "task": subjects[0].task.spec.name,
        "metric": subjects[0].task.metrics_shown[0].to_dict(),
        "metrics": [metric.to_dict() for metric in subjects[0].task.metrics_shown],
        "torch": {each.context.name: _torch(each) for each in subjects},
        "exports": entries,
        "failed": failed,
    }
    text = json.dumps(found, indent=2, allow_nan=False)
    artifacts.append(write_text(folder, FILE, text + "\n", "application/json"))
    for artifact in {each.name: each for each in artifacts}.values():  # several files may need the same one beside them
        yield artifact.event()
    return found


def _torch(subject: Subject) -> Report:
    """What the files are held against."""
    metric = subject.task.metrics_shown[0]
    said: Any = figure(subject.figures, metric.path or metric.name)
    weights = subject.context.delivery.bytes(subject.context)
    told = {"figure": said, "bytes": weights, "latency": subject.latency}
    return told | ({"metrics": values(subject.task, subject.figures)} if subject.figures else {})


def told(entry: Report) -> str:
    """One line of the log."""
    name, size = entry["files"][0]["name"], f"{entry['bytes']:,} bytes"
    if entry["drop"] is None:
        return f"{name}: {size}, answers as torch does on {entry['largest_difference']['n']} test samples"
    lost = f"{100 * max(0.0, entry['drop']):.2f} points of the test figure lost, {100 * entry['max_drop']:g} allowed"
    return f"{name}: {size}, {lost}" + (": MORE THAN ALLOWED" if entry["exceeds_max_drop"] else "")
