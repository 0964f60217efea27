from __future__ import annotations

from pathlib import Path

from tests.language.test_decoders import STUDENT, instructions, teacher
from tests.tasks.house import House


def make(folder: Path) -> House:
    data = instructions(folder, labelled=True, count=60)
    return House(data, teacher("llama", folder), STUDENT, {}, lambda loaded: loaded.answer(["what does the cat do ?"]))
