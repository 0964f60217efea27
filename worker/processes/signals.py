"""Signals by their names, for messages. Imports nothing of ours."""

from __future__ import annotations

import signal


def name_of(number: int) -> str:
    """`SIGSEGV`; `signal 42` for one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
