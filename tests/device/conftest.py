"""The tiny data, teachers and students of every task."""

from tests.tasks.conftest import _extended, house

__all__ = ["_extended", "house"]
