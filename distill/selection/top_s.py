"""Ablation: the k layers of highest separation S."""

from __future__ import annotations

from typing import Any

from distill.selection._rule import top_rule

PARAMETERS: dict[str, dict[str, Any]] = {}

ENTRY = top_rule(lambda layer: layer.separation)
