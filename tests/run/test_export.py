"""Every exporter on a real tiny student: files that other programs can use as they are."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from distill import export as exporters
from distill.evaluate import accuracy, difference, predictions, price
from distill.export import Context, export
from distill.models import build, preprocessing
from distill.report import environment, markdown
from distill.student import load_student
from distill.tasks._images.snippet import snippet
from distill.tasks.classify_images.task import ClassifyImages
from distill.training.data import Order
from distill.types import Architecture
from distill.verdict import verdict
from tests.training.conftest import CLASSES, tiny_data

pytestmark = pytest.mark.long

CPU = torch.device("cpu")
METRICS = [metric.to_dict() for metric in ClassifyImages.spec.metrics]
NAMES = tuple(f"class {number}" for number in range(CLASSES))


def measured(architecture: Architecture, model: torch.nn.Module, teacher: Any = None) -> tuple[Any, dict[str, Any]]:
    order = Order(8, CPU, shuffle=False, drop_last=False, teacher=False, augment=False)
    found = predictions(model, tiny_data().open_validation(order), CPU)
    about = {"architecture": architecture.model_dump(), "recipe": "cross_entropy"}
    return found, about | accuracy(found, NAMES, teacher) | price(model, torch.zeros(1, 3, 8, 8))


def report(architecture: Architecture, model: torch.nn.Module) -> dict[str, Any]:
    found, student = measured(architecture, model)
    _, teacher = measured(architecture, model)
    return {
        "schema": 1, "title": "Distilled", "metrics": METRICS,
        "recipe": "feature_only", "student": student, "teacher": teacher,
        "comparison": None, "verdict": verdict(None, ""), "against_teacher": difference(found, found).to_dict(),
        "selection": {"rule": "top_q", "teacher_layers": ["a"], "student_layers": ["b"]},
        "training": {"ending": "finished", "steps": 3, "seconds": 1.0, "images_per_second": 5.0,
                     "validation": 0.5},
        "dataset": {"name": "tiny", "train": 40, "validation": 16, "test": 16}, "seeds": [0],
        "configuration": {"epochs": 3}, "reasons": {"cache": "a | b"}, "digests": {"teacher": "ab"},
        "environment": environment(CPU, "fp32"), "notes": ["a note"],
    }  # fmt: skip


def context(name: str, channels: int = 3, size: int = 32, **options: Any) -> Context:
    torch.manual_seed(0)
    architecture = Architecture(name=name, options=options)
    model = build(architecture, CLASSES, channels, size).eval()
    how = preprocessing(architecture, size, channels=channels)
    small = build(Architecture(name="retort:resnet8", options={"width": 4}), CLASSES).eval()
    metrics = [
        {"step": step, "epoch": 0, "split": split, "values": {"loss": 1.0 / step, "accuracy": 0.5}}
        for step in (1, 2)
        for split in ("train", "validation")
    ]
    return Context(
        model, architecture, NAMES, how, report(architecture, small), ClassifyImages.delivery, metrics=metrics
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("artifacts")
    events = list(export(context("retort:resnet8", width=4), target))
    for event in events:
        if event.kind == "artifact":
            assert Path(event.data["path"]).stat().st_size > 0
            assert Path(event.data["path"]) == target / event.data["name"]
        else:
            assert event.kind == "log"
    return target


def test_every_exporter_ran_or_said_why_not(folder: Path) -> None:
    assert set(exporters.names()) >= {"student", "report", "model_card", "training_curves"}
    expected = {"student.safetensors", "student.json", "report.json", "report.md", "README.md", "training.csv"}
    assert expected | {"training.svg", "training.png"} <= {path.name for path in folder.iterdir()}
    assert not list(folder.glob("*.part"))


def test_student_file_has_exactly_the_architectures_tensors(folder: Path) -> None:
    plain = build(Architecture(name="retort:resnet8", options={"width": 4}), CLASSES)
    tensors = load_file(folder / "student.safetensors")
    assert tensors.keys() == plain.state_dict().keys()
    described = json.loads((folder / "student.json").read_text())
    assert described["classes"] == list(NAMES)
    assert described["preprocessing"]["size"] == [32, 32]


def test_report_files_agree(folder: Path) -> None:
    data, text = json.loads((folder / "report.json").read_text()), (folder / "report.md").read_text()
    assert f"{100 * data['student']['accuracy']['value']:.2f} %" in text
    assert data["verdict"]["text"] in text
    assert "| class 0 |" in text
    assert text == markdown(data)


@pytest.mark.parametrize(
    ("teacher", "student", "words"),
    [(880, 100, "with 8.8 times fewer parameters."), (100, 880, "with 8.8 times more parameters."),
     (100, 100, "with as many parameters."), (101, 100, "with as many parameters.")],
)  # fmt: skip
def test_parameters_are_told_against_the_teachers(folder: Path, teacher: int, student: int, words: str) -> None:
    data = json.loads((folder / "report.json").read_text())
    for name, count in (("teacher", teacher), ("student", student)):
        data[name]["parameters"] = count
    assert words in markdown(data)


def test_training_table_has_every_value(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "training.csv").open()))
    assert len(rows) == 8
    assert rows[0] == {"step": "1", "epoch": "0", "split": "train", "name": "loss", "value": "1.0"}
    assert (folder / "training.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("name", "channels", "size", "options"),
    [
        ("timm:resnet18", 1, 32, {}),
        ("timm:vit_tiny_patch16_224", 3, 32, {"img_size": 32, "depth": 1}),
        ("torchvision:mobilenet_v2", 3, 32, {"width_mult": 0.25}),
        ("transformers:convnext", 3, 32, {"hidden_sizes": [8, 8, 16], "depths": [1, 1, 1]}),
    ],
)
def test_model_card_snippet_runs_as_it_stands(
    tmp_path: Path, name: str, channels: int, size: int, options: dict[str, Any]
) -> None:
    made = context(name, channels, size, **options)
    list(export(made, tmp_path))
    generator = np.random.default_rng(0)
    Image.fromarray(generator.integers(0, 255, (size, size, 3), dtype=np.uint8)).save(tmp_path / "image.png")
    match = re.search(r"```python\n(.*?)```", (tmp_path / "README.md").read_text(), re.S)
    assert match
    code = match.group(1)
    assert "distill" not in code
    code = "import distill.torchvision_shim\n" + code  # some machines' torchvision lacks its compiled operators
    script = tmp_path / "snippet.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in NAMES


def test_model_card_names_every_class_unmistakably(tmp_path: Path) -> None:
    names = ("a, b", "c", "_d_ *e*", '<b>f "g" \U0001f600')
    made = replace(context("torchvision:mobilenet_v2", width_mult=0.25), classes=names)
    exporters.get("model_card")(made, tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert f"\nclasses = {list(names)!a}\n" in text  # a literal of Python, whose escapes are not JSON's
    (listed,) = re.findall(r"## Classes\n.*?```json\n(.*?)\n```", text, re.S)
    assert json.loads(listed) == list(names)


@pytest.mark.parametrize(
    ("side", "native"), [((100, 200), None), ((210, 120), None), ((24, 150), None), ((20, 28), (20, 28))]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_model_card_shows_an_image_as_evaluation_did(
    tmp_path: Path, side: tuple[int, int], native: tuple[int, int] | None, channels: int
) -> None:
    """The accuracy above the snippet holds for what the snippet does: the centre in the input's shape, cropped."""
    made = replace(context("timm:vit_tiny_patch16_224", channels, 32, img_size=32, depth=1), native=native)
    exporters.get("student")(made, tmp_path)
    ramp = np.add.outer(np.linspace(0, 120, side[0]), np.linspace(0, 120, side[1])).astype(np.uint8)
    Image.fromarray(ramp).save(tmp_path / "image.png")
    code = snippet(made).replace("student.safetensors", str(tmp_path / "student.safetensors"))
    names: dict[str, Any] = {}
    exec(code.partition("with torch.inference_mode")[0], names)
    wanted = load_student(tmp_path / "student.safetensors").inputs([tmp_path / "image.png"])
    rounding = 1.5 / 255 / min(made.preprocessing.std)  # Pillow rounds to bytes in each direction, tensors are not
    torch.testing.assert_close(names["prepare"](tmp_path / "image.png"), wanted, rtol=0, atol=rounding)
