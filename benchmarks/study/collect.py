"""One document of every finished cell of a study's folder: python -m benchmarks.study.collect folder 'title' [note...].

A study that was cut short, or ran with fewer rules for later seeds, has its cells on disk; this makes the table that
`retort study` makes of them, and the differences between the rules, seed by seed, which share the initial weights,
the split and the order of the batches.
"""

from __future__ import annotations

import json
import statistics
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

from distill.studying.table import markdown, rows

Outcome = dict[str, Any]


def outcomes(folder: Path) -> list[Outcome]:
    """The cells that ended, by seed."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("cells/*/cell.json"))]
    return sorted(found, key=lambda outcome: outcome["seed"])


def differences(found: list[Outcome], recipe: str = "feature_only") -> list[str]:
    """Rows of a Markdown table: rule less rule, in points, over the seeds that both finished."""
    by_rule: dict[str, dict[int, float]] = {}
    for outcome in found:
        if outcome["recipe"] == recipe and outcome["status"] == "finished":
            by_rule.setdefault(outcome["selection"], {})[outcome["seed"]] = 100 * outcome["accuracy"]
    lines = []
    for first, second in combinations(sorted(by_rule), 2):
        seeds = sorted(by_rule[first].keys() & by_rule[second].keys())
        gaps = [by_rule[first][seed] - by_rule[second][seed] for seed in seeds]
        if gaps:
            lines.append(_line(first, second, gaps))
    return lines


def _line(first: str, second: str, gaps: list[float]) -> str:
    spread = f" ± {statistics.stdev(gaps):.2f}" if len(gaps) > 1 else ""
    each = ", ".join(f"{gap:+.2f}" for gap in gaps)
    return f"| {first} - {second} | {statistics.mean(gaps):+.2f}{spread} | {each} |"


def main(folder: Path, title: str, notes: list[str]) -> str:
    """The document."""
    found = outcomes(folder)
    done = next(outcome for outcome in found if outcome["status"] == "finished")
    facts = {
        "teacher": f"{done['teacher_parameters']:,} parameters, {100 * done['teacher_accuracy']:.2f} %",
        "student": f"{done['parameters']:,} parameters",
        "steps": done["steps"],
        "test images": done["n"],
        "machine": json.dumps(done["environment"]),
    }
    about = {"title": title, "facts": facts | dict(note.split(": ", 1) for note in notes)}
    lines = ["", "## Rule against rule, seed by seed (points)", "", "| | mean ± sd | each seed |", "|---|---|---|"]
    return markdown(rows(found), about, found) + "\n".join([*lines, *differences(found)]) + "\n"


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]), end="")
