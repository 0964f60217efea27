"""The servers, the template and the thread count of tests/faults."""

from __future__ import annotations

from tests.faults.conftest import _one_thread, services

__all__ = ["_one_thread", "services"]
