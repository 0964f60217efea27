"""Weights of another network of the family: which blocks, what is named, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from distill.errors import InvalidConfig
from distill.models import build, classifier, start_from
from distill.types import Architecture

VIT: dict[str, Any] = {"img_size": 16, "patch_size": 8, "embed_dim": 12, "num_heads": 2}
NEXT: dict[str, Any] = {"dims": [8, 8, 16, 16]}
DEEPER = {  # name: (student, source, a block of the student, the source's)
    "retort": (("resnet8", {"width": 4}), ("resnet20", {"width": 4}), "stages.0.0.", "stages.0.2."),
    "resnet": (
        ("timm:resnet18", {"layers": [2, 2, 1, 1], "channels": [8, 8, 16, 16], "stem_width": 8}),
        ("timm:resnet18", {"layers": [4, 2, 3, 2], "channels": [8, 8, 16, 16], "stem_width": 8}),
        "layer1.1.",
        "layer1.3.",
    ),
    "vit": (
        ("timm:vit_tiny_patch16_224", VIT | {"depth": 3}),
        ("timm:vit_tiny_patch16_224", VIT | {"depth": 7}),
        "blocks.1.",
        "blocks.3.",
    ),
    "convnext": (
        ("timm:convnext_atto", NEXT | {"depths": [1, 2, 1, 1]}),
        ("timm:convnext_atto", NEXT | {"depths": [2, 4, 2, 1]}),
        "stages.1.blocks.1.",
        "stages.1.blocks.3.",
    ),
}


def made(name: str, options: dict[str, Any], classes: int = 5, seed: int = 0, **changes: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build(Architecture(name=name, options=options | changes), classes)


def under(network: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    state = network.state_dict()
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


@pytest.mark.parametrize("family", DEEPER)
def test_every_nth_block_is_taken_and_both_ends_are_kept(family: str) -> None:
    student, source, block, there = DEEPER[family]
    network, teacher = made(*student), made(*source, seed=1)
    found = start_from(network, teacher, "teacher tch_1")
    mine, theirs = under(network, block), under(teacher, there)
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert set(found.taken) == set(network.state_dict())
    assert not found.made
    assert len(found.left) == len(teacher.state_dict()) - len(found.taken)
    assert all(name in teacher.state_dict() for name in found.left)


def test_a_single_block_is_the_last_that_fits() -> None:
    """Of a later stage only the first block takes the stage before it: the others have other shapes."""
    network, teacher = made("resnet8", {"width": 4}), made("resnet20", {"width": 4}, seed=1)
    start_from(network, teacher, "teacher")
    assert torch.equal(network.state_dict()["stages.1.0.conv1.weight"], teacher.state_dict()["stages.1.0.conv1.weight"])


def test_blocks_beyond_the_sources_stay_new() -> None:
    network, source = made("resnet14", {"width": 4}), made("resnet8", {"width": 4}, seed=1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = start_from(network, source, "the student of job_1")
    second = {name for name in before if name.startswith("stages.") and name.split(".")[2] == "1"}
    assert set(found.made) == second
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in found.made)


def test_a_head_of_other_classes_is_made_anew_and_named() -> None:
    network, source = made("resnet8", {"width": 4}, classes=3), made("resnet8", {"width": 4}, classes=7, seed=1)
    heads = classifier(Architecture(name="resnet8", options={"width": 4}))
    found = start_from(network, source, "teacher", heads)
    assert set(found.made) == set(found.left) == heads == {"head.weight", "head.bias"}
    assert "head.weight" in found.told()
    assert found.to_dict()["made"] == {"count": 2, "names": ("head.weight", "head.bias")}


def test_positions_of_another_size_of_images_are_resampled_as_timm_does() -> None:
    from timm.layers import resample_abs_pos_embed

    student, source, *_ = DEEPER["vit"]
    network, teacher = made(*student, img_size=32), made(*source, seed=1)
    found = start_from(network, teacher, "teacher")
    assert found.resampled == ("pos_embed",)
    wanted = resample_abs_pos_embed(teacher.state_dict()["pos_embed"], new_size=[4, 4], num_prefix_tokens=1)
    assert torch.equal(network.state_dict()["pos_embed"], wanted)


@pytest.mark.parametrize(
    ("student", "source", "said"),
    [
        (("resnet8", {"width": 4}), ("resnet8", {"width": 8}), "stem.conv.weight"),
        (("resnet8", {"width": 4}), ("mobilenet_v2_small", {"width": 8}), "another architecture"),
        (("timm:resnet18", {"channels": [8, 8, 8, 8]}), ("torchvision:resnet18", {}), "another architecture"),
    ],
)
def test_another_architecture_and_other_shapes_are_refused_by_name(
    student: tuple[str, dict[str, Any]], source: tuple[str, dict[str, Any]], said: str
) -> None:
    with pytest.raises(InvalidConfig) as caught:
        start_from(made(*student), made(*source), "teacher tch_1")
    assert said in caught.value.message
    assert "tch_1" in caught.value.message


def test_nothing_taken_is_an_error() -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(InvalidConfig, match="Nothing"):
        start_from(network, nn.Sequential(nn.Linear(2, 2)), "teacher", {"0.weight", "0.bias"})


PLAIN = ("retort:resnet8", {"width": 4})
OTHER = ("timm:resnet18", {"layers": [2, 1, 1, 1], "channels": [4, 8, 8, 8], "stem_width": 4})


def test_a_map_takes_what_it_names_of_any_network() -> None:
    network, source = made(*PLAIN), made(*OTHER, seed=1)
    named = {
        "stages.0.0.conv1": "layer1.1.conv1", "stages.0.0.norm1.": "layer1.1.bn1.",
        "stages.0.0.conv2.weight": "layer1.1.conv2.weight",
    }  # fmt: skip
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = start_from(network, source, "teacher tch_1", named=named)
    ours, theirs = network.state_dict(), source.state_dict()
    assert torch.equal(ours["stages.0.0.conv1.weight"], theirs["layer1.1.conv1.weight"])
    assert torch.equal(ours["stages.0.0.conv2.weight"], theirs["layer1.1.conv2.weight"])
    assert torch.equal(ours["stages.0.0.norm1.running_var"], theirs["layer1.1.bn1.running_var"])
    assert set(found.taken) == {name for name in ours if name.startswith(("stages.0.0.conv", "stages.0.0.norm1"))}
    assert set(found.made) == ours.keys() - set(found.taken)
    assert len(found.left) == len(theirs) - len(found.taken)
    assert all(torch.equal(ours[name], before[name]) for name in found.made)


def test_the_longest_prefix_counts_and_heads_are_named_or_made_anew() -> None:
    deep = ("retort:resnet14", {"width": 4})
    heads = {"head.weight", "head.bias"}
    network, source = made(*PLAIN), made(*deep, seed=1)
    found = start_from(network, source, "it", heads, {"": "", "stages.0.0": "stages.0.1"})
    assert torch.equal(under(network, "stages.0.0.")["conv1.weight"], under(source, "stages.0.1.")["conv1.weight"])
    assert set(found.made) == heads
    named = start_from(network, source, "it", heads, {"head": "head"})
    assert set(named.taken) == heads


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"nowhere": "layer1"}, "nowhere"),
        ({"stem": "nowhere"}, "nowhere"),
        ({"stages.0.0.conv": "layer1.0.conv1"}, "stages.0.0.conv"),
        ({"stages.0": "layer1"}, "stages.0"),
        ({"stem.conv": "conv1"}, "stem.conv.weight"),
        ({"stem.conv.weight": "layer1.0.bn1.weight"}, "stem.conv.weight"),
        ({"stages": "bn1"}, "Nothing"),
    ],
)
def test_a_map_that_fits_nothing_is_refused_by_name(named: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        start_from(made(*PLAIN), made(*OTHER), "it", named=named)
    assert words in caught.value.message
