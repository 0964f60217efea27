"""The extension folder of the tests is one of the tasks' from here on, as `RETORT_EXTENSIONS` makes it one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch

from distill import tasks
from tests.tasks.house import House

EXTENSION = Path(__file__).parent / "extension"


@pytest.fixture(scope="module", autouse=True)
def _extended() -> Iterator[None]:
    """For this process and those that it starts."""
    before, path = os.environ.get(tasks.EXTENSIONS), list(tasks.__path__)
    os.environ[tasks.EXTENSIONS] = str(EXTENSION)
    tasks.__path__.append(str(EXTENSION / "tasks"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    tasks.__path__[:] = path
    if before is None:
        del os.environ[tasks.EXTENSIONS]
    else:
        os.environ[tasks.EXTENSIONS] = before


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], House]:
    """By the task's name; made once."""
    made: dict[str, House] = {}

    def get(name: str) -> House:
        if name not in made:
            made[name] = import_module(f"tests.tasks.tiny.{name}").make(tmp_path_factory.mktemp(name))
        return made[name]

    return get
