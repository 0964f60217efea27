"""Which failures are tried again, and what of an attempt must be true however it ends."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from distill.errors import KilledForMemory, OutOfMemoryGpu, OutOfMemoryHost, RetortError
from distill.types import Event
from store.repositories import jobs, resources
from store.tables import Dataset
from tests.store.support import new_dataset
from tests.worker.support import World, wait_until
from worker import errors
from worker.jobs import endings, trainer
from worker.jobs.holding import Holding
from worker.jobs.journal import Journal
from worker.jobs.uploading import CheckpointUploader
from worker.watching.survivors import descendants, kill_all


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (KilledForMemory("killed"), True),
        (errors.TrainerCrashed("segfault"), True),
        (errors.DiskFull("full"), True),
        (errors.StorageDown("away"), True),
        (errors.Internal("defect"), True),
        (OutOfMemoryGpu("the same batch meets the same end"), False),
        (OutOfMemoryHost("the same batch meets the same end"), False),
        (errors.InputDamaged("the same bytes"), False),
        (errors.InputGone("the user's fault"), False),
    ],
)
def test_what_another_attempt_would_meet_again_is_not_tried_again(error: RetortError, again: bool) -> None:
    ending = endings.failed(error.to_dict(), 1)
    assert (ending.status, ending.counts) == (("queued", True) if again else ("failed", False))
    assert ending.error is not None
    assert ending.error["code"] == error.code


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_has_a_remedy(number: int) -> None:
    found = endings.explain_break(OSError(number, os.strerror(number)))
    assert (found.code, found.retryable) == ("disk_full", True)
    assert "RETORT_SCRATCH_DIR" in found.remedy


def test_a_full_disk_is_seen_behind_other_libraries_errors() -> None:
    """As torch.save (a RuntimeError while it cleans up behind the OSError) and safetensors (a text) report it."""
    hidden = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 832 vs 726")
    hidden.__context__ = OSError(errno.ENOSPC, "No space left on device")
    text = 'Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "No space left on device" })'
    for error in (hidden, ValueError(text)):
        assert trainer.explain(error).code == "disk_full"
    assert trainer.explain(RuntimeError("something else")).code == "internal"


def test_memory_that_torch_does_not_get_is_no_defect() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55)
    assert trainer.explain(caught.value).code == "oom_host"


def test_an_attempt_without_a_scratch_folder_ends_at_once(world: World) -> None:
    """And not by the loss of its lease, a minute later."""
    world.settings.data_dir.mkdir(exist_ok=True)
    world.settings.scratch.write_text("not a folder")
    world.queue(max_attempts=1)
    assert world.run("success") == "failed"
    assert world.job.error is not None
    assert world.job.error["code"] == "internal"
    assert world.attempts[0].outcome == "failed"


def test_a_checkpoint_counts_only_behind_what_was_said_before_it(world: World, tmp_path: Path) -> None:
    world.queue()
    said = {"step": 1, "epoch": 0.1, "split": "train", "values": {"loss": 1.0}}
    path = tmp_path / "checkpoint-1.pt"
    path.write_text("a state")
    with Holding(world.settings, world.database, world.claim()) as holding:
        journal = Journal(holding)
        uploader = CheckpointUploader(world.objects, holding, tmp_path, lambda: journal.written)
        journal.add(Event("metrics", said))
        uploader.submit({"path": str(path), "step": 1, "epoch": 0.1}, journal.said)
        wait_until(lambda: bool(list(world.objects.keys(f"jobs/{world.job_id}/checkpoints/"))))
        assert not uploader.drain(0.3)
        assert _checkpoints(world) == []  # a worker that died now would lose the metrics, if this counted
        journal.flush()
        assert uploader.drain(10)
        assert _checkpoints(world) == [1]
        uploader.close()


def _checkpoints(world: World) -> list[int]:
    with world.database.read() as session:
        return [row.step for row in jobs.checkpoints(session, world.job_id)]


def test_kin_that_left_their_session_and_forgot_their_environment_are_found() -> None:
    sleeper = (
        "import subprocess, sys, time; subprocess.Popen(['sleep', '600'], start_new_session=True, env={}); "
        "print('ready', flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", sleeper], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    (child,) = family = descendants(parent.pid)
    parent.kill()
    parent.wait()
    assert kill_all("a mark that nobody has", known=family) == []
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    parent.stdout.close()
    assert descendants(parent.pid) == []


def test_an_inspection_that_could_not_begin_does_not_count(world: World) -> None:
    """A full disk or an absent store is no reason to call an input invalid."""
    dataset_id = new_dataset(world.database, status="inspecting")
    for _ in range(5):
        with world.database.write() as session:
            row: Any = resources.claim(session, Dataset, dataset_id, "wrk", 60)
        assert row.attempt == 1
        with world.database.write() as session:
            resources.release(session, row, -1)
