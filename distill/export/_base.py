"""What exporters are given and what they return."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn

from distill.disagreement import Apart
from distill.export._served import Served
from distill.layers.forward import tensors
from distill.types import Architecture, Event, QCurve

C = TypeVar("C", bound="Context")


@dataclass(frozen=True)
class Artifact:
    """A file, complete on disk."""

    name: str
    path: Path
    media_type: str

    def event(self) -> Event:
        return Event("artifact", {"name": self.name, "path": str(self.path), "media_type": self.media_type})


class Skipped(Exception):
    """An optional exporter that cannot work here; the message says why. `artifacts`: what it could write."""

    def __init__(self, reason: str, artifacts: Sequence[Artifact] = ()) -> None:
        super().__init__(reason)
        self.artifacts = tuple(artifacts)


@dataclass(frozen=True)
class Context:
    """A finished run. `preprocessing`: the modality's own; `curves`: the teachers' Q curves, in their order;
    `draws`: of each of them the rows that it is computed on;
    `delivery`: how the task hands its student over; `metrics`: the `data` of the metrics events, in order; `tokens`: a
    language model's tokenizer; `native`: (height, width) of test images that were resized as whole tensors; `name`: of
    the files; `companions`: the networks delivered beside the student; `teacher`: the run's, as a network with
    `architecture` and `preprocessing`; `apart`: how far its answers are from the student's, None where nobody knows."""

    student: nn.Module
    architecture: Architecture
    classes: tuple[str, ...]
    preprocessing: Any
    report: dict[str, Any]
    delivery: Delivery
    curves: tuple[QCurve, ...] = ()
    draws: tuple[dict[str, Any], ...] = ()
    metrics: list[dict[str, Any]] = field(default_factory=list)
    tokens: Any = None
    native: tuple[int, int] | None = None
    name: str = "student"
    companions: tuple[Context, ...] = ()
    teacher: Any = None
    apart: Apart | None = None

    def widened(self, kind: type[C], **more: Any) -> C:
        """The same run as a task's own kind of context, with what that has more."""
        return kind(**{each.name: getattr(self, each.name) for each in fields(self)}, **more)


Runner = Callable[[Any], torch.Tensor]
"""An exported file in its own runtime: the graph's input, n samples -> its output, both on the CPU; any n."""


def unchanged(value: Any) -> Any:
    return value


def largest_difference(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """max |found - wanted|; 0 of empty tensors."""
    return float((found.double() - wanted.double()).abs().max()) if found.numel() else 0.0


@dataclass(frozen=True)
class Graph:
    """What is written for a runtime other than PyTorch: a module and its example, with the names of input and output.
    The example is a tensor, or several by name, in the order of the module's arguments. `free`: names of the first axes
    of each that may have any size; the first is the batch. `encode`: what evaluation shows the network -> the graph's
    input. `decode`: the graph's output -> what evaluation reads of the network, or of a network of the kind `answers`
    where that is not "". `apart`: how far two outputs are from each other. `beside`: JSON that a file is of no use
    without, by what follows the network's name in the name of its own file."""

    module: nn.Module
    example: Any
    input: str
    output: str
    encode: Callable[[Any], Any] = unchanged
    decode: Callable[[torch.Tensor], torch.Tensor] = unchanged
    answers: str = ""
    apart: Callable[[torch.Tensor, torch.Tensor], float] = largest_difference
    free: tuple[str, ...] = ("n",)
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """The example, by the name of each input."""
        return dict(self.example) if isinstance(self.example, Mapping) else {self.input: self.example}

    @property
    def shape(self) -> list[str | int]:
        """Of each input, for people; `free` axes by their names."""
        return [*self.free, *next(tensors(self.example)).shape[len(self.free) :]]

    @property
    def dtype(self) -> str:
        """Of the input."""
        return str(next(tensors(self.example)).dtype).removeprefix("torch.")

    def served(self, run: Runner, like: nn.Module) -> nn.Module:
        """A file of this graph in the place of the network that it was made of."""
        return Served(run, self, like)


@dataclass(frozen=True)
class Around:
    """Python around the call of an exported file. `imports`: lines; `prepare`: defines what the call uses: of pictures
    `prepare(path)`, which gives the graph's input as an array (1, ...); of texts `prepare(text, ...)`, which gives an
    array (n, t) by the name of each input; of decoders `prompt` and `context`, the most tokens of prompt and answer;
    `read`: says what `output` means. `given`: the arrays of one sample, by the name of each input."""

    imports: tuple[str, ...]
    prepare: str
    read: str
    given: str = ""

    def code(self, imports: str, run: str) -> str:
        """The whole program, with the lines of a runtime."""
        own = {*self.imports, *imports.splitlines()}
        lines = [*sorted(each for each in own if each.startswith("import ")), *sorted(e for e in own if e[0] == "f")]
        return "\n".join([*lines, "", "", self.prepare.strip(), "", "", run, self.read.strip()]) + "\n"


class Delivery(ABC):
    """How a task hands a student over: the exporters ask it. `suppresses`: whether `suppressed` gives a graph."""

    suppresses: ClassVar[bool] = False

    @abstractmethod
    def header(self, context: Context) -> dict[str, str]:
        """What the weights' file says of its network: every value a JSON text; `distill.student.load_student` reads it
        back. `task` names the task."""

    @abstractmethod
    def weights(self, context: Context, folder: Path) -> list[Artifact]:
        """Write the student's weights, and `student.json` with what the header says."""

    @abstractmethod
    def bytes(self, context: Context) -> int:
        """Size of the weights' file as `weights` would write it, its header included."""

    @abstractmethod
    def card(self, context: Context) -> str:
        """The README: what it is, how good it is, a snippet that runs it."""

    def sections(self, report: dict[str, Any]) -> list[str]:
        """Further sections of report.md, in Markdown."""
        return []

    def examples(self, context: Context, folder: Path) -> list[Artifact]:
        """Test samples with what the networks say of them; [] where the task has nothing to show."""
        return []

    def graph(self, context: Context) -> Graph:
        """What files for other runtimes are traced from. Raises `Skipped` where there is none."""
        raise Skipped("this task has no graph of one input and one output")

    def suppressed(self, context: Context) -> Graph:
        """The same with what follows the network until an answer for people, as non-maximum suppression of boxes.
        Raises `Skipped` where nothing does."""
        raise Skipped("this task's answers are not boxes, of which some are suppressed")

    def of_pixels(self, context: Context, graph: Graph) -> Graph:
        """A graph of this network from raw samples: what happens to a sample before the network happens in the graph.
        Raises `Skipped` where there is no such thing."""
        raise Skipped("this task's samples are not pixels")

    def around(self, context: Context, graph: Graph) -> Around | None:
        """What a program needs around an exported file of this graph; None where there is none."""
        return None

    def page(self, context: Context, graph: Graph) -> dict[str, Any] | None:
        """What a page in a browser is told of the network, as JSON (`web/src/page/described.ts`): how it prepares a
        sample for `graph`, and what the output means. None where a page cannot do what evaluation did."""
        return None


def write_text(folder: Path, name: str, text: str, media_type: str) -> Artifact:
    """Write a text file, complete or not at all. The folder is made where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    part = path.with_name(name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    return Artifact(name, path, media_type)


def described(header: dict[str, str], folder: Path, name: str = "student") -> Artifact:
    """`<name>.json`: the header, machine-readable beside the weights."""
    text = json.dumps({key: json.loads(value) for key, value in header.items()}, indent=2)
    return write_text(folder, f"{name}.json", text + "\n", "application/json")


def class_section(context: Context) -> str:
    """The model card's section of the class names: JSON, since a name may hold anything, commas and Markdown too."""
    names = json.dumps(list(context.classes), ensure_ascii=False)
    return f"## Classes\n\nIn the order of the logits:\n\n```json\n{names}\n```\n"


def share_in_words(share: dict[str, Any]) -> str:
    """ "91.20 % (95 % interval 90.60 to 91.70, n = 10000)"."""
    value, low, high = (f"{100 * share[key]:.2f}" for key in ("value", "low", "high"))
    return f"{value} % (95 % interval {low} to {high}, n = {share['n']})"


def probed(report: dict[str, Any]) -> str:
    """The model card's sentence on a teacher that has no accuracy of its own; empty for others."""
    return "".join(
        f" {_who(each, report)} does not know these classes: a linear probe, a linear classifier of the teacher's "
        f"features, reaches {share_in_words(each['linear_probe'])}."
        for each in report.get("teachers", [])
        if each.get("linear_probe")
    )


def _who(teacher: dict[str, Any], report: dict[str, Any]) -> str:
    label = teacher["label"] if len(report["teachers"]) > 1 else "its teacher"
    return f"{label[:1].upper()}{label[1:]}"
