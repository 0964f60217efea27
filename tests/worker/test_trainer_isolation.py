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

from distill.types import Event, RunSpec
from store.settings import Settings
from tests.run.conftest import spec
from tests.store.support import migrated
from tests.worker.support import settings_for
from worker.errors import IsolationUnavailable
from worker.isolation import landlock, seccomp
from worker.isolation.confinement import gpu_devices
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


def trained(given: RunSpec, folder: Path, settings: Settings, order: str = "") -> list[Event]:
    """All events of a trainer that runs as a worker's does; `order` is given at its first step."""
    (folder / "inputs").mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text(given.model_dump_json())
    process = TrainerProcess(COMMAND, folder, child_environment(settings, {"OMP_NUM_THREADS": "1"}))
    events: list[Event] = []
    try:
        while (said := process.events.get(timeout=200)) is not None:
            event, _ = said
            events.append(event)
            if order and event.kind == "progress":
                process.order(order)
    finally:
        process.end(30)
    assert process.exit_code == 0, "\n".join(process.tail)
    assert any("landlock" in line for line in process.tail) or not landlock.abi()
    return events


@held
def test_training_hands_over_and_goes_on(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")
    folder, again = (settings.scratch / "job_1" / attempt for attempt in ("1", "2"))
    given = spec(recipe="cross_entropy", fit_head=False)
    first = trained(given, folder, settings, order="handover")
    assert "done" not in [event.kind for event in first]
    checkpoint = next(event for event in reversed(first) if event.kind == "checkpoint").data
    saved = own_file(folder, checkpoint["path"])
    (again / "inputs").mkdir(parents=True)
    resumed = given.model_copy(update={"resume_from": str(shutil.copy(saved, again / "inputs"))})
    second = trained(resumed, again, settings)
    assert second[-1].kind == "done"
    assert min(event.data["step"] for event in second if event.kind == "progress") > checkpoint["step"]


LOADERS = """
import sys
from pathlib import Path
import torch
from worker.isolation.confinement import confine, of_job

def batches(folder, workers):
    from distill.modalities.images import Loader, open_dataset
    from distill.modalities.images.preprocessing import Preprocessing
    from distill.types import DatasetInput
    dataset = DatasetInput(kind="archive", name="d", files={"all": str(folder / "inputs" / "all.zip")})
    how = Preprocessing(size=(32, 32), channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
    data = open_dataset(dataset).train
    return [batch.student for batch in Loader(data, range(len(data)), 4, how, workers=workers).epoch(0)]

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    assert confine(of_job(folder, ("inputs",))).complete
    here, there = (batches(folder, workers) for workers in (0, 2))
    assert len(here) == 4 and all(torch.equal(a, b) for a, b in zip(here, there, strict=True))
"""


@held
def test_two_workers_of_a_data_loader_give_what_one_process_gives(tmp_path: Path) -> None:
    folder = tmp_path / "scratch" / "job_1" / "1"
    (folder / "inputs").mkdir(parents=True)
    (folder / "program.py").write_text(LOADERS)
    random = np.random.default_rng(0)
    with zipfile.ZipFile(folder / "inputs" / "all.zip", "w") as archive:
        for name in (f"{split}/c{i % 2}/{i}.png" for split in ("train", "test") for i in range(16)):
            packed = io.BytesIO()
            Image.fromarray(random.integers(0, 256, (100, 100, 3), np.uint8)).save(packed, "PNG")
            archive.writestr(name, packed.getvalue())
    command = [sys.executable, str(folder / "program.py"), str(folder)]
    environment = child_environment(settings_for(tmp_path), {"OMP_NUM_THREADS": "1"})
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert ended.returncode == 0, ended.stderr


TWO = """
import torch
from distill.training import distributed
with distributed.group() as rank:
    share = torch.full((3,), float(rank + 1))
    share = distributed.total(share)
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
    assert said == ["2 [3.0, 3.0, 3.0]"] * 2
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


BESIDE_A_GPU = """
import socket, subprocess, sys
from dataclasses import replace
from pathlib import Path
from worker.isolation.confinement import confine, of_job
isolation = confine(replace(of_job(Path(sys.argv[1]), ()), devices=("/dev/full",)))
assert isolation.complete and not isolation.namespaces, isolation.summary()
served = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # as CUDA's driver does
served.bind(f"\\0cuda-uvmfd-{Path(sys.argv[1]).name}-test")
served.listen()
subprocess.run(["/bin/true"], check=True)  # as torch.compile starts a compiler
open("/dev/full", "rb").read(1)
for attempt in (
    lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
    lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
    lambda: open("/dev/kmsg", "rb"),
    lambda: open(sys.argv[2]),
    lambda: subprocess.run(["/bin/cat", sys.argv[2]], check=True),
):
    try:
        attempt()
    except (PermissionError, subprocess.CalledProcessError):
        continue
    raise SystemExit("a trainer beside a GPU may do too much")
"""


@held
def test_beside_a_gpu_the_driver_and_a_compiler_may_do_what_they_must_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "scratch" / "job_1" / "1"
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", BESIDE_A_GPU, str(folder), str(tmp_path / "secret")]
    environment = child_environment(settings_for(tmp_path), {})
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("there", "mask", "found"),
    [
        (("nvidiactl", "nvidia0", "nvidia-caps/nvidia-cap1", "tty0"), None, 3),
        (("nvidiactl", "nvidia0"), "", 0),
        (("nvidiactl", "nvidia0"), "-1", 0),
        (("kfd", "dri/renderD128", "dri/card0"), None, 2),
        (("dri/renderD128",), None, 0),
    ],
)
def test_device_files_of_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], mask: str | None, found: int
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if mask is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mask)
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert len(gpu_devices(tmp_path)) == found


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
    assert len(inside.exposed) == 3  # and its scratch and database


def test_a_database_file_within_what_trainers_read_is_said(tmp_path: Path) -> None:
    file = Path(os.path.realpath(sys.base_prefix)) / "lib" / "elsewhere" / "retort.db"
    found = survey(settings_for(tmp_path, database_url=f"sqlite:///{file}"))
    assert found.exposed == (str(file),)
    assert not found.complete
    apart = tmp_path / "elsewhere" / "retort.db"
    assert survey(settings_for(tmp_path / "data", database_url=f"sqlite:///{apart}")).exposed == ()


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
