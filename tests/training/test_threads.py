"""How many threads a run takes."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from distill.training import threads
from distill.training.plan import Resolved


@pytest.fixture
def kept_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_operators_number_wins(monkeypatch, kept_threads):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    torch.set_num_threads(3)
    assert threads.settle() == "3: OMP_NUM_THREADS says so"
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("busy", "expected"), [(0.0, 4), (0.4, 4), (1.1, 3), (3.0, 1), (9.0, 1)])
def test_busy_cores_are_left_to_others(monkeypatch, kept_threads, busy, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "busy_cores", lambda: busy)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(4)))
    torch.set_num_threads(4)
    assert threads.settle().startswith(f"{expected} of 4:")
    assert torch.get_num_threads() == expected


def test_a_busy_neighbour_is_seen():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        try:
            assert threads.busy_cores(0.5) > 0.3
        finally:
            neighbour.kill()


def test_the_number_survives_a_checkpoint():
    data = {
        "given": {}, "learning_rate": 0.1, "device": "cpu", "student": {}, "teacher": {}, "cache": "live",
        "reasons": {}, "threads": 7,
    }  # fmt: skip
    assert Resolved.from_dict(data).to_dict()["threads"] == 7
