"""How far two decoders are from each other on the answers of test samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from distill import offload, processes
from distill.answers.base import Answer
from distill.answers.outputs import logits_of
from distill.layers.forward import forward
from distill.layers.sequence import IGNORED
from distill.tasks._texts.generation import generate
from distill.tasks.network import Network
from distill.training.data import Source

LOOKED_AT = 256
"""Test samples on which both decoders are run once more (**our choice**): probabilities of all tokens of a whole test
set would not fit into memory."""
APART = (
    f"Mean over the tokens of the wanted answer of KL(teacher || student), in nats: 0 where both expect the same. "
    f"Of at most {LOOKED_AT} test samples, at even distances."
)


@torch.no_grad()
def divergences(student: Network, teacher: Network, source: Source, answer: Answer, device: torch.device) -> Tensor:
    """(n,) fp64, one a sample of the source, 0 of one without tokens to predict; several processes take turns."""
    for network in (student, teacher):
        offload.put(network.module, device).eval()

    def of_batch(batch: Any) -> Tensor:
        outputs = (logits_of(forward(network.module, batch.student)) for network in (student, teacher))
        both = [answer.compare(each, batch.labels).outputs.float().log_softmax(1) for each in outputs]
        rows = (both[1].exp() * (both[1] - both[0])).sum(1).double().clamp(min=0)
        sample = (batch.labels[:, 1:] != IGNORED).nonzero()[:, 0]
        sums = torch.zeros(len(batch.labels), dtype=torch.double, device=rows.device).index_add(0, sample, rows)
        return (sums / torch.bincount(sample, minlength=len(sums)).clamp(min=1)).cpu()

    return torch.cat(processes.dealt(source.epoch(0), of_batch))


def answers_of(network: Network, prompts: Sequence[str]) -> list[str]:
    """Greedy answers of at most 64 tokens, by the network where it is."""
    return generate(network, prompts, offload.device_of(network.module))[0]
