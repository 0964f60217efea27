"""Teachers and datasets get their verdict from a real inspector process."""

from __future__ import annotations

import json
import sys
import threading
import zipfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from distill.types import Architecture
from store.ids import new_id
from store.objects.base import describe
from store.repositories import costs, system
from store.repositories.tenants import DEFAULT_TENANT
from store.tables import Dataset, Teacher
from store.thumbnails import object_key
from tests.store.support import new_dataset
from tests.worker.support import World, settings_for
from worker.inspecting import catalogue
from worker.inspecting.costs import answer_next
from worker.inspecting.inspections import Inspections
from worker.inspecting.inspector import explain
from worker.inspecting.process import COMMAND


@pytest.fixture
def inspect(world: World) -> Inspections:
    return inspections_for(world, COMMAND)


def inspections_for(world: World, command: tuple[str, ...], **values: Any) -> Inspections:
    settings = settings_for(world.settings.data_dir, **values)
    return Inspections(settings, world.database, world.objects, "wrk_test", world.leaving, command)


def registered_teacher(world: World, path: Path, architecture: str = "retort:resnet8") -> str:
    teacher_id = new_id("tch")
    info = world.objects.put(f"teachers/{teacher_id}/weights.safetensors", path)
    row = Teacher(
        id=teacher_id, tenant_id=DEFAULT_TENANT, name="t", architecture={"name": architecture, "options": {}},
        object_key=info.key, size_bytes=info.size_bytes, sha256=info.sha256,
    )  # fmt: skip
    with world.database.write() as session:
        session.add(row)
    return teacher_id


def registered_dataset(world: World, path: Path, suffix: str = "zip") -> str:
    dataset_id = new_id("dst")
    info = world.objects.put(f"datasets/{dataset_id}/all.{suffix}", path)
    files = {"all": {"object_key": info.key, "size_bytes": info.size_bytes, "sha256": info.sha256}}
    row = Dataset(
        id=dataset_id, tenant_id=DEFAULT_TENANT, name="d", kind="archive", files=files, size_bytes=info.size_bytes,
        digest="0" * 64,
    )  # fmt: skip
    with world.database.write() as session:
        session.add(row)
    return dataset_id


def row_of(world: World, table: Any, row_id: str) -> Any:
    with world.database.read() as session:
        return session.get_one(table, row_id)


def image_zip(path: Path, classes: int = 2) -> Path:
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for label in range(classes):
            for number in range(6):
                buffer = BytesIO()
                Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(buffer, "PNG")
                archive.writestr(f"class{label}/{number}.png", buffer.getvalue())
    return path


def test_a_good_teacher_becomes_ready(world: World, inspect: Inspections, tmp_path: Path) -> None:
    from distill.models import build, save

    architecture = Architecture(name="retort:resnet8")
    path = tmp_path / "weights.safetensors"
    save(build(architecture, 3, 3), path)
    teacher_id = registered_teacher(world, path)
    assert inspect.run_next()
    row = row_of(world, Teacher, teacher_id)
    assert (row.status, row.error, row.lease_token) == ("ready", None, None)
    assert row.report["num_classes"] == 3
    assert row.report["architecture"]["name"] == "retort:resnet8"
    assert row.report["parameters"] == sum(p.numel() for p in build(architecture, 3, 3).parameters())
    assert row.report["flops"] > row.report["parameters"]
    assert [layer["kind"] for layer in row.report["layers"]] == ["stem", "block", "block", "block", "pooled"]
    assert row.report["layers"][-1] | {"name": ""} == {
        "name": "", "index": 4, "relative_depth": 1.0, "kind": "pooled", "shape": [64],
    }  # fmt: skip
    assert not inspect.run_next()
    assert not list(world.settings.scratch.glob("*"))


VIEW = {"mean": [0.5] * 3, "std": [0.5] * 3, "size": [8, 8], "interpolation": "bilinear", "channels": 3, "crop": 1.0}


@pytest.mark.parametrize(
    ("said", "status"),
    [("imagenet", "invalid"), (json.dumps(VIEW), "ready"), (json.dumps(VIEW | {"std": 1}), "invalid")],
)
def test_a_preprocessing_that_no_run_can_use_is_refused_at_once(
    world: World, inspect: Inspections, tmp_path: Path, said: str, status: str
) -> None:
    from distill.models import build, save

    path = tmp_path / "weights.safetensors"
    save(build(Architecture(name="retort:resnet8"), 3, 3), path, {"preprocessing": said})
    teacher_id = registered_teacher(world, path)
    assert inspect.run_next()
    row = row_of(world, Teacher, teacher_id)
    assert row.status == status
    if status == "invalid":
        assert (row.error["code"], row.error["fault"]) == ("invalid_teacher", "user")
        assert "`preprocessing`" in row.error["remedy"]


def test_a_file_that_is_no_checkpoint_is_refused_with_the_reason(
    world: World, inspect: Inspections, tmp_path: Path
) -> None:
    (tmp_path / "junk").write_bytes(b"not safetensors at all")
    teacher_id = registered_teacher(world, tmp_path / "junk")
    assert inspect.run_next()
    row = row_of(world, Teacher, teacher_id)
    assert row.status == "invalid"
    assert (row.error["code"], row.error["fault"]) == ("invalid_teacher", "user")


def test_an_archive_becomes_ready(world: World, inspect: Inspections, tmp_path: Path) -> None:
    dataset_id = registered_dataset(world, image_zip(tmp_path / "images.zip"))
    assert inspect.run_next()
    row = row_of(world, Dataset, dataset_id)
    assert (row.status, row.error) == ("ready", None)
    assert row.report["classes"] == ["class0", "class1"]
    assert row.digest == "0" * 64  # of its files, as it was registered


def test_thumbnails_are_stored(world: World, inspect: Inspections, tmp_path: Path) -> None:
    dataset_id = registered_dataset(world, image_zip(tmp_path / "images.zip"))
    assert inspect.run_next()
    layout = row_of(world, Dataset, dataset_id).report["thumbnails"]
    content = b"".join(world.objects.read(object_key(dataset_id)))
    assert layout == {
        "rows": 2, "columns": 8, "tile": 64, "size_bytes": len(content), "sha256": sha256(content).hexdigest(),
    }  # fmt: skip
    with Image.open(BytesIO(content)) as sheet:
        assert (sheet.format, sheet.size) == ("WEBP", (512, 128))


NO_SHEETS = {
    "another format": "(folder / 'thumbnails.webp').write_bytes(b'<script>alert(1)</script>')",
    "a link": "(folder / 'thumbnails.webp').symlink_to('/etc/hostname')",
    "none": "None",
    "too large": "(folder / 'thumbnails.webp').write_bytes(b'RIFF....WEBP' + bytes(9 * 2**20))",
}
SHEET_WRITER = """
import json, sys; from pathlib import Path
folder = Path(sys.argv[2]); report = {"classes": ["a", "b"], "thumbnails": {"rows": 1, "columns": 1, "tile": 1}}
(folder / "answer.json").write_text(json.dumps({"report": report})); ACTION
"""


@pytest.mark.parametrize("action", NO_SHEETS)
def test_what_is_no_sheet_is_not_stored(world: World, action: str) -> None:
    dataset_id = new_dataset(world.database, status="inspecting")
    program = SHEET_WRITER.replace("ACTION", NO_SHEETS[action])
    assert inspections_for(world, (sys.executable, "-c", program)).run_next()
    row = row_of(world, Dataset, dataset_id)
    assert (row.status, row.report) == ("ready", {"classes": ["a", "b"], "thumbnails": None})
    assert not list(world.objects.keys(""))


def test_an_archive_with_one_class_is_refused(world: World, inspect: Inspections, tmp_path: Path) -> None:
    dataset_id = registered_dataset(world, image_zip(tmp_path / "images.zip", classes=1))
    assert inspect.run_next()
    row = row_of(world, Dataset, dataset_id)
    assert (row.status, row.error["code"]) == ("invalid", "invalid_dataset")


def test_named_sets_are_looked_for_on_this_machine(world: World, inspect: Inspections) -> None:
    good = new_dataset(world.database, name="digits", status="inspecting")
    bad = new_dataset(world.database, name="no-such-set", status="inspecting")
    assert inspect.run_next()
    assert inspect.run_next()
    found = row_of(world, Dataset, good)
    assert found.report["name"] == "digits"
    assert found.digest == found.report["digest"] != ""
    assert row_of(world, Dataset, bad).error["code"] == "unknown_name"


SCRIPTS = {
    "dies": "import os; os.kill(os.getpid(), 11)",
    "takes all its time": "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass",
    "is killed": "import os; os.kill(os.getpid(), 9)",
    "says nothing": "",
    "waits": "import time; time.sleep(600)",
}


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("dies", "invalid_dataset"), ("takes all its time", "invalid_dataset"),
        ("is killed", "oom_host"), ("says nothing", "trainer_crashed"),
    ],
)  # fmt: skip
def test_an_inspector_that_dies_is_a_refusal(world: World, script: str, code: str) -> None:
    """A crash comes from the file, as with a converter; its owner is told so, and nothing of a trainer."""
    dataset_id = new_dataset(world.database, status="inspecting")
    assert inspections_for(world, (sys.executable, "-c", SCRIPTS[script])).run_next()
    row = row_of(world, Dataset, dataset_id)
    assert (row.status, row.error["code"]) == ("invalid", code)
    assert row.error["fault"] == ("user" if code == "invalid_dataset" else "system")
    assert row.error["remedy"]
    assert "trainer" not in row.error["message"]


def test_a_count_that_was_killed_is_asked_for_again_and_not_remembered(world: World) -> None:
    question = {"architecture": {"name": "retort:resnet8"}, "num_classes": 10, "in_channels": 3, "image_size": 32}
    with world.database.write() as session:
        costs.ask(session, question)
    killed = (sys.executable, "-c", SCRIPTS["is killed"])
    assert answer_next(world.settings, world.database, lambda: None, killed)
    with world.database.read() as session:
        assert (costs.find(session, question), costs.next_wanted(session)) == (None, None)
    with world.database.write() as session:
        costs.ask(session, question)
    assert answer_next(world.settings, world.database, lambda: None)
    with world.database.read() as session:
        found = costs.find(session, question)
    assert found is not None
    assert found["cost"]["parameters"] > 0


def test_a_smaller_budget_starts_no_process(world: World) -> None:
    picture = {"num_classes": 10, "in_channels": 3, "image_size": 32, "native_size": [32, 32]}
    varied = [{"architecture": {"name": "retort:resnet8", "options": {"width": each}}} for each in (4, 6, 8, 10, 12)]
    asked = {
        "task": "classify_images", "chains": [{"common": picture, "varied": varied}], "limits": {"parameters": 9000},
        "form": "fp32", "threads": 1,
    }  # fmt: skip
    killed = (sys.executable, "-c", SCRIPTS["is killed"])
    with world.database.write() as session:
        costs.ask(session, asked)
    assert answer_next(world.settings, world.database, lambda: None)
    smaller, larger = asked | {"limits": {"parameters": 5000}}, asked | {"limits": {"parameters": 10**6}}
    for question in (smaller, larger):
        with world.database.write() as session:
            costs.ask(session, question)
        assert answer_next(world.settings, world.database, lambda: None, killed)
    with world.database.read() as session:
        first, less, more = (costs.find(session, question) for question in (asked, smaller, larger))
        known = costs.chains(session, larger)
    assert first is not None
    assert less is not None
    assert more is None  # its process was killed: something was to be counted
    chain = first["cost"]["chains"][0]
    assert less["cost"]["chains"][0] == chain[: len(less["cost"]["chains"][0])]
    assert len(less["cost"]["chains"][0]) < len(chain) < len(varied)
    assert sorted(known[0]) == [each["place"] for each in chain]


def test_an_input_that_kills_every_worker_is_given_up(world: World, inspect: Inspections) -> None:
    dataset_id = new_dataset(world.database, status="inspecting", attempt=world.settings.max_attempts)
    assert inspect.run_next()
    row = row_of(world, Dataset, dataset_id)
    assert (row.status, row.error["code"]) == ("invalid", "internal")


def test_leaving_lets_another_inspect(world: World) -> None:
    dataset_id = new_dataset(world.database, status="inspecting")
    waiting = inspections_for(world, (sys.executable, "-c", SCRIPTS["waits"]))
    timer = threading.Timer(0.5, world.leaving.set)
    timer.start()
    assert waiting.run_next()
    timer.join()
    assert row_of(world, Dataset, dataset_id).status == "inspecting"
    world.leaving.clear()
    assert inspections_for(world, COMMAND).run_next()
    assert row_of(world, Dataset, dataset_id).status == "ready"


def test_deleted_while_it_is_inspected(world: World) -> None:
    dataset_id = new_dataset(world.database, status="inspecting")
    waiting = inspections_for(world, (sys.executable, "-c", SCRIPTS["waits"]), renew_seconds=0.1)

    def delete() -> None:
        with world.database.write() as session:
            session.delete(session.get_one(Dataset, dataset_id))

    timer = threading.Timer(0.5, delete)
    timer.start()
    assert waiting.run_next()
    timer.join()
    assert not list(world.settings.scratch.glob("*"))


def test_bytes_that_the_store_changed_are_not_inspected(world: World, inspect: Inspections, tmp_path: Path) -> None:
    dataset_id = registered_dataset(world, image_zip(tmp_path / "images.zip"))
    (tmp_path / "other").write_bytes(b"other")
    world.objects.put(f"datasets/{dataset_id}/all.zip", tmp_path / "other")
    assert inspect.run_next()
    assert row_of(world, Dataset, dataset_id).error["code"] == "input_damaged"
    assert describe("k", tmp_path / "other").size_bytes == 5


def test_the_catalogue_is_published(world: World) -> None:
    assert not catalogue.published(world.database)
    assert catalogue.publish(world.settings, world.database, lambda: None)
    assert catalogue.published(world.database)
    with world.database.read() as session:
        assert system.in_catalogue(session, "architecture", "retort:resnet8")
        assert system.in_catalogue(session, "architecture", "torchvision:resnet18")
        assert "digits" in system.catalogue_names(session, "dataset")


def test_without_an_answer_nothing_is_published(world: World) -> None:
    assert not catalogue.publish(world.settings, world.database, lambda: None, (sys.executable, "-c", "1/0"))
    assert not catalogue.published(world.database)


def test_workers_own_process_loads_no_torch() -> None:
    import subprocess

    code = "import sys, worker.slots.pool, worker.app; print([m for m in sys.modules if m == 'torch'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("what", "code"), [("dataset", "invalid_dataset"), ("teacher", "invalid_teacher"), ("cost", "oom_host")]
)
def test_an_input_that_needs_more_memory_than_its_limit(what: str, code: str) -> None:
    assert explain(MemoryError(), what).code == code
