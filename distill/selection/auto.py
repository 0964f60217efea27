"""The default rule: `anchored`, highest Q with the deepest pair at the layer of highest separation.

It does not lead everywhere: on one of four combinations it lost to `top_q` and `even` (docs/findings.md). What might
replace it, `anchored_unpooled`, has not been measured on enough seeds.
"""

from __future__ import annotations

from typing import Any

from distill.selection.anchored import anchored

PARAMETERS: dict[str, dict[str, Any]] = {}

ENTRY = anchored
