"""What a machine must have to write a format. Torch-free: a worker says at its start what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from distill.errors import RetortError

PAGE = Path(__file__).resolve().parents[2] / "web" / "dist-page" / "student.html"
"""The page without a student, with onnxruntime-web from its npm package: the dashboard's build makes it."""


class MissingPackage(RetortError):
    """The worker lacks a library of the format."""

    code = "missing_package"


def packages(wanted: Sequence[str], extra: str) -> MissingPackage | None:
    """What to raise where one of the packages is not installed. `extra`: Retort's, which has them."""
    missing = [package for package in wanted if find_spec(package) is None]
    if not missing:
        return None
    return MissingPackage(
        f"The worker lacks the package{'s' * (len(missing) > 1)} {' and '.join(missing)}.",
        f"Install Retort's extra `{extra}` there, which brings {'it' if len(missing) == 1 else 'them'}.",
        {"packages": missing},
    )


def page(path: Path) -> MissingPackage | None:
    """The same of the page that a student is written into."""
    if path.is_file():
        return None
    return MissingPackage(
        "The worker lacks the page that a student is written into.",
        "Build the dashboard where the worker's code lies (`make web`, with npm). The worker's image has it.",
        {"packages": ["onnxruntime-web"]},
    )
