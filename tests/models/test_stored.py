"""The bytes of a network's file are known before there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill.models import build, preprocessing, save
from distill.models.build import skeleton
from distill.models.stored import stored
from distill.tasks._images.delivery import header
from distill.types import Architecture

CLASSES = [f"class {number}" for number in range(10)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("retort:resnet8", {"width": 1}),
        ("retort:resnet8", {"width": 16}),
        ("retort:resnet56", {"width": 2}),
        ("retort:vgg11_small", {"width": 2}),
        ("retort:mobilenet_v2_small", {"width": 8}),
        ("timm:mobilenetv3_small_050", {}),
    ],
)
def test_a_file_is_at_most_as_large_as_was_counted_and_hardly_smaller(
    tmp_path: Path, name: str, options: dict[str, int]
) -> None:
    architecture = Architecture(name=name, options=options)
    how = preprocessing(architecture, native_size=(32, 32))
    counted = stored(skeleton(architecture, 10, 3, how.size), 10)
    accuracy = {"value": 0.9123, "low": 0.9012, "high": 0.9234, "n": 10_000}
    told = header(
        architecture, CLASSES, how, (32, 32), recipe="feature_only", accuracy=accuracy, task="classify_images"
    )
    save(build(architecture, 10, 3, how.size), path := tmp_path / "student.safetensors", told)
    assert 0 <= counted.bytes - path.stat().st_size < 1200
