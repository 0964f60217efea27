"""The teacher's Q curve: JSON, CSV, SVG and PNG."""

from __future__ import annotations

import json
from pathlib import Path

from distill.curve import to_csv, to_png, to_svg
from distill.export._base import Artifact, Context, Skipped, write_text


def export(context: Context, folder: Path) -> list[Artifact]:
    """`q-curve.json` is `QCurve.to_dict()`, with the chosen layers."""
    curve = context.curve
    if curve is None:
        raise Skipped("this recipe scored no layers")
    path = folder / "q-curve.png"
    path.write_bytes(to_png(curve))
    return [
        write_text(folder, "q-curve.json", json.dumps(curve.to_dict(), indent=1, allow_nan=False), "application/json"),
        write_text(folder, "q-curve.csv", to_csv(curve), "text/csv"),
        write_text(folder, "q-curve.svg", to_svg(curve), "image/svg+xml"),
        Artifact(path.name, path, "image/png"),
    ]


ENTRY = export
