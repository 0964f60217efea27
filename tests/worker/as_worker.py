"""`python -m tests.worker.as_worker CASE FOLDER`, as root: become the worker of a container, then do one case of
test_users.py. Like a container's entry process it keeps of root's rights what compose gives it, and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from distill.types import Architecture, DatasetInput, DistillConfig, RunSpec
from store.objects import FolderStore
from store.repositories import tenants
from store.settings import Settings
from tests.services.tables import opened
from tests.worker.support import World, settings_for, wait_until
from worker.errors import IsolationUnavailable
from worker.inspecting import process
from worker.isolation import libc, root, users
from worker.isolation.required import survey
from worker.isolation.users import User
from worker.jobs.supervisor import COMMAND, Supervisor
from worker.jobs.trainer import INPUTS, SPEC, WRITABLE
from worker.processes import scratch
from worker.processes.environment import child_environment
from worker.processes.slot import Slot
from worker.watching.survivors import survivors

WORKER = 10001
DIGITS = DatasetInput(kind="named", name="digits")
STUDENT = Architecture(name="retort:resnet8", options={"width": 4})
CONFIG = DistillConfig(
    recipe="cross_entropy", epochs=2, batch_size=64, quality_samples=100, train_limit=400, device="cpu",
    precision="fp32", channels_last=False, checkpoint_seconds=1,
)  # fmt: skip
HOSTILE = Path(__file__).with_name("hostile.py")


def enter(first: int) -> None:
    """Root's process becomes a worker that gives the user ids from `first` on."""
    _open_python()
    root.leave({root.WORKER: str(WORKER), root.TRAINER: str(first)})
    os.environ["HOME"] = "/tmp"


def _open_python() -> None:
    """Where Python lies in root's home it is mounted there alone, in a namespace of this process: in an image all may
    read it."""
    home = Path(sys.base_prefix).resolve()
    closed = [path for path in home.parents if not path.stat().st_mode & 0o001]
    if not closed:
        return
    libc.unshare(0x00020000)  # mounts
    libc.mount(None, "/", None, 1 << 14 | 1 << 18)  # private, recursively
    kept = os.open(home, os.O_PATH)
    libc.mount("tmpfs", str(closed[-1]), "tmpfs", 0, "mode=755")
    home.mkdir(parents=True)
    libc.mount(f"/proc/self/fd/{kept}", str(home), None, 1 << 12)


def settings_of(folder: Path, first: int, **values: Any) -> Settings:
    """Of a worker of the full stack, none of whose servers is asked."""
    servers = {"redis_url": "redis://127.0.0.1:1", "database_url": "postgresql+psycopg://127.0.0.1:1/none"}
    return settings_for(folder, trainer_uid=first, slots=2, **servers, **values)


def joined(folder: Path, first: int) -> Settings:
    settings = settings_of(folder, first)
    users.join(settings)
    users.claim(settings)
    return settings


def world_of(folder: Path) -> World:
    """A database and a store of the worker's own."""
    database = opened(f"sqlite:///{folder / 'retort.db'}")
    with database.write() as session:
        tenants.ensure_default(session)
    return World(folder, database, FolderStore(folder / "objects"))


def job_folder(settings: Settings, name: str, user: User) -> Path:
    """What a supervisor leaves to a trainer."""
    folder = settings.scratch / name / "1"
    folder.mkdir(parents=True)
    folder.chmod(0o700)
    (folder / INPUTS).mkdir()
    (folder / INPUTS / "given").write_text("of this job alone")
    (folder / SPEC).write_text(RunSpec(config=CONFIG, student=STUDENT, dataset=DIGITS).model_dump_json())
    users.grant(folder, user, WRITABLE)
    return folder


def trains(folder: Path, first: int) -> None:
    """A whole job: checkpoints, artifacts, and nothing is left."""
    settings, world = joined(folder, first), world_of(folder)
    user = users.trainer(settings, 1)
    assert user == User(first + 2)
    world.queue(
        student=STUDENT.model_dump(mode="json"),
        config=CONFIG.model_dump(mode="json"),
    )
    supervisor = Supervisor(world.settings, world.database, world.objects, world.leaving, COMMAND)
    seen: set[tuple[int, ...]] = set()
    ended = threading.Event()
    threading.Thread(target=watch, args=(world, user.number, seen, ended)).start()
    try:
        status = supervisor.supervise(world.claim(), Slot(user=user, alone=False))
    finally:
        ended.set()
    assert status == "succeeded", (world.job.error, world.logs()[-5:])
    assert seen == {(user.number,) * 3}, seen
    assert len(list(world.objects.keys(f"jobs/{world.job_id}/artifacts/"))) > 2
    assert world.nothing_left()
    assert world.attempts[-1].peak_memory_bytes


def watch(world: World, number: int, seen: set[tuple[int, ...]], ended: threading.Event) -> None:
    """What users the processes have that the job starts."""
    while not ended.wait(0.05):
        for child in psutil.Process().children(recursive=True):
            try:
                if child.name().startswith("python") and "worker.jobs.trainer" in child.cmdline():
                    seen |= {tuple(child.uids())}
            except psutil.Error:
                continue


TWO = """
import sys
from pathlib import Path
import torch
from distill.control import Control
from distill.run import run
from distill.training import distributed
from distill.types import RunSpec
torch.set_num_threads(1)
with distributed.group() as rank:
    given = RunSpec.model_validate_json(Path("spec.json").read_text())
    kinds = [event.kind for event in run(given, Path("run") / "both", Control())]
    Path(f"run/{rank}.txt").write_text(f"{distributed.world()} {kinds[-1] == 'done'}")
"""


def trains_by_two(folder: Path, first: int) -> None:
    """Two processes of one job, which find each other, to the end of a run."""
    settings = joined(folder, first)
    user = User(first + 1)
    job = job_folder(settings, "job_1", user)
    (job / "run" / "two.py").write_text(TWO)
    (job / "run" / "two.py").chmod(0o644)
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "run/two.py"]
    command = [sys.executable, "-m", "worker.jobs.confined", "--group", str(job), *program]
    environment = child_environment(settings, {"OMP_NUM_THREADS": "1", "USER": "retort", "LOGNAME": "retort"})
    ended = subprocess.run(
        command, cwd=job, env=environment, capture_output=True, text=True, timeout=250, **user.starting()
    )
    if "network namespace" in ended.stderr:
        sys.exit("SKIP this machine refuses network namespaces")
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "another user" in ended.stderr
    assert [(job / "run" / f"{rank}.txt").read_text() for rank in range(2)] == [
        "2 True",
        "2 False",
    ]  # rank 0 alone writes and says so
    assert (job / "run" / "both" / "artifacts" / "report.json").exists()
    scratch.remove(job)
    assert not (settings.scratch / "job_1").exists()


def is_refused(folder: Path, first: int) -> None:
    """What the kernel refuses a trainer of another user that nothing else holds: no Landlock, no seccomp."""
    settings = joined(folder, first)
    job, other = (job_folder(settings, f"job_{number}", User(first + number)) for number in (1, 2))
    secrets = folder / "secrets"
    secrets.mkdir()
    for name in ("database", "removable"):
        (secrets / name).write_text("secret")
        (secrets / name).chmod(0o400)
    secrets.chmod(0o711)  # as /run/retort
    facts = {
        "database": str(secrets / "database"), "objects": str(secrets), "object": str(secrets / "database"),
        "removable": str(secrets / "removable"), "scratch": str(settings.scratch / "job_2" / "1"),
        "home": str(secrets / "database"), "other": str(other / INPUTS / "given"),
        "elsewhere": str(folder / "elsewhere"), "socket": "", "ports": {}, "victim": os.getpid(),
        "named": str(job / INPUTS / "given"),
    }  # fmt: skip
    (job / "run" / "facts.json").write_text(json.dumps(facts))
    command = [sys.executable, str(HOSTILE), str(job), str(job / "run" / "facts.json"), "0"]
    environment = child_environment(settings, {"OMP_NUM_THREADS": "1", "TMPDIR": str(job / "tmp")})
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, start_new_session=True,
        **User(first + 1).starting(),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    # A secret is as little writable as readable; a program, a datagram and names of processes are for other layers.
    free = {name for name, how in found.items() if how == "done"}
    assert free == {name for name in found if name.startswith("may ")} | {
        "reads the worker's command", "sends a datagram", "starts a program", "points at the database from its folder",
    }, {name: how for name, how in found.items() if name in free or name.startswith("may ")}  # fmt: skip


def is_cancelled(folder: Path, first: int) -> None:
    """A trainer that ignores SIGTERM, its children, and a folder that it closed to everybody else."""
    settings, world = joined(folder, first), world_of(folder)
    user = users.trainer(settings, 0)
    assert user is not None
    world.queue()
    command = (sys.executable, "-m", "tests.worker.as_worker", "closes", "-")
    supervisor, lease = Supervisor(world.settings, world.database, world.objects, world.leaving, command), world.claim()
    ended: list[Any] = []
    thread = threading.Thread(target=lambda: ended.append(supervisor.supervise(lease, Slot(user=user))))
    thread.start()
    wait_until(lambda: any("ready" in line for line in world.logs()))
    running = processes_of(user)
    assert len(running) == 3, running
    world.ask("cancelling")
    thread.join()
    assert ended == ["cancelled"]
    assert processes_of(user) == []
    assert not list(world.settings.scratch.iterdir())


def processes_of(user: User) -> list[psutil.Process]:
    return [psutil.Process(pid) for pid in survivors("", user=user.number)]


def closes(folder: Path) -> None:
    """The trainer of the case above."""
    from tests.worker.programs import Trainer, stubborn

    (folder / "run" / "closed" / "more").mkdir(parents=True)
    (folder / "run" / "closed" / "more" / "file").write_text("x")
    for path in (folder / "run" / "closed" / "more", folder / "run" / "closed"):
        path.chmod(0)
    del os.environ["RETORT_RUN"]  # what it starts bears no mark
    stubborn(Trainer(folder))


def inspects(folder: Path, first: int) -> None:
    """An inspector, and the converter that it starts: a teacher that came as a pickle."""
    import torch

    from distill.models import build

    settings = joined(folder, first)
    job = settings.scratch / "tch_1" / "1"
    job.mkdir(parents=True)
    job.chmod(0o700)
    torch.save(build(Architecture(name="retort:resnet8"), 3, 3).state_dict(), job / "source")
    request = {"architecture": {"name": "retort:resnet8", "options": {}}, "source": str(job / "source")}
    users_seen: set[int] = set()

    def check() -> None:
        users_seen.update(child.uids().effective for child in psutil.Process().children())

    answer = process.run(process.COMMAND, "teacher", job, request, settings, check)
    assert answer["report"], answer
    assert "landlock" in answer["converted"]["isolation"] or not survey(settings).landlock
    assert (job / "converted" / "model.safetensors").read_bytes()
    assert first in users_seen, users_seen
    scratch.remove(job)
    assert not (settings.scratch / "tch_1").exists()


def says_so(folder: Path, first: int) -> None:
    """What is reported, and what the worker's children hold."""
    settings = joined(folder, first)
    found = survey(settings)
    assert found.other_user, found
    assert "another user" in found.summary()
    assert not list(settings.scratch.iterdir())
    assert survey(settings_for(folder)).other_user is False
    status = subprocess.run(["/bin/cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    held = {line.partition(":")[0]: int(line.split()[1], 16) for line in status.splitlines() if line.startswith("Cap")}
    assert (held["CapEff"], held["CapPrm"], held["CapAmb"]) == (0, 0, 0), held
    assert set(root.CAPABILITIES.values()) == libc.capabilities()


def is_told(folder: Path, first: int) -> None:
    """Configuration that cannot work: each with what to do."""
    closed = folder / "closed"
    closed.mkdir()
    (closed / "scratch").mkdir()
    closed.chmod(0o700)
    for settings, word in (
        (settings_of(folder, first, scratch_dir=closed / "scratch"), "RETORT_SCRATCH_DIR"),
        (settings_of(folder, WORKER), "row of user ids"),
    ):
        with pytest.raises(IsolationUnavailable) as refused:
            users.join(settings)
        assert word in (refused.value.remedy or ""), refused.value
    own = joined(folder, first)
    code = f"""
from tests.worker import as_worker
from pathlib import Path
from worker.isolation import users
users.claim(as_worker.settings_of(Path({str(folder)!r}), {first + 1}))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "another worker" in told.stderr, told.stderr
    libc.drop_capabilities()
    with pytest.raises(IsolationUnavailable, match="SETUID"):
        users.join(own)


CASES = (trains, trains_by_two, is_refused, is_cancelled, inspects, says_so, is_told)

if __name__ == "__main__":
    if sys.argv[1] == "closes":
        closes(Path(sys.argv[3]))
    else:
        name, made, begin = sys.argv[1:]
        enter(int(begin))
        globals()[name](Path(made), int(begin))
