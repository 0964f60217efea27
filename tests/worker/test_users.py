"""Trainers and inspectors under user ids of their own, started by a worker with compose's three capabilities."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from pydantic import ValidationError

from store.settings import Settings
from tests.slowness import within
from tests.worker import as_worker
from worker.isolation import libc, root

ROOT = Path(__file__).resolve().parents[2]
MOUNT = 21  # CAP_SYS_ADMIN, to show Python to others where it lies in root's home
rows = count(30000 + os.getpid() % 2000 * 10, 10)
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not {*root.CAPABILITIES.values(), MOUNT} <= libc.capabilities(), reason="needs root's rights"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the worker's, where others can pass: pytest's own are closed to them."""
    made = Path(tempfile.mkdtemp(prefix="retort-users-", dir="/tmp"))
    made.chmod(0o711)
    os.chown(made, as_worker.WORKER, as_worker.WORKER)
    yield made
    shutil.rmtree(made)


@needs_root
@pytest.mark.parametrize("case", as_worker.CASES, ids=lambda case: case.__name__)
def test_a_worker_with_users(case: object, folder: Path) -> None:
    command = [sys.executable, "-m", "tests.worker.as_worker", case.__name__, str(folder), str(next(rows))]  # type: ignore[attr-defined]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=within(280), check=False
    )
    if ended.stderr.startswith("SKIP"):
        pytest.skip(ended.stderr.strip())
    assert ended.returncode == 0, ended.stderr[-4000:]


LEAVES = """
import os
from worker.isolation import libc, root
root.leave()
print(os.getresuid(), os.getresgid(), os.getgroups(), sorted(libc.capabilities()))
"""


@needs_root
@pytest.mark.parametrize("given", [{}, {root.TRAINER: "30000"}])
def test_root_becomes_the_worker_at_once(given: dict[str, str]) -> None:
    environment = {"PYTHONPATH": str(ROOT), root.WORKER: "10001", **given}
    done = subprocess.run([sys.executable, "-c", LEAVES], env=environment, capture_output=True, text=True, check=True)
    same = (10001,) * 3
    assert done.stdout.strip() == f"{same} {same} [] {[5, 6, 7] if given else []}"


@pytest.mark.parametrize(
    "values",
    [
        {"trainer_uid": 10100},  # embedded
        {
            "trainer_uid": 10000,
            "worker_uid": 10001,
            "redis_url": "redis://r",
            "database_url": "postgresql+psycopg://p/d",
        },
        {"trainer_uid": 2**31},
    ],
)
def test_users_that_cannot_be_are_refused(tmp_path: Path, values: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"trainer_uid|RETORT_TRAINER_UID"):
        Settings(data_dir=tmp_path, **values)  # type: ignore[arg-type]
