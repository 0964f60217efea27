"""Logit losses: naive references, limits, pinned values."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.objectives.logits import cross_entropy, soft_divergence, standardise


def _logits(seed: int, n: int = 7, c: int = 5) -> torch.Tensor:
    return 3 * torch.randn(n, c, generator=torch.Generator().manual_seed(seed))


def test_equals_the_sum_written_out() -> None:
    student, teacher, T = _logits(0), _logits(1), 4.0
    p, q = (teacher / T).softmax(1), (student / T).softmax(1)
    expected = sum(float(p[i, c]) * math.log(float(p[i, c] / q[i, c])) for i in range(7) for c in range(5)) * T**2 / 7
    assert soft_divergence(student, teacher, T).item() == pytest.approx(expected, rel=1e-5)


def test_pinned() -> None:
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3), 0.0]])
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)  # KL of (3/4, 1/4) from (1/2, 1/2)
    assert soft_divergence(student, teacher, 1.0).item() == pytest.approx(expected, rel=1e-6)
    assert cross_entropy(student, torch.tensor([1])).item() == pytest.approx(math.log(2), rel=1e-6)


def test_zero_for_equal_logits_to_the_bit() -> None:
    assert soft_divergence(_logits(0), _logits(0), 4.0) == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), temperature=st.floats(0.5, 50))
def test_never_negative_and_blind_to_shifts(seed: int, temperature: float) -> None:
    student, teacher = _logits(seed), _logits(seed + 100)
    value = soft_divergence(student, teacher, temperature)
    assert value >= 0
    torch.testing.assert_close(soft_divergence(student + 5, teacher - 3, temperature), value, rtol=1e-3, atol=1e-4)


def test_t_squared_keeps_the_gradient_of_high_temperatures() -> None:
    """As T grows, T^2 KL tends to half the mean squared difference of centred logits over C."""
    student, teacher = _logits(0).double(), _logits(1).double()
    gap = (student - student.mean(1, keepdim=True)) - (teacher - teacher.mean(1, keepdim=True))
    limit = gap.square().sum(1).mean().item() / 2 / 5
    assert soft_divergence(student, teacher, 1000.0).item() == pytest.approx(limit, rel=1e-2)


def test_standardised_logits_have_mean_zero_and_variance_one() -> None:
    z = standardise(10 * _logits(0) + 7)
    torch.testing.assert_close(z.mean(1), torch.zeros(7), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.var(1, correction=0), torch.ones(7), atol=1e-4, rtol=0)
    torch.testing.assert_close(z, standardise(_logits(0)), atol=1e-4, rtol=0)


def test_equal_logits_standardise_to_zero_with_a_finite_gradient() -> None:
    logits = torch.full((2, 5), 3.0, requires_grad=True)
    z = standardise(logits)
    assert not z.any()
    z.square().sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_half_precision_logits_are_compared_in_fp32() -> None:
    student, teacher = _logits(0).bfloat16(), _logits(1).bfloat16()
    assert soft_divergence(student, teacher, 4.0).dtype == torch.float32
    assert cross_entropy(student, torch.zeros(7, dtype=torch.long)).dtype == torch.float32
