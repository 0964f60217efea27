"""A detector as a file for other runtimes, of every kind of detector: boxes and scores, and boxes after suppression."""

from __future__ import annotations

import ast
from math import inf
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from distill import exports
from distill.export import Served
from distill.models import build, preprocessing
from distill.tasks.detect_objects.delivery import BoxContext, BoxDelivery
from distill.tasks.detect_objects.detections import LEAST_SCORE, Detections, detect
from distill.tasks.detect_objects.flat import Apart
from distill.tasks.detect_objects.heads import HEADS, head_of
from distill.tasks.detect_objects.heads.files import FINAL, FLAT
from distill.tasks.detect_objects.student import Detector
from distill.traced import Traced
from distill.types import Architecture
from tests.detection.made_up import CLASSES, DETECTOR, batch, picture
from tests.detection.test_queries import D_FINE, RT_DETR

SIDE = 64
SMALL = {"backbone": "resnet18"}
NETWORKS = {
    "points": DETECTOR,
    "anchors": Architecture(name="torchvision:retinanet_resnet50_fpn", options=SMALL),
    "default_boxes": Architecture(
        name="torchvision:ssdlite320_mobilenet_v3_large", options={"backbone": "mobilenet_v3_small"}
    ),
    "proposals": Architecture(name="torchvision:fasterrcnn_resnet50_fpn", options=SMALL | {"proposals": 16}),
    "queries": RT_DETR,
    "refined_queries": D_FINE,
}
DELIVERY = BoxDelivery("detect_objects", "ap")


@pytest.fixture(scope="module", params=NETWORKS)
def context(request: pytest.FixtureRequest) -> BoxContext:
    return made(request.param)


def made(kind: str) -> BoxContext:
    """An untrained network that says something: its maps are normalised, its classes not as rare as it believes."""
    torch.manual_seed(0)
    architecture = NETWORKS[kind]
    network = build(architecture, len(CLASSES)).train().requires_grad_(requires_grad=False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of what it has seen
    network(batch(4, SIDE, first=20)[0])
    for name, value in network.eval().named_parameters():
        if name.endswith(("cls_logits.bias", "class_embed.1.bias")):
            value.add_(3)
        elif "cls_" in name or ("classification_head" in name and name.endswith(".1.weight")):
            value.mul_(20)
    how = preprocessing(architecture, SIDE)
    return BoxContext(network, architecture, CLASSES, how, {}, DELIVERY)


def test_each_kind_of_network_is_among_these() -> None:
    assert NETWORKS.keys() == HEADS.keys() - {FLAT, FINAL}


def said(network: nn.Module, images: Tensor) -> list[Detections]:
    with torch.no_grad():
        outputs = network(images)
    return [detect(one, head_of(network)) for one in outputs]


@pytest.mark.parametrize("suppression", [False, True])
def test_what_a_file_says_is_judged_as_what_the_network_says(context: BoxContext, suppression: bool) -> None:
    """By the graph in torch, so that nothing is rounded."""
    graph = DELIVERY.suppressed(context) if suppression else DELIVERY.graph(context)
    images = batch(2, SIDE)[0]
    served = Served(graph.module, graph, context.student)
    found, expected = said(served, images), said(context.student, images)
    assert sum(map(len, expected)) > 4
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.scores, other.scores)
        assert rows(one) == rows(other)


def rows(found: Detections) -> list[list[float]]:
    """In an order of their own: boxes of one score have none. Without those of the lowest score, of which the most
    that an image has may leave some out."""
    parts = [found.scores[:, None], found.classes[:, None], found.corners]
    above = found.scores > found.scores.min()
    listed: list[list[float]] = torch.cat(parts, 1)[above].tolist()
    return sorted(listed)


@pytest.mark.parametrize("suppression", [False, True])
def test_a_files_program_prints_what_the_student_says(
    context: BoxContext, suppression: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a picture that is not square, by the graph in torch. Boxes of one score have no order, and near ones may swap
    places, since the program's values of pixels differ by rounding."""
    graph = DELIVERY.suppressed(context) if suppression else DELIVERY.graph(context)
    around = DELIVERY.around(context, graph)
    assert around is not None
    path = tmp_path / "image.png"
    Image.fromarray(picture(200, 96)[0]).resize((96, 60)).save(path)
    names: dict[str, Any] = {}
    exec("\n".join([*around.imports, around.prepare]), names)
    with torch.no_grad():
        names["output"] = graph.module(torch.from_numpy(names["prepare"](str(path)))).numpy()
    read = around.read.replace("least_score = 0.3", f"least_score = {LEAST_SCORE}")
    exec(read.replace('"image.png"', repr(str(path))), names)
    printed = [ast.literal_eval(line) for line in capsys.readouterr().out.splitlines()]
    student = Detector(context.student, context.architecture, CLASSES, context.preprocessing)
    wanted = [(box.label, box.score, list(box.corners)) for box in student.predict(path)]
    assert wanted
    assert len(printed) == len(wanted)
    assert max(map(max, zip(apart(printed, wanted), apart(wanted, printed), strict=True))) < 1e-2


def apart(some: list[Any], others: list[Any]) -> list[float]:
    """Of each box how far the nearest of its class among the others is: pixels, a score as the picture's side."""

    def far(one: Any, other: Any) -> float:
        return max(96 * abs(one[1] - other[1]), *(abs(a - b) for a, b in zip(one[2], other[2], strict=True)))

    return [min((far(one, other) for other in others if other[0] == one[0]), default=inf) for one in some]


def traced(context: BoxContext, folder: Path) -> Traced:
    images = batch(3, SIDE, first=10)[0]
    return Traced(DELIVERY.suppressed(context), lambda count: iter([images[:count]]), folder)


QUICK = {"points", "anchors"}
"""Of these torch's converter is done in seconds."""


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in NETWORKS]
)
def test_onnxruntime_answers_as_torch_after_suppression(kind: str, tmp_path: Path) -> None:
    """`write` compares: three images together and each alone. Here the boxes are our own `detect`'s."""
    exporter: Any = exports.get("onnx")(suppression=True)
    context = made(kind)
    given = traced(context, tmp_path)
    (path,) = exporter.write(given, tmp_path / exporter.name("student"))
    assert path.name == "student.boxes.onnx"
    images = batch(2, SIDE)[0]
    served = Served(exporter.open(path, 1), given.graph, context.student)
    for one, other in zip(said(served, images), said(context.student, images), strict=True):
        assert len(one) == len(other)
        torch.testing.assert_close(one.scores, other.scores, rtol=0, atol=5e-3)


def test_torch_alone_does_not_run_our_suppression(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build(DETECTOR, len(CLASSES)).eval()
    context = BoxContext(network, DETECTOR, CLASSES, preprocessing(DETECTOR, SIDE), {}, DELIVERY)
    with pytest.raises(RuntimeError, match="suppress"):
        exports.get("torch-export")().write(traced(context, tmp_path), tmp_path / "student.pt2")
    assert not (tmp_path / "student.pt2").exists()


@pytest.mark.parametrize("in_place", [False, True])
def test_a_wrong_score_is_as_far_as_a_wrong_box(in_place: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    right = torch.cat([SIDE * torch.rand(2, 20, 4, generator=generator), torch.rand(2, 20, 3, generator=generator)], -1)
    wrong = right.clone()
    wrong[1, right[1, :, 4:].amax(1).argmax(), 4:] += 0.25
    apart = Apart(SIDE, in_place)
    assert apart(right, right) == 0
    assert apart(wrong, right) > 4
    assert (apart(right.flip(1), right) == 0) is not in_place
