"""S, I, E and Q agree with a direct float64 computation to 1e-4 relative, on adversarial features too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.quality.row_loop import row_loop
from distill.quality import knowledge_quality

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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_agrees_with_the_definition_in_float64(case):
    features, labels = case()
    ours = knowledge_quality(features, labels, 50_000)
    direct = row_loop(features.double().numpy(), labels.numpy(), 50_000)
    for field in FIELDS:
        assert getattr(ours, field) == pytest.approx(direct[field], rel=1e-4, abs=1e-11), field


def test_labels_may_be_any_integers_in_any_order():
    features, labels = relu_like()
    permutation = torch.from_numpy(np.random.default_rng(0).permutation(60))
    names = torch.tensor([40, -3, 7, 1000])
    ours = knowledge_quality(features[permutation], names[labels][permutation], 500)
    assert ours.quality == pytest.approx(knowledge_quality(features, labels, 500).quality, rel=1e-12)
