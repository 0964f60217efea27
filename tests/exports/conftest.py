"""The page without its runtime serves these tests: the one with it needs npm, and a browser's test has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill.exports import _needs

SOURCE = Path(__file__).parents[2] / "web" / "src" / "page" / "page.html"


@pytest.fixture(autouse=True)
def _page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_needs, "PAGE", SOURCE)
