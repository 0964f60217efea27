"""Answers token by token: every token of the answer is one prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from distill.answers.base import Compared
from distill.answers.classes import RowAnswer
from distill.answers.outputs import logits_of
from distill.layers.sequence import IGNORED


class TokenAnswer(RowAnswer):
    """The token that follows: logits (n, t, V) with token ids (n, t), -100 where nothing is to be predicted.

    `compare` keeps the m tokens that are there, each with the logits of the position before it, so that m rows stand
    where m samples would; logits that are (m, V) already, since the network was asked for no others
    (`logits_to_keep`), pass unchanged.
    """

    def compare(self, output: Any, labels: Tensor, targets: Mapping[str, Tensor] | None = None) -> Compared:
        wanted = labels[:, 1:] != IGNORED
        targets = dict(targets or {})
        if "logits" in targets:
            targets["logits"] = _rows(targets["logits"], wanted)
        return Compared(_rows(logits_of(output), wanted), labels[:, 1:][wanted], targets)

    def rows(self, labels: Tensor) -> Tensor:
        """(m,): the token ids that are to be predicted. Waits for the device."""
        return labels[:, 1:][labels[:, 1:] != IGNORED]

    def weight(self, labels: Tensor) -> Tensor:
        """A scalar on the device."""
        return (labels[:, 1:] != IGNORED).sum()

    def no_fit(self) -> str:
        return "it predicts tokens, not classes"


def _rows(logits: Tensor, wanted: Tensor) -> Tensor:
    return logits[:, :-1][wanted] if logits.dim() == 3 else logits
