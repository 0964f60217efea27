"""How several networks see the same crop of a picture: each in its own size, channels and normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from distill.modalities.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Together:
    """Of a set of networks: an input of the set is a tuple, one tensor (n, c, h, w) a member, in their order."""

    members: tuple[Preprocessing, ...]

    def example(self, count: int) -> tuple[Tensor, ...]:
        """The members' examples."""
        return tuple(member.example(count) for member in self.members)

    def one(self) -> tuple[Tensor, ...]:
        return self.example(1)


Seeing = Preprocessing | Together
"""How one network sees, or a set of them."""


def members_of(how: Seeing | None) -> tuple[Preprocessing, ...]:
    """Of one network its own view alone; () for None."""
    if how is None:
        return ()
    return how.members if isinstance(how, Together) else (how,)


def gathered(how: Seeing, seen: Mapping[Preprocessing, T]) -> T | tuple[T, ...]:
    """What each view shows, as the network or the set takes it."""
    return tuple(seen[member] for member in how.members) if isinstance(how, Together) else seen[how]


def each(inputs: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """`change` of a network's input, or of every one of a set's; None stays."""
    if inputs is None:
        return None
    return tuple(map(change, inputs)) if isinstance(inputs, tuple) else change(inputs)


def all_of(*inputs: Any) -> tuple[Tensor, ...]:
    """Every input in them, once."""
    found: dict[int, Tensor] = {}
    for given in inputs:
        each(given, lambda tensor: found.setdefault(id(tensor), tensor))
    return tuple(found.values())
