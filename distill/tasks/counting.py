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
from distill.tasks.chains_counted import KEPT, TIMED, Counted, beyond, follow

REPEATS = 20


@dataclass(frozen=True)
class Counting:
    """`measure` and `build` of a task's networks (`distill.tasks.networks`). `limits`: figure -> the most; `form`: in
    which `bytes` count; `timed`: whether to time each network at batch 1."""

    measure: Callable[[dict[str, Any]], dict[str, Any]]
    build: Callable[[dict[str, Any]], tuple[Any, Any]] | None
    limits: Mapping[str, float]
    form: str
    timed: bool

    def follow(self, common: Counted, varied: list[Counted], known: Mapping[int, Counted]) -> list[Counted]:
        """Of the questions `common | varied[place]`: {place, parameters, flops, bytes, int8_bytes, latency_ms} or
        {place, error}, as `chains_counted.follow` has them. `known`: what was counted before, by place."""

        def look(place: int) -> Counted:
            try:
                return self._looked(common | varied[place], known.get(place))
            except UserError as error:
                return {"error": error.message}

        return list(follow(range(len(varied)), look, self.limits, self.form))

    def _looked(self, asked: Counted, known: Counted | None) -> Counted:
        if known is None:
            cost = self.measure(asked)
            known = {name: cost[name] for name in KEPT}
        if not self.timed or "error" in known or beyond(known, self.limits, self.form):
            return known
        if self.build is None:
            raise InvalidConfig("Networks of this task are not timed.", "Leave latency_ms out of the budget.")
        return known | {TIMED: latency(*self.build(asked), repeats=REPEATS)["median_ms"]}


def count(question: Mapping[str, Any], measure: Any, build: Any) -> Counted:
    """The answer to {chains: [{common, varied}], limits, form, threads, known}: `Counting.follow` of each chain.
    `known`: of each chain what was counted before, place -> figures (optional). Where there is a limit of latency,
    `others`: how many processors others took meanwhile (null: unknown), and `quiet`: that it was next to nothing."""
    timed = TIMED in question["limits"]
    known = [{int(place): each for place, each in chain.items()} for chain in question.get("known", ())]
    known = known or [{} for _ in question["chains"]]
    counting = Counting(measure, build, question["limits"], question["form"], timed)
    others = OtherLoad()
    with _threads(question["threads"]):
        found = [
            counting.follow(chain["common"], chain["varied"], own)
            for chain, own in zip(question["chains"], known, strict=True)
        ]
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
