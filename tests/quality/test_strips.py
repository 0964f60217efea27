"""A Gram matrix by strips gives what the whole one gives, and is what a small budget gets."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from distill.errors import InvalidConfig
from distill.quality import score
from distill.quality.bootstrap import standard_errors
from distill.quality.classes import group
from distill.quality.gram import MatrixColumns, PickedColumns
from distill.quality.kernel import Kernel, StripKernel, WholeKernel
from distill.quality.metric import KnowledgeQuality, from_kernel
from distill.quality.pairs import rounding
from distill.quality.plan import make_plan
from distill.types import Layer
from tests.quality.test_exact import CASES, COSINE, even, normal

CPU = torch.device("cpu")
Found = tuple[KnowledgeQuality, bool, dict[str, float]]


def found(
    kind: Any, features: Tensor, labels: Tensor, replicates: int = 0, together: int = 1, counted: Tensor | None = None
) -> Found:
    """Quality, whether it was refined, and standard errors."""
    classes = group(labels)
    columns: Any = MatrixColumns(features, classes.order, 8 * len(features) * 64)
    if counted is not None:
        classes, rows = classes.of(counted)
        columns = PickedColumns(columns, rows)
    kernel: Kernel = kind(columns, classes.samples, CPU)
    quality, refined = from_kernel(kernel, columns, classes, 50_000)
    geometry = kernel.centred() if refined else kernel
    errors = standard_errors(kernel, geometry, classes, 50_000, replicates, 3, together) if replicates else {}
    return quality, refined, errors


def same(strips: Found, whole: Found, rel: float, distance: float = 0.0) -> None:
    """Equal to `rel`, or to what the rounding of cosines near 1 makes of S, I and Q; standard errors also to that of a
    distance, an efficiency of `distance`: replicates are not refined, and may lack a near-duplicate of all samples."""
    per_nat = COSINE * whole[0].entropy / math.log(5)
    allowed = dict.fromkeys(("separation", "intra", "inter", "minimum_similarity"), COSINE)
    allowed |= {"information": per_nat, "quality": COSINE + math.sqrt(per_nat * whole[0].efficiency)}
    drawn = {name: getattr(whole[0], name) + 3 * whole[2].get(name, 0.0) for name in ("efficiency", "information")}
    quality = COSINE + math.sqrt(per_nat * drawn["efficiency"]) + math.sqrt(drawn["information"] * distance)
    of_errors = allowed | {"efficiency": 1e-15 + distance, "quality": quality}
    for ours, theirs, most in ((asdict(strips[0]), asdict(whole[0]), allowed), (strips[2], whole[2], of_errors)):
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, rel=rel, abs=most.get(name, 1e-15)), name


@pytest.mark.parametrize("height", [1, 7, 32, 1000])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_strips_of_any_height_give_the_whole_values(case, height):
    features, labels = case()
    ours = found(partial(StripKernel, height=min(height, len(labels))), features, labels)
    theirs = found(WholeKernel, features, labels)
    assert ours[1] == theirs[1]
    same(ours, theirs, 1e-9)


@st.composite
def samples(draw):
    """Classes of very different sizes, far from the origin or not, and a few near-duplicates of other classes."""
    sizes = draw(st.lists(st.sampled_from([1, 2, 5, 23]), min_size=2, max_size=6))
    labels = torch.cat([torch.full((size,), c) for c, size in enumerate(sizes)])
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    features = torch.randn(len(labels), draw(st.integers(1, 90)), generator=generator, dtype=torch.float64)
    features = draw(st.sampled_from([0.0, 3.0, 1e4])) + features * draw(st.sampled_from([1.0, 1e-3]))
    if draw(st.booleans()):
        features[0] = features[-1] + 1e-9
    counted = torch.rand(len(labels), generator=generator) < 0.7 if draw(st.booleans()) else None
    if counted is not None:
        counted[[int((labels == c).nonzero()[0]) for c in range(2)]] = True
    return features, labels, counted, draw(st.integers(1, len(labels)))


@settings(max_examples=30, deadline=None)
@given(samples(), st.sampled_from([0, 5]), st.integers(1, 5))
def test_of_some_rows_and_with_a_bootstrap_too(drawn, replicates, together):
    features, labels, counted, height = drawn
    rows = len(labels) if counted is None else int(counted.sum())
    strips = partial(StripKernel, height=min(height, rows))
    ours = found(strips, features, labels, replicates, together, counted)
    theirs = found(WholeKernel, features, labels, replicates, max(replicates, 1), counted)
    same(ours, theirs, 3e-5, rounded_distance(features if counted is None else features[counted], theirs[0]))


def rounded_distance(features: Tensor, quality: KnowledgeQuality) -> float:
    """The efficiency of a distance that is nothing but the rounding of centred Gram matrices."""
    rows, dims = features.shape
    largest = float((features - features.mean(0)).square().sum(1).max())
    distance = math.sqrt(4 * rounding(dims) * largest)
    return 2 * distance / quality.mean_norm * (50_000 / math.pi) ** (1 / min(rows, dims))


MIB = 2**20
SAMPLES = 3000


def plan(memory: int, oversize: Any = "auto", bootstrap: int = 0, side: int = 8, **more: Any) -> Any:
    """Of two layers, (8, side, side) and (8,) in float32, of 3,000 samples in 30 classes."""
    layers = [Layer("a", 0, 0.5, "block", (8, side, side)), Layer("b", 1, 1.0, "block", (8,))]
    classes = group(even(SAMPLES, 30))
    return make_plan(layers, [4, 4], classes, lambda budget: 0, memory, oversize, 8, bootstrap, **more)


def test_whole_matrices_where_they_fit_and_strips_where_they_do_not():
    large, small = plan(400 * MIB), plan(200 * MIB)
    assert (large.matrix.height, large.matrix.strips, large.passes) == (None, 1, 1)
    assert small.matrix.strips >= 8
    assert small.matrix.height == -(-SAMPLES // small.matrix.strips)
    assert small.passes == 1  # features that fit are read from memory, however often


def test_a_layer_of_several_passes_takes_them_for_every_reading():
    blocks = plan(200 * MIB, "blocks", side=64)
    pieces = blocks.groups[0][0].pieces
    assert pieces > 1
    assert blocks.passes == pieces * (1 + blocks.matrix.strips + 1) + 1  # diagonal, strips and class blocks
    assert plan(200 * MIB, "blocks", 100, side=64).passes > blocks.passes
    pooled = plan(200 * MIB, side=64)
    assert pooled.groups[0][0].extent is not None
    assert pooled.passes <= 8


@pytest.mark.parametrize("bootstrap", [0, 50])
def test_what_is_refused_fits_in_the_budget_that_the_refusal_names(bootstrap):
    with pytest.raises(InvalidConfig) as refused:
        plan(64 * MIB, bootstrap=bootstrap)
    needed = refused.value.details["needed_bytes"]
    assert 64 * MIB < needed < 16 * SAMPLES**2 + 96 * MIB
    assert plan(needed, bootstrap=bootstrap).matrix.strips > 1
    with pytest.raises(InvalidConfig):
        plan(needed - 1, bootstrap=bootstrap)


def test_a_curve_by_strips_is_that_of_whole_matrices_with_layers_in_pieces_too():
    """The same values and standard errors of the same draws, and as many passes as planned."""
    labels, features = even(1500, 30), normal(1500, 1200).float()
    network, layers = torch.nn.Sequential(torch.nn.Identity()), [Layer("0", 0, 1.0, "named", (1200,))]
    passes: list[int] = []

    def batches() -> Any:
        passes.append(1)
        return iter(features.split(500))

    def curve(memory: int, oversize: Any) -> Any:
        passes.clear()
        return next(score(network, layers, batches, labels, 50_000, memory, bootstrap=4, seed=5, oversize=oversize))

    whole = curve(400 * MIB, "auto")
    assert len(passes) == 2  # the first batch is tried
    reads = 1 + (8 + 1) * 2  # diagonal; strips and class blocks, and again for the replicates
    for memory, times in ((130 * MIB, 1), (112 * MIB, 2 * reads)):
        strips = curve(memory, "blocks")
        assert len(passes) == 1 + times
        assert not strips.pooled
        for name in ("separation", "information", "efficiency", "quality", "nearest_distance", "entropy"):
            assert getattr(strips, name) == pytest.approx(getattr(whole, name), rel=1e-9)
        assert strips.standard_error == pytest.approx(whole.standard_error, rel=1e-9)
