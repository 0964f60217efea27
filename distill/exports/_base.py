"""What every exporter is: a graph becomes a file, and a file becomes something that answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from distill.export import Runner
from distill.exports import _needs
from distill.same_answers import check
from distill.traced import Traced

PIXELS: dict[str, dict[str, Any]] = {
    "pixels": {
        "type": "boolean",
        "default": False,
        "x-takes": ["tensor"],
        "description": "Whether the graph takes uint8 pixels of the network's input size, and normalises them itself.",
    }
}


class Exporter(ABC):
    """One format.

    `takes`: what it is written of: `tensor`, a graph of one tensor in and one out; `tokens`, one of token ids and what
    belongs to them, each (n, t), in and one tensor out; `decoder`, a language model that predicts the next token with
    its tokenizer (`distill.export.DecoderGraph`). A task offers the formats that take what its students are
    (`distill.tasks.TaskSpec.exports`). `ending` of the file's name. `runtime`: the distribution that runs the file.
    `packages`: what writes and runs it, which Retort's `extra` of that name has. `paged`: whether it is written into
    the page that the dashboard's build makes. `tolerance`: how far the file's outputs may be from torch's, relative to
    the largest absolute output of torch's; None where the format rounds, so that the test set alone says what it costs.
    `use`: Python that imports the runtime, and that makes `output` (an array) of the `{file}` and `{given}`, the arrays
    of one sample by the name of each input, or of what the task prepares otherwise; None of a file that is no program's
    to run. `final`: whether it ends with an answer for people where the task has such a graph, as boxes after
    suppression. `media_type`: of its files. `trains`: whether the file is written of a student that was trained further
    with int8's rounding (`distill.exporting.tuned`).
    """

    takes: ClassVar[tuple[str, ...]] = ("tensor",)
    ending: ClassVar[str]
    runtime: ClassVar[str]
    packages: tuple[str, ...] = ()
    extra: ClassVar[str] = "worker"
    paged: ClassVar[bool] = False
    tolerance: float | None = 1e-3
    final: ClassVar[bool] = False
    media_type: ClassVar[str] = "application/octet-stream"
    use: ClassVar[tuple[str, str] | None]
    trains: bool = False

    def __init__(self, pixels: bool = False) -> None:
        self.pixels = pixels

    @abstractmethod
    def write(self, traced: Traced, path: Path) -> list[Path]:
        """Write the file at `path` and what belongs to it; all of them. Raises what its libraries raise: whoever calls
        it (`distill.exporting.written`) makes that a `NotExportable`."""

    @abstractmethod
    def open(self, path: Path, threads: int) -> Runner:
        """The file in its runtime, on the CPU."""

    def check(self, run: Runner, traced: Traced, title: str) -> None:
        """Compare the opened file with torch before it counts. Raises `ExportDiffers`."""
        check(run, traced.graph, traced.three(), self.tolerance, title)

    def facts(self) -> dict[str, Any]:
        """What else is told of the file, by name."""
        return {}

    def name(self, network: str) -> str:
        """Of the file of a network of that name."""
        return f"{network}{'.pixels' if self.pixels else ''}{self.ending}"

    def check_packages(self) -> None:
        """Raises `MissingPackage`."""
        missing = _needs.packages(self.packages, self.extra)
        if missing is not None:
            raise missing

    def runtime_version(self) -> str:
        return version(self.runtime)
