"""Losses and accuracies over the steps: CSV, SVG and PNG."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, NullFormatter

from distill.export._base import Artifact, Context, Skipped, write_text

Series = dict[tuple[str, str], tuple[list[int], list[float]]]


def series(metrics: list[dict[str, Any]]) -> Series:
    """(split, name) -> steps and values."""
    found: Series = {}
    for row in metrics:
        for name, value in row["values"].items():
            steps, values = found.setdefault((row["split"], name), ([], []))
            steps.append(row["step"])
            values.append(value)
    return found


def export(context: Context, folder: Path) -> list[Artifact]:
    if not context.metrics:
        raise Skipped("the run left no metrics")
    figure = draw(series(context.metrics), context.report.get("metrics", []))
    artifacts = [write_text(folder, "training.csv", _table(context.metrics), "text/csv")]
    for kind, media_type in (("svg", "image/svg+xml"), ("png", "image/png")):
        path = folder / f"training.{kind}"
        figure.savefig(path, format=kind, metadata={"Date": None} if kind == "svg" else None)
        artifacts.append(Artifact(path.name, path, media_type))
    return artifacts


def _table(metrics: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["step", "epoch", "split", "name", "value"])
    for row in metrics:
        writer.writerows([row["step"], row["epoch"], row["split"], *item] for item in row["values"].items())
    return text.getvalue()


def draw(found: Series, known: Sequence[Mapping[str, Any]] = ()) -> Figure:
    """Losses (logarithmic) left, shares right. `known`: the task's metrics; those of other units are left out."""
    beside = ("", "teacher_", "comparison_")
    units = {f"{network}{metric['name']}": metric["unit"] for metric in known for network in beside}
    figure = Figure(figsize=(10, 4))  # fixed margins: a layout engine draws everything twice
    losses, shares = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.13, top=0.95)
    for (split, name), (steps, values) in found.items():
        unit = units.get(name, "share" if name == "accuracy" else "nats")
        if name == "learning_rate" or unit not in ("share", "nats"):
            continue
        axes: Axes = shares if unit == "share" else losses
        marker = "o" if split != "train" else None
        axes.plot(steps, values, label=f"{split} {name}", linewidth=1.2, marker=marker, markersize=3)
    losses.set(xlabel="step", ylabel="loss", yscale="log")
    shares.set(xlabel="step", ylabel="share", ylim=(0, 1))
    losses.yaxis.set_major_formatter(LogFormatter())  # plain numbers: the default sets every tick as a formula, slowly
    losses.yaxis.set_minor_formatter(NullFormatter())
    for axes in (losses, shares):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    return figure


ENTRY = export
