"""What names and options tell of detectors before any network is built is what the networks are."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch

import distill.torchvision_shim  # noqa: F401  (before torchvision)
from distill import recipes
from distill.models import build
from distill.models.detectors import DETECTORS
from distill.tasks import spec
from distill.tasks.detect_objects.answering import kind_of, strides_of
from distill.tasks.detect_objects.heads import HEADS, head_of
from distill.tasks.detect_objects.heads.files import FINAL, FLAT
from distill.tasks.detect_objects.levels import Levels
from distill.tasks.forecast import Parts, forecast
from distill.types import Architecture, DistillConfig

TINY: dict[str, dict[str, Any]] = {
    "retort:fcos": {"backbone": "test_byobnet", "width": 8, "depth": 1},
    "torchvision:fcos_resnet50_fpn": {"backbone": "resnet18"},
    "torchvision:retinanet_resnet50_fpn": {"backbone": "resnet18"},
    "torchvision:ssdlite320_mobilenet_v3_large": {"backbone": "mobilenet_v3_small"},
    "torchvision:fasterrcnn_resnet50_fpn": {"backbone": "mobilenet_v3_small", "proposals": 24},
    "transformers:rt_detr": {"num_queries": 10, "d_model": 32, "encoder_hidden_dim": 32, "decoder_layers": 1},
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
