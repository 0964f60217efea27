"""The curve as CSV: one row a layer."""

from __future__ import annotations

import csv
import io

from distill.types import LayerQuality, QCurve

VALUES = (
    *("separation", "information", "efficiency", "quality"),
    *("minimum_similarity", "entropy", "nearest_distance", "mean_norm"),
)
ERRORS = ("separation", "information", "efficiency", "quality")
COLUMNS = (
    *("index", "name", "relative_depth", "kind", "shape"),
    *VALUES,
    *(f"{name}_standard_error" for name in ERRORS),
    *("pooled", "chosen", "samples"),
)


def to_csv(curve: QCurve) -> str:
    """RFC 4180 text, no cell of it a formula, with a header (`COLUMNS`) and a row a scored layer; `shape` as 64x56x56;
    floats in full; standard errors empty where there are none; `pooled` and `chosen` true or false;
    `samples`: how many the layer is scored on."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(_row(layer, layer.index in curve.chosen, curve.samples) for layer in curve.layers)
    return text.getvalue()


def _row(layer: LayerQuality, chosen: bool, samples: int) -> list[str]:
    errors = layer.standard_error or {}
    return [
        *(str(layer.index), _harmless(layer.name), repr(layer.relative_depth), _harmless(layer.kind)),
        "x".join(map(str, layer.shape)),
        *(repr(float(getattr(layer, name))) for name in VALUES),
        *(repr(errors[name]) if name in errors else "" for name in ERRORS),
        *(str(layer.pooled).lower(), str(chosen).lower()),
        str(samples if layer.samples is None else layer.samples),
    ]


def _harmless(text: str) -> str:
    """`text`, with an apostrophe before what a spreadsheet would run as a formula (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
