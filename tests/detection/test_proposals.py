"""torchvision's Faster R-CNN: its proposals, its pooling and its losses on the same tensors; the teacher judges the
student's proposals."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import distill.torchvision_shim  # noqa: F401  (before torchvision)
from distill.answers import Compared
from distill.models import build
from distill.models.nms import COMPILED, suppress
from distill.models.points import unpack
from distill.models.proposals import Proposals
from distill.models.roi_pooling import aligned, pooled
from distill.objectives.logits import soft_divergence
from distill.tasks.detect_objects.answer import BoxAnswer
from distill.tasks.detect_objects.detections import detect
from distill.tasks.detect_objects.heads import head_of, proposals
from distill.tasks.detect_objects.rows import Objects
from distill.types import Architecture
from tests.detection.made_up import batch
from tests.detection.taught import learnt, read_back

SIDE = 64
RCNN = Architecture(
    name="torchvision:fasterrcnn_resnet50_fpn", options={"backbone": "mobilenet_v3_small", "proposals": 24}
)


def made(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return build(RCNN, 3).eval()


@pytest.fixture(scope="module")
def network() -> Any:
    return made()


def plain_nms(boxes: Tensor, scores: Tensor, overlap: float) -> Tensor:
    """One box after another, by torchvision's own IoU."""
    from torchvision.ops import box_iou

    over, kept = (box_iou(boxes, boxes) > overlap).tolist(), list[int]()
    for i in scores.argsort(descending=True, stable=True).tolist():
        if not any(over[i][j] for j in kept):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.int64)


def scattered(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator) * 40
    sides = torch.rand(count, 2, generator=generator) * 30 + 2
    return torch.cat([low, low + sides], 1), torch.rand(count, generator=generator)


def test_boxes_that_overlap_are_suppressed() -> None:
    boxes, scores = scattered(60)
    two = torch.stack([scores, scores.flip(0)])[None]
    found = suppress(boxes[None], two, 0.5, 0.1)
    for group in range(2):
        expected = [i for i in plain_nms(boxes, two[0, group], 0.5).tolist() if two[0, group, i] > 0.1]
        assert found[0, group].nonzero()[:, 0].tolist() == sorted(expected)
    assert suppress(boxes[None].to("meta"), two.to("meta"), 0.5, 0.1).shape == two.shape


@pytest.mark.skipif(not COMPILED, reason="torchvision's compiled operators cannot be loaded beside this torch")
def test_the_plain_operators_are_the_compiled_ones() -> None:
    from torchvision.ops import nms

    boxes, scores = scattered(300)
    assert sorted(nms(boxes, scores, 0.5).tolist()) == sorted(plain_nms(boxes, scores, 0.5).tolist())
    feature, corners = torch.randn(2, 3, 9, 12), boxes[:20].reshape(2, 10, 4)
    torch.testing.assert_close(
        aligned(feature, corners, 0.125, compiled=True), aligned(feature, corners, 0.125, compiled=False)
    )  # fmt: skip


def test_pooling_is_torchvisions() -> None:
    """By the python form of its operator; each box on its own level, and all boxes on all levels at once."""
    from torchvision.ops import MultiScaleRoIAlign
    from torchvision.ops.poolers import _setup_scales
    from torchvision.ops.roi_align import _roi_align

    maps = {str(i): torch.randn(2, 3, 128 // s, 192 // s) for i, s in enumerate((4, 8, 16, 32))}
    low = torch.rand(2, 8, 2) * torch.tensor([150.0, 90.0])
    corners = torch.cat([low, low + torch.rand(2, 8, 2) * torch.tensor([40.0, 38.0])], -1)
    corners[:, 0] = torch.tensor([0.0, 0, 192, 128])
    reference = _roi_align.__wrapped__
    rois = torch.cat([torch.arange(2.0).repeat_interleave(8)[:, None], corners.flatten(0, 1)], 1)
    one = reference(maps["1"], rois, 0.125, 7, 7, 2, False)
    torch.testing.assert_close(aligned(maps["1"], corners, 0.125, compiled=False).flatten(0, 1), one)
    pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    scales, levels = _setup_scales(list(maps.values()), [(128, 192)] * 2, pool.canonical_scale, pool.canonical_level)
    chosen = levels(list(corners))
    every = [reference(m, rois, s, 7, 7, 2, False) for m, s in zip(maps.values(), scales, strict=True)]
    expected = torch.stack([every[int(level)][i] for i, level in enumerate(chosen)])
    assert len(set(chosen.tolist())) > 1
    torch.testing.assert_close(pooled(list(maps.values()), corners, (128, 192)), expected)


def test_the_proposals_are_torchvisions(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.ops import boxes as theirs

    monkeypatch.setattr(theirs, "batched_nms", _batched)
    network = made().train()  # by the batch's own statistics, so that no two regions have one score
    images = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = Proposals.of(network(images), 3, 24)
        levels = list(network.backbone(images).values())
        counts = [level.shape[-1] * level.shape[-2] * 15 for level in levels]
        boxes, _ = network.rpn.filter_proposals(found.regions, found.objectness, [(SIDE, SIDE)] * 2, counts)
    for i in range(2):
        expected = boxes[i][:24]
        assert int(found.there[i].sum()) == len(expected)
        torch.testing.assert_close(found.corners[i][: len(expected)], expected)


def _batched(boxes: Tensor, scores: Tensor, groups: Tensor, overlap: float) -> Tensor:
    kept = [(groups == g).nonzero()[:, 0][plain_nms(boxes[groups == g], scores[groups == g], overlap)]
            for g in groups.unique()]  # fmt: skip
    joined = torch.cat(kept)
    return joined[scores[joined].argsort(descending=True)]


def test_the_loss_is_torchvisions_where_all_are_drawn(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.models.detection._utils import BoxCoder
    from torchvision.models.detection.roi_heads import fastrcnn_loss

    from distill.models.anchors import encoded

    monkeypatch.setattr(proposals, "REGIONS", (10**6, 0.5))
    monkeypatch.setattr(proposals, "BOXES", (10**6, 0.5))
    images, labels = batch(1, SIDE, first=4)
    objects, head = Objects.of(labels), head_of(network)
    with torch.no_grad():
        outputs = network(images)
    found = Proposals.of(outputs, 3, 24)
    found.corners[0, :2] = objects.corners[0, 0] + torch.tensor([[0.0, 0, 1, 1], [1.0, 0, 0, 2]])  # some are positive
    outputs = found.packed()
    target = {"boxes": objects.corners[0][objects.there[0]], "labels": objects.classes[0][objects.there[0]] + 1}
    network.rpn.fg_bg_sampler.batch_size_per_image = 10**6
    given, boxes = network.rpn.assign_targets_to_anchors([found.anchors[0]], [target])
    wanted = network.rpn.box_coder.encode(boxes, [found.anchors[0]])
    deltas = encoded(found.regions[0], found.anchors[0])
    first = network.rpn.compute_loss(found.objectness.reshape(-1, 1), deltas, given, wanted)
    corners, there = found.corners[0], found.there[0] > 0
    corners = corners[there]
    matched, numbers = network.roi_heads.assign_targets_to_proposals([corners], [target["boxes"]], [target["labels"]])
    coder = BoxCoder((10.0, 10.0, 5.0, 5.0))
    aims = coder.encode([target["boxes"][matched[0]]], [corners])
    logits = torch.cat([torch.zeros(len(corners), 1), found.classes[0][there]], 1)
    own = torch.stack([coder.encode_single(found.boxes[0][there][:, c], corners) for c in range(3)], 1)
    moves = torch.cat([torch.zeros(len(corners), 4), own.flatten(1)], 1)
    second = fastrcnn_loss(logits, moves, numbers, aims)
    assert int((numbers[0] > 0).sum()) > 0
    assert float(head.loss(outputs, objects)) == pytest.approx(float(sum([*first, *second])), rel=1e-4)


def test_it_learns_and_is_read_back(tmp_path: Path) -> None:
    network: nn.Module = made().train()
    images, labels = batch(2, SIDE)
    seen = learnt(network, RCNN, images, labels, 6)
    assert seen[-1] < 0.95 * seen[0]
    again, report = read_back(network, RCNN, images, tmp_path / "student.safetensors")
    assert report.num_classes == 3
    assert len(detect(again(images)[0], head_of(again))) <= 100


def test_the_teacher_judges_the_students_proposals(network: Any) -> None:
    """On its own features; of its second stage alone, once a step, and the student's own runs once."""
    student, teacher = network, made(1)
    images, labels = batch(2, SIDE)
    head = head_of(student).taught_by(teacher, teacher(images[:1]), (SIDE, SIDE), (SIDE, SIDE))
    answer, distance = BoxAnswer(head), partial(soft_divergence, temperature=2.0)
    calls = {"student": 0, "teacher": 0}
    hooks = [
        module.roi_heads.box_head.register_forward_hook(lambda *_, n=name: calls.update({n: calls[n] + 1}))
        for name, module in (("student", student), ("teacher", teacher))
    ]
    targets = answer.ask(teacher, images)
    assert (set(targets), calls["teacher"]) == ({"pyramid"}, 0)
    compared = answer.compare(student(images), labels, targets)
    found = answer.divergence(compared, distance)
    assert calls == {"student": 1, "teacher": 1}
    for hook in hooks:
        hook.remove()
    assert float(found.detach()) > 0
    found.backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert bool(student.roi_heads.box_predictor.cls_score.weight.grad.any())
    student.zero_grad()
    own = head_of(student).taught_by(student, student(images[:1]), (SIDE, SIDE), (SIDE, SIDE))
    same = own.divergence(student(images), BoxAnswer(own).ask(student, images), distance)
    assert float(same) == pytest.approx(0, abs=1e-5)
    judged = own.judge(student.features(images), Proposals.of(student(images), 3, 24).corners)  # type: ignore[misc]
    torch.testing.assert_close(judged[0], Proposals.of(student(images), 3, 24).classes)


def test_a_teacher_of_another_input_judges_the_same_places(network: Any) -> None:
    """Its features at twice the size, and boxes in pixels of the student's input."""
    images, _ = batch(1, SIDE)
    large = nn.functional.interpolate(images, scale_factor=2)
    head = head_of(network).taught_by(network, network(large), (2 * SIDE, 2 * SIDE), (SIDE, SIDE))
    corners = torch.tensor([[[4.0, 4, 40, 36]]])
    with torch.no_grad():
        pyramid = network.features(large)
        classes, boxes = head.judge(pyramid, corners)  # type: ignore[misc]
        levels = unpack(pyramid, head.judge.levels)  # type: ignore[union-attr]
        expected = network.judge(levels, corners * 2, (2 * SIDE, 2 * SIDE))
    torch.testing.assert_close((classes, boxes), (expected[0], expected[1] / 2))


def test_answers_of_several_have_no_mean(network: Any) -> None:
    from distill.errors import InvalidConfig

    answer = BoxAnswer(head_of(network))
    assert isinstance(answer.compare(network(batch(1, SIDE)[0]), batch(1, SIDE)[1]), Compared)
    with pytest.raises(InvalidConfig):
        answer.mean([torch.zeros(1, 2)])


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v3_large"])
def test_its_names_are_torchvisions(backbone: str) -> None:
    import torchvision.models.detection as theirs

    name = RCNN.name.partition(":")[2].replace("resnet50", backbone)
    with torch.device("meta"):
        whole = getattr(theirs, name)(weights=None, weights_backbone=None, num_classes=5)
        mine = build(Architecture(name=RCNN.name, options={"backbone": backbone}), 4)
    assert {k: v.shape for k, v in mine.state_dict().items()} == {k: v.shape for k, v in whole.state_dict().items()}
