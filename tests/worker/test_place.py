"""Workers in containers that share a scratch volume: each gets a folder of its own, and a dead one's is used again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from worker.health import STALE_SECONDS, complaint
from worker.place import take

ROOT = Path(__file__).resolve().parent.parent.parent


def test_each_takes_the_first_free_folder(tmp_path: Path) -> None:
    taken = [take(tmp_path / "scratch") for _ in range(3)]
    assert [folder.name for folder, _ in taken] == ["0", "1", "2"]
    os.close(taken[1][1])
    assert take(tmp_path / "scratch")[0].name == "1"


def test_it_becomes_a_worker_that_holds_the_folder_until_its_end(tmp_path: Path) -> None:
    program = "import os, sys; print(os.environ['RETORT_SCRATCH_DIR'], flush=True); sys.stdin.read()"
    (tmp_path / "worker.py").write_text(program)  # stands where `python -m worker` finds it
    environment = os.environ | {"RETORT_SCRATCH_DIR": str(tmp_path / "scratch"), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, str(ROOT / "worker" / "place.py")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == str(tmp_path / "scratch" / "0")
        other, descriptor = take(tmp_path / "scratch")
        assert other.name == "1"
        process.kill()
    os.close(descriptor)
    assert take(tmp_path / "scratch")[0].name == "0"


def test_workers_of_one_volume_give_other_user_ids(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("import os; print(os.environ['RETORT_TRAINER_UID'])")
    environment = os.environ | {"RETORT_SCRATCH_DIR": str(tmp_path / "scratch"), "PYTHONPATH": str(tmp_path)}
    environment["RETORT_TRAINER_UID"] = "10100"
    command = [sys.executable, str(ROOT / "worker" / "place.py")]
    said = []
    for held in (True, False):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
        said.append(int(done.stdout))
        if held:
            _, descriptor = take(tmp_path / "scratch")
    os.close(descriptor)
    assert said == [10100, 10200]
    assert (tmp_path / "scratch").stat().st_mode & 0o001


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environment = os.environ | {"RETORT_SCRATCH_DIR": str(tmp_path / "file" / "below"), "PYTHONPATH": str(ROOT)}
    refused = subprocess.run([sys.executable, "-m", "worker.place"], env=environment, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "Set RETORT_SCRATCH_DIR" in refused.stderr


def test_health_is_the_age_of_the_file(tmp_path: Path) -> None:
    alive, now = tmp_path / "alive", time.time()
    assert "not set" in str(complaint("", now))
    assert "No such file" in str(complaint(str(alive), now))
    alive.touch()
    assert complaint(str(alive), now) is None
    assert "has not moved" in str(complaint(str(alive), now + STALE_SECONDS + 5))
