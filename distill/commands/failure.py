"""A library's error as the end of a command: what is wrong, what to do, and whose fault it is."""

from __future__ import annotations

import click

from distill.errors import RetortError


class Failed(click.ClickException):
    """Shown as one line. `fault` becomes the program's exit code: 1 the user's, 2 the system's."""

    def __init__(self, error: RetortError) -> None:
        super().__init__(f"{error.message} {error.remedy}".strip())
        self.fault = error.fault
