"""The commands of docs/detection.md for COCO, as dry runs: what they post is what the API takes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from store.database import Database
from store.repositories import system
from tests.api.driver import Driver

DOCUMENT = Path(__file__).parents[2] / "docs" / "detection.md"
NETWORK = "torchvision:fasterrcnn_resnet50_fpn"
CLASSES = 80
REPORT: dict[str, Any] = {
    "task": "detect_objects", "classes": [f"c{i}" for i in range(CLASSES)], "modes": {"grey": 0, "colour": 6000},
    "counts": {"train": [100] * CLASSES, "test": [10] * CLASSES}, "images": {"train": 5000, "test": 1000},
    "heights": [400, 480, 640], "widths": [400, 640, 640],
}  # fmt: skip
POSTED = """curl() { for last; do :; done; printf '%s\\0' "$last"; }
retort() { :; }
zip() { :; }
"""


def bodies() -> list[dict[str, Any]]:
    """What the commands give to curl, one after the other."""
    section = DOCUMENT.read_text(encoding="utf-8").split("## COCO, ", 1)[1]
    found = re.search(r"```bash\n(.*?)```", section, re.DOTALL)
    assert found is not None
    said = subprocess.run(["bash", "-c", POSTED + found.group(1)], capture_output=True, check=True, text=True).stdout
    return [json.loads(each) for each in said.split("\0") if each]


@pytest.fixture
def posted(driver: Driver, database: Database) -> list[dict[str, Any]]:
    with database.write() as session:
        system.publish(session, "architecture", [{"name": NETWORK, "library": "torchvision"}])
    architecture = {"name": NETWORK, "options": {"backbone": "resnet101"}}
    modules = ["backbone", "backbone.body", "pyramid", "roi_heads"]
    report = {
        "num_classes": CLASSES, "in_channels": 3, "tasks": ["detect_objects"], "architecture": architecture,
        "modules": modules, "classes": REPORT["classes"],
    }  # fmt: skip
    teacher = driver.teacher(architecture=architecture, report=report)
    dataset = driver.dataset(name="coco", kind="archive", task="detect_objects", report=REPORT)
    jobs = [each for each in bodies() if "config" in each]
    return [job | {"dataset": dataset} | ({"teacher": teacher} if "teacher" in job else {}) for job in jobs]


def test_every_command_is_taken(client: TestClient, posted: list[dict[str, Any]]) -> None:
    recipes = [job["config"]["recipe"] for job in posted]
    assert recipes == ["cross_entropy"] + 3 * ["cross_entropy", "logit", "feature_only", "feature_logit"]
    for job in posted[:5]:  # those of further seeds differ by nothing else
        answer = client.post("/jobs?dry_run=true", json=job)
        assert answer.status_code == 200, answer.text
        assert answer.json()["config"]["milestones"] == job["config"]["milestones"]
