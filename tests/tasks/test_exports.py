"""Students of every task of pictures: written by one format, judged by their task, and read back by their runtime."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from distill import tasks
from distill.student import load_student
from distill.types import DistillConfig, Event
from tests.detection.made_up import picture
from tests.tasks.house import House, go

pytestmark = pytest.mark.long

#: The format whose file is written fastest; `digits` below has them all.
FORMAT, FILE = "torch-export", "student.pt2"
PICTURES = tuple(spec.name for spec in tasks.specs() if FORMAT in spec.formats and spec.modality == "images")
EXPORTED = tuple(name for name in PICTURES if name != "classify_images")
WITHOUT_RETORT = """import sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("distill", "store", "api", "worker", "client"):
            raise ImportError("a user of the file has no Retort")
sys.meta_path.insert(0, Refusing())
"""


def exported(house: House, folder: Path, wanted: list[Any]) -> tuple[list[Event], dict[str, Any]]:
    spec = house.spec(recipe="cross_entropy", exports=wanted)
    events = go(spec.model_copy(update={"teacher": None}), folder)
    assert events[-1].kind == "done"
    found: dict[str, Any] = json.loads((folder / "artifacts" / "exports.json").read_text())
    return events, found


def boxes(student: Any, path: Path) -> list[Any]:
    return [[box.label, box.score, list(box.corners)] for box in student.predict(path)]


def tags(student: Any, path: Path) -> list[Any]:
    said = student.predict(path)
    return [[[name, score] for name, score in said.scores.items() if name in said.labels]]


def shares(student: Any, path: Path) -> list[Any]:
    return [{name: share for name, share in student.predict(path).shares().items() if share > 0}]


PRINTED: dict[str, Callable[[Any, Path], list[Any]]] = {
    "detect_objects": boxes, "tag_images": tags, "segment_images": shares,
}  # fmt: skip
"""What a file's program prints, line by line, as the student itself says it."""


def leaves(value: Any) -> list[Any]:
    """What nested lists and mappings hold, in order; names and numbers."""
    if isinstance(value, dict):
        return leaves(list(value.items()))
    return [leaf for each in value for leaf in leaves(each)] if isinstance(value, list | tuple) else [value]


def said_by_the_program(code: str, folder: Path) -> list[Any]:
    """Of `image.png`, all boxes that count."""
    printed = answer_of(code.replace("least_score = 0.3", "least_score = 0.05"), folder)
    return leaves([ast.literal_eval(line) for line in printed.splitlines()])


@pytest.mark.parametrize("name", EXPORTED)
def test_its_task_judges_the_file_as_the_student(
    name: str, house: Callable[[str], House], tmp_path: Path
) -> None:  # fmt: skip
    events, found = exported(house(name), tmp_path, [FORMAT])
    assert not found["failed"]
    (entry,) = found["exports"]
    assert found["task"] == name
    assert found["metric"]["name"] == tasks.spec(name).primary.name
    assert abs(entry["drop"]) < 0.01
    assert not entry["exceeds_max_drop"]
    own, torchs = (each["figure"] for each in (entry, found["torch"]["student"]))
    value = lambda figure: figure["value"] if isinstance(figure, dict) else figure  # noqa: E731
    assert value(own) == pytest.approx(value(torchs), abs=0.02)
    report = json.loads((tmp_path / "artifacts" / "report.json").read_text())
    assert report["exports"] == found
    made = {event.data["name"] for event in events if event.kind == "artifact"}
    assert {FILE, "exports.json", "README.md"} <= made
    if name in PRINTED:
        folder = tmp_path / "artifacts"
        Image.fromarray(picture(200, 96)[0]).resize((96, 60)).save(folder / "image.png")
        wanted = leaves(PRINTED[name](load_student(folder / "student.safetensors"), folder / "image.png"))
        said = said_by_the_program(entry["snippet"], folder)
        assert wanted
        assert [each for each in said if isinstance(each, str)] == [each for each in wanted if isinstance(each, str)]
        numbers = [each for each in wanted if not isinstance(each, str)]
        assert [each for each in said if not isinstance(each, str)] == pytest.approx(numbers, abs=1e-3, rel=1e-3)


def test_every_picture_task_has_a_program() -> None:
    assert PRINTED.keys() >= set(PICTURES) - {
        "classify_images",
        "regress_images",
    }


def pictured(folder: Path) -> Path:
    """The artifacts, with a picture beside them as programs of the card want it."""
    shade = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(shade).save(folder / "artifacts" / "image.png")
    return folder / "artifacts"


@pytest.fixture(scope="module")
def digits(house: Callable[[str], House], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts of a classifier with every format that a card may have a program for."""
    folder = tmp_path_factory.mktemp("digits")
    wanted = ["onnx", {"format": "onnx", "parameters": {"pixels": True}}, "onnx-fp16", "torch-export", "openvino"]
    wanted.append({"format": "onnx-int8", "parameters": {"calibration_samples": 32}, "max_drop": 0})
    exported(house("classify_images"), folder, wanted)
    return pictured(folder)


def programs(folder: Path) -> list[str]:
    found = json.loads((folder / "exports.json").read_text())["exports"]
    return [entry["snippet"] for entry in found]


def answer_of(code: str, folder: Path) -> str:
    """What the program prints where nothing of Retort can be imported."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RETORT + code], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


DIGITS = {str(number) for number in range(10)}


@pytest.mark.parametrize("number", range(6))
def test_its_program_runs_without_retort(number: int, digits: Path) -> None:
    assert answer_of(programs(digits)[number], digits) in DIGITS


@pytest.mark.slow
@pytest.mark.executorch
def test_a_student_for_phones_is_the_students_equal(house: Callable[[str], House], tmp_path: Path) -> None:
    exported(house("classify_images"), tmp_path, ["executorch"])
    found = json.loads((tmp_path / "artifacts" / "exports.json").read_text())
    assert not found["failed"]
    (entry,) = found["exports"]
    assert (entry["drop"], entry["agreement"]["value"], entry["batch"]) == (0, 1, 1)
    assert answer_of(entry["snippet"], pictured(tmp_path)) in DIGITS


def test_every_file_is_held_against_torch(digits: Path) -> None:
    found = json.loads((digits / "exports.json").read_text())
    assert not found["failed"]
    exact = [each for each in found["exports"] if each["format"] in ("onnx", "torch-export", "openvino")]
    assert {each["drop"] for each in exact} == {0}
    assert {each["agreement"]["value"] for each in exact} == {1}
    for each in found["exports"]:
        assert each["latency"]["32"]["batch_size"] == 32
        assert each["latency"]["1"]["threads"] == found["torch"]["student"]["latency"]["1"]["threads"]
        assert each["bytes"] == sum((digits / file["name"]).stat().st_size for file in each["files"])


def test_the_card_shows_what_they_are_worth_and_one_program(digits: Path) -> None:
    card = (digits / "README.md").read_text()
    assert all(file in card for file in ("student.onnx", "student.int8.onnx", "student.pt2", "student.openvino.xml"))
    assert re.findall(r"```python\n(.*?)```", card, re.S)[-1] == programs(digits)[0]


def test_a_file_that_loses_more_than_it_may_is_kept_and_marked(
    house: Callable[[str], House], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """A file whose weights are rounded to nothing, as int8 may do to a network."""
    from distill.exports.torch_export import TorchExport

    def opened(self: TorchExport, path: Path, threads: int) -> Any:
        return lambda given: given.flatten(1)[:, :1] * 0 + (given.new_tensor([9.0] + [0.0] * 9))

    monkeypatch.setattr(TorchExport, "open", opened)
    monkeypatch.setattr(TorchExport, "tolerance", None)
    _, found = exported(house("classify_images"), tmp_path, [FORMAT])
    (entry,) = found["exports"]
    assert entry["drop"] > 0.01
    assert entry["exceeds_max_drop"]
    assert (tmp_path / "artifacts" / FILE).exists()
    assert "max_drop" in (tmp_path / "artifacts" / "report.md").read_text()


def test_what_one_format_cannot_ends_no_run(
    house: Callable[[str], House], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    from distill.exports.torch_export import TorchExport

    monkeypatch.setattr(TorchExport, "open", lambda *_: lambda given: given.flatten(1)[:, :10] * 0)
    events, found = exported(house("classify_images"), tmp_path, ["torch-export"])
    assert [each["error"]["code"] for each in found["failed"]] == ["export_differs"]
    assert not (tmp_path / "artifacts" / "student.pt2").exists()
    assert any(event.kind == "log" and "torch-export" in event.data["message"] for event in events)


def test_a_configuration_names_a_format_once() -> None:
    two = [{"format": "onnx"}, {"format": "onnx", "parameters": {"pixels": True}}]
    assert len(DistillConfig.model_validate({"exports": two}).exports) == 2
    with pytest.raises(ValueError, match="twice"):
        DistillConfig.model_validate({"exports": ["onnx", {"format": "onnx", "max_drop": 0.5}]})


def test_a_job_none_of_whose_files_can_be_written_has_its_student(
    house: Callable[[str], House], tmp_path: Path
) -> None:
    """A format of other tasks: a request over HTTP is refused before the queue."""
    _, found = exported(house("classify_images"), tmp_path, ["gguf"])
    assert [each["error"]["code"] for each in found["failed"]] == ["not_exportable"]
    assert not found["exports"]
    assert (tmp_path / "artifacts" / "student.safetensors").exists()
