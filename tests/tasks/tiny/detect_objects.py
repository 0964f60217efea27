from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from distill.types import Architecture, DistillConfig, RunSpec
from tests.detection.made_up import DETECTOR, coco_zip, picture
from tests.tasks.house import House, trained

STUDENT = Architecture(name="retort:fcos", options={"backbone": "test_byobnet", "width": 8, "depth": 1})
SETTINGS: dict[str, Any] = {
    "channels_last": False,
    "layers": 1,  # what a pyramid passes by cannot be distilled alone
    "teacher_layers": ["pyramid"],
    "student_layers": ["pyramid"],
}


LEVELS = [f"pyramid.smooth.{i}" for i in range(3)]
BY_RECIPE: dict[str, dict[str, Any]] = {
    "focal_global": {"layers": 3, "teacher_layers": LEVELS, "student_layers": LEVELS}  # it compares maps
}


def make(folder: Path) -> House:
    dataset = coco_zip(folder)
    config = DistillConfig(
        recipe="cross_entropy", epochs=4, device="cpu", precision="fp32", batch_size=8, learning_rate=3e-3
    )
    teacher = trained(RunSpec(config=config, student=DETECTOR, dataset=dataset), folder / "teacher", 3)
    shown = Image.fromarray(picture(200)[0])
    return House(
        dataset, teacher, STUDENT, SETTINGS, lambda student: [box.corners for box in student.predict(shown)], BY_RECIPE,
    )  # fmt: skip
