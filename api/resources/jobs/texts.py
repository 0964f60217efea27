"""Dry runs of jobs on texts: what to ask of workers, and what their answers mean for the work."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from api.resources.jobs.kinds import TEXTS, classes_of
from api.resources.jobs.validation import Plan
from distill.estimate import TextWork
from distill.types import DistillConfig

#: Of one word or punctuation mark (our choice; tokenizers make 1.1 to 1.5), and special tokens of a text.
TOKENS_PER_WORD, SPECIAL_TOKENS = 1.3, 3
MULTIPLE, MOST_TOKENS = 8, 512  # of `max_length: auto`
EVALUATION_BATCH, EVALUATION_LOGIT_BYTES = 256, 2**28
ALIVE = 3  # outputs of the widest module that are alive at once where no gradient is kept
ROW_BYTES = 200  # of a text as Python objects, beside its characters
#: ROUGE's answers: how many, how long, and how much slower a token is alone than among those of a text (our choice).
ANSWERS, ANSWER_TOKENS, ONE_BY_ONE = 100, 64, 5
OLDER = (
    "The {noun} was inspected by an older release, which did not keep what an estimate of texts needs: register it "
    "again."
)


def is_text(plan: Plan) -> bool:
    return (plan.dataset.report or {}).get("kind") in TEXTS


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a training text: on average as it is fed, and `max_length` as it will be."""

    mean: int
    most: int


def lengths(report: dict[str, Any], config: DistillConfig) -> Lengths:
    """By the words that the inspection counted."""
    given = config.max_length
    automatic = min(MOST_TOKENS, MULTIPLE * ceil(_tokens(report["words_99"]) / MULTIPLE))
    most = automatic if given == "auto" else given
    return Lengths(min(most, ceil(_tokens(report["mean_words"]))), most)


def _tokens(words: float) -> float:
    return TOKENS_PER_WORD * words + SPECIAL_TOKENS


def missing(plan: Plan) -> str:
    """What the inspections do not tell; empty where they do."""
    if "config" not in ((plan.teacher.report or {}) if plan.teacher else {}):
        return OLDER.format(noun="teacher")
    return "" if (plan.dataset.report or {}).get("mean_words") else OLDER.format(noun="dataset")


def questions(plan: Plan, config: DistillConfig) -> dict[str, dict[str, Any]]:
    """What to count. A base without a head for these classes is only started from, and is no teacher."""
    if missing(plan) or plan.teacher is None:
        return {}
    report, teacher = plan.dataset.report or {}, plan.teacher.report or {}
    about = lengths(report, config)
    base = {
        "config": teacher["config"], "task": report["kind"], "num_classes": classes_of(plan.dataset) or 0,
        "mean_length": about.mean, "max_length": about.most,
    }  # fmt: skip
    student = {"student": plan.student.model_dump(mode="json"), "recipe": config.recipe}
    headed = report["kind"] == "generate" or teacher.get("num_classes") == base["num_classes"]
    return {"student": base | student} | ({"teacher": base} if headed else {})


def sample_bytes(report: dict[str, Any], config: DistillConfig) -> int:
    """Of one text with its tokens, in memory."""
    return 4 * lengths(report, config).mean + int(6 * report["mean_words"]) + ROW_BYTES


def text_work(report: dict[str, Any], config: DistillConfig, found: dict[str, dict[str, Any]], tested: int) -> TextWork:
    """`found`: what workers counted, by role; `tested`: test samples. A recipe is taken to keep the teacher's logits
    when its name says so (our choice)."""
    student, about = found["student"], lengths(report, config)
    widest, generates = max(cost["widest_bytes"] for cost in found.values()), report["kind"] == "generate"
    features = found.get("teacher", student)["features"]
    if not generates:
        return TextWork(features, evaluation_bytes=ALIVE * min(tested, EVALUATION_BATCH) * widest)
    keeps = "teacher" in found and "logit" in config.recipe
    one = 4 * student["vocabulary"]
    batch = max(1, min(tested, EVALUATION_BATCH, EVALUATION_LOGIT_BYTES // (one * student["max_length"])))
    return TextWork(
        features,
        logit_bytes=config.batch_size * student["max_length"] * one,
        cached_logit_bytes=about.mean * one if keeps else 0,
        evaluation_bytes=ALIVE * batch * widest,
        generated=ONE_BY_ONE * min(tested, ANSWERS) * ANSWER_TOKENS / about.mean,
    )
