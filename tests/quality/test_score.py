"""Scoring a model: every path (whole, column blocks, pooled) against the metric of directly collected features."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from distill.errors import InvalidConfig, InvalidDataset, LayersNotFound, NonFiniteFeatures
from distill.layers import discover, run_until
from distill.quality import knowledge_quality, score
from distill.quality.plan import pooled_extent

SAMPLES, CLASSES = 60, 4
BUDGET = 256 * 2**20


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.drop = nn.Conv2d(width, width, 3, padding=1), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.drop(self.conv(x)) + x)


def make_model() -> nn.Module:
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES))
    return nn.Sequential(stem, Block(8), Block(8), Block(8), head)


@pytest.fixture
def sample():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(SAMPLES, 3, 16, 16, generator=generator)
    return images, torch.randint(CLASSES, (SAMPLES,), generator=generator)


def in_batches(images, size=16, log=None):
    def batches():
        if log is not None:
            log.append(1)
        return iter(images.split(size))

    return batches


def scored(sample, model=None, **options):
    images, labels = sample
    model = model or make_model()
    layers = discover(model, images[:2])
    memory = options.pop("memory_bytes", BUDGET)
    return list(score(model, layers, in_batches(images), labels, 5000, memory, **options))


@pytest.mark.parametrize("how", [{}, {"oversize": "blocks", "memory_bytes": 40 * 2**20}])
def test_a_layer_may_have_rows_of_its_own(sample, how):
    """In any order of labels, whole or in column blocks, with standard errors: as if only those rows were there."""
    images, labels = sample
    model = make_model().eval()
    layers = discover(model, images[:2])
    kept = torch.rand(SAMPLES, generator=torch.Generator().manual_seed(2)) < 0.6
    name = layers[2].name
    curve = scored(sample, model, counted={name: kept, layers[1].name: torch.ones(SAMPLES, dtype=torch.bool)},
                   bootstrap=3, **how)  # fmt: skip
    assert [point.samples for point in curve] == [None, None, int(kept.sum()), *[None] * (len(curve) - 3)]
    for point in curve:
        rows = kept if point.name == name else torch.ones(SAMPLES, dtype=torch.bool)
        with torch.no_grad():
            feature = run_until(model, [point.name], images)[point.name][rows]
        direct = knowledge_quality(feature, labels[rows], 5000)
        assert point.quality == pytest.approx(direct.quality, rel=1e-5)
        assert point.separation == pytest.approx(direct.separation, rel=1e-5)
    with pytest.raises(InvalidDataset):
        scored(sample, model, counted={name: labels == 1})


def test_every_layer_equals_the_metric_of_its_features(sample):
    images, labels = sample
    model = make_model().train()
    curve = scored(sample, model)
    assert model.training
    assert model[1].drop.training
    assert [point.index for point in curve] == list(range(len(curve)))
    model.eval()
    for point in curve:
        with torch.no_grad():
            direct = knowledge_quality(run_until(model, [point.name], images)[point.name], labels, 5000)
        assert point.quality == pytest.approx(direct.quality, rel=1e-6)
        assert point.separation == pytest.approx(direct.separation, rel=1e-6)
        assert not point.pooled


def test_one_forward_pass_scores_all_layers_that_fit(sample):
    images, labels = sample
    model, log = make_model(), []
    list(score(model, discover(model, images[:2]), in_batches(images, log=log), labels, 5000, BUDGET))
    assert len(log) == 2  # the probe of the first batch, and the pass


def test_large_batches_run_in_parts_with_the_same_result(sample, monkeypatch):
    from distill.quality import scoring

    whole = scored(sample)
    monkeypatch.setattr(scoring, "FORWARD_SHARE", 1e-9)  # one row at a time
    for part, exact in zip(scored(sample), whole, strict=True):
        assert part.quality == pytest.approx(exact.quality, rel=1e-5)


@pytest.mark.parametrize("oversize", ["blocks", "pool", "auto"])
def test_a_layer_that_does_not_fit_is_cut_or_pooled(sample, oversize, monkeypatch):
    from distill import scoring_memory
    from distill.quality import passes

    room = SAMPLES * 8 * 16 * 16 * 4 // 3
    monkeypatch.setattr(scoring_memory, "whole_bytes", lambda sizes, buffer: BUDGET - room)
    monkeypatch.setattr(passes, "FORWARD_SAFETY", 0)
    whole = None
    with monkeypatch.context() as patch:
        patch.setattr(scoring_memory, "whole_bytes", lambda sizes, buffer: 0)
        whole = scored(sample)
    curve = scored(sample, oversize=oversize, max_passes=2)
    large = [math.prod(point.shape) > room / (4 * SAMPLES) for point in curve]
    assert any(large)
    for point, exact, is_large in zip(curve, whole, large, strict=True):
        assert point.pooled == (is_large and oversize != "blocks")
        assert point.shape == exact.shape
        if not point.pooled:
            assert point.quality == pytest.approx(exact.quality, rel=1e-9)


def test_near_duplicates_across_classes_are_exact_in_column_blocks_too(sample, monkeypatch):
    from distill import scoring_memory

    images, labels = sample[0].clone().double(), sample[1].clone()
    images[1], labels[0], labels[1] = images[0] + 1e-9, 0, 1
    model = make_model().double().eval()
    monkeypatch.setattr(scoring_memory, "whole_bytes", lambda sizes, buffer: BUDGET - 2_300_000)
    curve = scored((images, labels), model, oversize="blocks")
    for point in curve:
        with torch.no_grad():
            feature = run_until(model, [point.name], images)[point.name].flatten(1)
        distances = torch.cdist(feature, feature, compute_mode="donot_use_mm_for_euclid_dist")
        distances[labels[:, None] == labels] = torch.inf
        direct = torch.stack([distances[labels == c].min() for c in range(CLASSES)]).mean()
        assert point.nearest_distance == pytest.approx(float(direct), rel=1e-6)


def test_a_pooled_layer_has_the_values_of_the_pooled_feature(sample, monkeypatch):
    from distill import scoring_memory

    images, labels = sample
    model = make_model().eval()
    monkeypatch.setattr(scoring_memory, "whole_bytes", lambda sizes, buffer: BUDGET - 1_500_000)
    point = scored(sample, model, oversize="auto", max_passes=1)[0]
    extent = pooled_extent((8, 16, 16), 8 * 8 * 8)
    assert extent == (8, 8)
    features = run_until(model, [point.name], images)[point.name]
    pooled = (nn.functional.adaptive_avg_pool2d(features, size) for size in range(1, 16))
    values = [knowledge_quality(feature, labels, 5000).quality for feature in pooled]
    assert point.pooled
    assert min(abs(value - point.quality) for value in values) < 1e-5


@pytest.mark.parametrize(
    ("shape", "cap", "extent"),
    [
        ((8, 16, 16), 8 * 8 * 8, (8, 8)),
        ((8, 16, 16), 8 * 63, (6, 6)),
        ((8, 15, 15), 8 * 64, (8, 8)),
        ((8, 16, 16), 1, (1, 1)),
        ((7, 7, 768), 768 * 16, (4, 4)),
        ((197, 768), 768 * 99, (99,)),
        ((512,), 100, None),
        ((512, 1, 1), 100, None),
    ],
)
def test_pooling_keeps_the_channels(shape, cap, extent):
    assert pooled_extent(shape, cap) == extent


def test_non_finite_features_name_the_layer(sample):
    model = make_model()
    with torch.no_grad():
        model[2].conv.weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(NonFiniteFeatures, match="'2'") as caught:
        scored(sample, model)
    assert caught.value.details["layer"] == "2"


def test_layers_before_a_broken_one_are_yielded(sample):
    images, labels = sample
    model = make_model()
    with torch.no_grad():
        model[2].conv.bias[0] = torch.inf
    points = score(model, discover(make_model(), images[:2]), in_batches(images), labels, 5000, BUDGET)
    assert [next(points).name, next(points).name] == ["0", "1"]


def test_one_class_is_an_error(sample):
    with pytest.raises(InvalidDataset, match="one class"):
        scored((sample[0], torch.zeros(SAMPLES, dtype=torch.long)))


@pytest.mark.parametrize("count", [SAMPLES - 7, SAMPLES + 7])
def test_labels_and_batches_must_agree(sample, count):
    labels = torch.arange(count) % CLASSES
    with pytest.raises(InvalidConfig, match="samples"):
        scored((sample[0], labels))


def test_a_budget_that_cannot_hold_is_refused_before_the_pass(sample):
    with pytest.raises(InvalidConfig, match="MiB"):
        scored(sample, memory_bytes=2**16)


def test_a_layer_that_the_model_lacks(sample):
    images, labels = sample
    model = make_model()
    layers = discover(model, images[:2])
    with pytest.raises(LayersNotFound):
        list(score(nn.Sequential(nn.Flatten()), layers, in_batches(images), labels, 5000, BUDGET))


def test_hooks_are_gone_after_an_abandoned_run(sample):
    images, labels = sample
    model = make_model()
    points = score(model, discover(model, images[:2]), in_batches(images), labels, 5000, BUDGET)
    next(points)
    points.close()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_half_precision_models_are_scored_in_their_own_precision(sample):
    images, labels = sample
    model = make_model().to(torch.bfloat16).eval()
    images = images.to(torch.bfloat16)
    (first, *_) = score(model, discover(model, images[:2]), in_batches(images), labels, 5000, BUDGET)
    features = run_until(model, [first.name], images)[first.name]
    assert features.dtype == torch.bfloat16
    assert first.quality == pytest.approx(knowledge_quality(features, labels, 5000).quality, rel=1e-3)


def test_mappings_and_tuples_are_inputs_too(sample):
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = make_model()

        def forward(self, pixels: torch.Tensor, scale: float = 1.0) -> dict[str, torch.Tensor]:
            return {"logits": self.net(pixels * scale)}

    images, labels = sample
    model = Named()
    layers = discover(model, {"pixels": images[:2]})
    by_name = list(score(model, layers, lambda: ({"pixels": x} for x in images.split(20)), labels, 5000, BUDGET))
    by_position = list(score(model, layers, lambda: ((x, 1.0) for x in images.split(20)), labels, 5000, BUDGET))
    assert [point.quality for point in by_name] == [point.quality for point in by_position]


@pytest.mark.parametrize("replicates", [1, -1])
def test_a_bootstrap_without_a_deviation_is_refused_before_any_work(replicates):
    with pytest.raises(InvalidConfig, match="no standard deviation"):
        list(score(None, [], None, torch.arange(4) % 2, 100, bootstrap=replicates))


def test_bootstrap_errors_shrink_with_the_sample():
    generator = torch.Generator().manual_seed(0)
    errors = {}
    for count in (60, 240):
        images = torch.randn(count, 3, 16, 16, generator=generator)
        labels = torch.arange(count) % CLASSES
        curve = scored((images, labels), bootstrap=20)
        errors[count] = [point.standard_error["separation"] for point in curve]
        assert set(curve[0].standard_error) == {"separation", "information", "efficiency", "quality"}
        assert curve == scored((images, labels), bootstrap=20)
    assert sum(errors[240]) < sum(errors[60])


@pytest.mark.parametrize("size", [0, -5])
def test_a_training_set_without_samples_is_refused(sample, size):
    images, labels = sample
    model = make_model()
    layers = discover(model, images[:2])
    with pytest.raises(InvalidConfig, match="training set"):
        list(score(model, layers, in_batches(images), labels, size, BUDGET))
    with pytest.raises(InvalidConfig, match="training set"):
        knowledge_quality(images, labels, size)


def test_labels_may_be_a_list(sample):
    images, labels = sample
    assert scored((images, labels.tolist())) == scored(sample)
    assert knowledge_quality(images, labels.tolist(), 5000) == knowledge_quality(images, labels, 5000)
