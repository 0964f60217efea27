"""Structured pruning: what is left computes what the dead channels leave of the whole, and is built again without the
graph, the teacher or a pickle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from distill.errors import InvalidConfig
from distill.models import build, check, load, save, settled
from distill.models.pruning import cut
from distill.pruned import BLOCKS, RATIO, ROUND_TO, SHARE, WIDTHS, architecture_of, split
from distill.types import Architecture

VIT = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "num_heads": 4, "depth": 2}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "zero-padded shortcuts": ("retort:resnet8", {"width": 8}),
    "projected shortcuts": ("retort:resnet9", {"width": 8}),
    "flattened": ("retort:vgg11_small", {"width": 8}),
    "depthwise": ("retort:mobilenet_v2_small", {"width": 8}),
    "timm": ("timm:resnet18", {"layers": [1, 1, 1, 1], "channels": [8, 8, 16, 16], "stem_width": 8}),
    "attention": ("timm:vit_tiny_patch16_224", VIT),
    "norms of layers": ("timm:convnext_atto", {"dims": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}),
    "transformers": ("transformers:resnet", {"hidden_sizes": [8, 16], "depths": [1, 1], "embedding_size": 8}),
}
SIZE = {"attention": 16, "a stage that is no list": 64}
GROUPED = {"layers": [1, 1, 1, 1], "channels": [8, 8, 16, 16], "stem_width": 8, "cardinality": 4, "base_width": 32}
WIDE: dict[str, tuple[str, dict[str, Any]]] = {
    "grouped": ("timm:resnext50_32x4d", GROUPED),
    "concatenated beside a shortcut": ("timm:ghostnet_050", {}),
}


def whole(case: str) -> tuple[Architecture, int]:
    name, options = (CASES | WIDE)[case]
    return Architecture(name=name, options=options), SIZE.get(case, 32)


def answers(network: nn.Module, x: Tensor) -> Tensor:
    with torch.no_grad():
        found = network.eval()(x)
    logits: Tensor = getattr(found, "logits", found)
    return logits


@pytest.mark.parametrize("case", CASES)
def test_what_is_left_computes_what_the_whole_does_without_its_dead_channels(case: str) -> None:
    """A network of the pruned widths is put among zeros into the whole one: pruned by magnitude it comes out again."""
    base, size = whole(case)
    architecture = settled(architecture_of(base, 0.5, round_to=1), 3, size)
    torch.manual_seed(0)
    small, large = build(architecture, 5, 3, size), build(base, 5, 3, size)
    _settle_norms(small)
    inside = small.state_dict()
    state = {name: _among_zeros(name, inside[name], tensor) for name, tensor in large.state_dict().items()}
    large.load_state_dict(state)
    found = cut(large, architecture, "magnitude", torch.zeros(1, 3, size, size))
    assert all(torch.equal(tensor, inside[name]) for name, tensor in found.state_dict().items())
    if not any(isinstance(each, nn.LayerNorm) for each in large.modules()):  # whose statistics are over all channels
        x = torch.randn(3, 3, size, size)
        torch.testing.assert_close(answers(found, x), answers(large, x), rtol=1e-4, atol=1e-5)
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in large.parameters())


def _settle_norms(network: nn.Module) -> None:
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_mean", "running_var")):
            tensor.uniform_(0.5, 1.5)


def _among_zeros(name: str, small: Tensor, large: Tensor) -> Tensor:
    """Of queries, keys and values the first heads of each; else the first channels."""
    if small.shape == large.shape:
        return small.clone()
    found = torch.zeros_like(large)
    parts = 3 if ".qkv." in name else 1
    for ours, theirs in zip(small.chunk(parts), found.chunk(parts), strict=True):
        theirs[tuple(slice(0, n) for n in ours.shape)] = ours
    return found


@pytest.mark.parametrize("case", [*CASES, *WIDE])
def test_a_larger_ratio_leaves_less_of_every_network(case: str) -> None:
    """Up to the last multiple of `round_to`: a layer that would have none left is not left whole instead."""
    base, size = whole(case)
    found = [settled(architecture_of(base, ratio), 3, size) for ratio in (0.99, 0.9, 0.5)]
    sizes = [sum(p.numel() for p in build(each, 5, 3, size).parameters()) for each in (*found, base)]
    assert sizes[0] <= sizes[1] < sizes[2] < sizes[3]
    for name, layer in build(found[0], 5, 3, size).named_modules():
        if isinstance(layer, nn.Conv2d) and layer.groups not in (1, layer.out_channels):
            assert layer.out_channels == 4, name  # of 4 groups one each


@pytest.mark.parametrize("case", WIDE)
@pytest.mark.parametrize("seed", [0, 1])
def test_weights_do_not_decide_how_wide_a_layer_becomes(case: str, seed: int) -> None:
    base, size = whole(case)
    architecture = settled(architecture_of(base, 0.5), 3, size)
    torch.manual_seed(seed)
    found = cut(build(base, 2, 3, size), architecture, "magnitude", torch.zeros(1, 3, size, size))
    again = build(architecture, 2, 3, size)
    again.load_state_dict(found.state_dict())
    x = torch.randn(2, 3, size, size)
    assert torch.equal(answers(found, x), answers(again, x))


def test_channels_of_small_scales_go_where_batch_norms_decide() -> None:
    base = Architecture(name="retort:resnet9", options={"width": 4})
    architecture = settled(architecture_of(base, 0.5, round_to=1), 1, 8)
    torch.manual_seed(0)
    network = build(base, 3, 1, 8)
    norm = network.stages[0][0].norm1  # type: ignore[union-attr, index]
    norm.weight.data.copy_(torch.tensor([0.1, 2.0, 0.2, 3.0]))  # type: ignore[union-attr, operator]
    found = cut(network, architecture, "bn_scale", torch.zeros(1, 1, 8, 8))
    kept = found.stages[0][0].norm1.weight  # type: ignore[union-attr, index]
    assert kept.tolist() == [2.0, 3.0]  # type: ignore[union-attr, operator]
    again = cut(network, architecture, "bn_scale", torch.zeros(1, 1, 8, 8)).state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in found.state_dict().items())


def is_built_again(network: nn.Module, architecture: Architecture, size: int, folder: Path) -> None:
    """By its file alone, with its six classes and one channel, which are read off the tensors."""
    path = folder / "student.safetensors"
    save(network, path, {"architecture": architecture.model_dump_json()})
    report = check(architecture, path)
    assert (report.num_classes, report.in_channels) == (6, 1)
    x = torch.randn(2, 1, size, size)
    assert torch.equal(answers(load(architecture, path), x), answers(network, x))


@pytest.mark.parametrize("case", ["zero-padded shortcuts", "depthwise", "attention"])
def test_its_file_alone_builds_it_again(case: str, tmp_path: Path) -> None:
    """Of other numbers of classes and channels too, which are read off the tensors."""
    base, size = whole(case)
    architecture = settled(architecture_of(base, 0.4, round_to=2), 1, size)
    network = build(architecture, 6, 1, size).eval()
    is_built_again(network, architecture, size, tmp_path)


def test_widths_that_are_recorded_need_no_graph() -> None:
    """A loader has no torch-pruning to ask."""
    architecture = settled(architecture_of(Architecture(name="retort:resnet8"), 0.5), 3, 32)
    code = (
        "import sys; sys.modules['torch_pruning'] = None\n"
        "from distill.models import build\nfrom distill.types import Architecture\n"
        f"network = build(Architecture.model_validate_json({architecture.model_dump_json()!r}), 10)\n"
        "print(sum(p.numel() for p in network.parameters()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == sum(p.numel() for p in build(architecture, 10).parameters()) < 75_290


def test_widths_depend_on_the_ratio_alone() -> None:
    base = Architecture(name="retort:resnet8")
    sizes = []
    for ratio in (0.25, 0.5, 0.75):
        found = settled(architecture_of(base, ratio), 3, 32)
        assert found.options[WIDTHS] == settled(architecture_of(base, ratio), 1, 28).options[WIDTHS]
        assert all(size % 4 == 0 for sizes in found.options[WIDTHS].values() for size in sizes)  # type: ignore[union-attr]
        sizes.append(sum(p.numel() for p in build(found, 10).parameters()))
    assert sizes == sorted(sizes, reverse=True)
    assert split(settled(base, 3, 32).options) == ({}, {})


@pytest.mark.parametrize(
    "options",
    [
        {RATIO: 0.0}, {RATIO: 1.0}, {RATIO: -0.5}, {RATIO: True}, {RATIO: "0.5"}, {RATIO: 0.5, ROUND_TO: 0},
        {ROUND_TO: 8}, {RATIO: 0.01, ROUND_TO: 256}, {WIDTHS: {"stem.conv": [10**9]}}, {WIDTHS: {"nothing": [4]}},
        {WIDTHS: {"stem.conv": [4, 0, 0, 0, 0]}}, {WIDTHS: {"stages.0.0.conv1": []}}, {WIDTHS: {"": [1]}},
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        build(Architecture(name="retort:resnet8", options=options), 10)


def test_networks_that_answer_for_places_are_refused_by_name() -> None:
    with pytest.raises(InvalidConfig) as caught:
        build(architecture_of(Architecture(name="retort:fpn", options={"backbone": "resnet18"}), 0.5), 3)
    assert "retort:fpn" in caught.value.message


def test_channels_that_are_shuffled_are_the_cause_that_is_told() -> None:
    with pytest.raises(InvalidConfig) as caught:
        settled(architecture_of(Architecture(name="torchvision:shufflenet_v2_x0_5"), 0.5), 3, 32)
    assert "channel shuffle" in caught.value.message


def test_scales_of_batch_norms_want_batch_norms() -> None:
    base, size = whole("attention")
    architecture = settled(architecture_of(base, 0.5, round_to=1), 3, size)
    with pytest.raises(InvalidConfig) as caught:
        cut(build(base, 3, 3, size), architecture, "bn_scale", torch.zeros(1, 3, size, size))
    assert caught.value.details["importance"] == "bn_scale"


DEEP: dict[str, tuple[str, dict[str, Any]]] = {
    "ours": ("retort:resnet20", {"width": 4}),
    "timm": ("timm:resnet18", {"layers": [2, 3, 2, 2], "channels": [8, 8, 16, 16], "stem_width": 8}),
    "torchvision": ("torchvision:mobilenet_v2", {"width_mult": 0.25}),
    "a stage that is no list": ("timm:regnety_002", {}),
    "transformers": ("transformers:resnet", {"hidden_sizes": [8, 16], "depths": [2, 3], "embedding_size": 8}),
    "attention": ("timm:vit_tiny_patch16_224", VIT | {"depth": 4}),
}


def _enliven(network: nn.Module) -> None:
    """So that every block adds something: some constructors begin with blocks that add nothing."""
    _settle_norms(network)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer.zero_()
    for name, parameter in network.named_parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter)
        else:
            nn.init.uniform_(parameter, *((-0.2, 0.2) if name.endswith("bias") else (0.5, 1.5)))


def deep(case: str) -> tuple[Architecture, int]:
    name, options = DEEP[case]
    return Architecture(name=name, options=options), SIZE.get(case, 32)


class Silenced(nn.Module):
    """In place of a block: what passes it."""

    def forward(self, x: Tensor, *_: Any, **__: Any) -> Tensor:
        return x


@pytest.mark.parametrize("case", DEEP)
def test_what_is_left_computes_what_the_whole_does_where_the_other_blocks_add_nothing(case: str) -> None:
    base, size = deep(case)
    architecture = settled(architecture_of(base, None, blocks=0.5), 3, size)
    kept = architecture.options[BLOCKS]
    assert isinstance(kept, dict)
    torch.manual_seed(0)
    large, small = build(base, 5, 3, size), build(architecture, 5, 3, size)
    _enliven(large)
    x = torch.randn(2, 3, size, size)
    found = cut(large, architecture, "magnitude", x[:1])
    before = answers(large, x)
    small.load_state_dict(found.state_dict())
    assert torch.equal(answers(small, x), answers(found, x))
    removed = 0
    for path, numbers in kept.items():
        holder = large.get_submodule(path)
        for number, (name, _) in enumerate(list(holder.named_children())):
            if number not in numbers:
                setattr(holder, name, Silenced())
                removed += 1
    assert removed
    assert not torch.equal(answers(large, x), before)
    torch.testing.assert_close(answers(found, x), answers(large, x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", ["ours", "timm", "attention"])
def test_blocks_and_channels_go_together_and_the_file_alone_builds_it_again(case: str, tmp_path: Path) -> None:
    base, size = deep(case)
    both = settled(architecture_of(base, 0.5, round_to=1, blocks=0.5), 1, size)
    sizes = [
        sum(p.numel() for p in build(each, 6, 1, size).parameters())
        for each in (both, settled(architecture_of(base, 0.5, round_to=1), 1, size), base)
    ]
    assert sizes[0] < sizes[1] < sizes[2]
    network = cut(build(base, 6, 1, size), both, "magnitude", torch.zeros(1, 1, size, size))
    is_built_again(network, both, size, tmp_path)


def test_a_stage_keeps_what_changes_its_size_and_both_of_its_ends() -> None:
    base = Architecture(name="timm:resnet34")
    kept = settled(architecture_of(base, None, blocks=0.5), 3, 64).options[BLOCKS]
    assert kept == {"layer1": [2], "layer2": [0, 3], "layer3": [0, 3, 5], "layer4": [0]}
    again = settled(architecture_of(base, None, blocks=0.5), 1, 32).options[BLOCKS]
    assert again == kept


@pytest.mark.parametrize("name", ["retort:resnet8", "retort:vgg11_small", "timm:densenet121"])
def test_a_network_without_a_block_to_spare_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        settled(architecture_of(Architecture(name=name), None, blocks=0.5), 3, 32)
    assert name in caught.value.message
    assert caught.value.details[SHARE] == 0.5


@pytest.mark.parametrize(
    "options",
    [
        {SHARE: 0.0}, {SHARE: 1}, {SHARE: True}, {BLOCKS: {"stages.0": [3]}}, {BLOCKS: {"stages.0": []}},
        {BLOCKS: {"stages.0": [1, 0]}}, {BLOCKS: {"nowhere": [0]}}, {BLOCKS: {"stages.0": [-1]}},
        {BLOCKS: {"stages.0": [0, 0]}},
    ],
)  # fmt: skip
def test_blocks_that_cannot_be_left_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        build(Architecture(name="retort:resnet20", options=options), 10)
