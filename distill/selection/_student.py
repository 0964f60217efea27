"""The student's side: k layers at even relative depths, the last one the deepest block. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from distill.selection._rule import check_count, even_positions
from distill.types import Layer


def student_layers(layers: Sequence[Layer], k: int) -> tuple[Layer, ...]:
    """k of the student's layers (as `discover` gives them), in depth order (docs/methods.md, section 2).

    The last is the deepest block: what follows it (a last activation, the pooled feature) belongs to the head. Plain
    networks end at the last activation before the flattened feature (**our choice**: fully connected layers are the
    head's). Where fewer than k layers remain, the whole list is used. Raises `InvalidConfig` for k out of range.
    """
    check_count(k, len(layers), "student")
    backbone = layers[: backbone_length(layers)]
    pool = backbone if len(backbone) >= k else layers
    return tuple(pool[position] for position in even_positions(len(pool), k))


class _Kinded(Protocol):
    @property
    def kind(self) -> str: ...


def backbone_length(layers: Sequence[_Kinded]) -> int:
    """How many layers stand up to the deepest block, or before the flattened feature of a plain network."""
    blocks = [i for i, layer in enumerate(layers) if layer.kind == "block"]
    if blocks:
        return blocks[-1] + 1
    flatten = [i for i, layer in enumerate(layers) if layer.kind == "flatten" and i > 0]
    return flatten[0] if flatten else len(layers)
