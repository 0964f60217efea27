"""Chains of networks followed to where a budget ends, by figures that are counted or known from before. Torch-free.

What a network costs depends on the network and on the data, not on the budget: a budget that is altered asks again
only for what no earlier one needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Counted = dict[str, Any]
#: A chain is followed to this many times a limit: that is what half and double the budget are told from.
BEYOND = 2.0
KEPT = ("parameters", "flops", "bytes", "int8_bytes")
TIMED = "latency_ms"
"""What is measured and not counted: it is of one moment, and nobody remembers it."""


def beyond(found: Mapping[str, Any], limits: Mapping[str, float], form: str) -> bool:
    """Whether the figures exceed `BEYOND` times a limit. `form`: in which `bytes` count, `fp32` or `int8`."""
    weighed = {**found, "bytes": found["int8_bytes" if form == "int8" else "bytes"]}
    return any(name in weighed and weighed[name] > BEYOND * most for name, most in limits.items())


def follow(
    places: Sequence[int], look: Callable[[int], Counted], limits: Mapping[str, float], form: str
) -> Iterator[Counted]:
    """{place, ...} as `look` tells of each, from the smallest network to the first that is `beyond`; what it has an
    `error` of ends nothing."""
    for place in places:
        found = look(place)
        yield {"place": place} | found
        if "error" not in found and beyond(found, limits, form):
            return


def from_known(question: Mapping[str, Any], known: Sequence[Mapping[int, Counted]]) -> Counted | None:
    """The answer to a question about chains (`distill.tasks.counting`) by what is `known` of each, by place; None where
    something must be counted, or measured."""
    if TIMED in question["limits"]:
        return None
    limits, form = question["limits"], question["form"]
    try:
        found = [
            list(follow(range(len(chain["varied"])), own.__getitem__, limits, form))
            for chain, own in zip(question["chains"], known, strict=True)
        ]
    except KeyError:
        return None
    return {"chains": found, "threads": question["threads"]}


def remembered(chain: Sequence[Mapping[str, Any]], known: Mapping[int, Counted]) -> dict[int, Counted]:
    """What is known of a chain once it was followed: what was counted, without what was measured."""
    told = {each["place"]: {name: each[name] for name in (*KEPT, "error") if name in each} for each in chain}
    return {**known, **told}
