from __future__ import annotations

from pathlib import Path

from distill.types import Architecture, TeacherInput
from tests.language import tiny
from tests.language.test_run import SUBJECTS, texts
from tests.tasks.house import House


def make(folder: Path) -> House:
    network = tiny.network("bert")
    network.config.id2label = dict(enumerate(sorted(SUBJECTS)))
    network.config.label2id = {name: number for number, name in network.config.id2label.items()}
    weights = tiny.save(network, folder / "teacher")
    architecture = Architecture(name="transformers:bert")
    teacher = TeacherInput(architecture=architecture, weights=str(weights), num_classes=len(SUBJECTS), digest="bert")
    student = Architecture(name="transformers:auto", options={"layers": 2, "width": 8})
    return House(texts(folder, 90), teacher, student, {}, lambda loaded: loaded.predict(["the cat runs"]))
