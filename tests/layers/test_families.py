"""Discovery on real architectures with random weights: every family, and the numbering of docs/methods.md."""

from __future__ import annotations

import gc
from collections import Counter

import pytest
import torch

from benchmarks.quality.families import NAMES, build
from distill import torchvision_shim  # noqa: F401
from distill.layers import discover, run_until

pytestmark = pytest.mark.long

FAST = {
    *("timm:resnet18", "timm:mobilenetv3_small_050", "timm:lcnet_035", "timm:convnext_atto", "timm:regnetx_002"),
    *("timm:vit_tiny_patch16_224", "timm:ghostnet_050", "timm:repghostnet_050", "timm:pvt_v2_b0", "timm:nf_regnet_b0"),
    *("timm:edgenext_xx_small", "timm:mobilevit_xxs", "timm:efficientvit_b0", "timm:starnet_s1", "timm:resnest14d"),
    *("torchvision:squeezenet1_1", "torchvision:shufflenet_v2_x0_5", "torchvision:mnasnet0_5"),
    *("torchvision:densenet121", "torchvision:googlenet", "torchvision:regnet_y_400mf"),
}
PARAMETERS = [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in NAMES]


@pytest.fixture(autouse=True)
def _free():
    yield
    gc.collect()


@pytest.mark.parametrize("name", PARAMETERS)
def test_family(name):
    model, images = build(name)
    layers = discover(model, images)
    assert 5 <= len(layers) <= 60
    assert [layer.index for layer in layers] == list(range(len(layers)))
    assert layers[-1].relative_depth == 1
    assert len({layer.name for layer in layers}) == len(layers)
    assert_order_and_shapes(model.eval(), images, layers)


def assert_order_and_shapes(model, images, layers):
    """Names resolve, run in the given order, and give the shapes that discovery says, none of them the logits."""
    order, shapes = [], {}

    def note(name, feature):
        order.append(name)
        shapes[name] = tuple(feature.shape[1:])

    from distill.layers import capture

    with torch.no_grad(), capture(model, [layer.name for layer in reversed(layers)], sink=note):
        logits = model(images)
    assert order == [layer.name for layer in layers]
    assert shapes == {layer.name: layer.shape for layer in layers}
    deepest = layers[-1]
    feature = run_until(model, [deepest.name], images)[deepest.name]
    assert feature.shape != logits.shape or not torch.equal(feature, logits)


def kinds(model, size):
    return Counter(layer.kind for layer in discover(model, torch.randn(2, 3, size, size)))


def sequence(model, size):
    return [layer.kind for layer in discover(model, torch.randn(2, 3, size, size))]


def timm_model(name):
    import timm

    return timm.create_model(name, pretrained=False)


def torchvision_model(name):
    from torchvision.models import get_model

    return get_model(name, weights=None)


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("make", [timm_model, torchvision_model])
def test_resnet34_has_a_stem_sixteen_blocks_and_the_pooled_feature(make, size):
    assert sequence(make("resnet34"), size) == ["stem", *["block"] * 16, "pooled"]


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize(("make", "name"), [(timm_model, "mobilenetv2_100"), (torchvision_model, "mobilenet_v2")])
def test_mobilenetv2_has_a_stem_seventeen_blocks_the_last_activation_and_the_pooled_feature(make, name, size):
    assert sequence(make(name), size) == ["stem", *["block"] * 17, "activation", "pooled"]


@pytest.mark.parametrize("make", [timm_model, torchvision_model])
def test_vgg19_has_sixteen_activations_the_flattened_feature_and_two_activations(make):
    assert sequence(make("vgg19"), 32) == [*["activation"] * 16, "flatten", *["activation"] * 2]


@pytest.mark.parametrize(("make", "name"), [(timm_model, "vit_base_patch16_224"), (torchvision_model, "vit_b_16")])
def test_vit_b_has_the_patch_input_and_twelve_blocks(make, name):
    assert sequence(make(name), 224) == ["stem", *["block"] * 12]


def test_names_found_at_one_size_are_captured_at_another():
    model = timm_model("resnet18").eval()
    layers = discover(model, torch.randn(1, 3, 32, 32))
    assert [layer.name for layer in discover(model, torch.randn(1, 3, 96, 96))] == [layer.name for layer in layers]
    features = run_until(model, [layer.name for layer in layers], torch.randn(2, 3, 96, 96))
    assert features["layer1.0"].shape == (2, 64, 24, 24)
