"""A trainer reads its job's files and nothing else of the service, and trains as it would without what holds it."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sqlalchemy import text

from distill.types import DatasetInput, Event, RunSpec
from store.settings import Settings
from tests.run.conftest import spec
from tests.store.support import migrated
from tests.worker.support import settings_for
from worker.errors import IsolationUnavailable
from worker.isolation import landlock, seccomp
from worker.isolation.plan import Isolation
from worker.isolation.required import demand, survey
from worker.jobs.supervisor import COMMAND
from worker.jobs.uploading import own_file
from worker.processes.environment import child_environment
from worker.processes.process import TrainerProcess

HOSTILE = Path(__file__).with_name("hostile.py")
SERVERS = ("the API", "Postgres", "Redis", "the object store")
held = pytest.mark.skipif(not (landlock.abi() and seccomp.supported()), reason="this kernel refuses a layer")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The data of a service that runs embedded: a database, an object, another job, servers, the worker's process."""
    root = tmp_path_factory.mktemp("site")
    settings = settings_for(root / "data")
    folder, other = settings.scratch / "job_1" / "1", settings.scratch / "job_2" / "1"
    stored = root / "data" / "objects" / "teachers" / "tch_other"
    named = root / "data" / "cifar-10-batches-py"
    for path in (folder / "inputs", other / "inputs", stored, root / "home", named):
        path.mkdir(parents=True)
    (folder / "inputs" / "given").write_text("x")
    (named / "test_batch").write_text("x")
    (folder / "spec.json").write_text(spec(recipe="cross_entropy").model_dump_json())
    for path in (other / "inputs" / "given", stored / "weights", stored / "more", root / "home" / "id_rsa"):
        path.write_text("secret")
    with ExitStack() as stack:
        with migrated(settings.resolved_database_url) as opened, opened.write() as session:
            session.execute(text("CREATE TABLE taken (n INTEGER)"))
        ports = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in SERVERS}
        path = stack.enter_context(socket.socket(socket.AF_UNIX))
        path.bind(str(root / "s"))
        path.listen()
        victim = stack.enter_context(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]))
        stack.callback(victim.kill)
        facts = {
            "database": str(settings.data_dir / "retort.db"), "objects": str(stored), "object": str(stored / "weights"),
            "removable": str(stored / "more"), "scratch": str(settings.scratch), "home": str(root / "home" / "id_rsa"),
            "other": str(other / "inputs" / "given"), "elsewhere": str(root / "elsewhere"), "socket": str(root / "s"),
            "ports": {name: server.getsockname()[1] for name, server in ports.items()}, "victim": victim.pid,
            "named": str(named / "test_batch"),
        }  # fmt: skip
        (root / "facts.json").write_text(json.dumps(facts))
        yield {"settings": settings, "folder": folder, "facts": root / "facts.json"}


def attempted(site: dict[str, Any], shut_in: bool) -> dict[str, str]:
    command = [sys.executable, str(HOSTILE), str(site["folder"]), str(site["facts"]), str(int(shut_in))]
    environment = child_environment(site["settings"], {"OMP_NUM_THREADS": "1"})
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@held
def test_what_a_trainer_that_was_taken_over_may_do(site: dict[str, Any]) -> None:
    refused = attempted(site, shut_in=True)
    assert {name: how for name, how in refused.items() if name.startswith("may ") and how != "done"} == {}
    assert [name for name, how in refused.items() if not name.startswith("may ") and how == "done"] == []
    assert {how.partition(":")[0] for name, how in refused.items() if not name.startswith("may ")} <= {
        "PermissionError", "OperationalError", "OSError"
    }  # fmt: skip
    shutil.rmtree(site["folder"] / "run")
    free = attempted(site | {"folder": prepared(site["folder"])}, shut_in=False)
    # The same without: so it was the isolation that refused, and not the attempt that was wrong.
    assert {name: how for name, how in free.items() if how != "done"} == {}


def prepared(folder: Path) -> Path:
    (folder / "run").mkdir()
    return folder


def trained(given: RunSpec, folder: Path, settings: Settings, threads: int = 1, order: str = "") -> list[Event]:
    """All events of a trainer that runs as a worker's does; `order` is given at its first step."""
    (folder / "inputs").mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text(given.model_dump_json())
    process = TrainerProcess(COMMAND, folder, child_environment(settings, {"OMP_NUM_THREADS": str(threads)}))
    events: list[Event] = []
    try:
        while (event := process.events.get(timeout=200)) is not None:
            events.append(event)
            if order and event.kind == "progress":
                process.order(order)
    finally:
        process.end(30)
    assert process.exit_code == 0, "\n".join(process.tail)
    assert any("landlock" in line for line in process.tail) or not landlock.abi()
    return events


def coloured(path: Path, count: int = 32) -> Path:
    """An archive of images that are large enough for data loaders' workers."""
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for split in ("train", "test"):
            for i in range(count):
                packed = io.BytesIO()
                Image.fromarray(random.integers(0, 256, (100, 100, 3), np.uint8)).save(packed, "PNG")
                archive.writestr(f"{split}/c{i % 2}/{i}.png", packed.getvalue())
    return path


@held
def test_training_with_two_loaders_workers_hands_over_and_goes_on(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")
    folder = settings.scratch / "job_1" / "1"
    (folder / "inputs").mkdir(parents=True)
    dataset = DatasetInput(kind="archive", name="d", files={"all": str(coloured(folder / "inputs" / "all.zip"))})
    changes: dict[str, Any] = {"dataset": dataset, "image_size": 32, "batch_size": 8, "train_limit": None, "epochs": 4}
    given = spec(recipe="cross_entropy", fit_head=False, **changes)
    first = trained(given, folder, settings, threads=3, order="handover")
    kinds = [event.kind for event in first]
    assert "done" not in kinds
    checkpoint = next(event for event in reversed(first) if event.kind == "checkpoint").data
    saved, saved_step = Path(checkpoint["path"]), checkpoint["step"]
    assert own_file(folder, str(saved)) == saved.resolve()
    again = settings.scratch / "job_1" / "2"
    (again / "inputs").mkdir(parents=True)
    for path in (saved, folder / "inputs" / "all.zip"):
        shutil.copy(path, again / "inputs" / path.name)
    dataset = dataset.model_copy(update={"files": {"all": str(again / "inputs" / "all.zip")}})
    resumed = given.model_copy(update={"dataset": dataset, "resume_from": str(again / "inputs" / saved.name)})
    second = trained(resumed, again, settings)
    assert second[-1].kind == "done"
    steps = [event.data["step"] for event in second if event.kind == "progress"]
    assert min(steps) > saved_step


TWO = """
import torch
from distill.training import distributed
with distributed.group() as rank:
    share = torch.full((3,), float(rank + 1))
    distributed.average_gradients([share], 4)
    open(f"run/{rank}.txt", "w").write(f"{distributed.world()} {share.tolist()}")
"""


@held
def test_two_processes_speak_with_each_other_and_with_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "scratch" / "job_1" / "1"
    folder.mkdir(parents=True)
    (folder / "two.py").write_text(TWO)
    environment = child_environment(settings_for(tmp_path / "data"), {"OMP_NUM_THREADS": "1"})
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "two.py"]
    command = [sys.executable, "-m", "worker.jobs.confined", "--group", str(folder), *program]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    if "network namespace" in ended.stderr:
        pytest.skip("this machine refuses network namespaces")
    assert ended.returncode == 0, ended.stderr
    said = [(folder / "run" / f"{rank}.txt").read_text() for rank in range(2)]
    assert said == ["2 [1.5, 1.5, 1.5]"] * 2
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=5)"
        tried = subprocess.run(
            [*command[: -len(program)], sys.executable, "-c", code], env=environment, capture_output=True, check=False
        )
    assert b"ConnectionRefusedError" in tried.stderr, tried.stderr  # its own loopback, where nobody listens


@pytest.mark.gpu
@held
def test_training_on_a_gpu(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    settings = settings_for(tmp_path / "data")
    folder = settings.scratch / "job_1" / "1"
    events = trained(spec(recipe="cross_entropy", device="cuda"), folder, settings)
    assert events[-1].kind == "done"


@pytest.mark.parametrize(
    "isolation",
    [
        Isolation(landlock=7, problems=("seccomp: refused",)),
        Isolation(seccomp=True, problems=("landlock: this kernel has no Landlock",)),
        Isolation(landlock=7, seccomp=True, exposed=("/usr/data",)),
    ],
)
def test_a_trainer_that_must_be_isolated_does_not_run_without(isolation: Isolation) -> None:
    with pytest.raises(IsolationUnavailable) as caught:
        demand(isolation)
    assert caught.value.fault == "system"
    assert caught.value.remedy


HOBBLED = """
import json, subprocess, sys
from pathlib import Path
from worker.isolation import libc, seccomp
libc.no_new_privileges()
seccomp.install(seccomp.Trainer(signals=True))  # lets no program below install Landlock, or a filter of its own
from store.settings import Settings
from worker.doctor import machine
folder, trainer = sys.argv[1:]
for required in (False, True):
    settings = Settings(data_dir=Path(folder), require_isolation=required)
    print(json.dumps([finding.to_dict() for finding in machine.isolation(settings)]))
for program in (["client", "serve", "--data-dir", folder], ["worker.jobs.trainer", trainer]):
    ended = subprocess.run([sys.executable, "-m", *program], capture_output=True, text=True)
    print(json.dumps([ended.returncode, ended.stdout.strip(), ended.stderr]))
"""


@held
def test_where_the_kernel_refuses_it_is_said_and_where_it_is_required_nothing_starts(tmp_path: Path) -> None:
    folder = tmp_path / "scratch" / "job_1" / "1"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(spec(recipe="cross_entropy").model_dump_json())
    environment = child_environment(settings_for(tmp_path, require_isolation=True), {"RETORT_REQUIRE_ISOLATION": "1"})
    command = [sys.executable, "-c", HOBBLED, str(tmp_path), str(folder)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    tolerated, demanded, serve, trainer = (json.loads(line) for line in ended.stdout.splitlines())
    assert [finding["status"] for finding in (*tolerated, *demanded)] == ["warn", "fail"]
    assert all(word in tolerated[0]["message"] for word in ("landlock", "seccomp"))
    assert serve[0] == 1
    assert "RETORT_REQUIRE_ISOLATION" in serve[2]
    said = json.loads(trainer[1])
    assert (trainer[0], said["kind"], said["data"]["code"]) == (1, "failed", "isolation_unavailable")


def test_data_within_what_trainers_read_is_said(tmp_path: Path) -> None:
    assert survey(settings_for(tmp_path)).exposed == ()
    inside = survey(settings_for(Path(os.path.realpath(sys.base_prefix)) / "lib" / "retort-data"))
    assert not inside.complete
    assert len(inside.exposed) == 2  # and its scratch


@pytest.mark.parametrize("what", ["outside", "pointer", "folder", "above"])
def test_a_trainer_cannot_have_the_worker_store_what_is_not_its_own(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "job"
    (folder / "run").mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_text("x")
    (folder / "pointer").symlink_to(secret)
    named = {"outside": secret, "pointer": folder / "pointer", "folder": folder / "run", "above": folder / "../secret"}
    with pytest.raises(PermissionError):
        own_file(folder, str(named[what]))
