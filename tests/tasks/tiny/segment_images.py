from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from distill.types import Architecture, DistillConfig, RunSpec
from tests.segmentation.shapes import FPN, archive, picture
from tests.tasks.house import House, trained

STUDENT = Architecture(name="retort:fpn", options={"backbone": "test_byobnet", "width": 8})
SETTINGS: dict[str, Any] = {
    "channels_last": False,
    "layers": 1,  # what a pyramid passes by cannot be distilled alone
    "teacher_layers": ["decoder"],
    "student_layers": ["decoder"],
}


def make(folder: Path) -> House:
    dataset = archive(folder)
    config = DistillConfig(recipe="cross_entropy", epochs=1, device="cpu", precision="fp32", batch_size=8)
    teacher = trained(RunSpec(config=config, student=FPN, dataset=dataset), folder / "teacher", 3)
    shown = Image.fromarray(picture(200)[0])
    return House(dataset, teacher, STUDENT, SETTINGS, lambda student: student.predict(shown).classes.tolist())
