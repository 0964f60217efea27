"""Networks of every library and family: forward shapes, channels, sizes, save and load."""

from __future__ import annotations

import pytest
import timm
import torch

from distill import models
from distill.errors import InvalidConfig
from distill.models.build import skeleton
from distill.models.measure import measure
from distill.models.names import family, resolve
from distill.models.small import FAMILY
from distill.types import Architecture

TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2, "patch_size": 4}
CASES = [
    ("retort:resnet8", {"width": 4}, 1, 28),
    ("retort:resnet9", {"width": 4}, 3, 32),
    ("retort:resnet18_small", {"width": 4}, 3, 20),
    ("retort:vgg11_small", {"width": 4}, 1, 32),
    ("retort:mobilenet_v2_small", {"width": 8}, 1, 32),
    ("timm:resnet18", {"channels": [4, 8, 8, 8], "layers": [1, 1, 1, 1]}, 1, 32),
    ("timm:vit_tiny_patch16_224", TINY, 1, 28),
    ("timm:convnext_atto", {"dims": [8, 8, 8, 8], "depths": [1, 1, 1, 1]}, 3, 32),
    ("timm:mobilenetv2_035", {}, 3, 32),
    (
        "timm:swin_tiny_patch4_window7_224",
        {"embed_dim": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1], "window_size": 2},
        3,
        64,
    ),
    ("torchvision:resnet18", {}, 1, 32),
    ("torchvision:mobilenet_v2", {"width_mult": 0.1}, 1, 32),
    ("torchvision:regnet_y_400mf", {}, 3, 32),
    ("torchvision:shufflenet_v2_x0_5", {}, 3, 32),
    ("torchvision:googlenet", {}, 3, 64),
    ("torchvision:squeezenet1_1", {}, 1, 48),
]


@pytest.mark.parametrize(("name", "options", "channels", "size"), CASES, ids=[case[0] for case in CASES])
def test_build_save_check_load(tmp_path, name, options, channels, size):
    architecture = Architecture(name=name, options=options)
    network = models.build(architecture, 5, channels, size)
    x = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))
    assert network(x).shape == (2, 5)
    path = tmp_path / "w.safetensors"
    models.save(network.eval(), path, {"architecture": architecture.model_dump_json()})
    report = models.check(architecture, path)
    assert (report.num_classes, report.in_channels) == (5, channels)
    assert report.parameters == sum(p.numel() for p in network.parameters())
    assert report.metadata["architecture"] == architecture.model_dump_json()
    state = torch.random.get_rng_state()
    loaded = models.load(architecture if "swin" not in name else models.pin(architecture, size), path)
    assert torch.equal(state, torch.random.get_rng_state())
    assert not loaded.training
    torch.testing.assert_close(loaded(x), network(x), rtol=0, atol=0)
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_build_depends_on_the_global_seed_alone():
    def weights():
        torch.manual_seed(3)
        return models.build(Architecture(name="retort:resnet8"), 10).state_dict()

    first, second = weights(), weights()
    assert all(torch.equal(first[name], second[name]) for name in first)


# He et al. 2016, table 6: 0.27, 0.46, 0.66, 0.85 million for n = 3, 5, 7, 9; exact counts are pinned.
COUNTS = {"resnet20": 269_722, "resnet32": 464_154, "resnet44": 658_586, "resnet56": 853_018, "resnet8": 75_290}
COUNTS |= {"resnet14": 172_506, "resnet18_small": 11_173_962, "resnet34_small": 21_282_122}


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts(name):
    network = skeleton(Architecture(name=f"retort:{name}"), 10)
    assert sum(p.numel() for p in network.parameters()) == COUNTS[name]


@pytest.mark.parametrize("name", FAMILY)
def test_own_family_at_32(name):
    architecture = Architecture(name=f"retort:{name}", options={"width": 8})
    network = models.build(architecture, 7)
    x = torch.randn(2, 3, 32, 32)
    network(x).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert family(f"retort:{name}") in ("resnet", "vgg", "mobilenetv2")


def test_pad_shortcut_against_the_paper():
    """Option A: every second pixel, new channels zero."""
    from distill.models.small import PadShortcut

    x = torch.randn(2, 3, 6, 6)
    out = PadShortcut(3, 5, 2)(x)
    assert torch.equal(out[:, :3], x[:, :, ::2, ::2])
    assert not out[:, 3:].any()


def test_pin():
    vit, cnn = Architecture(name="timm:vit_tiny_patch16_224"), Architecture(name="timm:resnet18")
    assert models.pin(vit, 32).options == {"img_size": 32}
    assert models.pin(vit, (32, 32)).options == {"img_size": 32}
    assert models.pin(vit, None) is vit
    assert models.pin(cnn, 32) is cnn
    assert models.pin(Architecture(name="torchvision:vit_b_16"), 64).options == {"image_size": 64}
    given = Architecture(name="timm:vit_tiny_patch16_224", options={"img_size": 48})
    assert models.pin(given, 32) is given


TOO_LARGE = {"timm:vit_7b_patch16_dinov3"}
SIZED = (
    "timm:tiny_vit_5m_224",
    "timm:resnet18",
    "timm:caformer_s18",
    "timm:levit_128s",
    "timm:swiftformer_xs",
    "torchvision:resnet18",
    "retort:resnet8",
)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in SIZED else pytest.mark.slow) for n in models.names()]
)
def test_a_size_among_the_options_is_taken_whatever_the_constructor_takes(name):
    """The side of the input is an option of every network; constructors of networks of any size have no argument."""
    option = {"timm": "img_size", "torchvision": "image_size"}.get(resolve(name).library)
    if option is None:
        with pytest.raises(InvalidConfig, match="takes no option 'img_size'"):
            skeleton(Architecture(name=name, options={"img_size": 32}), 7)
        return
    own = models.preprocessing(Architecture(name=name)).size[0]
    for size in (own, 2 * own):
        if name in TOO_LARGE:
            with pytest.raises(InvalidConfig, match="parameters"):
                skeleton(Architecture(name=name, options={option: size}), 7)
            continue
        network = skeleton(Architecture(name=name, options={option: size}), 7)
        assert all(parameter.is_meta for parameter in network.parameters())
        assert models.preprocessing(Architecture(name=name, options={option: size})).size == (size, size)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("timm:resnet18", "embed_dim", 8),
        ("torchvision:resnet18", "width_mult", 0.5),
        ("timm:tiny_vit_5m_224", "dims", 8),
    ],
)
def test_an_option_that_the_constructor_lacks_is_refused_by_name(name, option, value):
    with pytest.raises(InvalidConfig) as caught:
        models.build(Architecture(name=name, options={option: value}), 5)
    assert caught.value.details == {"architecture": name, "option": option}
    assert caught.value.message == f"{name} takes no option {option!r}."


@pytest.mark.parametrize("options", [{}, {"img_size": 64}])
def test_a_network_of_one_size_says_which(options):
    """EfficientFormer takes `img_size` and ignores it: its attention is over the 49 positions of 224 x 224."""
    with pytest.raises(InvalidConfig) as caught:
        measure(Architecture(name="timm:efficientformer_l1", options=options), 5, image_size=64)
    assert caught.value.details["own"] == [224, 224]
    assert "224" in caught.value.remedy


@pytest.mark.slow
def test_every_timm_module_has_a_skeleton_whose_classes_can_be_told():
    first = {}
    for name in timm.list_models():
        first.setdefault(family(f"timm:{name}"), name)
    for name in first.values():
        shapes = [
            {k: tuple(v.shape) for k, v in skeleton(Architecture(name=f"timm:{name}"), n).state_dict().items()}
            for n in (7, 11)
        ]
        assert any(a != shapes[1][k] and a[0] == 7 for k, a in shapes[0].items()), name


@pytest.mark.slow
def test_every_torchvision_classifier_has_a_skeleton():
    for name in models.names():
        if resolve(name).library == "torchvision":
            network = skeleton(Architecture(name=name), 7, 4)
            assert all(p.is_meta for p in network.parameters()), name
