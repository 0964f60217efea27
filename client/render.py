"""Documents as tables."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from client.types import Dataset, Job, QCurve, Teacher

COLOURS = {"succeeded": "green", "failed": "red", "running": "cyan", "ready": "green", "invalid": "red"}
BAR_CELLS = 24


def table(*columns: str) -> Table:
    """A column ID is never cut: it is there to be copied."""
    headed = [Column(name, no_wrap=name == "ID") for name in columns]
    return Table(*headed, box=None, pad_edge=False, header_style="bold")


def status(text: str) -> str:
    colour = COLOURS.get(text, "yellow")
    return f"[{colour}]{text}[/]"


def size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def age(moment: str | None) -> str:
    """How long ago."""
    if moment is None:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def teachers(rows: Iterable[Teacher]) -> Table:
    made = table("ID", "NAME", "ARCHITECTURE", "STATUS", "CLASSES", "SIZE", "ADDED")
    for row in rows:
        classes = str((row["report"] or {}).get("num_classes", ""))
        name, architecture = escape(row["name"]), escape(row["architecture"]["name"])
        shown = status(row["status"])
        made.add_row(row["id"], name, architecture, shown, classes, size(row["size_bytes"]), age(row["created_at"]))
    return made


def datasets(rows: Iterable[Dataset]) -> Table:
    made = table("ID", "NAME", "KIND", "TASK", "STATUS", "CLASSES", "SIZE", "ADDED")
    for row in rows:
        found = (row["report"] or {}).get("classes", "")
        classes = str(len(found) if isinstance(found, list) else found)
        length = size(row["size_bytes"]) if row["size_bytes"] else ""
        name, task = escape(row["name"]), row.get("task") or ""
        shown = status(row["status"])
        made.add_row(row["id"], name, row["kind"], task, shown, classes, length, age(row["created_at"]))
    return made


def jobs(rows: Iterable[Job]) -> Table:
    made = table("ID", "NAME", "RECIPE", "STUDENT", "STATUS", "PHASE", "AGE")
    for row in rows:
        name, student = escape(row["name"]), escape(row["student"]["name"])
        phase = row["phase"] if row["status"] not in {"succeeded", "cancelled"} else ""
        made.add_row(row["id"], name, row["recipe"], student, status(row["status"]), phase, age(row["created_at"]))
    return made


def details(document: dict[str, Any]) -> Table:
    """Any document, a line a member; empty ones are left out."""
    made = Table(box=None, pad_edge=False, show_header=False)
    for name, value in document.items():
        if value not in (None, {}, [], ""):
            made.add_row(f"[bold]{name}[/]", _value(name, value))
    return made


def figures(titles: Iterable[str], rows: Iterable[tuple[str, list[str]]]) -> Table:
    """Networks side by side, a line a figure."""
    made = table("", *map(escape, titles))
    for title, cells in rows:
        made.add_row(f"[bold]{escape(title)}[/]", *cells)
    return made


def _value(name: str, value: Any) -> Any:
    if name == "status":
        return status(value)
    if isinstance(value, dict):
        return details({str(key): item for key, item in value.items()})
    if isinstance(value, list) and len(value) > 12:
        return escape(f"{', '.join(map(str, value[:12]))}, ... ({len(value)})")
    return escape(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def curve(found: QCurve) -> Table:
    """The Q curve with bars; chosen layers are marked."""
    made = table("", "LAYER", "DEPTH", "S", "I", "E", "Q", "")
    most = max((layer["quality"] for layer in found["layers"]), default=1.0)
    for layer in found["layers"]:
        chosen = layer["index"] in found["chosen"]
        numbers = [f"{layer[key]:.3f}" for key in ("separation", "information", "efficiency", "quality")]
        style = "bold green" if chosen else None
        depth = f"{layer['relative_depth']:.2f}"
        made.add_row(
            "*" if chosen else "", escape(layer["name"]), depth, *numbers, bar(layer["quality"], most), style=style
        )
    return made


def bar(value: float, most: float) -> str:
    """A bar of `BAR_CELLS` for `most`; nothing for a negative value."""
    share = max(0.0, value / most) if most > 0 else 0.0
    return "█" * round(BAR_CELLS * share)
