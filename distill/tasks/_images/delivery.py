"""A student of pictures as one safetensors file, with a header that says how it sees and what its outputs mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from distill.export import Artifact, Context, Delivery, Graph, described
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
    network has them."""

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
