"""torchvision's FCOS gives what its own boxes are made of, under its own names."""

from __future__ import annotations

import pytest
import torch

import distill.torchvision_shim  # noqa: F401  (before torchvision)
from distill.errors import InvalidConfig
from distill.layers import discover
from distill.models import build, check, save
from distill.models.points import Points
from distill.tasks import accepting
from distill.tasks.detect_objects.heads import head_of
from distill.tasks.detect_objects.rois import Levels
from distill.types import Architecture
from tests.detection.made_up import batch
from tests.detection.taught import learnt

SMALL = Architecture(name="torchvision:fcos_resnet50_fpn", options={"backbone": "resnet18"})


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build(SMALL, 4).eval()


def test_rows_are_torchvisions_boxes(network: torch.nn.Module) -> None:
    """Of its own anchors and coder; levels end at stride 128."""
    from torchvision.models.detection.image_list import ImageList

    images = torch.randn(1, 3, 128, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        points = Points.of(network(images))
        features = list(network.backbone(images).values())  # type: ignore[operator, union-attr]
        heads = network.head(features)  # type: ignore[operator]
        anchors = network.anchor_generator(ImageList(images, [(128, 256)]), features)[0]  # type: ignore[operator]
        boxes = network.box_coder.decode(heads["bbox_regression"][0], anchors)  # type: ignore[operator, union-attr]
    torch.testing.assert_close(points.boxes[0], boxes, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(points.classes[0], heads["cls_logits"][0])
    expected = (heads["cls_logits"].sigmoid() * heads["bbox_ctrness"].sigmoid()).sqrt()
    torch.testing.assert_close(points.scores(), expected)
    assert Levels.of(*head_of(network).cells(network(images))).strides == (8, 16, 32, 64, 128)


def test_it_learns() -> None:
    images, labels = batch(4, 64)
    seen = learnt(build(SMALL, 3).train(), SMALL, images, labels, 6)
    assert seen[-1] < 0.9 * seen[0]


def test_it_is_a_detector_with_torchvisions_names(network: torch.nn.Module, tmp_path: object) -> None:
    from torchvision.models.detection import fcos_resnet50_fpn

    assert accepting(SMALL.name) == ("detect_objects",)
    whole = build(Architecture(name=SMALL.name), 4)
    theirs = fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=4)
    assert whole.state_dict().keys() == theirs.state_dict().keys()
    names = [layer.name for layer in discover(network, torch.randn(2, 3, 128, 128))]
    assert names[-1] == "pyramid"
    path = tmp_path / "fcos.safetensors"  # type: ignore[operator]
    save(network, path)
    assert check(SMALL, path).num_classes == 4
    with pytest.raises(InvalidConfig):
        build(Architecture(name=SMALL.name, options={"backbone": "vgg16"}), 4)
