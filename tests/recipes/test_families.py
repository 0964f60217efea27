"""The gradient guarantee, and every recipe, on real architecture families (tiny, random weights), by gradients."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill import losses, recipes
from distill.errors import InvalidConfig
from distill.layers import capture, discover
from distill.models import build
from distill.recipe_parts.base import Setup
from distill.types import Architecture, Layer
from tests.recipes.nets import CLASSES, SAMPLES, labels, targets_of
from tests.recipes.soon import soon

N = 4
# Family -> (architecture, options, side in pixels)
FAMILIES: dict[str, tuple[str, dict[str, Any], int]] = {
    "resnet": ("timm:resnet10t", {}, 32),
    "small_resnet": ("retort:resnet8", {"width": 4}, 16),
    "vgg": ("retort:vgg11_small", {"width": 4}, 32),
    "mobilenetv2": ("timm:mobilenetv2_035", {}, 32),
    "mobilenetv3": ("timm:mobilenetv3_small_050", {}, 32),
    "densenet": ("timm:densenet121", {"growth_rate": 4, "block_config": [1, 2, 2, 1]}, 32),
    "vit": (
        "timm:vit_tiny_patch16_224",
        {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2},
        32,
    ),
    "convnext": ("timm:convnext_atto", {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]}, 32),
    "efficientnet": ("timm:efficientnet_lite0", {}, 32),
    "swin": (
        "timm:swin_tiny_patch4_window7_224",
        {"img_size": 64, "window_size": 4, "embed_dim": 12, "depths": [1, 1, 1], "num_heads": [1, 2, 2]},
        64,
    ),
    "regnet": ("timm:regnetx_002", {}, 32),
}


def _inputs(side: int, n: int = N) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(side))


def _construct(family: str) -> nn.Module:
    import timm

    name, options, _ = FAMILIES[family]
    torch.manual_seed(0)
    if name.startswith("timm:"):
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        model: nn.Module = timm.create_model(name[5:], num_classes=CLASSES, **options)
        return model
    return build(Architecture(name=name, options=options), CLASSES, image_size=FAMILIES[family][2])


@cache
def _layers(family: str) -> tuple[Layer, ...]:
    return tuple(discover(_construct(family), _inputs(FAMILIES[family][2], 2)))


def _chosen(family: str, count: int = 3) -> list[Layer]:
    """`count` layers spread evenly, the last one the deepest block or, in plain networks, the deepest layer."""
    layers = _layers(family)
    last = max((i for i, layer in enumerate(layers) if layer.kind == "block"), default=len(layers) - 1)
    return [layers[round((last + 1) * (i + 1) / count) - 1] for i in range(count)]


def _setup(student: str, teacher: str, student_layers: list[Layer] | None = None) -> Setup:
    s, t = student_layers or _chosen(student), _chosen(teacher)
    t = t[-len(s) :]
    return Setup(
        student=_construct(student),
        teacher=_construct(teacher),
        num_classes=CLASSES,
        student_layers=tuple(layer.name for layer in s),
        teacher_layers=tuple(layer.name for layer in t),
        student_shapes=tuple(layer.shape for layer in s),
        teacher_shapes=tuple(layer.shape for layer in t),
        student_example=_inputs(FAMILIES[student][2], 2),
        teacher_example=_inputs(FAMILIES[teacher][2], 2),
        indices=tuple(range(SAMPLES)),
    )


def _step(recipe: Any, student: str, teacher: str, y: Tensor) -> dict[str, Tensor]:
    targets = targets_of(recipe, _inputs(FAMILIES[teacher][2]))
    parts: dict[str, Tensor] = recipe(_inputs(FAMILIES[student][2]), y, targets)
    return parts


def _at_or_before(setup: Setup) -> set[str]:
    """Parameters that a distilled feature depends on, found without the recipe."""
    named = list(setup.student.named_parameters())
    with capture(setup.student, setup.student_layers) as features:
        setup.student(setup.student_example)
    total = torch.stack([features[name].sum() for name in setup.student_layers]).sum()
    gradients = torch.autograd.grad(total, [p for _, p in named], allow_unused=True)
    return {name for (name, _), g in zip(named, gradients, strict=True) if g is not None}


def _gradients(recipe: Any, student: str, teacher: str, y: Tensor) -> dict[str, Tensor]:
    recipe.zero_grad()
    recipe.eval()  # running statistics and stochastic depth must not tell the two passes apart
    _step(recipe, student, teacher, y)["loss"].backward()
    return {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in recipe.student.named_parameters()}


@pytest.mark.parametrize("deepest", ["block", "last"])
@pytest.mark.parametrize("family", FAMILIES)
def test_feature_only_keeps_labels_from_the_backbone(family: str, deepest: str) -> None:
    """Changing the labels changes the gradient of no parameter at or before the deepest distilled layer, and of
    every one after it; dropping the head's term leaves the former as they were, to the bit."""
    teacher = "vgg" if family == "small_resnet" else "small_resnet"  # of itself there is nothing to learn
    chosen = None if deepest == "block" else [_layers(family)[0], _layers(family)[-1]]
    recipe = recipes.get("feature_only")(_setup(family, teacher, chosen))
    setup = _setup(family, teacher, chosen)
    backbone = _at_or_before(setup)
    assert backbone
    a, b = (_gradients(recipe, family, teacher, y) for y in (labels(N), (labels(N) + 1) % CLASSES))
    recipe.head_weight = 0.0
    c = _gradients(recipe, family, teacher, labels(N))
    moved = {name for name in a if not torch.equal(a[name], b[name])}
    assert moved.isdisjoint(backbone)
    heads = {name for name in a if name not in backbone}
    assert heads
    assert any(name in moved for name in heads)
    assert all(torch.equal(a[name], c[name]) for name in backbone)
    assert not any(c[name].any() for name in heads)
    assert any(bool(a[name].any()) for name in backbone)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        soon(name, family, now=family in ("mobilenetv2", "swin"))
        for name in recipes.without("needs_regions")
        for family in FAMILIES
        if family != "small_resnet"
    ],
)
def test_every_recipe_trains_every_family_and_leaves_the_teacher_alone(name: str, family: str) -> None:
    """The family is the student once and the teacher once."""
    for student, teacher in ((family, "small_resnet"), ("small_resnet", family)):
        recipe = recipes.get(name)(_setup(student, teacher)).train()
        before = {k: v.clone() for k, v in recipe.teacher.state_dict().items()}
        parts = _step(recipe, student, teacher, labels(N))
        parts["loss"].backward()
        assert parts["loss"].isfinite()
        assert all(p.grad is None or p.grad.isfinite().all() for p in recipe.parameters())
        assert any(p.grad is not None and bool(p.grad.any()) for p in recipe.student.parameters())
        assert all(torch.equal(v, before[k]) for k, v in recipe.teacher.state_dict().items())
        assert list(recipe.exported().state_dict()) == list(_construct(student).state_dict())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("loss", losses.names())
def test_student_equal_to_teacher_has_no_feature_loss(loss: str, family: str) -> None:
    """Projectors of equal widths begin as the identity."""
    given = _setup(family, family)
    if losses.get(loss).by_channel and any(1 in (len(s), math.prod(s[1:])) for s in given.student_shapes):
        with pytest.raises(InvalidConfig):  # a layer of one position, said before any work
            recipes.get("feature_only")(given, feature_loss=loss)
        return
    recipe = recipes.get("feature_only")(given, feature_loss=loss).eval()
    y = labels(N)
    x = _inputs(FAMILIES[family][2])
    assert recipe(x, y, recipe.targets(x))["feature"].item() == pytest.approx(0, abs=2e-6)


def test_a_layer_inside_a_dense_block_is_refused() -> None:
    model = _construct("densenet")
    inner = "features.denseblock2.denselayer1"
    [layer] = discover(model, _inputs(32, 2), names=[inner])
    setup = _setup("densenet", "small_resnet", [layer])
    for name in ("feature_only", "simkd"):
        with pytest.raises(InvalidConfig):
            recipes.get(name)(setup)
