"""The rule we recommend: `anchored`, highest Q with the deepest pair at the layer of highest separation."""

from __future__ import annotations

from typing import Any

from distill.selection.anchored import anchored

PARAMETERS: dict[str, dict[str, Any]] = {}

ENTRY = anchored
