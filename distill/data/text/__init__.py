"""The names that `distill.modalities.text` had before: its modules are found here too, each the same module."""

from __future__ import annotations

import sys
from importlib import import_module

_HOME = "distill.modalities.text"
for _name in ("opening", "recognise", "records", "report", "tables"):
    sys.modules[f"{__name__}.{_name}"] = import_module(f"{_HOME}.{_name}")
