"""The k layers of highest quality Q, as published (arXiv 2511.14981)."""

from __future__ import annotations

from typing import Any

from distill.selection._rule import top_rule

PARAMETERS: dict[str, dict[str, Any]] = {}

ENTRY = top_rule(lambda layer: layer.quality)
