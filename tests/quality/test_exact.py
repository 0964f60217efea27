"""S, I, E and Q agree with a direct float64 computation to 1e-4 relative, on adversarial features too."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from benchmarks.quality.row_loop import row_loop
from distill.quality import knowledge_quality
from tests.quality.exact import exactly

FIELDS = (
    *("separation", "information", "efficiency", "quality"),
    *("minimum_similarity", "entropy", "nearest_distance", "mean_norm"),
)
generator = torch.Generator()


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator.manual_seed(seed), dtype=torch.float64)


def even(n: int, classes: int) -> torch.Tensor:
    return torch.arange(n) % classes


def relu_like():
    return normal(60, 40).relu().float(), even(60, 4)


def near_duplicates_across_classes():
    features = (normal(60, 500) * 10).float()
    features[1] = features[0]
    features[1, 0] = torch.nextafter(features[0, 0], torch.tensor(1e9))  # classes 0 and 1, one ulp apart
    features[7] = features[2] + 1e-6  # classes 3 and 2
    return features, even(60, 4)


def exact_duplicates_across_classes():
    features = (normal(40, 64) * 100).float()
    features[1], features[3] = features[0], features[2]
    return features, even(40, 4)


def large_norms_tiny_distances():
    return 1e4 + 1e-4 * normal(60, 80), even(60, 3)


def large_norms_tiny_distances_fp32():
    return (300 + 1e-3 * normal(60, 80)).float(), even(60, 3)


def tight_clusters_far_apart():
    labels = even(60, 4)
    return 1e3 * normal(4, 90, seed=1)[labels] + 1e-4 * normal(60, 90), labels


def two_huge_near_duplicates_among_small():
    features = normal(40, 100)
    features[0] = 1e9 * normal(100, seed=5)
    features[1] = features[0] + 1e-3 * normal(100, seed=6)
    return features, even(40, 4)


def overlapping_far_cluster():
    features = normal(60, 50)
    features[:30] = 1e5 * normal(50, seed=3) + 1e-5 * normal(30, 50, seed=4)
    return features, even(60, 3)


def fewer_dimensions_than_samples():
    return normal(90, 3).float(), even(90, 3)


def one_dimension():
    return normal(30, 1).float(), even(30, 3)


def dead_units():
    features = normal(60, 50).relu().float()
    features[:, 10:] = 0
    features[[0, 5, 9, 13, 30]] = 0
    return features, even(60, 4)


def many_classes_of_five():
    return (normal(600, 16) + normal(120, 16, seed=2)[even(600, 120)]).float(), even(600, 120)


def imbalanced():
    return normal(121, 30).float(), torch.tensor([0] * 80 + [1] * 30 + [2] * 7 + [3] * 3 + [4])


def one_sample_classes():
    return normal(12, 20).float(), torch.arange(12)


def constant_class():
    features = normal(40, 30).float()
    features[::4] = 3.1
    return features, even(40, 4)


def rank_one_classes():
    labels = even(40, 4)
    return normal(4, 30, seed=1)[labels] * (2 + normal(40, 1)), labels


def half():
    return normal(60, 70).half(), even(60, 4)


def bfloat():
    return (5 + normal(60, 70)).bfloat16(), even(60, 4)


def widely_scaled_samples():
    return normal(60, 40) * torch.logspace(-6, 6, 60)[:, None].double(), even(60, 4)


CASES = [
    relu_like,
    near_duplicates_across_classes,
    exact_duplicates_across_classes,
    large_norms_tiny_distances,
    large_norms_tiny_distances_fp32,
    tight_clusters_far_apart,
    two_huge_near_duplicates_among_small,
    overlapping_far_cluster,
    fewer_dimensions_than_samples,
    one_dimension,
    dead_units,
    many_classes_of_five,
    imbalanced,
    one_sample_classes,
    constant_class,
    rank_one_classes,
    half,
    bfloat,
    widely_scaled_samples,
]


COSINE = 2e-15  # absolute error of a mean or minimum of cosines: eight times float64's epsilon
CANCELLING = (large_norms_tiny_distances, large_norms_tiny_distances_fp32, tight_clusters_far_apart)


def agree(ours, direct) -> None:
    """1e-4 relative, or what an error of `COSINE` in S and in 1 - m makes of S, I and Q."""
    per_nat = COSINE * direct["entropy"] / math.log(5)
    allowed = {
        "separation": COSINE,
        "information": per_nat,
        "quality": COSINE + math.sqrt(per_nat * direct["efficiency"]),
    }
    for field in FIELDS:
        assert getattr(ours, field) == pytest.approx(direct[field], rel=1e-4, abs=allowed.get(field, 1e-15)), field


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_agrees_with_the_definition_in_float64(case):
    features, labels = case()
    direct = exactly if case in CANCELLING else row_loop
    agree(knowledge_quality(features, labels, 50_000), direct(features.double().numpy(), labels.numpy(), 50_000))


def dominant(samples: int, dims: int, ratio: float, share: float, apart: float = 0.0):
    """Two classes about points of norm 1 that are `apart` x `ratio` from each other: deviations of `ratio` in one
    direction, and of the `share` of its variance in all others."""
    labels = even(2 * samples, 2)
    base, axis = normal(dims, seed=1), normal(dims, seed=2)
    offsets = apart * normal(2, dims, seed=3)[labels] / dims**0.5
    deviations = normal(2 * samples, 1, seed=4) * axis / axis.norm()
    deviations += share**0.5 * normal(2 * samples, dims, seed=5) / dims**0.5
    return base / base.norm() + ratio * (offsets + deviations), labels


@pytest.mark.parametrize("apart", [0.0, 3.0])
@pytest.mark.parametrize(
    ("samples", "dims", "ratio", "share"),
    [(100, 256, 3e-4, 1e-4), (200, 600, 5e-4, 5e-4), (100, 300, 4e-4, 3e-4), (60, 256, 1e-3, 1e-5)],
)
def test_small_eigenvalues_beside_a_dominant_one_are_not_lost(samples, dims, ratio, share, apart):
    """A trace that stands clear of rounding errors does not mean that its smallest parts do."""
    features, labels = dominant(samples, dims, ratio, share, apart)
    ours = knowledge_quality(features, labels, 50_000)
    direct = row_loop(features.numpy(), labels.numpy(), 50_000)
    assert ours.entropy == pytest.approx(direct["entropy"], rel=1e-5)
    assert ours.information == pytest.approx(direct["information"], rel=1e-4)


@pytest.mark.parametrize("apart", [0.0, 3.0])
@pytest.mark.parametrize("ratio", [1e-2, 1e-3, 5e-4, 3e-4, 1e-4, 1e-5, 1e-6])
def test_spreads_from_a_hundredth_to_a_millionth_of_the_norm(ratio, apart):
    features, labels = dominant(40, 96, ratio, 1e-3, apart)
    ours, direct = knowledge_quality(features, labels, 50_000), exactly(features.numpy(), labels.numpy(), 50_000)
    for field in ("information", "efficiency", "quality", "entropy"):
        assert getattr(ours, field) == pytest.approx(direct[field], rel=1e-4, abs=0), field
    assert ours.separation == pytest.approx(direct["separation"], rel=1e-4, abs=COSINE)
    assert 1 - ours.minimum_similarity == pytest.approx(direct["distinct"], rel=1e-4, abs=COSINE)


def test_the_exact_reference_is_the_direct_one_where_nothing_cancels():
    features, labels = relu_like()
    arrays = features.double().numpy(), labels.numpy(), 50_000
    exact = exactly(*arrays)
    assert exact.pop("distinct") == pytest.approx(1 - exact["minimum_similarity"], rel=1e-12)
    assert exact == pytest.approx(row_loop(*arrays), rel=1e-12)


def test_labels_may_be_any_integers_in_any_order():
    features, labels = relu_like()
    permutation = torch.from_numpy(np.random.default_rng(0).permutation(60))
    names = torch.tensor([40, -3, 7, 1000])
    ours = knowledge_quality(features[permutation], names[labels][permutation], 500)
    assert ours.quality == pytest.approx(knowledge_quality(features, labels, 500).quality, rel=1e-12)


def by_matrices(features: np.ndarray, labels: np.ndarray, train_size: int) -> dict[str, float]:
    """The definition with whole (N, N) float64 matrices and distances from explicit differences: for many classes,
    where the row loop would take an hour."""
    classes, own, counts = np.unique(labels, return_inverse=True, return_counts=True)
    norms = np.linalg.norm(features, axis=1)
    cosines = np.abs(features @ features.T) / np.outer(norms, norms)
    same = own[:, None] == own[None]
    lowest = [cosines[np.ix_(own == c, own == c)].min() for c in range(len(classes))]
    order, starts = np.argsort(own, kind="stable"), np.cumsum(counts) - counts
    sums = np.add.reduceat(np.add.reduceat(cosines[order][:, order], starts, 0), starts, 1)
    means = sums / np.outer(counts, counts)
    intra, inter = np.diag(means).mean(), (means.sum() - np.trace(means)) / (len(classes) * (len(classes) - 1))
    near = np.where(same, np.inf, cdist(features, features, "sqeuclidean")).min(1)
    distance = np.mean([np.sqrt(near[own == c].min()) for c in range(len(classes))])
    entropy = 0.0
    for c in range(len(classes)):
        values = np.linalg.eigvalsh(np.cov(features[own == c].T, bias=True)).clip(0)
        shares = values[values > 1e-14 * values.max()] / values.sum()
        entropy -= float((shares * np.log(shares)).sum()) / len(classes)
    norm = np.mean([norms[own == c].mean() for c in range(len(classes))])
    information = (1 - np.mean(lowest)) * entropy / np.log(5)
    efficiency = 2 * distance / norm * (train_size / np.pi) ** (1 / min(features.shape))
    parts = {"separation": intra - inter, "information": information, "efficiency": efficiency}
    return parts | {
        "quality": parts["separation"] + np.sqrt(information * efficiency), "minimum_similarity": np.mean(lowest),
        "entropy": entropy, "nearest_distance": distance, "mean_norm": norm,
    }  # fmt: skip


def test_the_two_references_agree():
    features, labels = many_classes_of_five()
    by_rows = row_loop(features.double().numpy(), labels.numpy(), 50_000)
    assert by_matrices(features.double().numpy(), labels.numpy(), 50_000) == pytest.approx(by_rows, rel=1e-9)


def test_two_thousand_classes_of_five_samples():
    labels = torch.randperm(10_000, generator=torch.Generator().manual_seed(3)) % 2000
    features = (normal(2000, 24)[labels] + 0.3 * normal(10_000, 24, seed=1)).relu().float()
    ours = knowledge_quality(features, labels, 50_000)
    direct = by_matrices(features.double().numpy(), labels.numpy(), 50_000)
    assert {field: getattr(ours, field) for field in FIELDS} == pytest.approx(direct, rel=1e-4, abs=0)
