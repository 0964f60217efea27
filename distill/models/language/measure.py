"""What a language model costs, counted on the meta device from its configuration: no weights are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from distill.errors import InvalidConfig
from distill.estimate import NetworkCost
from distill.layers import discover
from distill.layers.sequence import sequences
from distill.models.language.config import positions, read_config
from distill.models.language.network import Task, for_task, skeleton
from distill.models.language.student import student_config
from distill.models.measure import outputs
from distill.models.stored import Stored, stored
from distill.types import Architecture

T = TypeVar("T")
SHORT = 8
"""Tokens of a text by which layers are counted."""


@dataclass(frozen=True, slots=True)
class TextCost:
    """`network`: `flops` of a text of `mean_length` tokens, `activation_bytes` of one of `max_length`. `features`:
    width times layers, embeddings included: what the Q curve keeps of a sample. `widest_bytes`: the largest output of a
    module at `max_length`; `vocabulary` in tokens; `max_length`: as asked for, at most what the model takes; `file`:
    of its weights."""

    network: NetworkCost
    features: int
    widest_bytes: int
    vocabulary: int
    max_length: int
    file: Stored

    def to_dict(self) -> dict[str, int]:
        """JSON-serialisable, flat."""
        found = asdict(self)
        network: dict[str, int] = found.pop("network")
        file: dict[str, int] = found.pop("file")
        return network | file | found


def measure_text(
    config: Mapping[str, Any], task: Task, num_classes: int, mean_length: int, max_length: int,
    student: Architecture | None = None, untie: bool = False,
) -> TextCost:  # fmt: skip
    """The model of a config.json, or the `student` that a job would make of it. Raises `InvalidTeacher`, and
    `InvalidConfig` for a student that cannot be made."""
    own = sized(config, task, num_classes, student, untie)
    network = skeleton(own, task).eval().requires_grad_(False)
    longest = min(max_length, positions(own))
    flops, _ = _counted(network, min(mean_length, longest))
    _, sizes = _counted(network, longest)
    count = sum(parameter.numel() for parameter in network.parameters())
    spent = NetworkCost(count, flops, 4 * sum(sizes), len(sizes))
    features = own.hidden_size * (own.num_hidden_layers + 1)
    return TextCost(spent, features, 4 * max(sizes), own.vocab_size, longest, stored(network, num_classes))


def sized(
    config: Mapping[str, Any], task: Task, num_classes: int, student: Architecture | None, untie: bool = False
) -> Any:
    """transformers' configuration of the model, or of the student that is made of it."""
    names = [str(number) for number in range(num_classes)]
    own: Any = for_task(read_config(config), task, names)
    return own if student is None else student_config(student, own, task, names, untie).config


def layers_on_meta(config: Any, task: Task) -> int:
    """How many layers of a model of this configuration a run can distil: embeddings and blocks. Raises as
    `measure_text`."""
    network = skeleton(config, task)
    found = _tried(min(SHORT, positions(config)), lambda inputs: discover(network, inputs))
    return len(sequences(found))


def _counted(network: nn.Module, length: int) -> tuple[int, list[int]]:
    """Operations of one text, attention included, and the elements of every leaf module's output."""
    return _tried(length, lambda inputs: _forward(network, inputs))


def _tried(length: int, run: Callable[[dict[str, Tensor]], T]) -> T:
    """What `run` says of one text of so many tokens without values."""
    ids = torch.zeros(1, length, dtype=torch.long, device="meta")
    # Most families look into a mask of two dimensions, which has no values here. OPT wants that or none, DeBERTa that.
    masks: list[dict[str, Tensor]] = [
        {"attention_mask": torch.ones(1, 1, length, length, device="meta")},
        {},
        {"attention_mask": torch.ones_like(ids)},
    ]
    for mask in masks:
        try:
            return run({"input_ids": ids} | mask)
        except (RuntimeError, ValueError, NotImplementedError) as error:
            failed = error
    raise InvalidConfig(f"The network does not run: {str(failed)[:200]}", "Choose other options.")


def _forward(network: nn.Module, inputs: dict[str, Tensor]) -> tuple[int, list[int]]:
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), outputs(network) as found, counter:
        network(**inputs)
    return int(counter.get_total_flops()), list(found)
