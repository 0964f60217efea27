"""Texts over HTTP: a base as a zip, a dataset as jsonl, fine-tuning, distilling, the student back as a teacher."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from distill.student import load_student
from tests.api.test_dry_run import FACTOR, seconds_of
from tests.embedded.service import Service, wait_for
from tests.language import tiny
from tests.language.test_data import write
from tests.language.test_decoders import instructions
from tests.language.test_run import texts

pytestmark = pytest.mark.slow  # a service, and jobs in processes of their own

CONFIG = {"epochs": 3, "batch_size": 16, "layers": 2, "quality_samples": 30, "learning_rate": 5e-3, "device": "cpu",
          "max_steps": 30}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    service = Service(tmp_path_factory.mktemp("service") / "data")
    try:
        client = service.client()
        yield client
        client.close()
    finally:
        service.end()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    base = tiny.save(tiny.network("bert").bert, folder / "base")
    packed = shutil.make_archive(str(folder / "base"), "zip", folder, "base")
    texts(folder)
    torch.save({"a": torch.zeros(1)}, folder / "weights.pt")
    return {"base": base, "zip": Path(packed), "data": folder / "all.jsonl", "pickle": folder / "weights.pt"}


def register(client: httpx.Client, path: str, data: dict[str, str] | None = None, **files: Path) -> dict[str, Any]:
    sent = {name: (file.name, file.read_bytes()) for name, file in files.items()}
    answer = client.post(path, data=data or {}, files=sent)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def finish(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/jobs", json=body)
    assert answer.status_code == 202, answer.text
    return wait_for(client, answer.json()["id"], 240, status="succeeded")


def test_the_whole_way_over_http(client: httpx.Client, files: dict[str, Path], tmp_path: Path) -> None:
    names = [item["name"] for item in client.get("/catalogue/architectures?search=transformers:").json()["items"]]
    assert {"transformers:auto", "transformers:bert"} <= set(names)
    base = register(client, "/teachers", {"architecture": "transformers:auto"}, file=files["zip"])
    assert base["report"]["family"] == "bert"
    assert base["report"]["num_classes"] == 0
    data = register(client, "/datasets", file=files["data"])
    assert data["report"]["classes"] == ["bad", "far", "good"]
    assert data["report"]["kind"] == "classify"
    asked = {"teacher": base["id"], "dataset": data["id"], "student": "transformers:auto"}
    refused = client.post("/jobs", json=asked | {"config": {"recipe": "logit"}})
    assert refused.status_code == 422
    assert refused.json()["code"] == "classes_differ"
    features = client.post("/jobs?dry_run=true", json=asked | {"config": {"recipe": "feature_only"}})
    assert features.status_code == 200, features.text
    dry = client.post("/jobs?dry_run=true", json=asked | {"config": {"recipe": "cross_entropy"}})
    assert "no job has been done" in dry.json()["estimates"]["minutes"]["basis"], dry.text
    tuned = finish(
        client, teacher=base["id"], dataset=data["id"], student="transformers:auto",
        config=CONFIG | {"recipe": "cross_entropy", "epochs": 12, "max_steps": 140},
    )  # fmt: skip
    teacher = client.post("/teachers", json={"artifact": {"job_id": tuned["id"], "name": "student.zip"}}).json()
    assert teacher["report"]["num_classes"] == 3
    student = {"name": "transformers:auto", "options": {"layers": 2}}
    config = CONFIG | {"recipe": "feature_logit", "recipe_parameters": {"feature_loss": "procrustes"}}
    job = finish(
        client, teacher=teacher["id"], dataset=data["id"], student=student, config=config, compare_with=tuned["id"]
    )  # fmt: skip
    curve = client.get(f"/jobs/{job['id']}/q-curve").json()
    assert curve["layers"][0]["name"] == "bert.embeddings"
    (tmp_path / "student.zip").write_bytes(client.get(f"/jobs/{job['id']}/student").content)
    assert load_student(tmp_path / "student.zip").predict(["the cat runs"])[0].label in ("bad", "far", "good")
    report = client.get(f"/jobs/{job['id']}/report?format=json").json()
    assert report["comparison"]["accuracy"]["n"] == report["student"]["accuracy"]["n"]
    differing = {each["field"]: each for each in report["verdict"]["differences"]}
    assert differing["student"]["theirs"] == tuned["result"]["student"]["architecture"]
    assert differing["steps"]["theirs"] == tuned["result"]["training"]["steps"]
    assert (report["verdict"]["alike"], report["verdict"]["beats"]) == (False, None)


def of_texts(files: dict[str, Path], folder: Path) -> tuple[Path, Path, str]:
    """A headed encoder, the texts, a recipe."""
    module = tiny.network("bert")
    module.config.id2label = dict(enumerate(("bad", "far", "good")))
    return tiny.save(module, folder / "model"), files["data"], "logit"


def of_instructions(files: dict[str, Path], folder: Path) -> tuple[Path, Path, str]:
    """A decoder, instructions with classes, a recipe."""
    data = Path(instructions(folder, labelled=True, count=200).files["all"])
    return tiny.save(tiny.network("llama", "generate"), folder / "model"), data, "feature_logit"


@pytest.mark.parametrize("of", [of_texts, of_instructions])
def test_the_estimate_of_a_tiny_text_job_is_near_what_it_takes(
    of: Callable[..., tuple[Path, Path, str]], client: httpx.Client, files: dict[str, Path], tmp_path: Path
) -> None:
    """As for images: asked about, run, asked about again."""
    model, data, recipe = of(files, tmp_path)
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", model))
    teacher = register(client, "/teachers", {"architecture": "transformers:auto"}, file=packed)
    student = {"name": "transformers:auto", "options": {"layers": 2, "width": 8}}
    body = {"teacher": teacher["id"], "dataset": register(client, "/datasets", file=data)["id"], "student": student}
    config = CONFIG | {"recipe": recipe, "epochs": 40, "max_steps": None, "seed": 1}
    first = client.post("/jobs?dry_run=true", json=body | {"config": config}).json()["estimates"]
    done = finish(client, **body, config=config)
    peak = client.get(f"/jobs/{done['id']}/attempts").json()["items"][0]["peak_memory_bytes"]
    took = seconds_of(done) / 60
    print(f"before: {first['minutes']}, took {took:.2f} min; memory {first['memory_bytes']}, peak {peak}")
    assert first["minutes"]["low"] <= took <= first["minutes"]["high"]
    assert first["memory_bytes"]["low"] <= peak <= first["memory_bytes"]["high"]
    stored = sum(file["size_bytes"] for file in client.get(f"/jobs/{done['id']}/artifacts").json()["items"])
    assert stored < first["disk_bytes"]["high"]
    again = body | {"config": config | {"seed": 2}}
    second = client.post("/jobs?dry_run=true", json=again).json()["estimates"]
    assert "1 earlier jobs with this student" in second["minutes"]["basis"]
    assert "1 earlier jobs with these networks" in second["memory_bytes"]["basis"]
    took = seconds_of(finish(client, **again)) / 60
    print(f"after one job: {second['minutes']}, took {took:.2f} min")
    assert second["minutes"]["value"] / FACTOR <= took <= second["minutes"]["value"] * FACTOR


def test_a_folder_may_come_file_by_file(client: httpx.Client, files: dict[str, Path]) -> None:
    sent = [("file", (file.name, file.read_bytes())) for file in sorted(files["base"].iterdir())]
    answer = client.post("/teachers", data={"architecture": "transformers:bert"}, files=sent)
    assert answer.status_code == 201, answer.text
    assert answer.json()["report"]["layers"] == 3


def test_what_is_no_language_model_is_refused_and_nothing_kept(
    client: httpx.Client, files: dict[str, Path], tmp_path: Path
) -> None:
    before = len(client.get("/teachers").json()["items"])
    weights = files["base"] / "model.safetensors"
    config = json.loads((files["base"] / "config.json").read_text())
    evil = shutil.copytree(files["base"], tmp_path / "evil")
    (evil / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModel": "x.Y"}}))
    packed = Path(shutil.make_archive(str(tmp_path / "evil"), "zip", evil))
    for file, name, word in (
        (weights, "transformers:bert", "tokenizer"),
        (packed, "transformers:bert", "auto_map"),
        (files["zip"], "transformers:gpt2", "bert"),
        (files["pickle"], "transformers:bert", "config.json"),
    ):
        answer = client.post("/teachers", data={"architecture": name}, files={"file": (file.name, file.read_bytes())})
        assert answer.status_code == 422, answer.text
        assert word in answer.text
    assert len(client.get("/teachers").json()["items"]) == before


def test_texts_and_images_do_not_mix(client: httpx.Client, files: dict[str, Path], tmp_path: Path) -> None:
    base = register(client, "/teachers", {"architecture": "transformers:auto"}, file=files["zip"])
    rows = [{"text": f"the cat {i}", "label": i % 2} for i in range(20)]
    data = register(client, "/datasets", file=write(tmp_path / "table.csv", rows))
    assert data["report"]["classes"] == ["0", "1"]
    body = {"teacher": base["id"], "dataset": data["id"], "student": "retort:resnet8"}
    answer = client.post("/jobs", json=body | {"config": {"recipe": "cross_entropy"}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/student"
    answer = client.post("/jobs", json=body | {"dataset": {"named": "digits"}, "config": {"recipe": "cross_entropy"}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/teacher"
