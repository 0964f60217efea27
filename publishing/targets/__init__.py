"""Where a student is handed over: one target a file, named by its file. Listing imports no client library.

A target is called as its file is, with a hyphen for each underscore. A module has `PARAMETERS`, JSON Schema properties
of its options (one without a default is required); `CREDENTIALS`, what its secret holds by name (one with
`"required": True` must be there); and `ENTRY`, a subclass of `Target`, or of
`LiveTarget` where the module also has `LIVE = True`.
"""

from __future__ import annotations

from typing import Any

from distill.hyphenated import Hyphenated
from publishing.targets._base import LiveTarget as LiveTarget
from publishing.targets._base import Target as Target

registry = Hyphenated(__name__, __path__, "publication target")
names = registry.names
get = registry.get


def live(name: str) -> bool:
    """Whether the target can be told of a job while it runs. Imports nothing."""
    return bool(registry.constant(name, "LIVE", False))


def credentials(name: str) -> dict[str, dict[str, Any]]:
    """What the target's secret holds: name -> {description, required}. Imports nothing."""
    found: dict[str, dict[str, Any]] = registry.constant(name, "CREDENTIALS", {})
    return found
