"""The tiny data, teachers and students of every task, and runs that stop before their first step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import distill.train
from distill.control import Control
from distill.run import run
from distill.training.loop import Loop
from distill.training.training import Training
from tests.tasks.conftest import _extended, house

__all__ = ["_extended", "house", "reached"]


class Reached(BaseException):
    """A run stands before its first step."""

    def __init__(self, training: Training) -> None:
        self.training = training


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Path], Training]:
    """Everything that a run decides before its first step, decided on the host."""

    def stop(training: Training) -> Loop:
        raise Reached(training)

    def go(spec: Any, folder: Path) -> Training:
        with monkeypatch.context() as patch:
            patch.setattr(distill.train, "Loop", stop)
            with pytest.raises(Reached) as caught:
                for _ in run(spec, folder, Control()):
                    pass
        return caught.value.training

    return go
