"""The curve as a picture: Q above, its parts S, I and E below, against relative depth.

Told apart by colour (Okabe and Ito's, safe for the colour-blind), by marker, by line style and by panel, so that it
survives print in grey. No pyplot: a figure of our own, drawn and dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distill import drawing
from distill.types import LayerQuality, QCurve

INK, FAINT = "#222222", "#8a8a8a"
MARGINS = {"left": 0.05, "right": 0.992, "bottom": 0.09, "top": 0.89, "hspace": 0.27, "wspace": 0.2}
NAMES_SHOWN = 8  # chosen layers that get their name written beside them


@dataclass(frozen=True)
class Series:
    """One quantity: the field it shows, its label, colour, marker and line style."""

    field: str
    label: str
    colour: str
    marker: str
    line: str


QUALITY = Series("quality", "Quality  Q = S + √(I·E)", "#0072B2", "o", "-")
PARTS = (
    Series("separation", "Separation  S", "#D55E00", "s", "--"),
    Series("information", "Information  I", "#009E73", "^", "-."),
    Series("efficiency", "Efficiency  E", "#9C4F86", "D", ":"),
)


def to_svg(curve: QCurve) -> str:
    """Scalable picture, text as text; the same curve gives the same bytes."""
    return drawing.svg(lambda: _figure(curve), _title(curve))


def to_png(curve: QCurve, dpi: int = 160) -> bytes:
    """Picture of 9 x 5.6 inches at `dpi` pixels an inch."""
    return drawing.png(lambda: _figure(curve), dpi)


def _figure(curve: QCurve) -> Any:
    figure = drawing.figure(9, 5.6, fitted=False)
    axes = figure.subplot_mosaic("QQQ;SIE", height_ratios=(1.75, 1), gridspec_kw=MARGINS)
    _panel(axes["Q"], curve, QUALITY, large=True)
    for key, series in zip("SIE", PARTS, strict=True):
        _panel(axes[key], curve, series, large=False)
    _chosen_names(axes["Q"], curve)
    figure.suptitle(_title(curve), x=0.012, y=0.985, ha="left", fontsize=12, fontweight="bold", color=INK)
    axes["Q"].set_title(_subtitle(curve), loc="right", fontsize=8, color=FAINT)
    figure.supxlabel("Relative depth of the layer", fontsize=9, color=INK)
    return figure


def _title(curve: QCurve) -> str:
    if curve.complete:
        return "Q curve: where the teacher's knowledge is"
    return f"Q curve, partial: {len(curve.layers)} of {curve.total_layers} layers"


def _subtitle(curve: QCurve) -> str:
    chosen = f"filled: chosen by {curve.rule}    " if curve.chosen else ""
    groups = "classes" if curve.grouping == "labels" else "pseudo-classes"
    return f"{chosen}N = {curve.samples:,} samples, {curve.classes:,} {groups}, M = {curve.train_size:,}"


def _panel(axes: Any, curve: QCurve, series: Series, large: bool) -> None:
    _frame(axes, series, large)
    for layer in _marked(curve):
        axes.axvline(layer.relative_depth, color=FAINT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    if curve.layers:
        _line(axes, curve.layers, series, large)
        _marks(axes, _marked(curve), series, large)
    else:
        axes.text(0.5, 0.5, "no layer scored yet", transform=axes.transAxes, ha="center", color=FAINT)


def _frame(axes: Any, series: Series, large: bool) -> None:
    axes.set_title(series.label, loc="left", fontsize=10 if large else 9, color=series.colour, fontweight="bold")
    axes.set_xlim(0, 1.03)
    axes.margins(y=0.16 if large else 0.12)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=INK, labelsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)


def _line(axes: Any, layers: Sequence[LayerQuality], series: Series, large: bool) -> None:
    depth, values = [layer.relative_depth for layer in layers], [getattr(layer, series.field) for layer in layers]
    axes.plot(depth, values, series.line, color=series.colour, linewidth=1.8 if large else 1.4, zorder=3)
    size = (6.0 if large else 4.2) * (1 if len(layers) <= 30 else 0.6)
    hollow = {"markerfacecolor": "white", "markeredgecolor": series.colour}
    axes.plot(depth, values, series.marker, markersize=size, zorder=4, **hollow)
    if all(layer.standard_error for layer in layers):
        error = [(layer.standard_error or {})[series.field] for layer in layers]
        low, high = ([v + sign * e for v, e in zip(values, error, strict=True)] for sign in (-1, 1))
        axes.fill_between(depth, low, high, color=series.colour, alpha=0.18, linewidth=0, zorder=2)


def _marks(axes: Any, layers: Sequence[LayerQuality], series: Series, large: bool) -> None:
    """Chosen layers: the same marker, filled and larger."""
    depth, values = [layer.relative_depth for layer in layers], [getattr(layer, series.field) for layer in layers]
    filled = {"color": series.colour, "markeredgecolor": "white"}
    axes.plot(depth, values, series.marker, markersize=10 if large else 6.5, zorder=5, **filled)


def _chosen_names(axes: Any, curve: QCurve) -> None:
    """Each chosen layer's name along its dotted line, on white."""
    ground = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 0.8}
    look = {"rotation": 90, "ha": "right", "va": "bottom", "fontsize": 8, "color": INK, "zorder": 6, "bbox": ground}
    where = axes.get_xaxis_transform()
    for layer in _marked(curve)[:NAMES_SHOWN]:
        axes.text(layer.relative_depth - 0.005, 0.03, layer.name, transform=where, parse_math=False, **look)


def _marked(curve: QCurve) -> list[LayerQuality]:
    return [layer for layer in curve.layers if layer.index in curve.chosen]
