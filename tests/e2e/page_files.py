"""Pages that exports write, for the browser's tests: `python -m tests.e2e.page_files FOLDER`.

A folder for each kind of answer, with `page.html`, pictures and `wanted.json`: by picture what the delivered student
says of it in Python. Pictures have the input's shape and others; one is grey, one has the test set's own size.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from distill import tasks
from distill.student import load_student
from tests.tasks.house import go

FORMAT = "onnx-web"
SIZES = ((64, 64), (90, 61), (37, 52), (211, 160))
"""(width, height)"""


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    for spec in tasks.specs():
        if (
            FORMAT in spec.formats
            and tasks.has(spec.name, "predicting")
            and (Path("tests/tasks/tiny") / f"{spec.name}.py").exists()
        ):
            made(spec.name, folder / spec.name)


def made(name: str, folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    house = import_module(f"tests.tasks.tiny.{name}").make(folder / "data")
    wanted = house.spec(recipe="cross_entropy", exports=[FORMAT], epochs=3)
    go(wanted.model_copy(update={"teacher": None}), folder / "run")
    artifacts = folder / "run" / "artifacts"
    found = json.loads((artifacts / "exports.json").read_text())
    assert not found["failed"], found["failed"]
    (folder / "page.html").write_bytes((artifacts / "student.html").read_bytes())
    student = load_student(artifacts / "student.safetensors")
    answers = {path.name: said(name, student, path) for path in pictures(student, folder)}
    (folder / "wanted.json").write_text(json.dumps(answers))


def pictures(student: Any, folder: Path) -> list[Path]:
    draw = np.random.default_rng(0)
    native = getattr(student, "native", None)
    sizes = [*SIZES, *([native[::-1]] if native else [])]
    paths = []
    for number, (width, height) in enumerate(sizes):
        shades = draw.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        image = Image.fromarray(shades).resize((width, height), Image.Resampling.BICUBIC)
        image = image.convert("L") if number == 2 else image
        paths.append(folder / f"{number}-{width}x{height}.png")
        image.save(paths[-1])
    return paths


def said(name: str, student: Any, path: Path) -> dict[str, Any]:
    """As `POST /jobs/{id}/predict` has it; a mask as its pixels' classes."""
    if name == "segment_images":
        return {"kind": "mask", "classes": student.predict(path).classes.flatten().tolist()}
    how = tasks.part(name, "predicting").ENTRY
    answer: dict[str, Any] = how.answer(student, path, None)
    return answer


if __name__ == "__main__":
    main(Path(sys.argv[1]))
