"""Invariances of the metric, its defined edge cases, and its errors."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.errors import InvalidConfig, InvalidDataset, NonFiniteFeatures
from distill.quality import digest, knowledge_quality
from distill.quality.classes import group
from distill.quality.gram import MatrixColumns, add_product, gram, mirror

FIELDS = ("separation", "information", "efficiency", "quality")


@st.composite
def problems(draw):
    classes, each = draw(st.integers(2, 5)), draw(st.integers(1, 6))
    dims, seed = draw(st.integers(1, 24)), draw(st.integers(0, 2**16))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes * each) % classes
    offset = draw(st.sampled_from([0.0, 1.0, 30.0]))
    return torch.randn(classes * each, dims, generator=generator, dtype=torch.float64) + offset, labels, generator


def values(features, labels, train_size=1000):
    quality = knowledge_quality(features, labels, train_size)
    return [getattr(quality, field) for field in FIELDS]


def close(expected):
    return [pytest.approx(value, rel=1e-7, abs=1e-7) for value in expected]


@settings(max_examples=40, deadline=None)
@given(problems())
def test_the_order_of_samples_and_the_names_of_classes_do_not_matter(problem):
    features, labels, generator = problem
    order = torch.randperm(len(labels), generator=generator)
    renamed = torch.randperm(100, generator=generator)[labels]
    assert values(features[order], renamed[order]) == close(values(features, labels))


@settings(max_examples=40, deadline=None)
@given(problems(), st.sampled_from([1e-6, 0.37, 512.0, 1e6]))
def test_scaling_every_feature_does_not_matter(problem, factor):
    features, labels, _ = problem
    assert values(features * factor, labels) == close(values(features, labels))


@settings(max_examples=40, deadline=None)
@given(problems())
def test_orthogonal_maps_do_not_matter(problem):
    features, labels, generator = problem
    size = features.shape[1]
    rotation, _ = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    assert values(features @ rotation, labels) == close(values(features, labels))


@settings(max_examples=40, deadline=None)
@given(problems(), st.integers(0, 24))
def test_two_parts_of_the_columns_accumulate_to_the_whole(problem, cut):
    features, _, _ = problem
    kernel = torch.zeros(len(features), len(features), dtype=torch.float64)
    for part in (features[:, :cut], features[:, cut:]):
        add_product(kernel, part)
    torch.testing.assert_close(mirror(kernel), features @ features.T)


@settings(max_examples=30, deadline=None)
@given(problems())
def test_ranges(problem):
    features, labels, _ = problem
    quality = knowledge_quality(features, labels, 1000)
    assert -1 <= quality.separation <= 1
    assert -1e-9 <= quality.minimum_similarity <= 1 + 1e-9
    assert 0 <= quality.entropy <= math.log(len(labels))
    assert min(quality.information, quality.efficiency, quality.nearest_distance) >= 0
    assert quality.quality >= quality.separation


@pytest.mark.parametrize("width", [1, 7, 64, 1000])
def test_the_width_of_the_column_blocks_does_not_matter(width):
    features = torch.randn(50, 700, generator=torch.Generator().manual_seed(0))
    columns = MatrixColumns(features, None, buffer_bytes=8 * 50 * width)
    torch.testing.assert_close(gram(columns, 50, torch.device("cpu")), features.double() @ features.double().T)


def test_a_pinned_value_by_hand():
    """Two classes on two axes: P is 1 within and 0 across, so S = 1; m = 1, so I = 0; d = sqrt 2, r = 3/2."""
    features = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    quality = knowledge_quality(features, torch.tensor([0, 0, 1, 1]), 314)
    assert quality.separation == pytest.approx(1)
    assert quality.information == pytest.approx(0, abs=1e-15)
    assert quality.efficiency == pytest.approx(2 * math.sqrt(2) / 1.5 * math.sqrt(314 / math.pi))
    assert quality.quality == pytest.approx(1, abs=1e-6)


def test_all_features_zero_gives_zero_everywhere():
    quality = knowledge_quality(torch.zeros(8, 5), torch.arange(8) % 2, 100)
    assert values(torch.zeros(8, 5), torch.arange(8) % 2) == [0, 0, 0, 0]
    assert (quality.nearest_distance, quality.mean_norm, quality.entropy) == (0, 0, 0)


def test_all_features_equal_separate_nothing():
    quality = knowledge_quality(torch.full((8, 5), 0.1), torch.arange(8) % 2, 100)
    assert quality.separation == pytest.approx(0, abs=1e-12)
    assert (quality.entropy, quality.nearest_distance, quality.efficiency) == (0, 0, 0)


def spectral_entropy(members):
    """By the definition, 0 ln 0 = 0."""
    members = members.double() - members.double().mean(0)
    shares = torch.linalg.eigvalsh(members.T @ members)
    shares = (shares / shares.sum()).clamp(min=0)
    return float(-torch.xlogy(shares, shares).sum())


@pytest.mark.parametrize("dims", [1, 2, 10, 19])
def test_fewer_dimensions_than_samples_of_a_class(dims):
    """The published code gives H = I = 0 here, and Q = S: zeros beyond D become NaN, and the NaN becomes 0."""
    labels = torch.arange(10).repeat_interleave(20)
    features = torch.randn(200, dims, generator=torch.Generator().manual_seed(0))
    quality = knowledge_quality(features, labels, 50_000)
    expected = sum(spectral_entropy(features[labels == c]) for c in range(10)) / 10
    assert quality.entropy == pytest.approx(expected, rel=1e-4, abs=1e-9)
    assert (quality.entropy > 0.5) == (dims > 1)
    assert (quality.quality > quality.separation + 0.1) == (dims > 1)


def test_a_smaller_class_keeps_its_entropy():
    """The published code gives 0 for every class that is smaller than the largest."""
    features = torch.randn(95, 64, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(100)[:95] // 10
    expected = sum(spectral_entropy(features[labels == c]) for c in range(10)) / 10
    assert knowledge_quality(features, labels, 100).entropy == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("dead", [[3], [3, 4], [3, 25, 99], list(range(10))])
def test_dead_samples_have_defined_values(dead):
    """The published code gives NaN for the layer: 0 / 0 in the cosines of one sample reaches every mean."""
    features = torch.randn(100, 64, generator=torch.Generator().manual_seed(0))
    features[dead] = 0
    labels = torch.arange(100) // 10
    quality = knowledge_quality(features, labels, 100)
    unit = torch.nn.functional.normalize(features.double(), dim=1)
    similar = (unit @ unit.T).abs()
    least = sum(float(similar[labels == c][:, labels == c].min()) for c in range(10)) / 10
    assert quality.minimum_similarity == pytest.approx(least, rel=1e-4)
    within = sum(float(similar[labels == c][:, labels == c].mean()) for c in range(10)) / 10
    assert quality.intra == pytest.approx(within, rel=1e-4)
    assert math.isfinite(quality.quality)


def test_one_class_is_an_error():
    with pytest.raises(InvalidDataset, match="one class"):
        knowledge_quality(torch.randn(4, 3), torch.zeros(4, dtype=torch.long), 10)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_non_finite_features_are_an_error(bad, dtype):
    features = torch.randn(6, 4).to(dtype)
    features[2, 1] = bad
    with pytest.raises(NonFiniteFeatures, match="1 of 6"):
        knowledge_quality(features, torch.arange(6) % 2, 10)


@pytest.mark.parametrize("shape", [(5, 3), (6, 0)])
def test_features_and_labels_must_fit(shape):
    with pytest.raises(InvalidConfig):
        knowledge_quality(torch.zeros(shape), torch.arange(6) % 2, 10)


def test_features_may_have_any_shape_and_keep_their_graph():
    features = torch.randn(8, 3, 4, 4, requires_grad=True)
    labels = torch.arange(8) % 2
    assert values(features, labels) == values(features.detach().reshape(8, 48), labels)


def test_class_blocks_cover_every_sample_once():
    labels = torch.repeat_interleave(torch.arange(40), torch.randint(1, 60, (40,)))
    classes = group(labels)
    seen = torch.cat([rows[real] for _, rows, real in classes.blocks()])
    assert torch.equal(seen.sort().values, torch.arange(len(labels)))
    assert sum(len(index) for index, _, _ in classes.blocks()) == 40
    assert all(real.float().mean() > 0.7 for _, _, real in classes.blocks())


def test_a_changed_input_changes_the_digest():
    labels, indices = torch.tensor([0, 1, 0, 1]), torch.tensor([3, 5, 8, 9])

    def key(teacher="t", data="d", labels=labels, indices=indices, **parameters):
        return digest(teacher, data, labels, indices, **({"train_size": 10, "layers": ["a"], "seed": 0} | parameters))

    other = torch.tensor([0, 1, 0, 0])
    keys = [key(), key(teacher="u"), key(data="e"), key(labels=other), key(indices=indices + 1), key(seed=1)]
    keys += [key(layers=["b"]), key(train_size=11)]
    assert len(set(keys)) == len(keys)
    assert key() == key(labels=labels.int())
    assert len(key()) == 64
