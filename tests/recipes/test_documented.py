"""docs/recipes.md names every recipe and every loss."""

from pathlib import Path

import pytest

from distill import losses, recipes

TEXT = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*recipes.names(), *losses.names()])
def test_has_a_row(name: str) -> None:
    assert f"\n| `{name}` |" in TEXT
