"""What a language model wants to see."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor

from distill.errors import InvalidConfig
from distill.modalities.text.records import Form, Kind

EXAMPLE_LENGTH = 16


@dataclass(frozen=True, slots=True)
class TextPreprocessing:
    """Sequences of at most `max_length` tokens below `vocabulary`, with `segments` where the model tells two texts
    apart; `task` says whether texts are classified or answered; `reads` is what of a feature counts
    (`distill.layers.SequenceView`); `form`: what the training texts were (`texts` also where an earlier release did not
    tell)."""

    max_length: int
    vocabulary: int
    segments: bool
    task: Kind
    reads: str
    form: Form = field(default="texts", repr=False)  # unseen: the Q curve's digest is of what stands before it

    def example(self, count: int) -> dict[str, Tensor]:
        """`count` sequences of random tokens and different lengths; draws nothing from torch's global generator."""
        return self._inputs(count, min(EXAMPLE_LENGTH, self.max_length))

    def one(self) -> dict[str, Tensor]:
        """A single sequence of the greatest length, which costs are told for."""
        return self._inputs(1, self.max_length)

    def at(self, side: int) -> NoReturn:
        """Raises `InvalidConfig`: texts have no pixels."""
        raise InvalidConfig("Texts have no image size.", "Leave the image size out.", {"image_size": side})

    def resolved(self) -> dict[str, Any]:
        """What an `auto` of the configuration became."""
        return {"max_length": self.max_length, "text_features": self.reads}

    def _inputs(self, count: int, length: int) -> dict[str, Tensor]:
        drawn = torch.randint(self.vocabulary, (count, length), generator=torch.Generator().manual_seed(0))
        lengths = length - torch.arange(count) % max(1, length // 2)
        mask = (torch.arange(length) < lengths[:, None]).long()
        inputs = {"input_ids": drawn * mask, "attention_mask": mask}
        return inputs | ({"token_type_ids": torch.zeros_like(mask)} if self.segments else {})
