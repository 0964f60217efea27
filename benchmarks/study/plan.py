"""The runs of the long study in their order (protocol.md): every prefix is worth having."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from benchmarks.study.pairs import PAIRS, Pair

FACTORS = (1 / 3, 1.0, 3.0)  # of the published peak of the learning rate
TUNING_SEED, TUNING_EPOCHS, EPOCHS = 100, 5, 20
SHORT, LONG = 5, 50
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Arm:
    """A recipe with its parameters, its rule for layers, and settings that differ from the protocol's."""

    recipe: str
    parameters: tuple[tuple[str, Any], ...] = ()
    selection: str = "auto"
    settings: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        told = [f"{key}={value}" for key, value in self.parameters + self.settings]
        return ", ".join([self.recipe, *told, *([self.selection] if self.selection != "auto" else [])])


@dataclass(frozen=True)
class Run:
    """One run. `size`: which of the pair's students.

    `factor` is None until its recipe was tuned for the pair; a trial of tuning has the stage "tuning"."""

    stage: str
    pair: str
    arm: Arm
    seed: int
    epochs: int = EPOCHS
    size: str = "student"
    factor: float | None = None

    @property
    def key(self) -> str:
        """The same for the same run of the same plan, whatever its recipe was tuned to."""
        facts = asdict(self) | {"factor": self.factor if self.stage == "tuning" else None}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def arm(recipe: str, selection: str = "auto", *, settings: Mapping[str, Any] | None = None, **parameters: Any) -> Arm:
    return Arm(recipe, tuple(parameters.items()), selection, tuple((settings or {}).items()))


FIRST = (arm("cross_entropy"), arm("feature_only"), arm("feature_only", feature_loss="procrustes"), arm("logit"))
OTHERS = (
    "feature_logit", "simkd", "similarity_preserving", "logit_standardized", "blockwise_logit", "dkd", "dist", "review",
)  # fmt: skip
METHODS = (*(arm(recipe) for recipe in OTHERS), arm("feature_only", feature_loss="channel_wise"))
RULES = (
    arm("feature_only", "last", settings={"layers": 1}),
    arm("feature_only", "anchored", layer_schedule="deepest_last"),
    arm("feature_only", "even"),
    arm("feature_only", "even", feature_loss="procrustes"),
    arm("feature_only", "last", settings={"layers": 1}, feature_loss="procrustes"),
    *(arm("feature_only", rule) for rule in ("last", "top_q")),
    arm("feature_only", "anchored"),
    *(arm("feature_only", rule, layer_schedule="deepest_last") for rule in ("auto", "even", "last")),
)
# Labels alone, three layers by `auto`, the deepest layer alone, and `anchored` whose other layers fade out.
SETTLED = (FIRST[0], FIRST[1], *RULES[:2])
GUARDS: tuple[dict[str, Any], ...] = ({"fit_head": False}, {"fit_head": True})
STANDARD = tuple(
    arm("feature_only", "even", settings={"layers": k} | guard, **more)
    for k, (guard, more) in product(
        (2, 3, 4), ((GUARDS[0], {}), (GUARDS[0], {"normalise": True}), (GUARDS[1], {}))
    )
)  # fmt: skip
DEPTH = tuple(arm("feature_only", settings={"layers": k}) for k in (1, 2, 4, 6))
SIZES = ("smaller", "larger")  # beside the pair's own student
SHARES = (4_500, 13_500)  # a tenth and 30 % of the images that train


def planned(layers: Mapping[str, Iterable[str]]) -> Iterator[Run]:
    """Every run after tuning, in order. `layers`: pair -> the teacher's candidate layers, as far as they are known."""
    yield from _stage("first", FIRST, SEEDS[:1])
    yield from _stage("rules", RULES[:2], SEEDS[:1])
    for seed in SEEDS[1:]:
        yield from _stage("seeds", SETTLED, (seed,))
    yield from _stage("length", SETTLED, SEEDS[:1], SHORT)
    yield from _stage("rules", RULES[2:], SEEDS[:1])
    for pair in PAIRS:
        for name in layers.get(pair.name, ()):
            alone = {"layers": 1, "teacher_layers": (name,)}
            yield Run("worth", pair.name, arm("feature_only", settings=alone), 0, TUNING_EPOCHS)
    yield from _stage("methods", METHODS, SEEDS[:1])
    rest = tuple(arm for arm in FIRST + METHODS + RULES if arm not in SETTLED)
    for seed in SEEDS[1:]:
        yield from _stage("seeds", rest, (seed,))
    yield from _stage("standard", STANDARD, SEEDS[:1])
    yield from _stage("depth", DEPTH, SEEDS[:1])
    yield from _stage("length", (arm for arm in FIRST if arm not in SETTLED), SEEDS[:1], SHORT)
    yield from _stage("length", FIRST, SEEDS[:1], LONG)
    for share in SHARES:
        yield from _stage("data", _with(FIRST, {"train_limit": share}), SEEDS[:1])
    yield from _stage("length", _with(FIRST, {"augmentation": "crop_flip"}), SEEDS[:1])
    for size in SIZES:
        yield from _stage("size", FIRST, SEEDS[:1], size=size)


def _with(arms: tuple[Arm, ...], settings: Mapping[str, Any]) -> tuple[Arm, ...]:
    return tuple(Arm(a.recipe, a.parameters, a.selection, (*a.settings, *settings.items())) for a in arms)


def _stage(
    stage: str, arms: Iterable[Arm], seeds: Iterable[int], epochs: int = EPOCHS, size: str = "student"
) -> Iterator[Run]:
    """Seed by seed, then arm by arm, each for every pair: two arms can be compared on all pairs before a third runs."""
    for seed, each, pair in product(seeds, arms, PAIRS):
        yield Run(stage, pair.name, each, seed, epochs, size)


def tuning(run: Run) -> list[Run]:
    """The trials that decide the learning rate of a run's recipe for its pair."""
    bare = arm(run.arm.recipe)
    return [Run("tuning", run.pair, bare, TUNING_SEED, TUNING_EPOCHS, factor=factor) for factor in FACTORS]


def pair_of(run: Run) -> Pair:
    return next(pair for pair in PAIRS if pair.name == run.pair)
