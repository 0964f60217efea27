"""The page that runs a student in a browser: what is written into it, and what it is refused for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from distill import exports, tasks
from distill.errors import RetortError
from distill.export import Context, Graph
from distill.exports import _needs
from distill.exports.onnx_web import filled, model_in
from distill.models import Preprocessing
from distill.not_exportable import NotExportable
from distill.tasks.classify_images.delivery import ClassifierDelivery
from distill.traced import Traced
from distill.types import Architecture

HOW = Preprocessing((0.4, 0.5, 0.6), (0.2, 0.2, 0.2), (8, 8), "bicubic", crop=0.875, channel_order="BGR")


def context(how: Preprocessing = HOW, classes: tuple[str, ...] = ("a", "b")) -> Context:
    report = {"recipe": "logit", "student": {}}
    architecture = Architecture(name="retort:resnet8")
    return Context(
        nn.Identity(), architecture, classes, how, report, ClassifierDelivery("classify_images"), native=(9, 9)
    )


def told(of: Context) -> dict[str, Any] | None:
    graph = Graph(of.student, torch.zeros(2, of.preprocessing.channels, 8, 8), "image", "logits")
    return of.delivery.page(of, graph)


def test_a_page_is_told_how_the_student_sees() -> None:
    found = told(context())
    assert found is not None
    assert (found["kind"], found["framing"], found["classes"], found["output"]) == (
        "class",
        "centre",
        ["a", "b"],
        "logits",
    )
    assert found["input"] == {
        "name": "image", "dtype": "float32", "channels": 3, "height": 8, "width": 8, "interpolation": "bicubic",
        "crop": 0.875, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.2], "order": "BGR", "native": [9, 9],
        "around": [153, 128, 102], "around_grey": [128],
    }  # fmt: skip


@pytest.mark.parametrize(
    "of", [context(classes=()), context(Preprocessing((0.5,), (0.2,), (8, 8), channels=1, pixel_range=(0, 4095)))]
)
def test_what_a_browser_cannot_do_as_evaluation_did_has_no_page(of: Context, tmp_path: Path) -> None:
    assert told(of) is None
    graph = Graph(of.student, torch.zeros(2, 3, 8, 8), "image", "logits")
    with pytest.raises(NotExportable):
        exports.get("onnx-web")().write(
            Traced(graph, lambda count: iter(()), tmp_path, None), tmp_path / "student.html"
        )


def test_names_of_classes_are_words_and_no_markup() -> None:
    hostile = {"classes": ["</script><script>alert(1)</script>", "<!--", "\u2028"]}
    page = filled(_needs.PAGE.read_text(encoding="utf-8"), hostile, b"onnx")
    inside = re.search(r'id="described">(.*?)</script>', page, re.S)
    assert inside is not None
    assert json.loads(inside[1]) == hostile
    assert model_in(page.encode()) == b"onnx"


def test_a_page_without_a_student_has_no_model() -> None:
    with pytest.raises(ValueError, match="no model"):
        model_in(_needs.PAGE.read_bytes())


def test_where_the_page_was_not_built_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_needs, "PAGE", tmp_path / "student.html")
    with pytest.raises(RetortError) as caught:
        exports.get("onnx-web")().check_packages()
    assert (caught.value.code, caught.value.details) == ("missing_package", {"packages": ["onnxruntime-web"]})
    assert exports.lacking()["onnx-web"] == caught.value.to_dict()


def test_detectors_have_a_page_of_what_is_left_after_suppression() -> None:
    assert [spec.name for spec in tasks.specs() if spec.exports and tasks.get(spec.name).delivery.suppresses] == [
        "detect_objects"
    ]
