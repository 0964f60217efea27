"""Batches of token ids: similar lengths together, padded to the longest of the batch only, in an order that depends on
nothing but seed, epoch and sample, so that an epoch can be continued anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from distill.data.plan import Plan, generator
from distill.errors import InvalidConfig
from distill.modalities.text.tokens import IGNORED, MULTIPLE, TokenSamples

WINDOW = 64  # batches that are sorted by length among themselves: more order costs randomness, less costs padding
_BATCHES = 3  # the purpose of `generator`; 1 and 2 are `distill.data.plan`'s

KEPT = "logits_to_keep"
"""transformers' name of a mask (n, t): a causal model computes logits at these positions only, as rows (m, C). The
output layer is the larger part of a small decoder, and prompts are most of its tokens."""

Inputs = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class TextBatch:
    """`index` (n): positions in the dataset's split, `host_index` the same on the CPU. `labels`: (n) classes, or (n, t)
    token ids of the answer with -100 elsewhere. `student` (n, t): `input_ids`, `attention_mask`, maybe
    `token_type_ids`; of instructions `logits_to_keep` (n, t), true where the next token is the answer's.
    `teacher` is the same mapping where both have one tokenizer, its own where not, or None where there is none."""

    index: Tensor
    labels: Tensor
    student: Inputs
    teacher: Inputs | None
    host_index: Tensor


@dataclass(frozen=True, slots=True)
class Taught:
    """Texts as a teacher's own tokenizer cuts them, and the token that it pads with."""

    samples: TokenSamples
    pad: int


class TextLoader:
    """Batches of `samples` at `indices`. With `shuffle` the samples are drawn anew for every epoch, sorted by length in
    windows of 64 batches, and the batches shuffled again (length bucketing); without, they come as they are. `rank` of
    `world` and `evenly` as in the `Loader` of images. Right padding to the batch's longest, a multiple of 8 at most
    `max_length`. `taught`: the same texts as the teacher's own tokenizer cuts them; None: it is the student's.
    """

    def __init__(  # noqa: PLR0913 - as the loader of images
        self,
        samples: TokenSamples,
        indices: Tensor | Sequence[int],
        batch_size: int,
        pad: int,
        max_length: int,
        seed: int = 0,
        shuffle: bool = True,
        drop_last: bool = True,
        device: torch.device | str = "cpu",
        teacher: bool = False,
        rank: int = 0,
        world: int = 1,
        evenly: bool = False,
        taught: Taught | None = None,
    ) -> None:
        self.samples, self.pad, self.max_length, self.teacher = samples, pad, max_length, teacher
        self.taught = taught
        self.device, self.seed, self.shuffle = torch.device(device), seed, shuffle
        self.indices = torch.as_tensor(indices, dtype=torch.int64).cpu()
        drawn = samples.labels[self.indices] if evenly else None
        self._plan = Plan(len(self.indices), batch_size, seed, shuffle, drop_last, rank, world, drawn)
        if self._plan.batches == 0:
            raise InvalidConfig(
                f"{len(self.indices)} samples make no batch for {world} processes.", "Use more samples."
            )

    @property
    def batches_per_epoch(self) -> int:
        """The same for every rank."""
        return self._plan.batches

    def epoch(self, epoch: int, start: int = 0) -> Iterator[TextBatch]:
        """Batches `start`, `start` + 1, ... of an epoch: exactly those that the epoch from 0 gives there."""
        order = self.order(epoch)
        for number in range(start, self.batches_per_epoch):
            yield self._batch(self.indices[self._plan.batch_of(order, number)])

    def order(self, epoch: int) -> Tensor:
        """Positions in `indices`; consecutive runs of one global batch have similar lengths."""
        order = self._plan.order(epoch)
        size = self._plan.batch * self._plan.world
        whole = len(order) // size
        if not self.shuffle or whole < 2:
            return order
        lengths = self.samples.lengths[self.indices]
        step = WINDOW * size
        drawn = [order[at : min(at + step, whole * size)] for at in range(0, whole * size, step)]
        windows = [window[lengths[window].argsort(stable=True)] for window in drawn]
        batches = torch.cat(windows).view(whole, size)
        mixed = torch.randperm(whole, generator=generator(self.seed, epoch, _BATCHES))
        return torch.cat([batches[mixed].reshape(-1), order[whole * size :]])

    def _batch(self, host: Tensor) -> TextBatch:
        inputs, labels = collate(self.samples, host, self.pad, self.max_length)
        student = {name: self._to(tensor) for name, tensor in inputs.items()}
        teacher = (student if self.taught is None else self._taught(self.taught, host)) if self.teacher else None
        return TextBatch(self._to(host), self._to(labels), student, teacher, host)

    def _taught(self, taught: Taught, host: Tensor) -> Inputs:
        inputs, _ = collate(taught.samples, host, taught.pad, self.max_length)
        return {name: self._to(tensor) for name, tensor in inputs.items()}

    def _to(self, tensor: Tensor) -> Tensor:
        if self.device.type == "cpu":
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)


def collate(samples: TokenSamples, index: Tensor, pad: int, max_length: int) -> tuple[Inputs, Tensor]:
    """Inputs (n, t) and labels of the samples at `index`."""
    lengths = samples.lengths[index]
    longest = min(-(-int(lengths.max()) // MULTIPLE) * MULTIPLE, max_length)
    at = torch.arange(longest)
    mask = at < lengths[:, None]
    where = (samples.starts[index][:, None] + at).clamp(max=len(samples.ids) - 1)
    ids = samples.ids[where].long().masked_fill(~mask, pad)
    inputs = {"input_ids": ids, "attention_mask": mask.long()}
    if samples.segments is not None:
        inputs["token_type_ids"] = samples.segments[where].long().masked_fill(~mask, 0)
    if samples.prompts is None:
        return inputs, samples.labels[index]
    prompt = at < samples.prompts[index][:, None]
    labels = ids.masked_fill(prompt | ~mask, IGNORED)
    inputs[KEPT] = F.pad(labels[:, 1:] != IGNORED, (0, 1))
    return inputs, labels
