"""What a study varies: a value at a place of the job, by JSON pointer, from choices or from a range."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Assignment = dict[str, Any]
"""JSON pointer -> value: one point of the space. A place whose condition does not hold is left out."""
#: At this place alone a value does not replace what is there: its members do.
MERGED = "/config"


@dataclass(frozen=True, slots=True)
class Domain:
    """The values of one place: `choices`, or every number from `low` to `high`.

    `log`: even by ratio. `step`: only low, low + step, ...; `integer`: whole numbers (step 1 unless given). `when`:
    pointer -> values; the place is varied only where the job, with all unconditional places filled in, has one of the
    values at each of the pointers."""

    pointer: str
    choices: tuple[Any, ...] | None = None
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False
    integer: bool = False
    when: Mapping[str, Sequence[Any]] | None = None

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Domain:
        choices = given.get("choices")
        known = {name: value for name, value in given.items() if name in cls.__slots__ and value is not None}
        return cls(**known | {"choices": None if choices is None else tuple(choices)})

    def size(self) -> float:
        """How many values there are; infinite for a range of fractions without a step."""
        if self.choices is not None:
            return len(self.choices)
        if self.grain is None:
            return math.inf
        steps = (self.high - self.low) / self.grain
        return math.floor(steps + 1e-9) + 1 if math.isfinite(steps) else math.inf

    @property
    def grain(self) -> float | None:
        """The distance of neighbouring values; None where there is none."""
        return self.step or (1 if self.integer else None)

    def values(self) -> Iterator[Any]:
        """All of them in order. Only of a domain whose size is finite."""
        if self.choices is not None:
            yield from self.choices
            return
        assert self.grain is not None
        for number in range(int(self.size())):
            yield self.number(self.low + number * self.grain)

    def probes(self) -> tuple[Any, ...]:
        """What stands for all values where not all are looked at: the choices, or of a range its ends and, of one of
        fractions, something between."""
        if self.choices is not None:
            return self.choices
        ends = (self.number(self.low), self.number(self.high))
        if self.grain is not None:
            return ends
        return (*ends, math.sqrt(self.low * self.high) if self.log else self.low + 0.382 * (self.high - self.low))

    def number(self, value: float) -> float | int:
        return int(value) if self.integer else float(value)


class Space:
    """Places in the order in which they were given; conditional ones are filled in behind all others."""

    def __init__(self, domains: Sequence[Domain]) -> None:
        self.domains = tuple(sorted(domains, key=lambda domain: domain.when is not None))
        self.by_pointer = {domain.pointer: domain for domain in self.domains}

    @classmethod
    def from_list(cls, given: Sequence[Mapping[str, Any]]) -> Space:
        return cls([Domain.from_dict(each) for each in given])

    def size(self) -> float:
        """How many points there are at most: conditions only make them fewer. Infinite for more than a float counts."""
        return math.prod(float(domain.size()) for domain in self.domains)

    def points(self, base: Mapping[str, Any]) -> Iterator[Assignment]:
        """Every point once, the last place fastest. Only of a finite space."""
        yield from self._points(base, {}, 0)

    def _points(self, base: Mapping[str, Any], so_far: Assignment, place: int) -> Iterator[Assignment]:
        if place == len(self.domains):
            yield so_far
        elif not self.varies(self.domains[place], base, so_far):
            yield from self._points(base, so_far, place + 1)
        else:
            for value in self.domains[place].values():
                yield from self._points(base, so_far | {self.domains[place].pointer: value}, place + 1)

    def varies(self, domain: Domain, base: Mapping[str, Any], so_far: Assignment) -> bool:
        """Whether the place is one of this job's: its condition holds, or it has none."""
        if domain.when is None:
            return True
        job = applied(base, {place: so_far[place] for place in so_far if self.by_pointer[place].when is None})
        return all(any(same(look(job, place), value) for value in values) for place, values in domain.when.items())


def applied(base: Mapping[str, Any], assignment: Assignment) -> Json:
    """A copy of the job with the values at their places; a place that is not there is made."""
    job = copy.deepcopy(dict(base))
    for pointer, value in assignment.items():
        _put(job, parts(pointer), merged(look(job, pointer), value) if pointer == MERGED else copy.deepcopy(value))
    return job


def merged(before: Any, value: Any) -> Any:
    """RFC 7396: members replace members, null removes one."""
    if not isinstance(value, Mapping):
        return copy.deepcopy(value)
    found = dict(before) if isinstance(before, Mapping) else {}
    for name, member in value.items():
        if member is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), member)
    return found


def look(job: Any, pointer: str) -> Any:
    """What is at a place; None where there is nothing."""
    for name in parts(pointer):
        job = job.get(name) if isinstance(job, Mapping) else None
    return job


def parts(pointer: str) -> list[str]:
    """RFC 6901."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def escaped(name: str) -> str:
    """A member's name as a part of a pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _put(job: Json, names: Sequence[str], value: Any) -> None:
    for name in names[:-1]:
        if not isinstance(job.get(name), dict):
            job[name] = {}
        job = job[name]
    job[names[-1]] = value


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: true is not 1, and 1.0 is 1."""
    return canonical(one) == canonical(other)


def canonical(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
