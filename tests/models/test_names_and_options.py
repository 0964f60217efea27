"""Names, catalogue, options, caps."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from distill import models
from distill.errors import InvalidConfig, UnknownName
from distill.models.names import resolve
from distill.types import Architecture


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("resnet34", "timm:resnet34"),
        ("timm:resnet34.a1_in1k", "timm:resnet34.a1_in1k"),
        ("torchvision:resnet34", "torchvision:resnet34"),
        ("googlenet", "torchvision:googlenet"),
        ("resnet8", "retort:resnet8"),
        ("retort:resnet56", "retort:resnet56"),
    ],
)
def test_resolve(text, full):
    assert str(resolve(text)) == full


@pytest.mark.parametrize(
    "text",
    [
        "resnet3",
        "timm:hf-hub:x/y",
        "hf-hub:x/y",
        "timm:local-dir:/etc",
        "timm:resnet34.no_such_tag",
        "retort:resnet34",
        "",
        ":",
        "torchvision:maskrcnn_resnet50_fpn",
        "nowhere:resnet34",
        "timm:../x",
    ],
)
def test_unknown_names(text):
    with pytest.raises(UnknownName):
        resolve(text)


def test_unknown_name_suggests():
    with pytest.raises(UnknownName) as caught:
        resolve("timm:resnet35")
    assert "timm:resnet34" in caught.value.details["close"]


def test_catalogue():
    rows = models.catalogue()
    assert [row["name"] for row in rows] == list(models.names())
    assert {row["library"] for row in rows} == {"timm", "torchvision", "retort", "transformers"}
    by_name = {row["name"]: row["family"] for row in rows}
    assert by_name["timm:vit_tiny_patch16_224"] == "vision_transformer"
    assert by_name["torchvision:vgg19"] == "vgg"
    assert by_name["torchvision:fcn_resnet50"] == "fcn"
    assert "torchvision:maskrcnn_resnet50_fpn" not in by_name


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("retort:resnet8", {"width": 0}),
        ("retort:resnet8", {"width": 10**9}),
        ("retort:resnet8", {"width": True}),
        ("retort:resnet8", {"width": 1.5}),
        ("retort:resnet8", {"width": [16]}),
        ("retort:resnet8", {"depth": 2}),
        ("timm:resnet18", {"pretrained": True}),
        ("timm:resnet18", {"checkpoint_path": "/etc/passwd"}),
        ("timm:resnet18", {"num_classes": 3}),
        ("timm:resnet18", {"embed_dim": 64}),
        ("timm:resnet18", {"channels": [64] * 9}),
        ("timm:resnet18", {"channels": [8192] * 4, "layers": [128] * 4}),
        ("timm:resnet18", {"global_pool": ""}),
        ("timm:vit_tiny_patch16_224", {"embed_dim": 65, "num_heads": 2}),
        ("torchvision:resnet18", {"weights": "DEFAULT"}),
        ("torchvision:resnet18", {"width_mult": 0.5}),
    ],
)
def test_refused_options(name, options):
    with pytest.raises(InvalidConfig) as caught:
        models.build(Architecture(name=name, options=options), 10)
    assert caught.value.remedy


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_options_are_finite(value):
    with pytest.raises(ValidationError, match="finite"):
        Architecture(name="timm:resnet18", options={"drop_rate": value})


@pytest.mark.parametrize(("classes", "channels"), [(0, 3), (-1, 3), (10**7, 3), (10, 0), (10, 1000)])
def test_refused_counts(classes, channels):
    with pytest.raises(InvalidConfig):
        models.build(Architecture(name="retort:resnet8"), classes, channels)


def test_families_of_transformers_are_known_with_their_library_alone() -> None:
    assert str(resolve("transformers:resnet")) == "transformers:resnet"
    with pytest.raises(UnknownName):
        resolve("resnet")
