"""Epochs that draw the classes evenly: functions of seed and epoch, whatever the processes and wherever they begin."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.data.evenly import evenly
from distill.data.plan import Plan
from distill.modalities.images import Loader
from distill.unlabelled import NO_LABEL
from tests.data.test_loader import GREY, large, same, small  # noqa: F401 - fixtures

LABELS = st.lists(st.integers(NO_LABEL, 4), min_size=1, max_size=60)


@given(LABELS, st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_every_class_is_drawn_equally_often_and_its_samples_in_turn(given_labels: list[int], seed: int) -> None:
    labels = torch.tensor(given_labels)
    order = evenly(labels, torch.Generator().manual_seed(seed))
    assert len(order) == len(labels)
    seen = torch.bincount(order, minlength=len(labels))
    assert (seen[labels == NO_LABEL] == 1).all()
    drawn = [int(seen[labels == c].sum()) for c in labels.unique() if c != NO_LABEL]
    assert max(drawn, default=0) - min(drawn, default=0) <= 1
    for c in labels.unique():
        own = seen[labels == c]
        assert int(own.max() - own.min()) <= 1


def test_a_plan_draws_by_seed_and_epoch_and_ranks_share_its_batches() -> None:
    labels = torch.tensor([0] * 40 + [1] * 5 + [NO_LABEL] * 3)
    whole = Plan(48, 8, 3, labels=labels)
    assert torch.equal(whole.order(2), Plan(48, 8, 3, labels=labels).order(2))
    assert not torch.equal(whole.order(2), whole.order(1))
    parts = [Plan(48, 4, 3, rank=rank, world=2, labels=labels) for rank in range(2)]
    for number in range(whole.batches):
        for of in (lambda plan, at: plan.batch_of(plan.order(2), at), lambda plan, at: plan.places(at)):
            assert torch.equal(torch.cat([of(part, number) for part in parts]), of(whole, number))
    assert not Plan(48, 8, 3, shuffle=False, labels=labels).repeats


@pytest.mark.parametrize("which", ["small", "large"])
def test_a_sample_that_is_drawn_again_looks_different(request: Any, which: str) -> None:
    samples = request.getfixturevalue(which)
    classes = samples.labels.unique()
    rare, common = (
        (samples.labels == c).nonzero()[:most, 0].tolist() for c, most in zip(classes, (1, 11), strict=False)
    )
    loader = Loader(samples, rare + common, 4, GREY, augmentation="crop_flip", seed=5, evenly=True)
    batches = list(loader.epoch(1))
    seen = [view for batch in batches for i, view in zip(batch.index, batch.student, strict=True) if int(i) == rare[0]]
    assert len(seen) > 1
    assert not all(torch.equal(seen[0], other) for other in seen[1:])
    assert all(same(a, b) for a, b in zip(batches[1:], loader.epoch(1, start=1), strict=True))
    if which == "large":
        workers = Loader(samples, rare + common, 4, GREY, augmentation="crop_flip", seed=5, evenly=True, workers=1)
        assert all(same(a, b) for a, b in zip(batches, workers.epoch(1), strict=True))
        workers.close()
