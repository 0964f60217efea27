"""Weights as trainers write them: wrappers' prefixes, profilers' counters, older names, and the wrong architecture."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from distill import models
from distill.errors import InvalidTeacher
from distill.models.library_names import load_by_library
from distill.models.names import Name
from distill.types import Architecture
from worker.converter.from_torch import convert_torch
from worker.converter.limits import DEFAULT_LIMITS
from worker.converter.shards import convert_shards

RESNET = Architecture(name="retort:resnet8", options={"width": 4})
State = dict[str, Tensor]


def weights(architecture: Architecture, classes: int = 5, image_size: int | None = None) -> State:
    torch.manual_seed(0)
    network = models.build(architecture, classes, image_size=image_size)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network.state_dict()


def written(state: State, form: str, folder: Path) -> Path:
    """The file that the service would hold, sent as `form`."""
    out = folder / "out.safetensors"
    if form == "pth":
        torch.save({"state_dict": state, "epoch": 3, "best_acc": torch.tensor(0.7)}, folder / "a.pth")
        convert_torch(folder / "a.pth", out, DEFAULT_LIMITS, zipped=True)
        return out
    plain = {name: value.contiguous().clone() for name, value in state.items()}
    if form == "safetensors":
        save_file(plain, out)
        return out
    (shards := folder / "shards").mkdir()
    names = sorted(plain)
    parts = {f"model-0000{n + 1}-of-00002.safetensors": names[n::2] for n in range(2)}
    for file, held in parts.items():
        save_file({name: plain[name] for name in held}, shards / file)
    index = {"weight_map": {name: file for file, held in parts.items() for name in held}}
    (shards / "model.safetensors.index.json").write_text(str(index).replace("'", '"'))
    convert_shards(shards, out, DEFAULT_LIMITS)
    return out


def assert_loaded(path: Path, state: State, architecture: Architecture = RESNET) -> None:
    loaded = models.load(architecture, path).state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "backbone.", "student.", "ema.", "module._orig_mod.")
PREFIXES += ("model.net.", "lit.anything.")


@pytest.mark.parametrize(
    ("prefix", "form"),
    [*((prefix, "safetensors") for prefix in PREFIXES), ("module.", "pth"), ("model.net.", "shards")],
)
def test_prefixes_are_taken_off_and_told(tmp_path: Path, prefix: str, form: str) -> None:
    state = weights(RESNET)
    path = written({prefix + name: value for name, value in state.items()}, form, tmp_path)
    report = models.check(RESNET, path)
    assert report.num_classes == 5
    assert report.ignored == ()
    assert repr(prefix) in report.notes[0]
    assert_loaded(path, state)


@pytest.mark.parametrize(("prefix", "form"), [("", "pth"), ("", "safetensors"), ("module.", "shards")])
def test_counters_of_profilers_are_left_out_and_named(tmp_path: Path, prefix: str, form: str) -> None:
    state = weights(RESNET)
    counted = {f"{place}{name}": torch.zeros(1) for place in ("", "stem.") for name in ("total_ops", "total_params")}
    path = written({prefix + name: value for name, value in (state | counted).items()}, form, tmp_path)
    report = models.check(RESNET, path)
    assert report.ignored == tuple(sorted(prefix + name for name in counted))
    assert report.to_dict()["ignored"] == report.ignored
    assert "4 counters" in report.notes[-1]
    assert report.tensors == len(state)
    assert_loaded(path, state)


def test_what_lies_beside_the_network_in_a_module_is_left_out_and_named(tmp_path: Path) -> None:
    state = weights(RESNET)
    beside = {"criterion.weight": torch.ones(5), "val_acc.total": torch.zeros(())}
    path = written({f"model.{name}": value for name, value in state.items()} | beside, "safetensors", tmp_path)
    report = models.check(RESNET, path)
    assert report.ignored == tuple(beside)
    assert all(name in report.notes[-1] for name in beside)
    assert_loaded(path, state)


@pytest.mark.parametrize("mine", ["model.", "", "student."])
@pytest.mark.parametrize("other", ["ema.", "ema_model.module.", "teacher."])
def test_of_two_networks_the_average_is_not_taken(tmp_path: Path, mine: str, other: str) -> None:
    state = weights(RESNET)
    averaged = {other + name: torch.zeros_like(value) for name, value in state.items()}
    path = written({mine + name: value for name, value in state.items()} | averaged, "safetensors", tmp_path)
    report = models.check(RESNET, path)
    assert set(report.ignored) == set(averaged)
    assert any(repr(other) in note for note in report.notes)
    assert_loaded(path, state)


@pytest.mark.parametrize("prefix", ["backbone.", "model.encoder."])
def test_a_classifier_beside_a_wrapped_trunk_is_found(tmp_path: Path, prefix: str) -> None:
    state = weights(RESNET)
    named = {name if name.startswith("head.") else prefix + name: value for name, value in state.items()}
    path = written(named, "safetensors", tmp_path)
    report = models.check(RESNET, path)
    assert (report.num_classes, report.ignored) == (5, ())
    assert repr(prefix) in report.notes[0]
    assert "head.weight" in report.notes[0]
    assert_loaded(path, state)


def test_a_prefix_of_some_names_is_no_wrapper(tmp_path: Path) -> None:
    state = weights(RESNET)
    path = written(
        {("module." if "head" in name else "") + name: v for name, v in state.items()}, "safetensors", tmp_path
    )
    with pytest.raises(InvalidTeacher) as caught:
        models.check(RESNET, path)
    assert caught.value.details["missing"]["count"] == 2


def old_densenet(state: State) -> State:
    """Names of torchvision before 0.2, which its own weights still have."""
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12]\.)", r"\1.\2", name): v for name, v in state.items()}
    return {name: value for name, value in old.items() if "num_batches" not in name}  # older than PyTorch 0.4.1


def old_vit(state: State) -> State:
    """Names of torchvision before 0.13: the MLP had linear_1 and linear_2."""
    return {name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): v for name, v in state.items()}


def old_swin(state: State) -> State:
    """Names of Microsoft's files: the downsampling is the stage's before, the classifier is `head`."""
    names = {name: name.replace("head.fc.", "head.") for name in state}
    moved = re.compile(r"layers\.(\d+)\.downsample")
    return {moved.sub(lambda m: f"layers.{int(m[1]) - 1}.downsample", names[name]): v for name, v in state.items()}


SMALL_SWIN = {"embed_dim": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1], "window_size": 2, "img_size": 64}
OLD = [
    pytest.param("torchvision:densenet121", {}, old_densenet, "", id="torchvision densenet", marks=pytest.mark.slow),
    pytest.param("timm:densenet121", {}, old_densenet, "", id="timm densenet", marks=pytest.mark.slow),
    pytest.param("torchvision:vit_b_32", {"image_size": 32}, old_vit, "", id="torchvision vit", marks=pytest.mark.slow),
    pytest.param("timm:swin_tiny_patch4_window7_224", SMALL_SWIN, old_swin, "module.", id="timm swin"),
]


@pytest.mark.parametrize(("name", "options", "old", "prefix"), OLD)
def test_older_names_are_read_by_the_librarys_own_code(tmp_path: Path, name, options, old, prefix: str) -> None:
    architecture = Architecture(name=name, options=options)
    state = weights(architecture, 6)
    renamed = {prefix + key: value for key, value in old(state).items()}
    assert renamed.keys() != state.keys()
    path = written(renamed, "safetensors", tmp_path)
    report = models.check(architecture, path)
    assert report.num_classes == 6
    assert any("own code" in note for note in report.notes)
    loaded = models.load(architecture, path, 6)
    assert all(torch.equal(loaded.state_dict()[key], value) for key, value in state.items())
    x = torch.randn(1, 3, 64 if "swin" in name else 32, 64 if "swin" in name else 32)
    plain = models.build(architecture, 6).eval()
    plain.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(loaded(x), plain(x))


def test_a_small_network_of_older_names() -> None:
    """torchvision's own code for DenseNet; a tensor that it has no use for is told."""
    from torchvision.models import DenseNet

    network, fresh = (DenseNet(4, (1, 1, 1, 1), 4, num_classes=3) for _ in range(2))
    old = old_densenet(network.state_dict())
    assert load_by_library(Name("torchvision", "densenet121"), fresh, old) == set()
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in fresh.state_dict().items())
    with pytest.raises(RuntimeError, match="Unexpected"):
        load_by_library(Name("torchvision", "densenet121"), fresh, old | {"more": torch.ones(1)})


@pytest.mark.parametrize(
    ("named", "real"),
    [
        pytest.param("timm:resnet34", "torchvision:resnet34", marks=pytest.mark.slow),
        pytest.param("timm:resnet26", "timm:resnet18", marks=pytest.mark.slow),
        ("retort:resnet8", "retort:resnet14"),
    ],
)
def test_a_near_architecture_that_would_fit_is_named(tmp_path: Path, named: str, real: str) -> None:
    state = weights(Architecture(name=real))
    path = written({f"module.{name}": value for name, value in state.items()}, "safetensors", tmp_path)
    if named.rpartition(":")[2] == real.rpartition(":")[2]:  # the same names and shapes: it simply fits
        assert models.check(Architecture(name=named), path).num_classes == 5
        return
    with pytest.raises(InvalidTeacher) as caught:
        models.check(Architecture(name=named), path)
    fits = caught.value.details["fits"]
    assert fits in caught.value.remedy
    assert_loaded(path, state, Architecture(name=fits))


def test_no_architecture_is_named_where_none_fits(tmp_path: Path) -> None:
    path = written({"a.weight": torch.ones(2, 2)}, "safetensors", tmp_path)
    with pytest.raises(InvalidTeacher) as caught:
        models.check(Architecture(name="timm:resnet18"), path)
    assert "fits" not in caught.value.details


@pytest.mark.parametrize("name", ["module.", "module._orig_mod."])
def test_a_name_that_is_only_a_prefix_fits_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({name: torch.ones(3)}, path)
    with pytest.raises(InvalidTeacher):
        models.check(Architecture(name="retort:resnet8"), path)
