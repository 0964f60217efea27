"""Points drawn evenly, each for itself: the yardstick of every search."""

from __future__ import annotations

from optuna.samplers import BaseSampler, RandomSampler

from distill.search.strategy import Strategy


class Random(Strategy):
    """Optuna's `RandomSampler`."""

    def sampler(self, seed: int) -> BaseSampler:
        return RandomSampler(seed=seed)


ENTRY = Random
