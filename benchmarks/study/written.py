"""The tables of the long study, from its lines alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator

from scipy.stats import spearmanr, t

from benchmarks.study.ledger import Ledger, Line
from benchmarks.study.pairs import PAIRS, Pair
from benchmarks.study.plan import FIRST, METHODS, RULES, Arm, Run, pair_of, planned

BASELINE = FIRST[0]
SCORES = ("quality", "separation", "information", "efficiency")


def document(ledger: Ledger) -> str:
    runs = list(planned({pair.name: [layer["name"] for layer in ledger.curve(pair.name)] for pair in PAIRS}))
    lines = [
        "# The long study",
        "",
        "`benchmarks/study/protocol.md` says what is compared with what, and in which order.",
        "",
    ]
    lines += ["## How far it is", "", "| stage | runs ended | of |", "|---|---|---|", *_progress(ledger, runs)]
    for pair in PAIRS:
        lines += _accuracies(ledger, pair, [run for run in runs if run.pair == pair.name])
    lines += _worth(ledger, runs)
    return "\n".join(lines) + "\n"


def _progress(ledger: Ledger, runs: list[Run]) -> Iterator[str]:
    for stage in dict.fromkeys(run.stage for run in runs):
        members = [run for run in runs if run.stage == stage]
        yield f"| {stage} | {sum(run in ledger for run in members)} | {len(members)} |"
    trials = sum(line.get("run", {}).get("stage") == "tuning" for line in ledger.lines.values())
    yield f"| tuning | {trials} | |"


def _accuracies(ledger: Ledger, pair: Pair, runs: list[Run]) -> list[str]:
    """20 epochs: a row an arm, the best first; differences to labels alone are of the same seeds."""
    found = {arm: _by_seed(ledger, runs, arm) for arm in (*FIRST, *METHODS, *RULES)}
    base = found[BASELINE]
    if not base:
        return []
    any_line = next(iter(base.values()))
    students, teachers = any_line["parameters"], any_line["teacher_parameters"]
    head = (
        f"Teacher `{pair.teacher}`: {teachers:,} parameters, {100 * any_line['teacher_accuracy']:.2f} %. Student "
        f"`{pair.student}`: {students:,} parameters."
    )
    rows = [(arm, lines) for arm, lines in found.items() if _finished(lines)]
    rows.sort(key=lambda row: -statistics.mean(_finished(row[1]).values()))
    table = [_row(ledger, pair, arm, lines, base) for arm, lines in rows]
    ended = [f"* {arm}, seed {seed}: {line['status']}" for arm, lines in found.items() for seed, line in lines.items()
             if line["status"] != "finished"]  # fmt: skip
    columns = "| student | learning rate | test accuracy, % | over labels alone, points | 95 % | seeds |"
    return ["", f"## {pair.name}, 20 epochs", "", head, "", columns, "|---|---|---|---|---|---|", *table, "", *ended]


def _by_seed(ledger: Ledger, runs: Iterable[Run], arm: Arm) -> dict[int, Line]:
    of_arm = [run for run in runs if run.arm == arm and run.stage in ("first", "methods", "rules", "seeds")]
    return {run.seed: ledger.lines[run.key] for run in of_arm if run in ledger}


def _finished(lines: dict[int, Line]) -> dict[int, float]:
    return {seed: 100 * line["accuracy"] for seed, line in lines.items() if line["status"] == "finished"}


def _row(ledger: Ledger, pair: Pair, arm: Arm, lines: dict[int, Line], base: dict[int, Line]) -> str:
    values, others = _finished(lines), _finished(base)
    gains = [values[seed] - others[seed] for seed in values if seed in others]
    factor = ledger.factor(Run("first", pair.name, arm, 0)) or 1.0
    seeds = ", ".join(map(str, values))
    gain = "- | -" if arm == BASELINE else _difference(gains)
    return f"| {arm} | {pair.peak * factor:.1e} | {_mean(list(values.values()))} | {gain} | {seeds} |"


def _mean(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread}"


def _difference(gains: list[float]) -> str:
    """Mean, and its 95 % interval by Student's t over seeds, as two cells."""
    if not gains:
        return "- | -"
    mean = statistics.mean(gains)
    if len(gains) < 2:
        return f"{mean:+.2f} | one seed"
    half = float(t.ppf(0.975, len(gains) - 1)) * statistics.stdev(gains) / len(gains) ** 0.5
    return f"{mean:+.2f} | {mean - half:+.2f} to {mean + half:+.2f}"


def _worth(ledger: Ledger, runs: list[Run]) -> list[str]:
    """What a layer is worth, a student distilled on it alone, beside what the curve says of it."""
    lines: list[str] = []
    for pair in PAIRS:
        done = [run for run in runs if run.stage == "worth" and pair_of(run) == pair and run in ledger]
        worth = {_layer(run): ledger.lines[run.key] for run in done}
        layers = [
            layer for layer in ledger.curve(pair.name) if worth.get(layer["name"], {}).get("status") == "finished"
        ]
        if len(layers) < 3:
            continue
        accuracies = [100 * worth[layer["name"]]["accuracy"] for layer in layers]
        lines += ["", f"## {pair.name}: what single layers are worth, 5 epochs", ""]
        lines += ["| layer | depth | " + " | ".join(SCORES) + " | test accuracy, % |", "|---" * (len(SCORES) + 3) + "|"]
        for layer, accuracy in zip(layers, accuracies, strict=True):
            scores = " | ".join(f"{layer[name]:.3f}" for name in SCORES)
            lines.append(f"| {layer['name']} | {layer['relative_depth']:.2f} | {scores} | {accuracy:.2f} |")
        lines += ["", "Rank correlation of the accuracy with: " + ", ".join(
            f"{name} {spearmanr([layer[name] for layer in layers], accuracies).statistic:+.2f}"
            for name in (*SCORES, "relative_depth")) + "."]  # fmt: skip
    return lines


def _layer(run: Run) -> str:
    return str(dict(run.arm.settings)["teacher_layers"][0])
