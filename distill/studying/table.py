"""A study's outcomes as rows by recipe and selection, as Markdown and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from distill.studying.grid import comparisons

Row = dict[str, Any]


def rows(outcomes: Sequence[dict[str, Any]]) -> list[Row]:
    """One row a recipe and selection, best mean accuracy first, rows without a finished run last.

    `mean`, `sd`: of the final students' test accuracies over the finished seeds (sd needs two); `diverged`, `failed`:
    seeds that did not finish, which no mean hides (a student at chance counts as diverged); `against_cross_entropy`:
    mean and sd of the difference to the baseline of the same seed; `against_teacher`: mean difference to the teacher.
    """
    baseline = comparisons(outcomes)
    keys = list(dict.fromkeys((outcome["recipe"], outcome["selection"]) for outcome in outcomes))
    table = [_row(recipe, selection, outcomes, baseline) for recipe, selection in keys]
    return sorted(table, key=lambda row: -1.0 if row["mean"] is None else row["mean"], reverse=True)


def _row(recipe: str, selection: str, outcomes: Sequence[dict[str, Any]], baseline: dict[int, float]) -> Row:
    mine = [o for o in outcomes if (o["recipe"], o["selection"]) == (recipe, selection)]
    done = [o for o in mine if o["status"] == "finished"]
    gains = [o["accuracy"] - baseline[o["seed"]] for o in done if o["seed"] in baseline]
    mean, sd = _spread([o["accuracy"] for o in done])
    gain, gain_sd = _spread(gains)
    return {
        "recipe": recipe,
        "selection": selection,
        "seeds": [o["seed"] for o in mine],
        "finished": len(done),
        "diverged": sum(o["status"] == "diverged" for o in mine),
        "failed": sum(o["status"] == "failed" for o in mine),
        "mean": mean,
        "sd": sd,
        "accuracies": [o["accuracy"] for o in done],
        "agreement": _spread([o["agreement"] for o in done])[0],
        "against_cross_entropy": None if recipe == "cross_entropy" else gain,
        "against_cross_entropy_sd": None if recipe == "cross_entropy" else gain_sd,
        "against_teacher": _spread([o["accuracy"] - o["teacher_accuracy"] for o in done])[0],
        "seconds": _spread([o["seconds"] for o in done])[0],
        "chosen": {str(o["seed"]): o["chosen"] for o in done if o["chosen"]},
        "same_as": {str(o["seed"]): o["same_as"] for o in done if "same_as" in o},
    }


def _spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    if not values:
        return None, None
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


HEAD = (
    "| recipe | layers by | accuracy, % | vs cross-entropy | vs teacher | agreement, % | finished | diverged | failed "
    "| seconds |\n|---|---|---|---|---|---|---|---|---|---|"
)


def markdown(table: Sequence[Row], about: dict[str, Any], outcomes: Sequence[dict[str, Any]]) -> str:
    """The study as a document: what was held fixed, the table, the chosen layers, the runs that did not finish."""
    lines = [f"# {about['title']}", "", *(f"* {key}: {value}" for key, value in about["facts"].items()), "", HEAD]
    lines += [_line(row) for row in table]
    lines += [
        "",
        "Mean and standard deviation over seeds of the final student's accuracy on the test set, read once a run.",
    ]
    lines += _chosen(table) + _unfinished(outcomes)
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    cells = [
        row["recipe"],
        row["selection"] or "-",
        _percent(row["mean"], row["sd"]),
        _percent(row["against_cross_entropy"], row["against_cross_entropy_sd"], sign=True),
        _percent(row["against_teacher"], None, sign=True),
        _percent(row["agreement"], None),
        f"{row['finished']} of {len(row['seeds'])}",
        str(row["diverged"]),
        str(row["failed"]),
        "-" if row["seconds"] is None else f"{row['seconds']:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _percent(value: float | None, sd: float | None, sign: bool = False) -> str:
    if value is None:
        return "-"
    text = f"{100 * value:+.2f}" if sign else f"{100 * value:.2f}"
    return text if sd is None else f"{text} ± {100 * sd:.2f}"


def _chosen(table: Sequence[Row]) -> list[str]:
    lines = [
        f"* {row['recipe']}, {row['selection']}: "
        + "; ".join(f"seed {seed}: {layers}{_shared(row, seed)}" for seed, layers in row["chosen"].items())
        for row in table
        if row["chosen"]
    ]
    return ["", "## Chosen teacher layers (index on the Q curve)", "", *lines] if lines else []


def _shared(row: Row, seed: str) -> str:
    return f" (the run of {row['same_as'][seed]})" if seed in row["same_as"] else ""


def _unfinished(outcomes: Sequence[dict[str, Any]]) -> list[str]:
    bad = [o for o in outcomes if o["status"] != "finished"]
    lines = [f"* {o['recipe']}, {o['selection'] or '-'}, seed {o['seed']}: {o['status']}: {o['message']}" for o in bad]
    return ["", "## Runs that did not finish", "", *lines] if lines else []
