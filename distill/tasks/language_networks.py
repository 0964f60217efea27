"""Language models, which several tasks have: a Hugging Face folder each. transformers is an optional part."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from distill.errors import InvalidTeacher
from distill.tasks.networks import Sent
from distill.types import Architecture


def catalogue() -> list[dict[str, Any]]:
    """None where the libraries are not installed."""
    if not (find_spec("transformers") and find_spec("tokenizers")):
        return []
    from distill.language_families import catalogue as families

    return list(families())


def examine(architecture: Architecture, sent: Sent) -> dict[str, Any]:
    """Check a folder, sent as a zip or file by file, and write what is needed of it as one zip."""
    from distill.models.language import examine, open_folder
    from distill.models.language.folder import pack

    found = open_folder(str(sent.path), sent.scratch, own=True)
    report = examine(found).to_dict()
    if architecture.name not in (FROM_FILES, report["architecture"]["name"]):
        what = f"config.json describes a {report['family']}, not {architecture.name}."
        raise InvalidTeacher(what, f"Send {FROM_FILES}.")
    pack(found, sent.packed)
    return report


FROM_FILES = "transformers:auto"
"""The architecture that its files name."""


def measured(task: Any, question: dict[str, Any], untie: bool = False) -> dict[str, Any]:
    """The cost of a model of a config.json, or of the student that a job would make of it. `task`: `classify` or
    `generate`, the head it has; `untie`: whether the student's head has weights of its own."""
    from distill.models.language.measure import measure_text

    rest = {name: value for name, value in question.items() if name not in {"recipe", "student"}}
    return measure_text(**rest, task=task, student=_student(question), untie=untie).to_dict()


def counted_layers(task: Any, question: dict[str, Any]) -> int:
    """How many layers of the model of a question of `measured` can be distilled: embeddings and blocks."""
    from distill.models.language.measure import layers_on_meta, sized

    return layers_on_meta(sized(question["config"], task, question["num_classes"], _student(question)), task)


def _student(question: dict[str, Any]) -> Architecture | None:
    return Architecture.model_validate(question["student"]) if question.get("student") else None


def built(task: Any, question: dict[str, Any], untie: bool = False) -> tuple[nn.Module, dict[str, Tensor]]:
    """The model of a question of `measured` with random weights, and one text of its `mean_length`."""
    from distill.models.language.config import positions
    from distill.models.language.measure import sized
    from distill.models.language.network import build

    config = sized(question["config"], task, question["num_classes"], _student(question), untie)
    ids = torch.ones(1, min(question["mean_length"], positions(config)), dtype=torch.long)
    return build(config, task), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
