"""torchvision's detectors with anchors: its boxes, its losses on the same tensors, its names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import distill.torchvision_shim  # noqa: F401  (before torchvision)
from distill.models import build
from distill.models.anchors import Anchors, decoded, encoded
from distill.tasks import accepting
from distill.tasks.detect_objects.anchor_matching import Rule, all_that_overlap_most, match, one_for_each
from distill.tasks.detect_objects.heads import head_of
from distill.tasks.detect_objects.rois import Levels
from distill.tasks.detect_objects.rows import Objects
from distill.types import Architecture
from tests.detection.made_up import batch
from tests.detection.taught import learnt, read_back

RETINA = Architecture(name="torchvision:retinanet_resnet50_fpn", options={"backbone": "resnet18"})
SSD = Architecture(name="torchvision:ssdlite320_mobilenet_v3_large")
BOTH = [pytest.param(each, id=each.name.partition(":")[2][:6]) for each in (RETINA, SSD)]
SIDE = 96


def made(architecture: Architecture) -> Any:
    torch.manual_seed(0)
    return build(architecture, 3).eval()


@pytest.fixture(scope="module")
def networks() -> dict[str, Any]:
    return {each.name: made(each) for each in (RETINA, SSD)}


def theirs_of(network: Any, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """What torchvision's own modules give: head outputs, and the anchors of one image."""
    from torchvision.models.detection.image_list import ImageList

    features = list(network.backbone(images).values())
    listed = ImageList(images, [tuple(images.shape[-2:])] * len(images))
    return network.head(features), network.anchor_generator(listed, features)[0]


@pytest.mark.parametrize("architecture", BOTH)
def test_rows_are_torchvisions_boxes(architecture: Architecture, networks: dict[str, Any]) -> None:
    network, head = networks[architecture.name], head_of(networks[architecture.name])
    images = torch.randn(1, 3, SIDE, 2 * SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = network(images)
        found, anchors = theirs_of(network, images)
        boxes = network.box_coder.decode_single(found["bbox_regression"][0], anchors)
    rows, scored = Anchors.of(outputs), head.scored(outputs)
    torch.testing.assert_close(rows.anchors[0], anchors)
    torch.testing.assert_close(rows.boxes[0], boxes, atol=1e-3, rtol=1e-4)
    logits = found["cls_logits"]
    expected = logits.softmax(-1)[..., 1:] if architecture is SSD else logits.sigmoid()
    torch.testing.assert_close(scored.scores, expected)
    levels = Levels.of(*head.cells(outputs))
    assert levels.sizes[0] == ((12, 24) if architecture is RETINA else (6, 12))
    assert [b / a for a, b in zip(levels.strides, levels.strides[1:], strict=False)] == [2.0] * (len(levels.sizes) - 1)


@pytest.mark.parametrize("architecture", BOTH)
def test_the_loss_is_torchvisions(architecture: Architecture, networks: dict[str, Any]) -> None:
    """Of one image, as both have its own divisor; by torchvision's matcher, and on its tensors."""
    network, head = networks[architecture.name], head_of(networks[architecture.name])
    images, labels = batch(3, SIDE)
    for i in range(3):
        image, objects = images[i : i + 1], Objects.of(labels[i : i + 1])
        there = objects.there[0]
        assert int(there.sum()) > 0
        background = 1 if architecture is SSD else 0
        target = {"boxes": objects.corners[0][there], "labels": objects.classes[0][there] + background}
        with torch.no_grad():
            found, anchors = theirs_of(network, image)
            quality = _iou(target["boxes"], anchors)
            matched = [network.proposal_matcher(quality)]
            given = ([target], found, [anchors], matched)
            terms = network.compute_loss(*given) if architecture is SSD else network.head.compute_loss(*given)
            mine = head.loss(network(image), objects)
        assert float(mine) == pytest.approx(float(torch.stack(list(terms.values())).sum()), rel=1e-4)


def _iou(boxes: Tensor, anchors: Tensor) -> Tensor:
    from torchvision.ops import box_iou

    return box_iou(boxes, anchors)  # type: ignore[no-any-return]


def test_deltas_go_there_and_back() -> None:
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(2, 50, 2, generator=generator) * 60
    boxes, anchors = torch.cat([low[0], low[0] + 5], -1), torch.cat([low[1], low[1] + 9], -1)
    for weights in ((1.0,) * 4, (10.0, 10.0, 5.0, 5.0)):
        torch.testing.assert_close(decoded(encoded(boxes, anchors, weights), anchors, weights), boxes)


def objects_of(boxes: list[list[float]], ignored: float = 0.0) -> Objects:
    return Objects.of(torch.tensor([[[*box, float(i), ignored] for i, box in enumerate(boxes)]]))


def test_every_object_has_an_anchor_and_what_stands_in_an_ignored_one_is_no_background() -> None:
    anchors = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50], [80, 80, 90, 90]]])
    boxes = [[0.0, 0, 10, 8], [22.0, 22, 44, 44], [60.0, 60, 70, 70]]
    strict, near = Rule(0.5, 0.4), Rule(0.5, 0.4, all_that_overlap_most)
    assert match(anchors, objects_of(boxes), strict).positive.tolist() == [[True, False, False, False]]
    found = match(anchors, objects_of(boxes), near)
    assert found.positive.tolist() == [[True, True, False, False]]  # the third object meets no anchor
    assert found.classes.tolist() == [[0, 1, 0, 0]]
    assert match(anchors, objects_of(boxes), Rule(0.5, 0.5, one_for_each)).positive.tolist() == found.positive.tolist()
    left = match(anchors, objects_of([[0.0, 0, 60, 60]], ignored=1.0), near)
    assert (left.positive.any().item(), left.negative.tolist()) == (False, [[False, False, False, True]])


@pytest.mark.parametrize("architecture", BOTH)
def test_a_batch_is_matched_as_its_images(
    architecture: Architecture, networks: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    network, head = networks[architecture.name], head_of(networks[architecture.name])
    images, labels = batch(3, SIDE)
    outputs, objects = network(images).detach(), Objects.of(labels)
    whole = head.loss(outputs, objects)
    parts = [head.loss(outputs[i : i + 1], Objects.of(labels[i : i + 1])) for i in range(3)]
    torch.testing.assert_close(torch.stack(parts).mean(), whole)
    monkeypatch.setattr("distill.tasks.detect_objects.anchor_matching.MOST_PAIRS", 1)
    torch.testing.assert_close(head.loss(outputs, objects), whole)
    nothing = Objects.of(torch.full((2, 1, 6), -1.0))
    assert bool(torch.isfinite(head.loss(outputs[:2], nothing)))


@pytest.mark.parametrize("architecture", BOTH)
def test_it_learns_and_is_read_back(architecture: Architecture, tmp_path: Path) -> None:
    network: nn.Module = made(architecture).train()
    images, labels = batch(4, 64)
    seen = learnt(network, architecture, images, labels, 6)
    assert seen[-1] < 0.9 * seen[0]
    _, report = read_back(network, architecture, images, tmp_path / "student.safetensors")
    assert (report.num_classes, accepting(architecture.name)) == (3, ("detect_objects",))


@pytest.mark.parametrize("architecture", BOTH)
def test_its_names_are_torchvisions(architecture: Architecture) -> None:
    import torchvision.models.detection as theirs

    name = architecture.name.partition(":")[2]
    more = 1 if architecture is SSD else 0  # torchvision counts the background
    with torch.device("meta"):
        whole = getattr(theirs, name)(weights=None, weights_backbone=None, num_classes=4 + more)
    mine = build(Architecture(name=architecture.name), 4)
    assert {k: v.shape for k, v in mine.state_dict().items()} == {k: v.shape for k, v in whole.state_dict().items()}
