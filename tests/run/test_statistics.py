"""Intervals against published numbers, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from distill.statistics import mcnemar, paired_difference, wilson


def test_wilson_is_pinned() -> None:
    share = wilson(15, 148)  # Newcombe (1998), table I, method 3
    assert (share.low, share.high) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20).high == pytest.approx(0.1611, abs=5e-5)
    assert wilson(0, 0).high == 1


@given(st.integers(1, 5000), st.floats(0, 1))
def test_wilson_contains_the_share_within_bounds(n: int, share: float) -> None:
    found = wilson(round(share * n), n)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_paired_difference_is_the_mean_of_the_differences() -> None:
    first = np.array([1, 1, 1, 0, 0, 1, 1, 0, 1, 1] * 500)
    second = np.array([1, 0, 0, 0, 1, 1, 0, 0, 1, 0] * 500)
    d = first - second
    found = paired_difference(int((d > 0).sum()), int((d < 0).sum()), len(d))
    error = d.std() / np.sqrt(len(d))
    assert found.value == pytest.approx(d.mean())
    assert found.high - found.low == pytest.approx(2 * 1.959964 * error, rel=1e-3)  # many samples: as Wald's
    assert paired_difference(50, 5, 1000).clear
    assert paired_difference(5, 50, 1000).value < 0


@pytest.mark.parametrize(("only_first", "n"), [(1, 1), (4, 4), (4, 1000), (5, 5)])
def test_hardly_any_samples_make_nothing_clear(only_first: int, n: int) -> None:
    found = paired_difference(only_first, 0, n)
    assert not found.clear
    assert -1 <= found.low < found.value <= found.high <= 1


@pytest.mark.parametrize("differing", range(1, 61))
def test_equal_networks_are_clearly_different_in_at_most_5_percent(differing: int) -> None:
    """Exactly, over all ways in which the samples that only one has right can fall."""
    for n in (differing, 1000):
        wrong = [b for b in range(differing + 1) if paired_difference(b, differing - b, n).clear]
        assert sum(binom.pmf(b, differing, 0.5) for b in wrong) <= 0.05


@pytest.mark.parametrize(("p", "q", "n"), [(0.1, 0.1, 50), (0.05, 0.2, 50), (0.02, 0.02, 200), (0.3, 0.1, 20)])
def test_the_interval_covers(p: float, q: float, n: int) -> None:
    drawn = np.random.default_rng(0).multinomial(n, [p, q, 1 - p - q], size=2000)
    found = [paired_difference(int(b), int(c), n) for b, c, _ in drawn]
    assert np.mean([f.low <= p - q <= f.high for f in found]) >= 0.935


@given(st.integers(0, 600), st.integers(0, 600))
def test_mcnemar_is_the_binomial_test(b: int, c: int) -> None:
    expected = binomtest(min(b, c), b + c).pvalue if b + c else 1
    assert mcnemar(b, c) == pytest.approx(expected, abs=2e-4 if b + c > 1000 else 1e-9)
