"""Checkpoints that do not fit say how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from distill import models
from distill.errors import InvalidTeacher
from distill.types import Architecture

RESNET = Architecture(name="retort:resnet8", options={"width": 4})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "w.safetensors"


@pytest.fixture
def state():
    return models.build(RESNET, 5).state_dict()


def refused(path, *words, architecture=RESNET, num_classes=None):
    with pytest.raises(InvalidTeacher) as caught:
        models.load(architecture, path, num_classes)
    assert all(word in caught.value.message for word in words), caught.value.message
    assert caught.value.remedy
    return caught.value


def test_missing_unexpected_and_wrong(path, state):
    del state["stem.conv.weight"]
    state["extra.weight"] = torch.zeros(2)
    state["stem.norm.bias"] = torch.zeros(9)
    save_file(state, path)
    error = refused(
        path, "1 missing (stem.conv.weight)", "1 unexpected (extra.weight)", "stem.norm.bias (file [9], network [4])"
    )
    assert error.details["missing"] == {"count": 1, "first": ["stem.conv.weight"]}
    assert error.details["wrongly_shaped"]["count"] == 1


def test_another_architecture(path, state):
    save_file(state, path)
    error = refused(path, "missing", architecture=Architecture(name="timm:resnet18"))
    assert error.details["missing"]["count"] > 10
    assert len(error.details["missing"]["first"]) == 5
    refused(path, "wrongly shaped", architecture=Architecture(name="retort:resnet8"))


def test_classes(path, state):
    save_file(state, path)
    report = models.check(RESNET, path)
    assert report.num_classes == 5
    assert json.loads(json.dumps(report.to_dict()))["architecture"] == RESNET.model_dump()
    refused(path, "head.weight (file [5, 16], network [7, 16])", num_classes=7)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_not_finite(path, state, value):
    state["stem.norm.running_var"][1] = value
    save_file(state, path)
    error = refused(path, "1 tensors", "stem.norm.running_var")
    assert error.details["first"] == [{"name": "stem.norm.running_var", "values": 1}]


def test_truncated_and_foreign(path, state):
    save_file(state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    refused(path, "truncated")
    path.write_bytes(whole[:50])
    refused(path, "truncated")
    torch.save(state, path)
    refused(path, "zip file")
    path.write_bytes(b"")
    refused(path, "0 bytes")


def test_integers_for_weights(path, state):
    state["head.bias"] = torch.zeros(5, dtype=torch.int64)
    save_file(state, path)
    refused(path, "head.bias holds I64")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_converted(path, state, dtype):
    save_file({k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}, path)
    loaded = models.load(RESNET, path).state_dict()
    assert all(loaded[k].dtype == v.dtype for k, v in state.items())
    torch.testing.assert_close(loaded["stem.conv.weight"], state["stem.conv.weight"].to(dtype).float())


def test_batch_counters_may_be_missing(path, state):
    save_file({k: v for k, v in state.items() if "num_batches" not in k}, path)
    assert models.load(RESNET, path).stem.norm.num_batches_tracked == 0


def test_googlenets_auxiliary_heads_are_left_out(path):
    import torchvision

    network = torchvision.models.googlenet(weights=None, aux_logits=True, init_weights=False, num_classes=6)
    save_file(network.state_dict(), path)
    architecture = Architecture(name="torchvision:googlenet")
    report = models.check(architecture, path)
    assert report.num_classes == 6
    assert report.to_dict()["ignored"] == report.ignored != ()
    assert all(name.startswith("aux") for name in report.ignored)
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(models.load(architecture, path)(x), network.eval()(x))


def test_tied_tensors_are_stored_by_each_name(path):
    class Tied(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
            self.b.weight = self.a.weight
            self.register_buffer("view", torch.arange(12.0).reshape(3, 4).t())

    network = Tied()
    models.save(network, path)
    from safetensors.torch import load_file

    found = load_file(path)
    assert all(torch.equal(found[name], tensor) for name, tensor in network.state_dict().items())


def test_a_failed_save_leaves_nothing(tmp_path):
    class Odd(torch.nn.Module):
        def state_dict(self, *args, **kwargs):
            return {"a": torch.zeros(2).to_sparse()}

    with pytest.raises((ValueError, RuntimeError, NotImplementedError)):
        models.save(Odd(), tmp_path / "x")
    assert not list(tmp_path.iterdir())


BACKBONES: dict[str, tuple[dict[str, Any], int]] = {
    "vit_small_patch14_dinov2": ({"depth": 2, "img_size": 56}, 56),
    "vit_small_patch16_dinov3": ({"depth": 2, "img_size": 64}, 64),
    "vit_base_patch16_clip_224": ({"depth": 2, "img_size": 64, "embed_dim": 96, "num_heads": 3}, 64),
    "eva02_tiny_patch14_224": ({"depth": 2, "img_size": 56}, 56),
    "resnet18": ({"channels": [8, 8, 8, 8], "stem_width": 8}, 64),
    "convnextv2_atto": ({"depths": [1, 1, 1, 1], "dims": [8, 8, 8, 8]}, 64),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_a_timm_file_without_a_classifier_is_such_a_network(tmp_path: Path, name: str) -> None:
    options, size = BACKBONES[name]
    architecture = Architecture(name=f"timm:{name}", options=options)
    models.save(models.build(architecture, 0, 3, size), tmp_path / "b.safetensors", {})
    report = models.check(architecture, tmp_path / "b.safetensors")
    assert report.num_classes == 0
    assert any("no classifier" in note for note in report.notes)
    assert models.load(architecture, tmp_path / "b.safetensors")(torch.zeros(2, 3, size, size)).dim() == 2


@pytest.mark.parametrize("classes", [0, 5])
def test_positions_of_another_size_of_images_are_resampled_with_a_note(tmp_path: Path, classes: int) -> None:
    from timm.layers import resample_abs_pos_embed

    options = {"depth": 1}
    at = {s: Architecture(name="timm:vit_tiny_patch16_224", options=options | {"img_size": s}) for s in (64, 96)}
    written = models.build(at[64], classes)
    models.save(written, tmp_path / "v.safetensors", {})
    report = models.check(at[96], tmp_path / "v.safetensors")
    assert report.num_classes == classes
    assert any("resampled from 17 to 37" in note for note in report.notes)
    wanted = resample_abs_pos_embed(written.state_dict()["pos_embed"], new_size=[6, 6], num_prefix_tokens=1)
    assert torch.equal(models.load(at[96], tmp_path / "v.safetensors").state_dict()["pos_embed"], wanted)
