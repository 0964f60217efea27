"""Feature losses: against naive references, at the edges, pinned, and facts T1 to T5 (docs/methods.md, section 4)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distill import losses
from distill.errors import InvalidConfig, UnknownName

GEOMETRIC = ("procrustes", "gram", "cka")


def _normalised(X: Tensor) -> np.ndarray:
    X = X.double().numpy()
    X = X - X.mean(0)
    return X / np.linalg.norm(X)


def _naive(name: str, student: Tensor, teacher: Tensor) -> float:
    if name == "mse":
        return float(((student - teacher) ** 2).mean())
    if name == "channel_wise":
        return float(np.mean([_divergence(s, t) for s, t in zip(student.tolist(), teacher.tolist(), strict=True)]))
    if name == "pearson":
        pairs = zip(student.double().numpy(), teacher.double().numpy(), strict=True)
        return float(np.mean([((_standardised(s) - _standardised(t)) ** 2).mean() / 2 for s, t in pairs]))
    if name in RELATIONAL:
        return RELATIONAL[name](student.double().tolist(), teacher.double().tolist())
    A, B = _normalised(student), _normalised(teacher)
    if name == "procrustes":
        nuclear = np.linalg.svd(A.T @ B, compute_uv=False).sum()
        return float((A**2).sum() + (B**2).sum() - 2 * nuclear)
    K, L = A @ A.T, B @ B.T
    if name == "gram":
        return float(((K - L) ** 2).sum())
    return float(1 - (K * L).sum() / (np.linalg.norm(K) * np.linalg.norm(L)))


def _standardised(row: np.ndarray) -> np.ndarray:
    return (row - row.mean()) / (row.std(ddof=1) + 1e-6)


def _divergence(student: list[float], teacher: list[float]) -> float:
    """T^2 KL of two softmaxes at T = 4."""
    p, q = (np.exp(np.array(row) / 4) / np.exp(np.array(row) / 4).sum() for row in (teacher, student))
    return float(16 * (p * np.log(p / q)).sum())


def _pkt(student: list[list[float]], teacher: list[list[float]]) -> float:
    """RepDistiller's PKT, pair by pair."""
    n, e, total = len(student), 1e-7, 0.0
    kernels = []
    for rows in (student, teacher):
        units = [[x / (math.hypot(*row) + e) for x in row] for row in rows]
        kernels.append([[(float(np.dot(a, b)) + 1) / 2 for b in units] for a in units])
    for q, p in zip(*kernels, strict=True):
        probabilities = [(x / sum(p), y / sum(q)) for x, y in zip(p, q, strict=True)]
        total += sum(a * math.log((a + e) / (b + e)) for a, b in probabilities)
    return total / n**2


def _rkd(student: list[list[float]], teacher: list[list[float]]) -> float:
    """RepDistiller's RKDLoss, triple by triple."""
    distances, angles = [], []
    for rows in (student, teacher):
        between = [[math.dist(a, b) for b in rows] for a in rows]
        mean = sum(map(sum, between)) / (len(rows) * (len(rows) - 1))
        distances += [[x / mean for row in between for x in row]]
        found = []
        for i, at in enumerate(rows):
            arms = [[x - y for x, y in zip(row, at, strict=True)] for row in rows]
            units = [[x / (between[i][j] or 1) for x in arm] for j, arm in enumerate(arms)]
            found += [float(np.dot(a, b)) for a in units for b in units]
        angles += [found]
    huber = [[_huber(a - b) for a, b in zip(*each, strict=True)] for each in (distances, angles)]
    return 25 * float(np.mean(huber[0])) + 50 * float(np.mean(huber[1]))


def _huber(gap: float) -> float:
    return 0.5 * gap**2 if abs(gap) < 1 else abs(gap) - 0.5


RELATIONAL = {"pkt": _pkt, "rkd": _rkd}


def _random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def _widths(name: str, d_s: int, d_t: int) -> tuple[int, int]:
    return (d_t, d_t) if losses.get(name).needs_projector else (d_s, d_t)


def test_the_losses_of_the_methods_are_all_here() -> None:
    assert set(losses.names()) >= {"mse", "procrustes", "gram", "cka"}


@pytest.mark.parametrize("name", losses.names())
def test_every_loss_is_listed_without_parameters_it_does_not_take(name: str) -> None:
    assert losses.registry.summary(name)
    losses.get(name)(**{key: schema["default"] for key, schema in losses.registry.parameters(name).items()})


def test_an_unknown_loss_is_named() -> None:
    with pytest.raises(UnknownName, match="procrustez"):
        losses.get("procrustez")


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize(("n", "d_s", "d_t"), [(20, 3, 5), (20, 5, 3), (6, 40, 9), (6, 9, 40), (6, 40, 30), (9, 9, 9)])
def test_equals_the_naive_reference(name: str, n: int, d_s: int, d_t: int) -> None:
    d_s, d_t = _widths(name, d_s, d_t)
    student, teacher = 3 * _random(n, d_s, seed=1) + 5, _random(n, d_t, seed=2) - 2
    value = losses.get(name)()(student, teacher)
    assert value.shape == ()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(_naive(name, student, teacher), rel=1e-5, abs=1e-6)


# By hand: A = [[1, 0], [-1, 0], [0, 0], [0, 0]] / sqrt 2, B = [[1, 1], [-1, 1], [0, -1], [0, -1]] / sqrt 6.
# ||A^T B||_* = 2 / sqrt 12; A A^T is one direction of weight 1, B B^T the same at 1/3 and another at 2/3.
PINNED = {"mse": 0.5, "procrustes": 2 - 4 / math.sqrt(12), "gram": 8 / 9, "cka": 1 - 1 / math.sqrt(5)}


@pytest.mark.parametrize("name", sorted(PINNED))
def test_pinned_value(name: str) -> None:
    student = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    teacher = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [0.0, -1.0], [0.0, -1.0]])
    assert losses.get(name)()(student, teacher).item() == pytest.approx(PINNED[name], abs=1e-6)


@pytest.mark.parametrize("name", losses.names())
def test_student_equal_to_teacher_is_zero_with_zero_gradient(name: str) -> None:
    teacher = _random(12, 7)
    student = teacher.clone().requires_grad_()
    value = losses.get(name)()(student, teacher)
    value.backward()
    assert 0 <= value.item() < 1e-6
    assert student.grad is not None
    assert student.grad.abs().max() < 1e-6


@pytest.mark.parametrize("name", GEOMETRIC)
@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(2, 12),
    d_s=st.integers(1, 12),
    d_t=st.integers(1, 12),
    seed=st.integers(0, 9),
    scale=st.floats(0.01, 100),
)
def test_range_scale_and_shift(name: str, n: int, d_s: int, d_t: int, seed: int, scale: float) -> None:
    loss = losses.get(name)()
    student, teacher = _random(n, d_s, seed=seed), _random(n, d_t, seed=seed + 100)
    value = loss(student, teacher).item()
    assert 0 <= value <= {"procrustes": 2, "gram": 2, "cka": 1}[name] + 1e-5
    assert loss(student * scale + 3, teacher).item() == pytest.approx(value, abs=2e-3)
    assert loss(teacher, student).item() == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("name", GEOMETRIC)
def test_t1_a_rotation_costs_nothing(name: str) -> None:
    A = _random(30, 5, dtype=torch.float64)
    R = torch.linalg.qr(_random(9, 5, seed=3, dtype=torch.float64)).Q.T  # 5 x 9, orthonormal rows
    assert losses.get(name)()(A, A @ R).item() == pytest.approx(0, abs=1e-12)


T2 = {"cka": 0.2666, "procrustes": 0.5333, "gram": 0.0072}


@pytest.mark.parametrize("name", GEOMETRIC)
def test_t2_the_best_reachable_value_against_orthonormal_rows(name: str) -> None:
    """n = 120, d_s = 64, r = 64, N = 119: minimised, not only evaluated, so the gradient must lead there."""
    n, d_s = 120, 64
    N, r = n - 1, min(d_s, n - 1)
    exact = {
        "cka": 1 - math.sqrt(r / N),
        "procrustes": 2 - 2 * math.sqrt(r / N),
        "gram": 1 / r - 1 / N,
    }[name]
    assert exact == pytest.approx(T2[name], abs=5e-5)
    teacher, student = torch.eye(n), _random(n, d_s).requires_grad_()
    loss, optimiser = losses.get(name)(), torch.optim.Adam([student], lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        value = loss(student, teacher)
        value.backward()
        optimiser.step()
    assert value.item() == pytest.approx(exact, rel=5e-3)
    assert value.item() >= exact - 1e-5


def test_t3_the_projector_hides_what_procrustes_sees() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(400, 64, generator=generator, dtype=torch.float64)
    student = student - student.mean(0)
    left, right = (torch.linalg.qr(torch.randn(64, 64, generator=generator, dtype=torch.float64)).Q for _ in range(2))
    W = left @ torch.diag(torch.logspace(0, -3, 64, dtype=torch.float64)) @ right  # condition number 1000
    teacher = student @ W
    projected = student @ torch.linalg.lstsq(student, teacher).solution
    assert losses.get("mse")()(projected, teacher).item() < 1e-20
    assert losses.get("procrustes")()(student, teacher).item() == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize(("n", "value"), [(100, 0.099), (400, 0.050), (1600, 0.025)])
def test_t4_cka_is_blind_in_the_limit(n: int, value: float) -> None:
    student = torch.zeros(n, 1 + math.isqrt(n), dtype=torch.float64)
    student[: n // 2, 0], student[n // 2 :, 0] = 1, -1
    teacher = student.clone()
    moved = torch.arange(math.isqrt(n)) * (n // math.isqrt(n))
    teacher[moved] = 0
    teacher[moved, 1 + torch.arange(math.isqrt(n))] = 1
    assert losses.get("cka")()(student, teacher).item() == pytest.approx(value, abs=2e-3)


def _gradcheck(name: str, student: Tensor, teacher: Tensor, tolerance: float = 1e-5) -> None:
    loss = losses.get(name)()
    student = student.clone().requires_grad_()
    loss(student, teacher).backward()
    assert student.grad is not None
    step, numeric = 1e-5, torch.zeros_like(student)
    for i in range(student.numel()):
        for sign in (1, -1):
            moved = student.detach().clone()
            moved.view(-1)[i] += sign * step
            numeric.view(-1)[i] += sign * loss(moved, teacher) / (2 * step)
    torch.testing.assert_close(student.grad, numeric, rtol=1e-4, atol=tolerance)


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize(("n", "d_s", "d_t"), [(7, 3, 4), (4, 6, 5), (5, 8, 2)])
def test_t5_gradient_is_the_finite_difference(name: str, n: int, d_s: int, d_t: int) -> None:
    d_s, d_t = _widths(name, d_s, d_t)
    _gradcheck(name, _random(n, d_s, dtype=torch.float64), _random(n, d_t, seed=1, dtype=torch.float64))


@pytest.mark.parametrize("name", losses.names())
def test_t5_gradient_at_equality(name: str) -> None:
    A = _random(6, 3, dtype=torch.float64)
    _gradcheck(name, A, A.clone())


@pytest.mark.parametrize("name", losses.names())
def test_t5_gradient_where_the_cross_product_loses_rank(name: str) -> None:
    """The teacher's extra columns repeat the first, so A^T B has rank 1 and repeated zero singular values."""
    teacher = _random(6, 1, seed=4, dtype=torch.float64).expand(6, 3)
    student = _random(6, 3, seed=5, dtype=torch.float64)
    if name == "procrustes":  # the nuclear norm has a kink here: a subgradient, finite and a descent direction
        student = student.requires_grad_()
        loss = losses.get(name)()
        before = loss(student, teacher)
        before.backward()
        assert student.grad is not None
        assert student.grad.isfinite().all()
        assert loss(student - 1e-3 * student.grad, teacher) < before
    else:
        _gradcheck(name, student, teacher)


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("kind", ["zeros", "constant", "one row", "repeated rows"])
def test_degenerate_input_has_a_finite_value_and_gradient(name: str, kind: str) -> None:
    n = 1 if kind == "one row" else 8
    teacher = _random(n, 6)
    student = {
        "zeros": torch.zeros(n, 6),
        "constant": torch.full((n, 6), 0.1),
        "one row": _random(n, 6, seed=1),
        "repeated rows": _random(1, 6, seed=1).expand(n, 6).clone(),
    }[kind].requires_grad_()
    value = losses.get(name)()(student, teacher)
    value.backward()
    assert value.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    if name in GEOMETRIC and n > 1:
        expected = {"procrustes": 1.0, "cka": 1.0, "gram": _naive_energy(teacher)}[name]
        assert value.item() == pytest.approx(expected, rel=1e-5)
        assert not student.grad.any()
    if name in GEOMETRIC and n == 1:
        assert value.item() == 0


def _naive_energy(X: Tensor) -> float:
    B = _normalised(X)
    return float(((B @ B.T) ** 2).sum())


@pytest.mark.parametrize("name", losses.names())
def test_masked_rows_are_as_if_removed(name: str) -> None:
    student, teacher = _random(10, 6), _random(10, 6, seed=1)
    mask = torch.tensor([1, 1, 0, 1, 1, 1, 0, 1, 1, 0]).bool()
    dirty = student.clone()
    dirty[~mask] = 1e6
    value = losses.get(name)()(dirty, teacher, mask)
    assert value.item() == pytest.approx(losses.get(name)()(student[mask], teacher[mask]).item(), rel=1e-5)


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.parametrize(("dtype", "size"), [(torch.float32, 1e20), (torch.float32, 1e38), (torch.float64, 1e200)])
def test_exploded_features_are_seen(name: str, shift: float, dtype: torch.dtype, size: float) -> None:
    """Their squares overflow: that is divergence, and not a constant matrix without a gradient."""
    exploded, other = size * (shift + 0.1 * _random(8, 4, dtype=dtype)), _random(8, 4, seed=1, dtype=dtype)
    assert not losses.get(name)()(exploded, other).isfinite()
    assert not losses.get(name)()(other, exploded).isfinite()


@pytest.mark.parametrize("name", GEOMETRIC)
@pytest.mark.parametrize("size", [1e-15, 1.0, 1e15])
def test_large_and_small_features_that_do_not_overflow_are_compared(name: str, size: float) -> None:
    one, other = _random(8, 4), _random(8, 4, seed=1)
    assert losses.get(name)()(size * one, other).item() == pytest.approx(_naive(name, one, other), rel=1e-4)


@pytest.mark.parametrize("name", losses.names())
def test_nan_features_give_nan_not_an_exception(name: str) -> None:
    student = _random(8, 4)
    student[0, 0] = torch.nan
    assert losses.get(name)()(student, _random(8, 4, seed=1)).isnan()


@pytest.mark.parametrize("name", losses.names())
def test_full_precision_under_autocast_and_for_bf16_features(name: str) -> None:
    student, teacher = _random(16, 8).bfloat16(), _random(16, 8, seed=1).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = losses.get(name)()(student, teacher)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(_naive(name, student.float(), teacher.float()), rel=1e-4)


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("shapes", [((4, 3), (5, 3)), ((4, 3, 2), (4, 3, 2)), ((4,), (4,))])
def test_shapes_that_are_no_matrices_of_the_same_rows(
    name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    with pytest.raises(InvalidConfig, match="Feature matrices"):
        losses.get(name)()(torch.zeros(shapes[0]), torch.zeros(shapes[1]))


def test_mse_of_different_widths_asks_for_a_projector() -> None:
    with pytest.raises(InvalidConfig, match="equal widths") as error:
        losses.get("mse")()(torch.zeros(4, 3), torch.zeros(4, 5))
    assert "projector" in error.value.remedy


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("types", [(torch.float64, torch.float32), (torch.float32, torch.float64)])
def test_the_finer_of_two_precisions_counts(name: str, types: tuple[torch.dtype, torch.dtype]) -> None:
    student, teacher = _random(12, 5).to(types[0]).requires_grad_(), _random(12, 5, seed=1).to(types[1])
    value = losses.get(name)()(student, teacher)
    value.backward()
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(_naive(name, student.detach().double(), teacher.double()), rel=1e-9)
    assert student.grad is not None
    assert student.grad.dtype == types[0]


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_no_rows_or_columns_cost_nothing(name: str, shape: tuple[int, int]) -> None:
    student = torch.zeros(shape).requires_grad_()
    value = losses.get(name)()(student, torch.zeros(shape))
    value.backward()
    assert value.item() == 0
    assert value.dtype == torch.float32


@pytest.mark.parametrize("name", losses.names())
@pytest.mark.parametrize("shape", [(1,), (4,), (3, 1)])
def test_a_mask_of_other_rows_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidConfig, match="mask"):
        losses.get(name)()(_random(3, 4), _random(3, 4), torch.ones(shape, dtype=torch.bool))
