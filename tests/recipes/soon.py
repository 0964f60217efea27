"""Which of many (recipe, case) pairs `make test` tries; `make test-slow` tries all of them.

The recipes of the methods are tried on every case. Of the others each stands on parts that all share, and is tried on
every family of tiny networks in `test_every_recipe.py`; whole runs and large families try each of them where the case
is `now`.
"""

from __future__ import annotations

from typing import Any

import pytest

CORE = {
    "blockwise_logit", "cross_entropy", "feature_logit", "feature_only", "logit", "logit_standardized", "semckd",
    "similarity_preserving", "simkd",
}  # fmt: skip


def soon(recipe: str, *case: Any, now: bool = False) -> Any:
    """Parameters of a test, the recipe first."""
    return pytest.param(recipe, *case, marks=() if now or recipe in CORE else pytest.mark.slow)
