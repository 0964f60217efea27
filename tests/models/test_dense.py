"""Networks that answer for every pixel: built, checked by name and shape, layers up to the last feature."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from distill import models, tasks
from distill.answers import logits_of
from distill.errors import InvalidConfig, InvalidTeacher
from distill.layers import discover
from distill.models.names import is_dense, resolve
from distill.recipe_parts.base import Setup
from distill.recipes.feature_only import FeatureOnly
from distill.tasks.segment_images.answer import MaskAnswer
from distill.types import Architecture

SMALL = {"depths": [1, 1, 1, 1], "hidden_sizes": [16, 32, 40, 64], "decoder_hidden_size": 32}
FPN = Architecture(name="retort:fpn", options={"backbone": "test_resnet", "width": 16})
SEGFORMER = Architecture(name="transformers:segformer", options=SMALL)
NETWORKS = {
    "fpn": (FPN, "decoder"),
    "segformer": (SEGFORMER, "decode_head.activation"),
    "deeplab": (Architecture(name="torchvision:deeplabv3_mobilenet_v3_large"), "classifier.3"),
    "lraspp": (Architecture(name="torchvision:lraspp_mobilenet_v3_large"), "classifier.cbr"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_built_checked_loaded_and_looked_into(name: str, tmp_path: Path) -> None:
    architecture, last = NETWORKS[name]
    network = models.build(architecture, 5).eval()
    path = tmp_path / "w.safetensors"
    models.save(network, path)
    report = models.check(architecture, path)
    assert (report.num_classes, report.in_channels, report.ignored) == (5, 3, ())
    example = torch.randn(2, 3, 64, 96)
    again = models.load(architecture, path)
    logits = logits_of(again(example))
    assert torch.equal(logits, logits_of(network(example)))
    assert logits.shape[:2] == (2, 5)
    layers = discover(network, example)
    assert layers[-1].name == last
    assert all(layer.shape[0] != 5 for layer in layers)
    assert tasks.accepting(architecture.name) == ("segment_images",)
    assert is_dense(resolve(architecture.name))
    assert tasks.container(architecture.name) == "weights"
    assert models.preprocessing(architecture, native_size=(64, 96)).size == (64, 96)


def test_other_channels() -> None:
    for architecture, _ in NETWORKS.values():
        assert logits_of(models.build(architecture, 2, 1).eval()(torch.zeros(1, 1, 64, 64))).shape[1] == 2


def test_torchvisions_auxiliary_classifier_is_left_out(tmp_path: Path) -> None:
    architecture = NETWORKS["deeplab"][0]
    state = models.build(architecture, 3).state_dict() | {"aux_classifier.4.weight": torch.zeros(3, 10, 1, 1)}
    safetensors.torch.save_file(state, tmp_path / "w.safetensors")
    assert models.check(architecture, tmp_path / "w.safetensors").ignored == ("aux_classifier.4.weight",)


def test_a_classifiers_weights_are_no_segmenters(tmp_path: Path) -> None:
    models.save(models.build(Architecture(name="retort:resnet8"), 3), tmp_path / "w.safetensors")
    with pytest.raises(InvalidTeacher):
        models.check(FPN, tmp_path / "w.safetensors")


def test_published_segformers_have_other_names(tmp_path: Path) -> None:
    network: Any = models.build(SEGFORMER, 4).eval()
    network.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    with safetensors.safe_open(path, "pt") as file:
        assert set(file.keys()) != set(network.state_dict())
    example = torch.randn(1, 3, 64, 64)
    loaded = models.load(SEGFORMER, path)
    assert torch.equal(loaded(example).logits, network(example).logits)


def test_levels_with_the_channels_at_the_end_are_turned() -> None:
    network = models.build(Architecture(name="retort:fpn", options={"backbone": "mambaout_femto"}), 3).eval()
    assert network(torch.zeros(1, 3, 64, 96)).shape == (1, 3, 64, 96)


@pytest.mark.parametrize("backbone", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_backbone_with_fixed_positions_is_built_for_the_runs_size(backbone: str) -> None:
    architecture = Architecture(name="retort:fpn", options={"backbone": backbone, "width": 8})
    network = models.build(architecture, 3, image_size=96).eval()
    assert network(torch.zeros(1, 3, 96, 96)).shape == (1, 3, 96, 96)
    assert models.pin(architecture, 96).options["img_size"] == 96
    with pytest.raises(InvalidConfig):
        models.build(architecture, 3, image_size=(64, 96))


@pytest.mark.parametrize(
    "options",
    [{"backbone": "nosuch"}, {"backbone": "../x"}, {"backbone": 5}, {"backbone": "retort:resnet8"}, {"width": 0}],
)
def test_options_of_the_pyramid(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        models.build(Architecture(name="retort:fpn", options=options), 3)


def setup_of(architecture: Architecture, layer: str) -> Setup:
    student, teacher = models.build(architecture, 3), models.build(architecture, 3)
    example = torch.randn(2, 3, 64, 64)
    shape = next(each.shape for each in discover(student, example) if each.name == layer)
    return Setup(
        student, teacher, 3, (layer,), (layer,), (shape,), (shape,), example, example, answer=MaskAnswer()
    )  # fmt: skip


@pytest.mark.parametrize("name", ["fpn", "segformer"])
def test_the_head_learns_from_detached_features(name: str) -> None:
    architecture, layer = NETWORKS[name]
    setup = setup_of(architecture, layer)
    recipe = FeatureOnly(setup, feature_weight=0.0)  # nothing but the labels teaches
    images, labels = torch.randn(2, 3, 64, 64), torch.randint(-1, 3, (2, 64, 64))
    recipe(images, labels, recipe.targets(images))["loss"].backward()
    taught = {n for n, p in setup.student.named_parameters() if p.grad is not None and p.grad.any()}
    head = "head." if name == "fpn" else "decode_head.classifier."
    assert taught == {f"{head}weight", f"{head}bias"}


def test_a_network_that_is_passed_by_is_refused() -> None:
    """LR-ASPP joins an early level behind every later layer; so does the pyramid behind its backbone."""
    for architecture, layer in ((NETWORKS["lraspp"][0], "backbone.16"), (FPN, "backbone.layer4.0")):
        with pytest.raises(InvalidConfig) as caught:
            FeatureOnly(setup_of(architecture, layer))
        assert caught.value.details["layer"] == layer


def test_the_remedy_names_a_layer_that_will_do_or_says_that_none_will() -> None:
    """The remedy for the pyramid is what joins its levels; LR-ASPP has no such layer."""
    with pytest.raises(InvalidConfig) as caught:
        FeatureOnly(setup_of(FPN, "backbone.layer4.0"))
    FeatureOnly(setup_of(FPN, re.findall(r"'([^']+)'", caught.value.remedy)[0]))
    architecture, last = NETWORKS["lraspp"]
    with pytest.raises(InvalidConfig) as caught:
        FeatureOnly(setup_of(architecture, last))
    assert not re.findall(r"'([^']+)'", caught.value.remedy)
    assert "feature_logit" in caught.value.remedy
