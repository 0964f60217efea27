"""Shared by the recipes that look at features: one student pass, one teacher pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from distill.layers import capture
from distill.recipes._base import Recipe, Setup
from distill.recipes._networks import logits_of, run


class FeatureRecipe(Recipe):
    """A recipe over paired layers. `_student_pass` and `_teacher_pass` give features in pair order and the logits."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.student_layers, self.teacher_layers = setup.student_layers, setup.teacher_layers
        # One capture for all passes: it learns which features later modules overwrite, and copies only those.
        self._capture = capture(self.student, self.student_layers, detach_at=self._detach_at())
        self._teacher_captures = {
            stop: capture(self._frozen(), self.teacher_layers, stop=stop) for stop in (False, True)
        }

    def _detach_at(self) -> str | None:
        """Where the student goes on from a detached feature; None: nowhere."""
        return None

    def _frozen(self) -> nn.Module:
        assert self.teacher is not None  # the base class has checked it
        return self.teacher

    def _student_pass(self, student_input: Any) -> tuple[list[Tensor], Tensor]:
        """Features (n, *student shape) in pair order, with their graphs, and logits (n, C)."""
        with self._capture as features:
            logits = logits_of(run(self.student, student_input))
        return [features[name] for name in self.student_layers], logits

    @torch.no_grad()
    def _teacher_pass(self, teacher_input: Any, logits: bool) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Features (n, *teacher shape) in pair order and {"logits": (n, C)}. Without `logits` the second is {} and
        the teacher stops at the deepest chosen layer."""
        extra: dict[str, Tensor] = {}
        with self._teacher_captures[not logits] as features:
            output = run(self._frozen(), teacher_input)
            extra["logits"] = logits_of(output)  # not reached when stopping
        return [features[name] for name in self.teacher_layers], extra


class DetachedHead(FeatureRecipe):
    """A recipe whose student goes on from a detached feature at the deepest layer, so that the head's cross-entropy
    cannot reach the backbone."""

    def _detach_at(self) -> str | None:
        return self.student_layers[-1]
