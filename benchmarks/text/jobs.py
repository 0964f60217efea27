"""What the studies of language models share: a job that is run for its report, and the Q curve as a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distill.control import Control
from distill.run import run
from distill.types import Event, RunSpec


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def report_of(spec: RunSpec, folder: Path, hear: Callable[[Event], None] = lambda event: None) -> dict[str, Any]:
    """Run the very job in `folder`; its report. `hear` gets every event, and validation metrics are printed."""
    for event in run(spec, folder, Control()):
        hear(event)
        if event.kind == "metrics" and event.data["split"] == "validation":
            print(folder.name, event.data["step"], event.data["values"], flush=True)
    report: dict[str, Any] = json.loads((folder / "artifacts" / "report.json").read_text())
    return report


def curve_of(folder: Path) -> Any:
    """The Q curve of the job that ran in `folder`; None: it had none."""
    path = folder / "artifacts" / "q-curve.json"
    return json.loads(path.read_text()) if path.is_file() else None


def curve_table(title: Callable[[Any], str], outcomes: Sequence[dict[str, Any]]) -> list[str]:
    """The first curve of the outcomes as Markdown under `title(curve)`, and every choice of layers; [] without one."""
    curve = next((outcome["curve"] for outcome in outcomes if outcome.get("curve")), None)
    if curve is None:
        return []
    lines = [title(curve), "", "| layer | S | I | E | Q |", "|---|---|---|---|---|"]
    for layer in curve["layers"]:
        values = (layer[name] for name in ("separation", "information", "efficiency", "quality"))
        lines.append(f"| {layer['name']} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    chosen = {tuple(outcome["selection"]) for outcome in outcomes if outcome.get("selection")}
    return [*lines, "", "Chosen: " + "; ".join(", ".join(names) for names in sorted(chosen)) + ".", ""]
