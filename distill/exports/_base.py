"""What every exporter is: a graph becomes a file, and a file becomes something that answers."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from distill.errors import RetortError, UserError
from distill.export import Runner
from distill.traced import Traced

PIXELS: dict[str, dict[str, Any]] = {
    "pixels": {
        "type": "boolean",
        "default": False,
        "description": "Whether the graph takes uint8 pixels of the network's input size, and normalises them itself.",
    }
}


class NotExportable(UserError):
    """The format cannot hold this network, or the task has no graph; names the operator where there is one."""

    code = "not_exportable"


class MissingPackage(RetortError):
    """The worker lacks a library of the format."""

    code = "missing_package"


class Exporter(ABC):
    """One format.

    `ending` of the file's name. `runtime`: the distribution that runs the file. `packages`: what writes and runs it.
    `tolerance`: how far the file's outputs may be from torch's, relative to the largest absolute output of torch's;
    None where the format rounds, so that the test set alone says what it costs. `use`: Python that imports the runtime,
    and that makes `output` (an array) of `prepare("image.png")` and the `{file}`, whose input is called `{input}`.
    """

    ending: ClassVar[str]
    runtime: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    tolerance: ClassVar[float | None] = 1e-3
    use: ClassVar[tuple[str, str]]

    def __init__(self, pixels: bool = False) -> None:
        self.pixels = pixels

    @abstractmethod
    def write(self, traced: Traced, path: Path) -> list[Path]:
        """Write the file at `path` and what belongs to it; all of them. Raises what its libraries raise: whoever calls
        it (`distill.exporting.written`) makes that a `NotExportable`."""

    @abstractmethod
    def open(self, path: Path, threads: int) -> Runner:
        """The file in its runtime, on the CPU."""

    def facts(self) -> dict[str, Any]:
        """What else is told of the file, by name."""
        return {}

    def name(self, network: str) -> str:
        """Of the file of a network of that name."""
        return f"{network}{'.pixels' if self.pixels else ''}{self.ending}"

    def check_packages(self) -> None:
        """Raises `MissingPackage`."""
        missing = [package for package in self.packages if find_spec(package) is None]
        if missing:
            raise MissingPackage(
                f"The worker lacks the package {' and '.join(missing)}.",
                "Install Retort's extra `worker` there, which has it.",
                {"packages": missing},
            )

    def runtime_version(self) -> str:
        return version(self.runtime)


_OPERATOR = re.compile(r"\b(?:aten|prims|torchvision|quantized|timm|retort)(?:\.|::)\w+(?:\.\w+)?")


def not_exportable(title: str, error: BaseException) -> NotExportable:
    """The refusal, with the operator that a converter stumbled over where its error names one."""
    told = _chain(error)
    operator = next((found.group() for text in told if (found := _OPERATOR.search(text))), None)
    first = next((line for text in told for line in text.strip().splitlines() if line.strip()), type(error).__name__)
    why = f"of the operator {operator}" if operator else f"the converter says: {first.strip()[:300]}"
    return NotExportable(
        f"This network cannot be written as {title}: {why}.",
        "Ask for another format, or distil into another architecture.",
        {"format": title, "operator": operator, "error": first.strip()[:300]},
    )


def _chain(error: BaseException | None) -> list[str]:
    """The texts of an error and of its causes, the innermost first."""
    texts: list[str] = []
    while error is not None and len(texts) < 10:
        texts.insert(0, str(error))
        error = error.__cause__ or error.__context__
    return texts
