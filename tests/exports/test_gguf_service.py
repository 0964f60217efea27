"""GGUF over HTTP by a worker whose trainers are isolated, from the job to an answer of the downloaded file."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from distill.student import load_student
from tests.embedded.service import Service, wait_for
from tests.language import byte_level
from tests.language.test_service import register

pytestmark = [pytest.mark.slow, pytest.mark.gguf]

STUDENT = {"name": "transformers:auto", "options": {"layers": 2, "width": 32}}
CONFIG = {"recipe": "cross_entropy", "epochs": 1, "max_steps": 10, "batch_size": 8, "device": "cpu"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    service = Service(tmp_path_factory.mktemp("service") / "data", OMP_NUM_THREADS="1", RETORT_REQUIRE_ISOLATION="true")
    try:
        yield service.client()
    finally:
        service.end()


@pytest.fixture(scope="module")
def asked(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("files")
    byte_level.save("qwen2", folder / "base")
    base = Path(shutil.make_archive(str(folder / "base"), "zip", folder, "base"))
    teacher = register(client, "/teachers", {"architecture": "transformers:auto"}, file=base)
    data = register(client, "/datasets", file=Path(byte_level.instructions(folder).files["all"]))
    return {"teacher": teacher["id"], "dataset": data["id"], "student": STUDENT}


@pytest.fixture(scope="module")
def done(client: httpx.Client, asked: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/jobs", json=asked | {"config": CONFIG | {"exports": ["gguf"]}})
    assert answer.status_code == 202, answer.text
    return wait_for(client, answer.json()["id"], 300, status="succeeded")


def test_the_downloaded_file_answers_as_the_student(client: httpx.Client, done: dict[str, Any], tmp_path: Path) -> None:
    from distill.exports._llama_cpp import LlamaCpp

    (made,) = client.get(done["links"]["exports"]).raise_for_status().json()["items"]
    (file,) = made["files"]
    assert (made["status"], made["exceeds_max_drop"], file["name"]) == ("succeeded", False, "student.gguf")
    assert made["result"]["metrics"]["perplexity"] == pytest.approx(made["torch"]["metrics"]["perplexity"], rel=1e-2)
    path = tmp_path / file["name"]
    path.write_bytes(client.get(file["href"], follow_redirects=True).raise_for_status().content)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
    (tmp_path / "student.zip").write_bytes(client.get(f"/jobs/{done['id']}/student", follow_redirects=True).content)
    student = load_student(tmp_path / "student.zip")
    run = LlamaCpp(path, 1)
    row = run.tokenise("### Instruction:\nName three birds.\n\n### Response:\n", whole=True)
    (found,) = run.greedy([row], 6, student.tokens.eos)
    answer = student.tokens.decode([each for each in found if each != student.tokens.eos]).strip()
    assert answer == student.answer(["Name three birds."], 6)[0]


def test_another_format_later_and_one_that_is_cancelled(client: httpx.Client, done: dict[str, Any]) -> None:
    path = done["links"]["exports"]
    later = client.post(path, json={"format": "gguf-q8-0"}).raise_for_status().json()
    wait_for(client, later["id"], 300, status="succeeded")
    shown = client.get(later["links"]["self"]).json()
    assert "student.q8_0.gguf" in {file["name"] for file in shown["files"]}
    stopped = client.post(path, json={"format": "gguf"}).raise_for_status().json()
    wait_for(client, stopped["id"], 300, status="running")
    client.post(f"/jobs/{stopped['id']}/cancel").raise_for_status()
    wait_for(client, stopped["id"], 300, status="cancelled")
    assert client.get(stopped["links"]["self"]).json()["files"] == []


def test_formats_of_other_tasks_are_refused(client: httpx.Client, asked: dict[str, Any], done: dict[str, Any]) -> None:
    answer = client.post(done["links"]["exports"], json={"format": "onnx"})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_exportable")
    body = {"dataset": {"named": "digits"}, "student": "retort:resnet8"}
    config = {"recipe": "cross_entropy", "exports": ["gguf"]}
    answer = client.post("/jobs", params={"dry_run": "true"}, json=body | {"config": config})
    assert "not_exportable" in {answer.json().get("code")}
