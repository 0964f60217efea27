"""The table of `benchmarks.text.decoder`."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import torch

from benchmarks.text.jobs import curve_table

Outcome = dict[str, Any]
HEAD = (
    "| model, recipe | perplexity | vs cross_entropy | next token, % | vs cross_entropy | ROUGE-L | vs cross_entropy "
    "| agreement, % | tokens/s | s a run |"
)
ZERO_SHOT, TEACHER = "zero-shot", "teacher"


def folder_of(arm: str, seed: int) -> str:
    return f"{arm.replace(', ', '-')}-{seed}"


def markdown(
    sizes: dict[str, Any], about: Outcome, outcomes: Sequence[Outcome], counts: dict[str, int], wide: dict[str, Any]
) -> str:
    """`about`: the job that fine-tuned the teacher; `wide`: `decoder_wide`'s figures by model, or {}."""
    done = [outcome for outcome in outcomes if "student" in outcome]
    if any(folder_of(outcome["arm"], outcome["seed"]) not in wide for outcome in done):
        wide = {}  # figures of some rows on other items than those of the rest would mislead
    done = [_widened(outcome, wide) for outcome in done]
    untrained, taught = about["teacher"] | wide.get(ZERO_SHOT, {}), about["student"] | wide.get(TEACHER, {})
    lines = [
        f"# SmolLM2-135M writes headlines of BBC News, distilled to {sizes['layers']} of its 30 blocks",
        "",
        _setting(sizes, about, done, counts),
        "",
        HEAD,
        "|" + "---|" * (HEAD.count("|") - 1),
        _model("SmolLM2, zero-shot", untrained),
        _model("SmolLM2, fine-tuned: the teacher", taught, about["seconds"]),
        *_ranked(done, [outcome for outcome in outcomes if "student" not in outcome]),
        "",
        *_notes(about, done, wide),
        "",
        *_sizes(done),
        *curve_table(_title, done),
    ]
    return "\n".join(lines)


def _widened(outcome: Outcome, wide: dict[str, Any]) -> Outcome:
    return outcome | {"student": outcome["student"] | wide.get(folder_of(outcome["arm"], outcome["seed"]), {})}


def _setting(sizes: dict[str, Any], about: Outcome, done: Sequence[Outcome], counts: dict[str, int]) -> str:
    given = done[0]["sizes"]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, `python -m benchmarks.text.decoder`, {platform.machine()}, CPU, "
        f"{os.environ.get('OMP_NUM_THREADS', 'all')} threads, torch {torch.__version__}, training in "
        f"{sizes['precision']}, evaluation in fp32. Instruction: the first {sizes['words']} words of an item's body; "
        f"answer: its headline. {counts['train']:,} training and {counts['test']} test items; {counts['dropped']} "
        f"items that were there twice had been dropped. Students: first weights are every n-th block of the teacher, "
        f"{given['train']} items ({given['validation']} more for validation), {done[0]['training']['steps']} steps of "
        f"{sizes['batch_size']}, peak learning rate {sizes['learning_rate']:g}, at most {sizes['max_length']} tokens. "
        f"Teacher: fine-tuned on {about['sizes']['train']} items, {about['training']['steps']} steps, peak "
        f"{sizes['teacher_rate']:g}."
    )


def _notes(about: Outcome, done: Sequence[Outcome], wide: dict[str, Any]) -> list[str]:
    seeds = ", ".join(str(seed) for seed in sorted({outcome["seed"] for outcome in done}))
    own, theirs = done[0]["sizes"]["test"], about["sizes"]["test"]
    lines = [
        f"Mean ± standard deviation over seeds {seeds} of the final student; to `cross_entropy` of the same "
        "seed, which shares items, order and first weights. Perplexity: of the answers' tokens, end of text included. "
        "ROUGE-L: of greedy answers. Agreement: next tokens as the teacher's. Tokens/s counts prompts' time too.",
        "",
        f"The jobs themselves tested students on {own} items and SmolLM2 on {theirs}: ROUGE-L, agreement and tokens/s.",
    ]
    if wide:
        one = next(iter(wide.values()))
        lines += [f"Perplexity and next token: `decoder_wide`, {one['items']} items, {one['tokens']:,} tokens."]
    return lines


def _model(name: str, column: Outcome, seconds: float | None = None) -> str:
    speed = column["generation"]["tokens_per_second"]
    ended = "-" if seconds is None else f"{seconds:.0f}"
    return (
        f"| {name} | {column['perplexity']:.2f} | | {100 * _value(column['accuracy']):.1f} | "
        f"| {column['rouge_l']['value']:.3f} | | | {speed:.0f} | {ended} |"
    )


def _ranked(done: Sequence[Outcome], diverged: Sequence[Outcome]) -> list[str]:
    """Rows by mean perplexity, the best first."""
    baseline = {outcome["seed"]: outcome["student"] for outcome in done if outcome["arm"] == "cross_entropy"}
    arms = dict.fromkeys(outcome["arm"] for outcome in done)
    rows = [_arm(arm, [o for o in done if o["arm"] == arm], baseline) for arm in arms]
    return [row for _, row in sorted(rows)] + [f"| {o['arm']}, seed {o['seed']} | diverged |" for o in diverged]


def _arm(arm: str, done: Sequence[Outcome], baseline: dict[int, Outcome]) -> tuple[float, str]:
    cells = []
    for key, scale, digits in (("perplexity", 1, 0), ("accuracy", 100, 1), ("rouge_l", 1, 3)):
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
    arms: dict[int, list[str]] = {}
    for outcome in done:
        arms.setdefault(outcome["student"]["parameters"], []).append(f"`{outcome['arm'].partition(',')[0]}`")
    said = "; ".join(f"{count:,} ({', '.join(dict.fromkeys(names))})" for count, names in sorted(arms.items()))
    return [f"Parameters: teacher {done[0]['teacher']['parameters']:,}; students {said}.", ""]


def _title(curve: Any) -> str:
    return f"Q curve of the teacher on the last token of {curve['samples']} prompts, seed {curve['seed']}:"
