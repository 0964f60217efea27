"""Intervals against published numbers, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.statistics import paired_difference, wilson


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
    first = np.array([1, 1, 1, 0, 0, 1, 1, 0, 1, 1])
    second = np.array([1, 0, 0, 0, 1, 1, 0, 0, 1, 0])
    d = first - second
    found = paired_difference(int((d > 0).sum()), int((d < 0).sum()), len(d))
    error = d.std() / np.sqrt(len(d))
    assert found.value == pytest.approx(d.mean())
    assert found.high - found.value == pytest.approx(1.959964 * error)
    assert not found.clear
    assert paired_difference(50, 5, 1000).clear
    assert paired_difference(5, 50, 1000).value < 0
