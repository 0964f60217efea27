"""The long study's pictures, from its lines alone: python -m benchmarks.study.figures --images FOLDER.

`study-size.svg`: test accuracy against the student's parameters; `study-length.svg`: against epochs, without
augmentation and on all images; both for each arm of the first stage, a panel a pair, with 95 % intervals: Student's t
over seeds where there are two, else the test set's own (Wilson). `study-worth.svg`: what a student distilled on one
layer alone reached against that layer's Q and S. A picture is made of the runs that have ended, and not at all while
none of it has; which are missing is said.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr, t

from benchmarks.study.ledger import Ledger, Line
from benchmarks.study.pairs import PAIRS
from benchmarks.study.plan import EPOCHS, FIRST, Arm, Run, planned
from distill import drawing

INK = "#222222"
COLOURS = ("#8a8a8a", "#0072B2", "#009E73", "#D55E00")  # an arm of the first stage each
SCORES = ("quality", "separation")


@dataclass(frozen=True)
class Point:
    """Mean test accuracy in % at `x`, and its interval."""

    x: float
    y: float
    low: float
    high: float


Curves = Mapping[str, Mapping[str, Sequence[Point]]]
"""Pair -> arm -> points from left to right."""


def by_size(ledger: Ledger) -> Curves:
    """x: parameters. Runs of 20 epochs."""
    runs = [run for run in _runs(ledger) if run.stage in ("first", "seeds", "size")]
    return _curves(ledger, runs, lambda run, line: line["parameters"])


def by_length(ledger: Ledger) -> Curves:
    """x: epochs. Runs of the pair's own student."""
    runs = [run for run in _runs(ledger) if run.stage in ("first", "seeds", "length")]
    return _curves(ledger, runs, lambda run, line: run.epochs)


def _runs(ledger: Ledger) -> Iterator[Run]:
    layers = {pair.name: [layer["name"] for layer in ledger.curve(pair.name)] for pair in PAIRS}
    return (run for run in planned(layers) if ledger.lines.get(run.key, {}).get("status") == "finished")


def _curves(ledger: Ledger, runs: Sequence[Run], x: Callable[[Run, Line], float]) -> Curves:
    found: dict[str, dict[str, list[Point]]] = {}
    groups: dict[tuple[str, Arm, float], list[Line]] = {}
    for run in runs:
        if run.arm in FIRST:
            line = ledger.lines[run.key]
            groups.setdefault((run.pair, run.arm, x(run, line)), []).append(line)
    for (pair, arm, at), lines in sorted(groups.items(), key=lambda each: each[0][2]):
        found.setdefault(pair, {}).setdefault(str(arm), []).append(_point(at, lines))
    return found


def _point(x: float, lines: Sequence[Line]) -> Point:
    values = [100 * line["accuracy"] for line in lines]
    mean = statistics.mean(values)
    if len(values) < 2:
        low, high = (100 * bound for bound in lines[0]["interval"])
        return Point(x, mean, low, high)
    half = float(t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return Point(x, mean, mean - half, mean + half)


def worth(ledger: Ledger) -> dict[str, list[tuple[Line, float]]]:
    """Pair -> (layer with its scores, test accuracy in % of the student distilled on it alone)."""
    found: dict[str, list[tuple[Line, float]]] = {}
    layers = {pair.name: {layer["name"]: layer for layer in ledger.curve(pair.name)} for pair in PAIRS}
    for run in _runs(ledger):
        if run.stage == "worth":
            name = dict(run.arm.settings)["teacher_layers"][0]
            found.setdefault(run.pair, []).append((layers[run.pair][name], 100 * ledger.lines[run.key]["accuracy"]))
    return found


def curves_figure(found: Curves, label: str, logarithmic: bool) -> Any:
    figure, panels = _panels(list(found))
    for (pair, arms), axes in zip(found.items(), panels, strict=True):
        for name, points in arms.items():
            errors = [[p.y - p.low for p in points], [p.high - p.y for p in points]]
            colour = COLOURS[[str(arm) for arm in FIRST].index(name)]
            axes.errorbar(
                [p.x for p in points], [p.y for p in points], yerr=errors, fmt="o-", color=colour, markersize=4,
                linewidth=1.2, capsize=2, label=name,
            )  # fmt: skip
        if logarithmic:
            axes.set_xscale("log")
        _named(axes, pair, label, "test accuracy, %")
    panels[0].legend(frameon=False, fontsize=7)
    return figure


def worth_figure(found: Mapping[str, Sequence[tuple[Line, float]]]) -> Any:
    """A panel a pair and score; the rank correlation (Spearman) stands above it."""
    names = [(pair, score) for pair in found for score in SCORES]
    figure, panels = _panels(names)
    for (pair, score), axes in zip(names, panels, strict=True):
        x, y = [layer[score] for layer, _ in found[pair]], [accuracy for _, accuracy in found[pair]]
        axes.plot(x, y, "o", color=COLOURS[1], markersize=4)
        for layer, accuracy in found[pair]:
            axes.annotate(
                layer["name"], (layer[score], accuracy), xytext=(3, 3), textcoords="offset points", fontsize=6
            )
        rank = f", rank correlation {spearmanr(x, y).statistic:+.2f}" if len(x) > 2 else ""
        _named(axes, pair + rank, score, "test accuracy, %")
    return figure


def _panels(names: Sequence[object]) -> tuple[Any, list[Any]]:
    rows = -(-len(names) // 2)
    figure = drawing.figure(9, 3.4 * rows)
    panels = list(figure.subplots(rows, 2, squeeze=False).flat)
    for empty in panels[len(names) :]:
        empty.set_axis_off()
    return figure, panels[: len(names)]


def _named(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", fontsize=9, color=INK)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.grid(color="#e5e5e5", linewidth=0.6)


def pictures(ledger: Ledger) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Name -> what draws it, of those that have something to show."""
    size, length, layers = by_size(ledger), by_length(ledger), worth(ledger)
    if size:
        yield "study-size", lambda: curves_figure(size, "parameters of the student", logarithmic=True)
    if length:
        yield "study-length", lambda: curves_figure(length, f"epochs ({EPOCHS} in the tables)", logarithmic=True)
    if layers:
        yield "study-worth", lambda: worth_figure(layers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), help="Folder of study-long.jsonl.")
    parser.add_argument("--images", type=Path, required=True, help="Folder that the pictures go to.")
    given = parser.parse_args()
    given.images.mkdir(parents=True, exist_ok=True)
    made = []
    for name, draw in pictures(Ledger(given.results / "study-long.jsonl")):
        drawing.save(draw, given.images / f"{name}.svg", format="svg", metadata={"Date": None, "Title": name})
        made.append(name)
        print(given.images / f"{name}.svg")
    for name in ("study-size", "study-length", "study-worth"):
        if name not in made:
            print(f"{name}: not drawn, no run of it has ended.")


if __name__ == "__main__":
    main()
