"""Preprocessing from each library's configuration; cost by hand; devices; the torchvision shim."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from distill import models
from distill.device import resolve_device
from distill.errors import InvalidConfig
from distill.models.small import FAMILY
from distill.types import Architecture


def preprocessing(name, *args, options=None, **kwargs):
    return models.preprocessing(Architecture(name=name, options=options or {}), *args, **kwargs)


def test_of_each_library():
    timm = preprocessing("timm:resnet34.a1_in1k")
    assert (timm.mean, timm.size, timm.interpolation, timm.crop) == ((0.485, 0.456, 0.406), (224, 224), "bicubic", 0.95)
    vit = preprocessing("timm:vit_base_patch16_224")
    assert vit.mean == (0.5, 0.5, 0.5)
    torchvision = preprocessing("torchvision:resnet50")
    assert (torchvision.size, torchvision.interpolation) == ((224, 224), "bilinear")
    assert torchvision.std == (0.229, 0.224, 0.225)
    assert preprocessing("torchvision:inception_v3").size == (299, 299)
    assert preprocessing("retort:resnet8").size == (32, 32)


@pytest.mark.parametrize("backbone", ["resnet18", "tf_efficientnet_lite0", "timm:vit_tiny_patch16_224.augreg_in21k"])
def test_a_pyramid_sees_images_with_the_numbers_of_its_backbone(backbone: str):
    pyramid, own = preprocessing("retort:fpn", options={"backbone": backbone}), preprocessing(backbone)
    assert (pyramid.mean, pyramid.std, pyramid.size) == (own.mean, own.std, (256, 256))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_torchvisions_weights_that_normalise_once_more_see_what_they_were_trained_on(name):
    """Their trained networks have `transform_input`, which a state dict does not tell: folded into mean and std."""
    from torchvision.models import get_model_weights

    how, weights = preprocessing(f"torchvision:{name}"), get_model_weights(name).DEFAULT
    image, theirs = torch.rand(3, 8, 8), weights.transforms()
    column = {"mean": torch.tensor(theirs.mean)[:, None, None], "std": torch.tensor(theirs.std)[:, None, None]}
    module = models.build(Architecture(name=f"torchvision:{name}"), 2)
    module.transform_input = True
    wanted = module._transform_input(((image - column["mean"]) / column["std"])[None])[0]
    mean, std = (torch.tensor(values)[:, None, None] for values in (how.mean, how.std))
    torch.testing.assert_close((image - mean) / std, wanted)


def test_every_name_has_one():
    for name in models.names():
        found = preprocessing(name)
        assert len(found.mean) == len(found.std) == found.channels == 3
        assert min(found.std) > 0
        assert 0 < found.crop <= 1


@pytest.mark.parametrize("name", sorted(FAMILY))
@pytest.mark.parametrize("side", [8, 28])
def test_small_networks_can_work_on_the_datasets_own_size(name, side):
    architecture = Architecture(name=f"retort:{name}", options={"width": 4})
    how = models.preprocessing(architecture, native_size=(side, side), channels=1)
    network = models.build(architecture, 3, 1, how.size).eval()
    assert network(torch.zeros(1, 1, *how.size)).shape == (1, 3)


def test_an_image_too_small_for_the_network_is_refused():
    assert preprocessing("retort:vgg11_small", native_size=(28, 40)).size == (32, 40)
    with pytest.raises(InvalidConfig, match="at least 32"):
        preprocessing("retort:vgg11_small", 28)


def test_sizes():
    assert preprocessing("retort:resnet8", native_size=(28, 28)).size == (28, 28)
    assert preprocessing("retort:resnet8", native_size=96).size == (96, 96)
    assert preprocessing("timm:resnet18", native_size=(28, 28)).size == (224, 224)
    assert preprocessing("timm:resnet18", 64, native_size=(28, 28)).size == (64, 64)
    assert preprocessing("timm:vit_tiny_patch16_224", options={"img_size": 48}).size == (48, 48)


def test_channels():
    one = preprocessing("timm:resnet18", channels=1)
    assert one.mean == pytest.approx(((0.485 + 0.456 + 0.406) / 3,))
    assert one.channels == len(one.std) == 1


def test_cost_by_hand():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 16, 10))
    found = models.cost(network.train(), torch.randn(4, 3, 4, 4))
    assert found.parameters == 3 * 8 * 9 + 8 + 16 + 8 * 16 * 10 + 10
    assert found.flops == 2 * (3 * 8 * 9 * 16) + 2 * (8 * 16 * 10)
    assert found.bytes == 4 * (found.parameters + 16) + 8
    assert network.training


def test_resnet20_cost_is_the_papers():
    """He et al.: 40.8 million multiply-adds for ResNet-20 at 32 x 32, so 81.6 MFLOP; ours 81.1 without shortcuts."""
    found = models.cost(models.build(Architecture(name="retort:resnet20"), 10), torch.randn(1, 3, 32, 32))
    assert found.flops == 81_102_080


def test_devices():
    device, reason = resolve_device("auto")
    assert device.type in ("cpu", "cuda")
    assert reason
    assert resolve_device("cpu")[0] == torch.device("cpu")
    for name in ("tpu", "cuda:x", "cuda:99", "cuda:-1", "", "cuda:"):
        if name == "cuda:" and torch.cuda.is_available():
            continue
        with pytest.raises(InvalidConfig):
            resolve_device(name)


def test_torchvision_works_beside_this_torch():
    import torchvision

    assert torchvision.models.get_model("mobilenet_v3_small", num_classes=3)(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
