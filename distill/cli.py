"""The library's own commands, attached to the `retort` program by entry points."""

from distill.commands.score import score
from distill.commands.study import study

__all__ = ["score", "study"]
