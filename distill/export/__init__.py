"""Files of a finished run, one exporter a module: `export(context, folder)` writes them all, or says why not.

An exporter module has `ENTRY(context, folder) -> list[Artifact]` and may raise `Skipped`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from distill.export._base import (
    Around,
    Artifact,
    Context,
    Delivery,
    Graph,
    Runner,
    Skipped,
    class_section,
    described,
    probed,
    share_in_words,
    unchanged,
    write_text,
)
from distill.export._decoder import DecoderGraph, DecoderRun, EveryToken
from distill.export._served import Served
from distill.registry import Registry
from distill.types import Event

registry = Registry(__name__, __path__, "exporter")
names, get, summary = registry.names, registry.get, registry.summary


def export(context: Context, folder: Path) -> Iterator[Event]:
    """Run every exporter; an `artifact` event a file, a `log` event for each that was skipped."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names():
        try:
            artifacts = get(name)(context, folder)
        except Skipped as skipped:
            yield Event("log", {"level": "info", "message": f"No {name} export: {skipped}"})
            artifacts = list(skipped.artifacts)
        for artifact in artifacts:
            yield artifact.event()


__all__ = [
    "Around",
    "Artifact",
    "Context",
    "DecoderGraph",
    "DecoderRun",
    "Delivery",
    "EveryToken",
    "Graph",
    "Runner",
    "Served",
    "Skipped",
    "class_section",
    "described",
    "export",
    "get",
    "names",
    "probed",
    "registry",
    "share_in_words",
    "summary",
    "unchanged",
    "write_text",
]
