"""Killed and resumed is bit for bit the same as undisturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from distill.control import Control
from distill.errors import InvalidConfig
from distill.train import Outcome, carried, train
from distill.training import checkpoint
from distill.types import Event
from tests.slowness import within
from tests.training.conftest import alone, config, tiny_data, tiny_recipe


def drain(iterator: Any, control: Control | None = None, handover_at: int | None = None) -> tuple[list[Event], Outcome]:
    """All events and the outcome; asks for a handover once `handover_at` steps are done."""
    events: list[Event] = []
    while True:
        try:
            event = next(iterator)
        except StopIteration as end:
            return events, end.value
        events.append(event)
        if control and handover_at is not None and event.kind == "progress" and event.data["step"] >= handover_at:
            control.handover = True


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


VARIANTS = {
    "plain": {},
    "accumulated": {"gradient_accumulation": 2},
    "averaged": {"ema_decay": 0.9, "clip_norm": 1.0},
    "bf16_channels_last": {"precision": "bf16", "channels_last": True},
    "fp16": {"precision": "fp16", "clip_norm": 1.0},
    "live": {"cache_teacher": False},
    "steps": {"max_steps": 11},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("at", [1, 4, 5, 8])
def test_handover_and_resume_is_bit_identical(tmp_path: Path, variant: str, at: int) -> None:
    settings, data = config(**VARIANTS[variant]), tiny_data()
    straight = tiny_recipe()
    _, whole = drain(train(straight, data, settings, tmp_path / "a", Control()))

    first, control = tiny_recipe(), Control()
    _, outcome = drain(train(first, data, settings, tmp_path / "b", control), control, at)
    assert outcome.ending == "handover"
    torch.manual_seed(99)  # another process starts from other random numbers
    second = tiny_recipe()
    newest = checkpoint.existing(tmp_path / "b")[-1]
    _, resumed = drain(train(second, data, settings, tmp_path / "b", Control(), resume=newest))

    assert same(straight.state_dict(), second.state_dict())
    assert (whole.step, whole.validation) == (resumed.step, resumed.validation)


def test_handover_at_every_step_is_bit_identical(tmp_path: Path) -> None:
    settings, data = config(epochs=2, ema_decay=0.5), tiny_data()
    straight = tiny_recipe()
    drain(train(straight, data, settings, tmp_path / "a", Control()))
    resume, ending, rounds = None, "", 0
    while ending != "finished":
        recipe = tiny_recipe()
        _, outcome = drain(train(recipe, data, settings, tmp_path / "b", Control(handover=True), resume))
        ending, resume, rounds = outcome.ending, checkpoint.existing(tmp_path / "b")[-1], rounds + 1
        assert rounds < 30
    assert rounds == 11  # 10 steps, one a round, and a last round that finds nothing left to do
    assert same(straight.state_dict(), recipe.state_dict())


SCRIPT = """
import sys, time
from pathlib import Path
import torch
from distill.control import Control
from distill.train import train
from distill.training import checkpoint
from tests.training.conftest import config, tiny_data, tiny_recipe
folder, slow = Path(sys.argv[1]), float(sys.argv[2])
torch.set_num_threads(1)
newest = (checkpoint.existing(folder) or [None])[-1] if folder.exists() else None
recipe = tiny_recipe()
for event in train(recipe, tiny_data(), config(epochs=4, checkpoint_seconds=1e-6), folder, Control(), newest):
    print(event.kind, flush=True)
    time.sleep(slow)
torch.save(recipe.state_dict(), folder / "student.pt")
"""


def test_kill_9_and_resume_is_bit_identical(tmp_path: Path) -> None:
    straight, settings = tiny_recipe(), config(epochs=4, checkpoint_seconds=1e-6)
    drain(train(straight, tiny_data(), settings, tmp_path / "straight", Control()))
    folder = tmp_path / "killed"
    for events in (9, 25):  # killed in the middle of the first and of a later epoch
        process = _start(folder, slow=0.01)
        assert process.stdout is not None
        for _ in range(events):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert not (folder / "student.pt").exists()
    out, _ = _start(folder, slow=0.0).communicate(timeout=within(60))
    assert same(straight.state_dict(), torch.load(folder / "student.pt")), out


def _start(folder: Path, slow: float) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", SCRIPT, str(folder), str(slow)]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment)


def test_checkpoints_are_frequent_and_pruned(tmp_path: Path) -> None:
    events, _ = drain(train(alone(), tiny_data(), config(checkpoint_seconds=1e-6), tmp_path, Control()))
    steps = [event.data["step"] for event in events if event.kind == "checkpoint"]
    assert set(steps) == set(range(16))
    assert [path.name for path in checkpoint.existing(tmp_path)] == [
        "checkpoint-000000014.pt",
        "checkpoint-000000015.pt",
    ]


def test_carry_travels_in_the_checkpoint(tmp_path: Path) -> None:
    drain(train(alone(), tiny_data(), config(epochs=1), tmp_path, Control(), carry={"curve": {"digest": "abc"}}))
    assert carried(checkpoint.existing(tmp_path)[-1]) == {"curve": {"digest": "abc"}}


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    drain(train(alone(), tiny_data(), config(epochs=1), tmp_path, Control()))
    newest = checkpoint.existing(tmp_path)[-1]
    with pytest.raises(InvalidConfig, match=r"batch_size.*differ"):
        drain(train(alone(), tiny_data(), config(epochs=1, batch_size=4), tmp_path, Control(), newest))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "missing"])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, damage: str) -> None:
    path = checkpoint.path_for(tmp_path, 3)
    checkpoint.write(path, {"step": 3, "weights": torch.arange(1000.0)})
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "foreign":
        torch.save({"weights": torch.ones(2)}, path)
    else:
        path.unlink()
    with pytest.raises(InvalidConfig, match="cannot be read"):
        checkpoint.read(path)


def test_a_crash_while_writing_leaves_the_older_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = checkpoint.path_for(tmp_path, 1)
    checkpoint.write(path, {"step": 1})
    monkeypatch.setattr(torch, "save", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        checkpoint.write(path, {"step": 2})
    assert checkpoint.read(path) == {"step": 1}
    checkpoint.prune(tmp_path)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_time_runs(tmp_path: Path) -> None:
    start = time.monotonic()
    _, outcome = drain(train(alone(), tiny_data(), config(epochs=1), tmp_path, Control()))
    assert 0 < outcome.seconds <= time.monotonic() - start
