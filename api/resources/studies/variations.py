"""Which points of a space are looked at before a study is made: all of a small one, of a large one its corners."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, islice, product
from typing import Any

from distill.search.space import Assignment, Domain, Json, Space, canonical, escaped

#: Of how many points all are checked.
MOST = 200


def alone(space: Space, base: Json) -> Iterator[Assignment]:
    """Every choice, and what stands for every range, with the base job's values elsewhere; of a conditional place with
    the values that its condition wants, taken from the other places."""
    fixed = [domain for domain in space.domains if domain.when is None]
    singles = [{domain.pointer: value} for domain in fixed for value in domain.probes()]
    yield from singles
    for domain in space.domains:
        if domain.when is not None:
            holding = (each for each in [Assignment(), *singles] if space.varies(domain, base, each))
            for each in islice(holding, 1):
                yield from (each | {domain.pointer: value} for value in domain.probes())


def together(space: Space, base: Json) -> Iterator[Assignment]:
    """Combinations of such values: all, or of a space with more than `MOST` those of any two places, 2 `MOST` of
    them."""
    probed = _all_probed(space)
    if probed.size() <= MOST:
        yield from probed.points(base)
        return
    fixed = [domain for domain in probed.domains if domain.when is None]
    pairs = (
        {one.pointer: first, other.pointer: second}
        for one, other in combinations(fixed, 2)
        for first, second in product(one.choices or (), other.choices or ())
    )
    yield from islice(pairs, 2 * MOST)


def all_are_looked_at(space: Space) -> bool:
    """Whether `together` gives every combination."""
    return _all_probed(space).size() <= MOST


def _all_probed(space: Space) -> Space:
    return Space([_probed(domain) for domain in space.domains])


def _probed(domain: Domain) -> Domain:
    return replace(domain, choices=domain.probes())


def place(space: Space, assignment: Assignment) -> str:
    """JSON pointer into the request of the value that was varied last."""
    pointer = next(reversed(assignment))
    domain, start = space.by_pointer[pointer], f"/space/{escaped(pointer)}"
    if domain.choices is None:
        end = {domain.low: "/low", domain.high: "/high"}.get(assignment[pointer], "")
        return start + end
    return f"{start}/choices/{[canonical(each) for each in domain.choices].index(canonical(assignment[pointer]))}"


def described(assignment: Assignment) -> str:
    """The values before the last, for a message."""
    before: list[tuple[str, Any]] = list(assignment.items())[:-1]
    return " and ".join(f"{pointer} = {canonical(value)}" for pointer, value in before)
