from __future__ import annotations

from pathlib import Path
from typing import Any

from distill.types import Architecture, DistillConfig, RunSpec
from tests.tagging.shapes import archive, picture
from tests.tasks.house import House, trained

STUDENT = Architecture(name="retort:resnet8", options={"width": 4})
SETTINGS: dict[str, Any] = {"channels_last": False}


def make(folder: Path) -> House:
    dataset = archive(folder)
    teacher = trained(
        RunSpec(
            config=DistillConfig(recipe="cross_entropy", epochs=1, device="cpu", precision="fp32", batch_size=16),
            student=Architecture(name="retort:resnet14", options={"width": 4}), dataset=dataset,
        ),
        folder / "teacher", 3,
    )  # fmt: skip
    shown = picture(0, [True, False, True])
    return House(dataset, teacher, STUDENT, SETTINGS, lambda student: student.predict(shown))
