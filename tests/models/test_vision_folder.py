"""Hugging Face folders of pictures: transformers' own classes, read, built, started from, saved and reloaded."""

from __future__ import annotations

import json
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import distill.torchvision_shim  # noqa: F401 - before torchvision, which transformers imports
from distill.errors import InvalidConfig, InvalidTeacher
from distill.layers import discover
from distill.models import build, check, load, preprocessing, save, start_from
from distill.models.language.config import read_config
from distill.recorded import recorded_classes, recorded_view
from distill.tasks.networks import Sent, examine
from distill.types import Architecture
from distill.vision_folder import FAMILIES, header_of
from worker.converter.limits import DEFAULT_LIMITS
from worker.converter.shards import convert_shards

TINY: dict[str, dict[str, Any]] = {
    "vit": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64},
    "swin": {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 2},
    "convnext": {"hidden_sizes": [8, 8, 16], "depths": [1, 2, 1]},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "layer_type": "basic"},
    "dinov2": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
}
for _family in ("vit", "swin", "dinov2"):
    TINY[_family] |= {"image_size": 16, "patch_size": 4}
NAMES = {"vit": "ViT", "swin": "Swin", "convnext": "ConvNext", "resnet": "ResNet", "dinov2": "Dinov2"}
CLASSES = {0: "cat", 1: "dog", 2: "fox"}
SEEN = {
    "do_resize": True, "do_center_crop": True, "size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16},
    "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "resample": 3, "do_normalize": True,
}  # fmt: skip


def published(family: str, folder: Path, head: bool) -> torch.nn.Module:
    """A folder as transformers writes it, and the model in it."""
    torch.manual_seed(0)
    module = import_module(f"transformers.models.{family}")
    stages = {"num_stages": len(TINY[family]["depths"])} if family == "convnext" else {}
    config = getattr(module, f"{NAMES[family]}Config")(**TINY[family], **stages, id2label=CLASSES)
    kind = "ForImageClassification" if head else "Model"
    made: torch.nn.Module = getattr(module, NAMES[family] + kind)(config).eval()
    made.save_pretrained(folder)  # type: ignore[operator]
    (folder / "preprocessor_config.json").write_text(json.dumps(SEEN))
    return made


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"model/{file.name}")
    return path


@pytest.mark.parametrize("config", [None, {"model_type": "bert"}])
def test_weights_without_a_configuration_of_their_family_ask_for_it(
    tmp_path: Path, config: dict[str, Any] | None
) -> None:
    published("vit", tmp_path / "folder", True)
    said = tmp_path / "folder" / "config.json"
    said.write_text(json.dumps(config)) if config else said.unlink()
    weights = tmp_path / "model.safetensors"
    convert_shards(zipped(tmp_path / "folder", tmp_path / "model.zip"), weights, DEFAULT_LIMITS)
    with pytest.raises(InvalidTeacher) as caught:
        examine(Architecture(name="transformers:vit"), Sent(weights, tmp_path / "unpacked", tmp_path / "zip"))
    assert "config.json" in caught.value.remedy


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_becomes_one_file_that_says_all(tmp_path: Path, family: str, head: bool) -> None:
    made = published(family, tmp_path / "folder", head)
    weights = tmp_path / "model.safetensors"
    convert_shards(zipped(tmp_path / "folder", tmp_path / "model.zip"), weights, DEFAULT_LIMITS)
    (tmp_path / "unpacked").mkdir()
    report = examine(
        Architecture(name=f"transformers:{family}"), Sent(weights, tmp_path / "unpacked", tmp_path / "zip")
    )
    assert report["tasks"] == ["classify_images"]
    assert report["num_classes"] == (3 if head else 0)
    assert recorded_classes(report["metadata"]) == tuple(CLASSES.values())
    how = recorded_view(report["metadata"], 3)
    assert how is not None
    assert (how["mean"], how["size"], how["interpolation"], how["crop"]) == ((0.1, 0.2, 0.3), (16, 16), "bicubic", 0.8)
    architecture = Architecture.model_validate(report["architecture"])
    assert TINY[family].items() <= architecture.options.items()
    network = load(architecture, weights)
    pictures = torch.randn(2, 3, 16, 16)
    assert [layer.name for layer in discover(network, pictures)]
    with torch.no_grad():
        theirs = made(pictures)
        if head:
            torch.testing.assert_close(network(pictures), theirs.logits)
        else:
            assert network(pictures).shape[0] == 2
            trunk = getattr(network, network.base_model_prefix)  # type: ignore[call-overload]
            torch.testing.assert_close(trunk(pictures).last_hidden_state, theirs.last_hidden_state)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_student_made_by_configuration_is_saved_and_reloaded(tmp_path: Path, family: str) -> None:
    architecture = Architecture(name=f"transformers:{family}", options=TINY[family])
    torch.manual_seed(0)
    network = build(architecture, 4, 1, 16).eval()
    save(network, tmp_path / "s.safetensors")
    report = check(architecture, tmp_path / "s.safetensors")
    assert (report.num_classes, report.in_channels) == (4, 1)
    pictures = torch.randn(2, 1, 16, 16)
    torch.testing.assert_close(load(report.architecture, tmp_path / "s.safetensors")(pictures), network(pictures))


@pytest.mark.parametrize("family", ["vit", "convnext", "resnet", "dinov2"])
def test_a_student_takes_every_nth_block_of_a_deeper_one(family: str) -> None:
    deeper = TINY[family] | ({"num_hidden_layers": 5} if "num_hidden_layers" in TINY[family] else {})
    deeper |= {"depths": [3, 3, 3][: len(deeper["depths"])]} if "depths" in deeper else {}
    name = f"transformers:{family}"
    source = build(Architecture(name=name, options=deeper), 3, 3, 16)
    student = build(Architecture(name=name, options=TINY[family]), 3, 3, 16)
    found = start_from(student, source, "the deeper one")
    assert not found.made
    assert found.left
    ours, theirs = student.state_dict(), source.state_dict()
    last = {"vit": ("vit.layers.1", "vit.layers.4"), "dinov2": ("dinov2.encoder.layer.1", "dinov2.encoder.layer.4")}
    for own, there in [last[family]] if family in last else []:
        for key in [key for key in ours if key.startswith(own)]:
            torch.testing.assert_close(ours[key], theirs[key.replace(own, there)])


def test_names_of_older_releases_are_read(tmp_path: Path) -> None:
    network = build(Architecture(name="transformers:vit", options=TINY["vit"]), 3, 3, 16)
    older = {}
    for name, tensor in network.state_dict().items():
        for now, then in (
            ("vit.layers.", "vit.encoder.layer."), ("attention.q_proj", "attention.attention.query"),
            ("attention.k_proj", "attention.attention.key"), ("attention.v_proj", "attention.attention.value"),
            ("attention.o_proj", "attention.output.dense"), ("mlp.fc1", "intermediate.dense"),
            ("mlp.fc2", "output.dense"),
        ):  # fmt: skip
            name = name.replace(now, then)
        older[name] = tensor.contiguous()
    save_file(older, tmp_path / "older.safetensors")
    found = load(Architecture(name="transformers:vit", options=TINY["vit"]), tmp_path / "older.safetensors")
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], tensor)


@pytest.mark.parametrize(
    "more",
    [
        {"auto_map": {"AutoModel": "evil.Evil"}},
        {"quantization_config": {}},
        {"id2label": [1]},
        {"num_channels": "many"},
    ],
)
def test_a_configuration_with_code_or_nonsense_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidTeacher):
        header_of({"model_type": "vit"} | more, SEEN)


@pytest.mark.parametrize("options", [{"hidden_size": 10**9}, {"hidden_act": "evil"}, {"torch_dtype": "float16"}])
def test_options_are_an_allow_list_within_ranges(options: dict[str, Any]) -> None:
    architecture = Architecture(name="transformers:vit", options=options)
    with pytest.raises(InvalidConfig):
        build(architecture, 3)


def test_another_family_says_nothing_and_the_wrong_name_is_told(tmp_path: Path) -> None:
    assert header_of({"model_type": "bert"}, {}) == {}
    with pytest.raises(InvalidTeacher) as caught:
        read_config({"model_type": "vit"})
    assert "transformers:vit" in caught.value.remedy
    published("vit", tmp_path / "folder", head=True)
    weights = tmp_path / "model.safetensors"
    convert_shards(tmp_path / "folder", weights, DEFAULT_LIMITS)
    with pytest.raises(InvalidTeacher) as caught:
        examine(Architecture(name="timm:resnet18"), Sent(weights, tmp_path, tmp_path / "zip"))
    assert "transformers:vit" in caught.value.remedy


def test_a_size_that_the_network_does_not_take_is_refused_at_registration(tmp_path: Path) -> None:
    published("vit", tmp_path / "folder", head=True)
    (tmp_path / "folder" / "preprocessor_config.json").write_text(json.dumps(SEEN | {"crop_size": 24}))
    convert_shards(tmp_path / "folder", tmp_path / "m.safetensors", DEFAULT_LIMITS)
    with pytest.raises(InvalidTeacher) as caught:
        examine(Architecture(name="transformers:vit"), Sent(tmp_path / "m.safetensors", tmp_path, tmp_path / "zip"))
    assert "24 x 24" in caught.value.message


@pytest.mark.parametrize(
    ("given", "size", "crop"),
    [
        ({"size": 224}, (224, 224), 1.0),
        ({"size": {"height": 32, "width": 48}}, (32, 48), 1.0),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, (224, 224), 0.875),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, (384, 384), 1.0),
        ({"size": {"shortest_edge": 256}, "crop_size": 224, "do_center_crop": True}, (224, 224), 0.875),
    ],
)
def test_every_way_to_say_a_size_is_read(given: dict[str, Any], size: tuple[int, int], crop: float) -> None:
    header = header_of({"model_type": "convnext"}, SEEN | {"do_center_crop": False} | given)
    how = recorded_view(header, 3)
    assert how is not None
    assert (how["size"], how["crop"]) == (size, pytest.approx(crop))


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_processor_it_sees_as_its_family_does(family: str) -> None:
    assert preprocessing(Architecture(name=f"transformers:{family}", options={})).size == (224, 224)
    sized = Architecture(name=f"transformers:{family}", options=TINY[family])
    assert preprocessing(sized).size == ((16, 16) if "image_size" in TINY[family] else (224, 224))
