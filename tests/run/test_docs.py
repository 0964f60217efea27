"""docs/training.md tells the truth: its Python runs as it stands, and it names every field of the report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "training.md"


def test_the_ten_lines_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distill.modalities.images import open_dataset
    from distill.types import DatasetInput

    open_dataset(DatasetInput(kind="named", name="digits")).test.image(0).save(tmp_path / "digit.png")
    monkeypatch.chdir(tmp_path)
    first, second = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.S)
    exec(compile(first, "first", "exec"), {})
    exec(compile(second, "second", "exec"), {})
    report = json.loads(Path("out/artifacts/report.json").read_text())
    table = DOCS.read_text().partition("## report.json")[2]
    assert [key for key in [*report, *report["student"]] if f"`{key}`" not in table] == []
