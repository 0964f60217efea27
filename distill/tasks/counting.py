"""Counts and times the networks that a budget may choose among, as a worker is asked to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from distill.errors import InvalidConfig, UserError
from distill.evaluate import latency
from distill.other_load import QUIET, OtherLoad

Counted = dict[str, Any]
#: A chain is followed to this many times a limit: that is what half and double the budget are told from.
BEYOND = 2.0
REPEATS = 20
KEPT = ("parameters", "flops", "bytes", "int8_bytes")


@dataclass(frozen=True)
class Counting:
    """`measure` and `build` of a task's networks (`distill.tasks.networks`). `limits`: figure -> the most; `form`: in
    which `bytes` count; `timed`: whether to time each network at batch 1."""

    measure: Callable[[dict[str, Any]], dict[str, Any]]
    build: Callable[[dict[str, Any]], tuple[Any, Any]] | None
    limits: Mapping[str, float]
    form: str
    timed: bool

    def follow(self, common: Counted, varied: list[Counted]) -> Iterator[Counted]:
        """Of the questions `common | varied[place]`, from the smallest network to the first that exceeds `BEYOND` times
        a limit: {place, parameters, flops, bytes, int8_bytes, latency_ms} or {place, error}."""
        for place, own in enumerate(varied):
            try:
                found = self._counted(common | own)
            except UserError as error:
                yield {"place": place, "error": error.message}
                continue
            yield {"place": place} | found
            if self._beyond(found):
                return

    def _counted(self, asked: Counted) -> Counted:
        cost = self.measure(asked)
        found = {name: cost[name] for name in KEPT}
        if self.timed and not self._beyond(found):
            if self.build is None:
                raise InvalidConfig("Networks of this task are not timed.", "Leave latency_ms out of the budget.")
            found["latency_ms"] = latency(*self.build(asked), repeats=REPEATS)["median_ms"]
        return found

    def _beyond(self, found: Counted) -> bool:
        weighed = found | {"bytes": found["int8_bytes" if self.form == "int8" else "bytes"]}
        return any(name in weighed and weighed[name] > BEYOND * most for name, most in self.limits.items())


def count(question: Mapping[str, Any], measure: Any, build: Any) -> Counted:
    """The answer to {chains: [{common, varied}], limits, form, threads}: `Counting.follow` of each chain. Where there
    is a limit of latency, `others`: how many processors others took meanwhile (null: unknown), and `quiet`: that it was
    next to nothing."""
    timed = "latency_ms" in question["limits"]
    counting = Counting(measure, build, question["limits"], question["form"], timed)
    others = OtherLoad()
    with _threads(question["threads"]):
        found = [list(counting.follow(chain["common"], chain["varied"])) for chain in question["chains"]]
    load = others.so_far()
    told = {"others": load, "quiet": load is not None and load < QUIET} if timed else {}
    return {"chains": found, "threads": question["threads"]} | told


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
