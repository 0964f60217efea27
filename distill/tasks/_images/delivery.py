"""A student of pictures as one safetensors file, with a header that says how it sees and what its outputs mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import torch

from distill.export import Artifact, Context, Delivery, Graph, described
from distill.modalities.images.canvas import mean_colour
from distill.models import Preprocessing, save
from distill.tasks._images.pixels import FromPixels
from distill.types import Architecture


def file_of(context: Context) -> str:
    return f"{context.name}.safetensors"


def header(
    architecture: Architecture, classes: Sequence[str], preprocessing: Preprocessing, native: tuple[int, int] | None,
    **more: Any,
) -> dict[str, str]:  # fmt: skip
    """The safetensors header: every value a JSON text; `more` of the task's own, by name."""
    return {
        "architecture": architecture.model_dump_json(),
        "classes": json.dumps(list(classes)),
        "preprocessing": json.dumps(asdict(preprocessing)),
        **{name: json.dumps(value) for name, value in more.items()},
        "native": json.dumps(native),
    }


class PictureDelivery(Delivery):
    """`task`: the name that goes into the header; `metrics`: the figures of the report that go there too, where the
    network has them. `framing`: what evaluation shows of a picture: `centre`, in the input's shape; `whole`, distorted;
    `fitted`, all of it in the upper left."""

    framing: ClassVar[str] = "centre"

    def __init__(self, task: str, *metrics: str) -> None:
        self.task, self.metrics = task, metrics

    def header(self, context: Context) -> dict[str, str]:
        student = context.report["student"]
        figures = {metric: student[metric] for metric in self.metrics if metric in student}
        return header(
            context.architecture, context.classes, context.preprocessing, context.native,
            recipe=context.report["recipe"], **figures, task=self.task, **self.more(context),
        )  # fmt: skip

    def more(self, context: Context) -> dict[str, Any]:
        """Further entries of the header, by name."""
        return {}

    def weights(self, context: Context, folder: Path) -> list[Artifact]:
        told = self.header(context)
        path = folder / file_of(context)
        save(context.student, path, told)
        return [Artifact(path.name, path, "application/x-safetensors"), described(told, folder, context.name)]

    def bytes(self, context: Context) -> int:
        with TemporaryDirectory() as folder:
            path = Path(folder) / file_of(context)
            save(context.student, path, self.header(context))
            return path.stat().st_size

    def graph(self, context: Context) -> Graph:
        how = context.preprocessing
        output = "logits" if context.classes else "features"
        return Graph(context.student, torch.zeros(2, how.channels, *how.size), "image", output)

    def of_pixels(self, context: Context, graph: Graph) -> Graph:
        module = FromPixels(graph.module, context.preprocessing)
        pixels = torch.zeros(graph.example.shape, dtype=torch.uint8)
        return replace(graph, module=module, example=pixels, input="pixels", encode=module.encode)

    def answering(self, context: Context) -> dict[str, Any] | None:
        """Of `page`: the `kind` of the answer, and what it takes to read it; None where a page has no answer."""
        return None

    def page(self, context: Context, graph: Graph) -> dict[str, Any] | None:
        """None too of 16-bit grey: browsers read 8 bits."""
        how, said = context.preprocessing, self.answering(context)
        if said is None or how.pixel_range is not None:
            return None
        seen = {
            "name": graph.input, "dtype": str(graph.example.dtype).removeprefix("torch."), "channels": how.channels,
            "height": how.size[0], "width": how.size[1], "interpolation": how.interpolation, "crop": how.crop,
            "mean": list(how.mean), "std": list(how.std), "order": how.channel_order,
            "native": list(context.native) if context.native else None,
            "around": _around(how.mode, how), "around_grey": _around("L", how),
        }  # fmt: skip
        told = {
            "title": f"{context.architecture.name}, {context.report['recipe']}", "file": context.name,
            "classes": list(context.classes), "framing": self.framing, "input": seen, "output": graph.output,
            "threshold": 0.0, "palette": [],
        }  # fmt: skip
        return told | said


def _around(mode: str, how: Preprocessing) -> list[int]:
    """The colour around a picture of that mode: one number, or one a channel."""
    colour = mean_colour(mode, how)
    return list(colour) if isinstance(colour, tuple) else [colour]
