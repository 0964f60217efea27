"""A sweep beside attempts that begin: it must never take a living worker's folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from worker.processes import scratch


def test_a_sweep_takes_no_folder_that_is_just_being_made(tmp_path: Path) -> None:
    ended = threading.Event()
    swept: list[Path] = []

    broken: list[Exception] = []

    def sweep() -> None:
        try:
            while not ended.is_set():
                swept.extend(scratch.sweep(tmp_path))
        except Exception as error:
            broken.append(error)

    sweepers = [threading.Thread(target=sweep) for _ in range(2)]
    for sweeper in sweepers:
        sweeper.start()
    try:
        for attempt in range(300):
            with scratch.folder(tmp_path, "job_x", attempt) as folder:
                (folder / "inputs").mkdir()
    finally:
        ended.set()
        for sweeper in sweepers:
            sweeper.join()
    assert broken == []
    assert not any((path / "inputs").exists() for path in swept)
    assert [path for path in tmp_path.rglob("*") if path.name != "job_x"] == []


def test_a_folder_that_never_got_its_name_goes_when_it_is_old(tmp_path: Path) -> None:
    old, young = tmp_path / ".new-old", tmp_path / ".new-young"
    for path in (old, young):
        path.mkdir()
    os.utime(old, (0, 0))
    scratch.sweep(tmp_path)
    assert (old.exists(), young.exists()) == (False, True)


def test_a_folder_that_is_being_removed_is_nobodys_loss(tmp_path: Path) -> None:
    """A sweep beside attempts that end finds nothing to take."""
    ended, swept = threading.Event(), list[Path]()

    def sweep() -> None:
        while not ended.is_set():
            swept.extend(scratch.sweep(tmp_path))

    thread = threading.Thread(target=sweep)
    thread.start()
    try:
        for number in range(30):
            with scratch.folder(tmp_path, f"job_{number}", 1) as folder:
                for name in range(50):
                    (folder / str(name)).touch()
    finally:
        ended.set()
        thread.join()
    assert swept == []
    assert list(tmp_path.iterdir()) == []
