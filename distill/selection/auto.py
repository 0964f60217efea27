"""The default rule: `anchored_unpooled`, highest Q below the computing layer of highest separation.

It was first or equal first on two teacher-student pairs and two data sets with five seeds each, where the literal top k
by Q lost on three of the four (docs/evidence/images.md).
"""

from __future__ import annotations

from typing import Any

from distill.selection.anchored_unpooled import anchored_unpooled

PARAMETERS: dict[str, dict[str, Any]] = {}

ENTRY = anchored_unpooled
