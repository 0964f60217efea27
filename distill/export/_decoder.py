"""A language model that predicts the next token, as files for other runtimes are made of it and held against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from distill.export._base import Graph
from distill.export._served import Served
from distill.modalities.text.loader import KEPT

Inputs = Mapping[str, Tensor]


class DecoderFile(Protocol):
    """A decoder's file in its own runtime."""

    def tokenise(self, text: str, whole: bool = False) -> list[int]: ...
    def logits(self, rows: Sequence[Sequence[int]], wanted: Sequence[Sequence[bool]]) -> Tensor: ...
    def greedy(self, rows: Sequence[Sequence[int]], count: int, end: int | None) -> list[list[int]]: ...


class EveryToken(nn.Module):
    """The network's logits (m, V) after each of the m tokens that are wanted, row by row: all that are no padding, or
    those of `logits_to_keep`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: Tensor | None = None) -> Tensor:
        found: Tensor = self.network(input_ids=input_ids, attention_mask=attention_mask).logits
        return found[attention_mask.bool() if logits_to_keep is None else logits_to_keep]


@dataclass(frozen=True)
class DecoderRun:
    """The file's logits, as `EveryToken` gives torch's. Padding does not reach the file."""

    file: DecoderFile

    def __call__(self, given: Inputs) -> Tensor:
        mask = given["attention_mask"].bool()
        kept = given.get(KEPT)
        rows = [ids[own].tolist() for ids, own in zip(given["input_ids"], mask, strict=True)]
        wanted = [own[real].tolist() for own, real in zip(mask if kept is None else kept, mask, strict=True)]
        return self.file.logits(rows, wanted)


class ServedDecoder(Served):
    """Evaluation's batches and prompts go to the file."""

    run: Any

    def forward(self, *_: Tensor, **inputs: Tensor) -> Tensor:
        given = {name: value.detach().cpu() for name, value in inputs.items()}
        found: Tensor = self.run(given)
        return found.to(inputs["input_ids"].device)

    def generate(
        self, input_ids: Tensor, attention_mask: Tensor, max_new_tokens: int, pad_token_id: int,
        eos_token_id: int | None, **how: Any,
    ) -> Tensor:  # fmt: skip
        """(n, t + new): greedy answers after each row, as transformers' `generate` without sampling gives them."""
        if how.get("do_sample") or how.get("num_beams", 1) != 1:
            raise ValueError("a file's answers are greedy")
        rows = [ids[mask.bool()].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True)]
        found = self.run.file.greedy(rows, max_new_tokens, eos_token_id)
        longest = max(map(len, found), default=0)
        padded = [[*row, *[pad_token_id] * (longest - len(row))] for row in found]
        return torch.cat([input_ids, torch.tensor(padded, dtype=torch.long, device=input_ids.device)], 1)


def without_choice(given: Inputs) -> Inputs:
    """A batch of which every token's logits are compared."""
    return {name: value for name, value in given.items() if name != KEPT}


@dataclass(frozen=True)
class DecoderGraph(Graph):
    """`module`: an `EveryToken`. `tokens`: its tokenizer (`distill.models.language.Tokens`); `texts`: gives texts of
    the test set; `template`: the prompt that it was trained with, as a Jinja template of `messages`; `title`: of the
    network, for people."""

    encode: Callable[[Any], Any] = without_choice
    free: tuple[str, ...] = ("n", "t")
    tokens: Any = None
    texts: Callable[[], Iterable[str]] = field(default=tuple)
    template: str = ""
    title: str = ""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """A file has one input, tokens row by row."""
        return {self.input: self.example["input_ids"]}

    @property
    def network(self) -> Any:
        return self.module.network

    def served(self, run: Any, like: nn.Module) -> nn.Module:
        return ServedDecoder(run, self, like)
