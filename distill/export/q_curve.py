"""The teacher's Q curve: JSON, CSV, SVG and PNG; and the samples that it was drawn on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from distill.curve import to_csv, to_png, to_svg
from distill.export._base import Artifact, Context, Skipped, write_text
from distill.types import QCurve


def export(context: Context, folder: Path) -> list[Artifact]:
    """`q-curve.json` is `QCurve.to_dict()`, with the chosen layers; `q-curve-draw.json` names its rows
    (`distill.running.draw`). Of further teachers `q-curve-2.json`, ..."""
    if not context.curves:
        raise Skipped("this recipe scored no layers")
    written = [each for number, curve in enumerate(context.curves, 1) for each in _written(curve, number, folder)]
    return written + [
        write_text(folder, f"{_name(number)}-draw.json", json.dumps(draw, allow_nan=False) + "\n", "application/json")
        for number, draw in enumerate(context.draws, 1)
    ]


def _name(number: int) -> str:
    return "q-curve" if number == 1 else f"q-curve-{number}"


def _written(curve: QCurve, number: int, folder: Path) -> Iterator[Artifact]:
    name = _name(number)
    text = json.dumps(curve.to_dict(), indent=1, allow_nan=False)
    yield write_text(folder, f"{name}.json", text, "application/json")
    yield write_text(folder, f"{name}.csv", to_csv(curve), "text/csv")
    yield write_text(folder, f"{name}.svg", to_svg(curve), "image/svg+xml")
    path = folder / f"{name}.png"
    path.write_bytes(to_png(curve))
    yield Artifact(path.name, path, "image/png")


ENTRY = export
