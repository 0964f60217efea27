"""The table of `benchmarks.text.decoder`."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import torch

Outcome = dict[str, Any]
HEAD = (
    "| model, recipe | perplexity | vs cross_entropy | next token, % | vs cross_entropy | ROUGE-L | vs cross_entropy "
    "| agreement, % | tokens/s | s a run |"
)


def markdown(sizes: dict[str, Any], about: Outcome, outcomes: Sequence[Outcome], counts: dict[str, int]) -> str:
    done = [outcome for outcome in outcomes if "student" in outcome]
    lines = [
        f"# SmolLM2-135M writes headlines of BBC News, distilled to {sizes['layers']} of its 30 blocks",
        "",
        _setting(sizes, about, done, counts),
        "",
        HEAD,
        "|" + "---|" * HEAD.count(" | ") + "---|",
        _model("SmolLM2, zero-shot", about["teacher"]),
        _model("SmolLM2, fine-tuned: the teacher", about["student"], about["seconds"]),
    ]
    lines += _ranked(outcomes)
    seeds = ", ".join(str(seed) for seed in sorted({outcome["seed"] for outcome in outcomes}))
    lines += [
        "",
        f"Students: mean ± standard deviation over seeds {seeds} of the final student on the test items, read once; "
        "differences to `cross_entropy` of the same seed, which shares items, order and first weights. Perplexity: "
        "of the answers' tokens, end of text included. ROUGE-L: of greedy answers. Agreement: with the teacher.",
        "",
        *_sizes(done),
        *_curve(done),
    ]
    return "\n".join(lines)


def _setting(sizes: dict[str, Any], about: Outcome, done: Sequence[Outcome], counts: dict[str, int]) -> str:
    given = done[0]["sizes"]
    accuracy = about["student"]["accuracy"]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, `python -m benchmarks.text.decoder`, {platform.machine()}, CPU, "
        f"{os.environ.get('OMP_NUM_THREADS', 'all')} threads, torch {torch.__version__}, {sizes['precision']}. "
        f"Instruction: the first {sizes['words']} words of an item's body; answer: its headline. {counts['train']:,} "
        f"training and {counts['test']} test items; {counts['dropped']} items that were there twice had been dropped. "
        f"Students: first weights are every n-th block of the teacher, {given['train']} items ({given['validation']} "
        f"more for validation), {done[0]['training']['steps']} steps of {sizes['batch_size']}, peak learning rate "
        f"{sizes['learning_rate']:g}, at most {sizes['max_length']} tokens. Teacher: fine-tuned on "
        f"{about['sizes']['train']} items, {about['training']['steps']} steps, peak {sizes['teacher_rate']:g}. "
        f"{given['test']} test items, {accuracy['n']} tokens of answers."
    )


def _model(name: str, column: Outcome, seconds: float | None = None) -> str:
    speed = column["generation"]["tokens_per_second"]
    ended = "-" if seconds is None else f"{seconds:.0f}"
    return (
        f"| {name} | {column['perplexity']:.2f} | | {100 * column['accuracy']['value']:.1f} | "
        f"| {column['rouge_l']['value']:.3f} | | | {speed:.0f} | {ended} |"
    )


def _ranked(outcomes: Sequence[Outcome]) -> list[str]:
    """Rows by mean perplexity, the best first."""
    baseline = {o["seed"]: o["student"] for o in outcomes if o["arm"] == "cross_entropy" and "student" in o}
    arms = dict.fromkeys(outcome["arm"] for outcome in outcomes)
    rows = [_arm(arm, [o for o in outcomes if o["arm"] == arm], baseline) for arm in arms]
    return [row for _, row in sorted(rows)]


def _arm(arm: str, found: Sequence[Outcome], baseline: dict[int, Outcome]) -> tuple[float, str]:
    done = [outcome for outcome in found if "student" in outcome]
    if len(done) < len(found):
        arm += f" ({len(found) - len(done)} of {len(found)} diverged)"
    if not done:
        return float("inf"), f"| {arm} |" + " - |" * 9
    cells = []
    for key, scale, digits in (("perplexity", 1, 2), ("accuracy", 100, 1), ("rouge_l", 1, 3)):
        values = [scale * _value(outcome["student"][key]) for outcome in done]
        pairs = [(v, baseline[o["seed"]]) for v, o in zip(values, done, strict=True) if o["seed"] in baseline]
        cells += [_spread(values, digits), _spread([v - scale * _value(b[key]) for v, b in pairs], digits, "+")]
    agreement = statistics.mean(100 * outcome["agreement"] for outcome in done)
    speed = statistics.mean(outcome["student"]["generation"]["tokens_per_second"] for outcome in done)
    seconds = statistics.mean(outcome["seconds"] for outcome in done)
    mean = statistics.mean(outcome["student"]["perplexity"] for outcome in done)
    return mean, f"| {arm} | {' | '.join(cells)} | {agreement:.1f} | {speed:.0f} | {seconds:.0f} |"


def _value(entry: Any) -> float:
    return float(entry["value"] if isinstance(entry, dict) else entry)


def _spread(values: Sequence[float], digits: int, sign: str = "") -> str:
    if not values:
        return "-"
    shown = f"{statistics.mean(values):{sign}.{digits}f}"
    return f"{shown} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else shown


def _sizes(done: Sequence[Outcome]) -> list[str]:
    arms = {outcome["student"]["parameters"]: outcome["arm"].partition(",")[0] for outcome in done}
    said = "; ".join(f"{count:,} (`{recipe}`)" for count, recipe in sorted(arms.items()))
    return [f"Parameters: teacher {done[0]['teacher']['parameters']:,}; students {said}.", ""]


def _curve(done: Sequence[Outcome]) -> list[str]:
    curve = next((outcome["curve"] for outcome in done if outcome.get("curve")), None)
    if curve is None:
        return []
    head = f"Q curve of the teacher on the last token of {curve['samples']} prompts, seed {curve['seed']}:"
    lines = [head, "", "| layer | S | I | E | Q |", "|---|---|---|---|---|"]
    for layer in curve["layers"]:
        values = (layer[name] for name in ("separation", "information", "efficiency", "quality"))
        lines.append(f"| {layer['name']} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    chosen = {tuple(outcome["selection"]) for outcome in done if outcome.get("selection")}
    return [*lines, "", "Chosen: " + "; ".join(", ".join(names) for names in sorted(chosen)) + ".", ""]
