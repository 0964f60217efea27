"""The picture of docs/findings.md, drawn from benchmarks/results/gains.csv: python -m benchmarks.gains.

Each row of the table is a gain over labels alone of the same seeds, in points of the task's figure, its deviation over
seeds where its source has one, and `cited`: how `source` writes it.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill import drawing

TABLE = Path("benchmarks/results/gains.csv")
PICTURE = Path("docs/images/gains.svg")
INK, FAINT = "#222222", "#8a8a8a"
#: Arm -> colour (Okabe and Ito's), marker, what the legend says.
ARMS = {
    "features": ("#0072B2", "o", "features alone"),
    "then": ("#009E73", "D", "features first, labels then"),
    "logits": ("#D55E00", "s", "the teacher's logits"),
}


@dataclass(frozen=True)
class Gain:
    """`gain` and `deviation` in points; no deviation: the source has none."""

    setting: str
    arm: str
    student: str
    gain: float
    deviation: float | None
    seeds: int
    source: Path
    cited: str


def read(path: Path = TABLE) -> list[Gain]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Gain(
                row["setting"], row["arm"], row["student"], float(row["gain"]),
                float(row["deviation"]) if row["deviation"] else None, int(row["seeds"]), Path(row["source"]),
                row["cited"],
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


def figure(gains: Sequence[Gain]) -> Any:
    """A row a student, grouped by setting: the mean and one deviation over seeds to either side."""
    drawn = drawing.figure(8.6, 6.8)
    axes = drawn.subplots()
    axes.axvline(0, color=INK, linewidth=0.9)
    settings = list(dict.fromkeys(each.setting for each in gains))
    rows = {id(each): -place - 0.9 * settings.index(each.setting) for place, each in enumerate(gains)}
    for arm, (colour, marker, told) in ARMS.items():
        own = [each for each in gains if each.arm == arm]
        axes.errorbar(
            [each.gain for each in own], [rows[id(each)] for each in own],
            xerr=[each.deviation or 0.0 for each in own], fmt=marker, color=colour, markersize=5, elinewidth=1.4,
            label=told,
        )  # fmt: skip
    for setting in settings:
        first = next(each for each in gains if each.setting == setting)
        axes.annotate(
            setting, (0, rows[id(first)] + 0.95), xycoords=("axes fraction", "data"), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=8, color=INK, fontweight="bold",
        )  # fmt: skip
    axes.set_yticks([rows[id(each)] for each in gains], [each.student for each in gains], fontsize=8, color=INK)
    axes.set_ylim(min(rows.values()) - 0.8, 1.6)
    axes.set_xlabel("points over labels alone (mean and deviation over seeds)", color=INK)
    axes.grid(axis="x", color="#e5e5e5", linewidth=0.6)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return drawn


def main() -> None:
    gains = read()
    facts = {"Date": None, "Title": "Points over labels alone"}
    drawing.save(lambda: figure(gains), PICTURE, format="svg", metadata=facts)


if __name__ == "__main__":
    main()
