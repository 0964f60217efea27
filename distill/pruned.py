"""Students that are cut out of their teachers by structured pruning: how a request and an architecture say so.
Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, model_validator

from distill.errors import InvalidConfig
from distill.strict_model import Model
from distill.types import Architecture, Importance

RATIO, ROUND_TO, WIDTHS = "prune_ratio", "round_to", "pruned"
"""Options of an architecture: the share of every hidden layer's channels that is removed; what the channels that are
left are a multiple of; and what came of both, {path of a module or parameter: [its leading sizes, 0 as built]}, which
alone decides where it is there."""
SHARE, BLOCKS = "prune_blocks", "kept_blocks"
"""The share of every stage's blocks that is removed; and what came of it, {path of a list of blocks: [the numbers of
those that stay]}, which alone decides where it is there. Widths are those of the network without these blocks."""
OPTIONS = frozenset({RATIO, ROUND_TO, WIDTHS, SHARE, BLOCKS})
ROUNDED = 4  # our choice
FAMILY = "pruned"
"""What a budget's families call the teacher's own network, pruned."""
RATIOS = tuple(number / 10 for number in range(9, 0, -1))
"""Of the candidates of a budget, the smallest network first (our choice)."""
BLOCK_SHARES, BESIDE_BLOCKS = (1 / 3, 2 / 3), (0.75, 0.5, 0.25, None)
"""Of the same by blocks, and what of the channels each of these loses beside (our choice)."""


def rounded_down(number: float) -> int:
    """The whole number below it; one that is missed by rounding alone is met: 20 (1 - 0.9) is 2."""
    return int(number + 1e-9)


class Pruning(Model):
    """Structured pruning: whole channels, hidden units and attention heads go, by equal shares of every layer, or whole
    blocks, by equal shares of every stage, or both."""

    ratio: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Share of the channels of every hidden layer that is removed; of a language model, of its hidden "
        "units and heads. Null: none.",
        examples=[0.5],
    )
    blocks: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Share of the blocks of every stage that is removed, both ends kept; a block that changes the size "
        "of its input stays. Null: none.",
        examples=[0.5],
    )
    importance: Importance = Field(
        "magnitude",
        description="Which channels stay: those of the largest L2 norm over all weights that go with a channel, or of "
        "the largest scale in their batch norms.",
    )
    round_to: Annotated[int, Field(ge=1, le=256)] = Field(
        ROUNDED, description="The channels that are left are a multiple of this."
    )
    teacher: Annotated[str, Field(max_length=60)] | None = Field(
        None, description="Id of the teacher that is pruned; null: the job's only one."
    )

    @model_validator(mode="after")
    def _removes_something(self) -> Pruning:
        if self.ratio is None and self.blocks is None:
            raise ValueError("nothing is removed: give ratio, blocks, or both")
        return self


class PrunedStudent(Model):
    """The teacher's own network, pruned, with the weights that are left."""

    prune: Pruning


def architecture_of(
    teacher: Architecture, ratio: float | None, round_to: int = ROUNDED, blocks: float | None = None
) -> Architecture:
    """The teacher's network with `ratio` of its channels and `blocks` of its blocks removed. Raises `InvalidConfig` for
    a teacher that is pruned itself: shares are those of a whole network."""
    if is_pruned(teacher):
        before = teacher.options.get(RATIO)
        raise InvalidConfig(
            f"The teacher is a pruned {teacher.name} itself, which is not pruned once more.",
            "Prune the network that it was cut from"
            + (f" by a prune_ratio above its own, {before:g}." if isinstance(before, float) else " by a larger share."),
            {"field": "student", "architecture": teacher.name},
        )
    removed = ({} if ratio is None else {RATIO: ratio, ROUND_TO: round_to}) | (
        {} if blocks is None else {SHARE: blocks}
    )
    return teacher.model_copy(update={"options": teacher.options | removed})


def is_pruned(architecture: Architecture) -> bool:
    """Whether its options say that it is."""
    return not OPTIONS.isdisjoint(architecture.options)


def split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of the network's constructor, and those of pruning."""
    own = {name: value for name, value in options.items() if name not in OPTIONS}
    return own, {name: value for name, value in options.items() if name not in own}


def whole_in_width(architecture: Architecture) -> Architecture:
    """Without what narrows it: the network whose layers lose channels. It may have fewer blocks than its constructor
    makes."""
    own, pruning = split(architecture.options)
    kept = {BLOCKS: pruning[BLOCKS]} if BLOCKS in pruning else {}
    return architecture.model_copy(update={"options": own | kept})


def check(options: Mapping[str, Any]) -> None:
    """Raises `InvalidConfig` for options of pruning that cannot be."""
    rounded = options.get(ROUND_TO, ROUNDED)
    for name in (RATIO, SHARE):
        value = options.get(name)
        if name in options and not (isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1):
            raise _refused(name, value, "Give a share above 0 and below 1.")
    if type(rounded) is not int or not 1 <= rounded <= 256:
        raise _refused(ROUND_TO, rounded, "Give a number from 1 to 256.")
    if ROUND_TO in options and not {RATIO, WIDTHS} & options.keys():
        raise _refused(ROUND_TO, rounded, f"Give {RATIO} beside it, or leave it out.")
    if WIDTHS in options and not _are_widths(options[WIDTHS]):
        raise _refused(WIDTHS, options[WIDTHS], "Give what a pruned student's header has, or a prune_ratio.")
    if BLOCKS in options and not (_are_widths(options[BLOCKS]) and all(map(_rising, options[BLOCKS].values()))):
        raise _refused(BLOCKS, options[BLOCKS], "Give what a pruned student's header has, or prune_blocks.")


def _are_widths(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(path, str) and isinstance(sizes, list) and all(type(size) is int and size >= 0 for size in sizes)
        for path, sizes in value.items()
    )


def _rising(numbers: list[int]) -> bool:
    return bool(numbers) and all(before < after for before, after in pairwise(numbers))


def _refused(option: str, value: Any, remedy: str) -> InvalidConfig:
    message = f"Option {option!r} of a pruned network cannot be {str(value)[:100]}."
    return InvalidConfig(message, remedy, {"option": option})
