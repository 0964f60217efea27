"""What a detector is taught, on rows that are written down and on networks that learn them."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from distill import recipes
from distill.errors import InvalidConfig
from distill.layers import discover
from distill.models import build
from distill.models.points import Points, assemble, grid, pack, unpack
from distill.objectives.logits import soft_divergence
from distill.recipe_parts.base import Setup
from distill.tasks.detect_objects import assignment
from distill.tasks.detect_objects.answer import BoxAnswer
from distill.tasks.detect_objects.assignment import assign, centerness
from distill.tasks.detect_objects.detections import detect
from distill.tasks.detect_objects.rois import Levels
from distill.tasks.detect_objects.rows import Objects
from distill.types import Architecture
from tests.detection.made_up import batch

SIDE = 64
SIZES = [(8, 8), (4, 4), (2, 2)]
ANSWER = BoxAnswer()


def network(width: int = 8, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build(Architecture(name="retort:fcos", options={"backbone": "test_byobnet", "width": width}), 3)


def rows_of(boxes: list[list[float]], class_logit: float = 4.0, seed: int = 0) -> Tensor:
    """(1, P, 3 + 8) of a detector that says at each point of a level the box (of class 0) that answers there."""
    generator = torch.Generator().manual_seed(seed)
    count = sum(h * w for h, w in SIZES)
    classes = torch.randn(1, count, 3, generator=generator) * 0.1 - 8
    rows = assemble(classes, torch.ones(1, count, 4), torch.zeros(1, count, 1), SIZES, (SIDE, SIDE))
    given = assign(Points.of(rows), Objects.of(labels_of(boxes)))
    rows[..., 0] = torch.where(given.positive, class_logit, rows[..., 0])
    rows[..., 3:7] = torch.where(given.positive[..., None], given.boxes, rows[..., 3:7])
    rows[..., 7] = torch.where(given.positive, torch.logit(given.centerness.clamp(0.01, 0.99)), rows[..., 7])
    return rows


def labels_of(boxes: list[list[float]], ignored: float = 0.0) -> Tensor:
    return torch.tensor([[[*box, 0.0, ignored] for box in boxes] or [[0.0, 0, 0, 0, -1, 0]]])


def test_points_are_the_cells_centres() -> None:
    places, strides = grid([(2, 3), (1, 2)], (15, 24), torch.zeros(1))
    assert places.tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12], [8, 8], [24, 8]]
    assert strides.tolist() == [8] * 6 + [16] * 2
    maps = [torch.randn(2, 5, 2, 3), torch.randn(2, 5, 1, 2)]
    for before, after in zip(maps, unpack(pack(maps), [(2, 3), (1, 2)]), strict=True):
        assert torch.equal(before, after)


def test_the_network_says_where_its_points_are() -> None:
    found = network().eval()(torch.randn(2, 3, SIDE, 96))
    levels = Levels.of(*ANSWER.head.cells(found))
    assert levels == Levels(((8, 12), (4, 6), (2, 3)), (8, 16, 32))
    assert found.shape == (2, levels.points, 3 + 8)
    points = Points.of(found)
    inside = (points.boxes[..., :2] < points.places) & (points.places < points.boxes[..., 2:])
    assert bool(inside.all())


def test_the_smallest_object_of_a_points_level_has_it() -> None:
    """A large object's centre points belong to the small one that lies there; an ignored one has none, and what stands
    in it alone is not taught."""
    rows = rows_of([])
    large, small = [0.0, 0, 24, 24], [8.0, 8, 16, 16]
    given = assign(Points.of(rows), Objects.of(labels_of([large, small])))
    where = Points.of(rows).places[0][given.positive[0]].tolist()
    assert [12.0, 12.0] in where
    taken = given.boxes[0][given.positive[0]].tolist()
    assert taken[where.index([12.0, 12.0])] == small
    assert taken[where.index([4.0, 12.0])] == large
    ignored = assign(Points.of(rows), Objects.of(labels_of([large], ignored=1.0)))
    assert not bool(ignored.positive.any())
    inside = (Points.of(rows).places[0] < 24).all(-1)
    assert torch.equal(ignored.counted[0], ~inside)
    assert bool(given.counted.all())


class Largest(TorchDispatchMode):
    """The most elements of a tensor that is made within."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, Tensor):
            self.elements = max(self.elements, found.numel())
        return found


def crowded(images: int, boxes: int) -> Tensor:
    """Labels (images, boxes, 6): the first image is full, each other one has i boxes, one of them ignored."""
    generator = torch.Generator().manual_seed(0)
    low, sides = (torch.rand(images, boxes, 2, generator=generator) * SIDE / 2 for _ in range(2))
    classes = torch.randint(3, (images, boxes, 1), generator=generator).float()
    labels = torch.cat([low, low + sides + 1, classes, torch.zeros(images, boxes, 1)], -1)
    for i in range(1, images):
        labels[i, i:] = torch.tensor([0.0, 0, 0, 0, -1, 0])
        labels[i, 0, 5] = 1.0
    return labels


def test_an_image_of_many_boxes_does_not_cost_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is of the fullest image, not of it times the batch; and the answer is the same."""
    points, objects = Points.of(rows_of([]).expand(16, -1, -1)), Objects.of(crowded(16, 500))
    at_once = assign(points, objects)
    monkeypatch.setattr(assignment, "MOST_PAIRS", 1)
    with Largest() as found:
        by_image = assign(points, objects)
    for field in fields(at_once):
        assert torch.equal(getattr(at_once, field.name), getattr(by_image, field.name)), field.name
    assert found.elements <= max(4 * 500 * points.places.shape[1], objects.corners.numel())


def test_large_objects_are_the_coarse_levels() -> None:
    rows = rows_of([])
    for box, stride in (([20.0, 20, 40, 40], 8), ([0.0, 0, 64, 64], 8), ([-60.0, -60, 120, 120], 16)):
        given = assign(Points.of(rows), Objects.of(labels_of([box])))
        assert set(Points.of(rows).strides[given.positive].tolist()) == {stride}


def test_centerness_is_the_papers() -> None:
    sides = torch.tensor([[1.0, 2, 3, 2], [2, 2, 2, 2], [0, 1, 4, 1]])
    assert centerness(sides).tolist() == pytest.approx([(1 / 3) ** 0.5, 1, 0])


def test_a_detector_that_is_right_has_no_loss_but_of_its_doubt() -> None:
    box = [12.0, 16, 40, 44]
    right, wrong = rows_of([box]), rows_of([[30.0, 30, 60, 60]])
    labels = labels_of([box])
    loss = [float(ANSWER.loss(ANSWER.compare(rows, labels))) for rows in (right, wrong)]
    assert loss[0] < 0.7 < loss[1]  # what remains is the entropy of a centerness below 1
    found = detect(right[0], ANSWER.head)
    assert found.corners[0].tolist() == pytest.approx(box, abs=1e-3)
    assert (int(found.classes[0]), len(found)) == (0, 1)


def test_a_batch_in_parts_has_the_gradient_of_the_whole() -> None:
    """Parts weigh by their images, as the loop and several processes have it; labels may be padded to other widths."""
    inputs, labels = batch(6, SIDE)
    model = network().eval()
    whole = ANSWER.loss(ANSWER.compare(model(inputs), labels))
    parts = []
    for part in (slice(0, 2), slice(2, 6)):
        mine = labels[part]
        mine = mine[:, : int((mine[..., 4] >= 0).sum(1).max())]
        parts.append(ANSWER.loss(ANSWER.compare(model(inputs[part]), mine)) * ANSWER.weight(mine))
    torch.testing.assert_close(torch.stack(parts).sum() / 6, whole)
    nothing = torch.full((2, 1, 6), -1.0)
    empty = ANSWER.loss(ANSWER.compare(model(inputs[:2]), nothing))
    empty.backward()
    assert bool(torch.isfinite(empty))


def test_the_divergence_is_of_bernoulli_variables() -> None:
    """T^2 KL of two sigmoids a class, over the points where one of both is sure, and GIoU of the boxes."""
    teacher, student = rows_of([[12.0, 16, 40, 44]]), rows_of([[12.0, 16, 40, 44]], 1.0, seed=1)
    labels = labels_of([])
    distance = partial(soft_divergence, temperature=2.0)
    compared = ANSWER.compare(student, labels, {"logits": teacher})
    found = float(ANSWER.divergence(compared, distance))
    t, s = Points.of(teacher), Points.of(student)
    told = torch.maximum(t.classes.sigmoid().amax(-1), s.classes.sigmoid().amax(-1)) >= 0.05
    p, q = ((points.classes[told] / 2).sigmoid() for points in (t, s))
    kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    weight = t.classes.sigmoid().amax(-1)[told].sum()
    assert found == pytest.approx(float(4 * kl.sum() / weight), rel=1e-4)
    same = ANSWER.compare(teacher, labels, {"logits": teacher})
    assert float(ANSWER.divergence(same, distance)) == pytest.approx(0, abs=1e-5)
    with pytest.raises(InvalidConfig):
        ANSWER.divergence(ANSWER.compare(student, labels, {"logits": teacher[:, :80]}), distance)


def setup(student: nn.Module, teacher: nn.Module, students: list[str], teachers: list[str]) -> Setup:
    example = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    shapes = [
        tuple(layer.shape for layer in discover(model, example, names))
        for model, names in ((student, students), (teacher, teachers))
    ]
    return Setup(
        student, teacher, 3, tuple(students), tuple(teachers), *shapes, example, example, answer=ANSWER,
    )  # fmt: skip


def test_features_alone_train_what_stands_up_to_the_pyramid() -> None:
    """By gradients: the labels reach the head alone, the features backbone and pyramid alone."""
    student = network()
    recipe = recipes.get("feature_only")(setup(student, network(16, 1), ["pyramid"], ["pyramid"]))
    inputs, labels = batch(4, SIDE)
    parts = recipe(inputs, labels, recipe.targets(inputs))
    for term, mine in (("feature", ("backbone", "pyramid")), ("detection", ("head",))):
        recipe.feature_weight, recipe.head_weight = (1.0, 0.0) if term == "feature" else (0.0, 1.0)
        student.zero_grad()
        recipe(inputs, labels, recipe.targets(inputs))["loss"].backward()
        gradients = {name: p.grad for name, p in student.named_parameters() if p.grad is not None}
        moved = {name.partition(".")[0] for name, gradient in gradients.items() if gradient.any()}
        assert moved == set(mine), term
    assert {"feature", "detection"} <= parts.keys()
    with pytest.raises(InvalidConfig) as refused:
        recipes.get("feature_only")(setup(student, network(16, 1), ["backbone.stages_2.0"], ["backbone.stages_2.0"]))
    assert "'pyramid'" in refused.value.remedy


@pytest.mark.parametrize("recipe", ["logit", "feature_logit", "blockwise_logit"])
def test_logits_teach_a_student(recipe: str) -> None:
    """The student comes nearer to its teacher's answers; stones go through the teacher's later stages, its pyramid and
    its head."""
    layers = ["backbone.stages_0.0", "pyramid"] if recipe == "blockwise_logit" else ["pyramid"]
    student, teacher = network(8), network(16, 1)
    made = recipes.get(recipe)(setup(student, teacher, layers, layers))
    inputs, labels = batch(8, SIDE)
    optimizer = torch.optim.Adam(made.parameters(), 3e-3)
    seen = []
    for _ in range(12):
        parts = made(inputs, labels, made.targets(inputs))
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
        seen.append(float(parts["loss"].detach()))
    assert seen[-1] < 0.95 * seen[0]
    assert all(p.grad is None for p in teacher.parameters())


def test_every_layer_up_to_the_pyramid_is_found_and_no_more() -> None:
    names = [layer.name for layer in discover(network(), torch.randn(2, 3, SIDE, SIDE))]
    assert names[-1] == "pyramid"
    assert not any(name.startswith("head") for name in names)
