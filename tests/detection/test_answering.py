"""What names and options tell of detectors before any network is built is what the networks are."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
import torch

import distill.torchvision_shim  # noqa: F401  (before torchvision)
from distill import recipes
from distill.errors import InvalidConfig
from distill.models import build
from distill.models.detectors import DETECTORS
from distill.tasks import spec
from distill.tasks.detect_objects.answering import kind_of, strides_of
from distill.tasks.detect_objects.heads import HEADS, head_of
from distill.tasks.detect_objects.heads.files import FINAL, FLAT
from distill.tasks.detect_objects.levels import Levels
from distill.tasks.forecast import Parts, forecast
from distill.tasks.networks import measure
from distill.types import Architecture, DistillConfig
from distill.vision_folder import DETECTOR_NAMES

TINY: dict[str, dict[str, Any]] = {
    "retort:fcos": {"backbone": "test_byobnet", "width": 8, "depth": 1},
    "torchvision:fcos_resnet50_fpn": {"backbone": "resnet18"},
    "torchvision:retinanet_resnet50_fpn": {"backbone": "resnet18"},
    "torchvision:ssdlite320_mobilenet_v3_large": {"backbone": "mobilenet_v3_small"},
    "torchvision:fasterrcnn_resnet50_fpn": {"backbone": "mobilenet_v3_small", "proposals": 24},
    "transformers:rt_detr": {"num_queries": 10, "d_model": 32, "encoder_hidden_dim": 32, "decoder_layers": 1},
    "transformers:d_fine": {"num_queries": 10, "d_model": 32, "encoder_hidden_dim": 32, "decoder_layers": 1},
}
MADE = [Architecture(name=name, options=options) for name, options in TINY.items()]
FINE = Architecture(name="retort:fcos", options=TINY["retort:fcos"] | {"finest": 4})
SPEC = spec("detect_objects")


def test_every_detector_is_known() -> None:
    assert {f"torchvision:{name}" for name in DETECTORS} <= TINY.keys()
    of_files = {HEADS[name].kind for name in (FLAT, FINAL)}  # which no network answers by
    assert {kind_of(each) for each in MADE} == {head.kind for head in HEADS.values()} - of_files
    assert kind_of(Architecture(name="retort:resnet8")) is None


@pytest.mark.parametrize("architecture", [*MADE, FINE], ids=lambda each: f"{each.name} {each.options.get('finest')}")
def test_kind_and_strides_are_the_networks(architecture: Architecture) -> None:
    network = build(architecture, 3).eval()
    assert head_of(network).kind is kind_of(architecture)
    if strides := strides_of(architecture):
        with torch.no_grad():
            outputs = network(torch.zeros(1, 3, 128, 128))
        assert Levels.of(*head_of(network).cells(outputs)).strides == strides


def told(recipe: str, student: Architecture, teacher: Architecture, **settings: Any) -> list[Any]:
    report = {"architecture": teacher.model_dump(), "num_classes": 3, "classes": ["a", "b", "c"]}
    parts = Parts(DistillConfig(recipe=recipe, **settings), student, {"classes": ["a", "b", "c"]}, (report,))
    return list(forecast(SPEC.name).misfits(parts))


def test_a_request_is_told_which_logits_cannot_be_paired() -> None:
    """As the run would refuse them; recipes that read features alone go through."""
    reading = ("logit", "feature_logit", "blockwise_logit")
    for recipe, student, teacher in product(SPEC.recipes, [*MADE, FINE], [*MADE, FINE]):
        kind = kind_of(student)
        same = kind is kind_of(teacher) and strides_of(student) == strides_of(teacher)
        fits = recipe not in reading or (same and kind.pairs and (kind.averages or not recipes.averages(recipe)))  # type: ignore[union-attr]
        found = told(recipe, student, teacher)
        assert [each.pointer for each in found] == ([] if fits else ["/config/recipe"]), (recipe, student, teacher)
    assert not told("feature_logit", MADE[0], MADE[2], recipe_parameters={"kl": False})


@pytest.mark.parametrize(("side", "pointers"), [(128, []), (64, ["/config/image_size"]), ("auto", [])])
def test_a_request_is_told_that_a_student_of_another_size_has_other_places(side: Any, pointers: list[str]) -> None:
    """A teacher's file says how large its pictures are; a student of `auto` sees them so too."""
    how = {
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "size": [128, 128],
        "interpolation": "bilinear",
        "channels": 3,
        "crop": 1.0,
    }
    report = {
        "architecture": MADE[0].model_dump(), "num_classes": 3, "in_channels": 3, "classes": ["a", "b", "c"],
        "metadata": {"preprocessing": json.dumps(how)}, "preprocessing": how | {"origin": "header"},
    }  # fmt: skip
    config = DistillConfig(recipe="logit", image_size=side)
    parts = Parts(config, MADE[0], {"classes": ["a", "b", "c"]}, (report,))
    assert [each.pointer for each in forecast(SPEC.name).misfits(parts)] == pointers
    alone = Parts(
        config.model_copy(update={"recipe": "feature_only"}), MADE[0], {"classes": ["a", "b", "c"]}, (report,)
    )
    assert not list(forecast(SPEC.name).misfits(alone))


def rehearsed(recipe: str, student: Architecture, side: int = 64, **settings: Any) -> list[dict[str, Any]]:
    """What a worker answers about a job with a small teacher that sees 64 x 64 pixels."""

    def asked(architecture: Architecture, size: int) -> dict[str, Any]:
        about = {"architecture": architecture.model_dump(), "num_classes": 3, "in_channels": 3}
        return about | {"image_size": size, "native_size": None}

    networks = {"student": asked(student, side), "teacher": asked(MADE[0], 64)}
    told = measure({"task": SPEC.name, "rehearsal": {"config": {"recipe": recipe} | settings} | networks})
    found: list[dict[str, Any]] = told["warnings"]
    return found


PYRAMID = {"layers": 1, "teacher_layers": ["pyramid"], "student_layers": ["pyramid"]}
LATE: dict[str, tuple[dict[str, Any], str]] = {
    "a connection bypasses the layer": (PYRAMID | {"student_layers": ["pyramid.smooth.0"]}, "student_layers"),
    "a connection bypasses the teacher's": (
        PYRAMID | {"recipe": "blockwise_logit", "teacher_layers": ["backbone.stages_3.0"]}, "recipe",
    ),
    "the student has other places": ({"recipe": "logit", "side": 128}, "recipe"),
}  # fmt: skip


@pytest.mark.parametrize("case", LATE)
def test_a_worker_knows_what_the_run_would_refuse(case: str) -> None:
    settings, field = LATE[case]
    with pytest.raises(InvalidConfig) as caught:
        rehearsed(**{"recipe": "feature_only", "student": MADE[0]} | settings)
    assert caught.value.details["field"] == field
    if field == "student_layers":
        assert "'pyramid'" in caught.value.remedy  # a layer after the named one, not before it


def test_what_feature_only_leaves_untrained_is_named() -> None:
    for querying in (each for each in MADE if each.name in DETECTOR_NAMES):
        (found,) = rehearsed("feature_only", querying, layers=1, teacher_layers=["pyramid"])
        assert found["code"] == "untaught_parameters"
        assert found["details"]["modules"] == ["model.encoder.downsample_convs", "model.encoder.pan_blocks"]
        assert not rehearsed("cross_entropy", querying)
    for recipe in ("focal_global", "masked_generative"):
        levels = ["pyramid.smooth.0"] if recipe == "focal_global" else ["pyramid"]
        assert not rehearsed(recipe, MADE[0], **PYRAMID | {"teacher_layers": levels, "student_layers": levels})
