"""Stratified splits and samples."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.data.splits import stratified_sample, stratified_split
from distill.errors import InvalidConfig

labels = st.lists(st.integers(0, 5), min_size=1, max_size=200)


@given(labels, st.floats(0.01, 0.99), st.integers(0, 2**31 - 1))
def test_split(labels, fraction, seed):
    kept, held_out = stratified_split(labels, fraction, seed)
    assert sorted(kept.tolist() + held_out.tolist()) == list(range(len(labels)))
    assert kept.tolist() == sorted(kept.tolist())
    assert held_out.tolist() == sorted(held_out.tolist())
    for label in set(labels):
        count = labels.count(label)
        out = sum(labels[i] == label for i in held_out.tolist())
        assert out == min(count - 1, max(1, round(count * fraction)))
    again = stratified_split(torch.tensor(labels), fraction, seed)
    assert torch.equal(kept, again[0])
    assert torch.equal(held_out, again[1])


@given(labels, st.integers(1, 250), st.integers(0, 100))
def test_sample(labels, n, seed):
    classes = set(labels)
    if n < len(classes):
        with pytest.raises(InvalidConfig):
            stratified_sample(labels, n, seed)
        return
    chosen = stratified_sample(labels, n, seed)
    assert len(chosen) <= n
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    taken = {label: sum(labels[i] == label for i in chosen.tolist()) for label in classes}
    quota = max(taken.values())
    assert all(taken[label] == min(labels.count(label), quota) for label in classes)
    # the largest quota: one more a class would exceed n, unless everything has been taken
    more = sum(min(labels.count(label), quota + 1) for label in classes)
    assert more > n or len(chosen) == len(labels)
    assert torch.equal(chosen, stratified_sample(labels, n, seed))


def test_seeds_differ_and_numbers_are_pinned():
    labels = [0, 1] * 50
    assert not torch.equal(stratified_sample(labels, 20, 0), stratified_sample(labels, 20, 1))
    assert stratified_split(labels, 0.05, 0)[1].tolist() == PINNED


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 2.0])
def test_bad_fraction(fraction):
    with pytest.raises(InvalidConfig):
        stratified_split([0, 1], fraction, 0)


PINNED = [3, 36, 46, 59]
