from __future__ import annotations

from pathlib import Path
from typing import Any

from distill.modalities.images import open_dataset
from distill.types import Architecture, DatasetInput, DistillConfig, RunSpec
from tests.tasks.house import House, trained

STUDENT = Architecture(name="retort:resnet8", options={"width": 4})
SETTINGS: dict[str, Any] = {"channels_last": False, "train_limit": 200, "test_limit": 50}


def made(folder: Path, dataset: DatasetInput, outputs: int) -> House:
    teacher = trained(
        RunSpec(
            config=DistillConfig(recipe="cross_entropy", epochs=1, device="cpu", precision="fp32", **SETTINGS),
            student=Architecture(name="retort:resnet14", options={"width": 4}), dataset=dataset,
        ),
        folder / "teacher", outputs,
    )  # fmt: skip
    picture = open_dataset(dataset).test.image(0)
    return House(dataset, teacher, STUDENT, SETTINGS, lambda student: student.predict([picture]))


def make(folder: Path) -> House:
    return made(folder, DatasetInput(kind="named", name="digits"), 10)
