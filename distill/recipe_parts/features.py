"""Shared by the recipes that look at features: one student pass, one teacher pass."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from distill.answers import logits_of
from distill.layers import FeatureView, capture
from distill.layers.forward import forward
from distill.layers.sequence import MOST_TOKENS
from distill.recipe_parts.base import Recipe, Setup
from distill.recipe_parts.pairs import FeaturePairs


class FeatureRecipe(Recipe):
    """A recipe over paired layers. `_student_pass` and `_teacher_pass` give features in pair order and the logits.

    Features come as `setup.view` reads them; recipes that need one row a sample (`per_token` False) get the mean of the
    tokens where the view reads single ones (**our choice**).
    """

    per_token: ClassVar[bool] = False

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.view = self._view_of(setup)
        self.student_layers, self.teacher_layers = setup.student_layers, setup.teacher_layers
        # One capture for all passes: it learns which features later modules overwrite, and copies only those.
        self._capture = capture(self.student, self.student_layers, detach_at=self._detach_at())
        self._teacher_captures = {
            stop: capture(self._frozen(), self.teacher_layers, stop=stop) for stop in (False, True)
        }

    def _detach_at(self) -> str | None:
        """Where the student goes on from a detached feature; None: nowhere."""
        return None

    def _view_of(self, setup: Setup) -> FeatureView:
        return setup.view if self.per_token else setup.view.per_sample()

    def _viewed(self, features: list[Tensor], network_input: Any) -> list[Tensor]:
        return [self.view.rows(feature, network_input) for feature in features]

    def _frozen(self) -> nn.Module:
        assert self.teacher is not None  # the base class has checked it
        return self.teacher

    def _student_pass(self, student_input: Any) -> tuple[list[Tensor], Tensor]:
        """Features (n, *student shape) in pair order, with their graphs, and logits (n, C)."""
        with self._capture as features:
            logits = logits_of(forward(self.student, student_input))
        return self._viewed([features[name] for name in self.student_layers], student_input), logits

    @torch.no_grad()
    def _teacher_pass(self, teacher_input: Any, logits: bool) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Features (n, *teacher shape) in pair order and what `answer.ask` says of its logits. Without `logits` the
        second is {} and the teacher stops at the deepest chosen layer."""
        extra: dict[str, Tensor] = {}
        with self._teacher_captures[not logits] as features:
            extra = self.answer.ask(self._frozen(), teacher_input)  # {} when stopping
        return self._viewed([features[name] for name in self.teacher_layers], teacher_input), extra

    def _rectified_teacher(self, example: Any) -> bool:
        """Is the teacher's deepest feature nowhere negative on `example`, so that a projector may end in a ReLU? True,
        as publications have it, where there is no example, or none with values (on the meta device)."""
        if example is None:
            return True
        feature = self._teacher_pass(example, logits=False)[0][-1]
        return feature.is_meta or bool((feature >= 0).all())


class PairedFeatures(FeatureRecipe):
    """A recipe with a feature term that may compare single tokens: a row a token, as the view picks them."""

    per_token: ClassVar[bool] = True

    def _feature_targets(self, pairs: FeaturePairs, features: list[Tensor]) -> dict[str, Tensor]:
        """Teacher features as they are cached: pooled to the loss's resolution, or (n, t, c) where tokens count."""
        if self.view.per_token:
            return {f"feature_{i}": feature for i, feature in enumerate(features)}
        return pairs.pool_teacher(features)

    def _feature_term(
        self, pairs: FeaturePairs, features: list[Tensor], targets: dict[str, Tensor], given: Any, labels: Tensor
    ) -> Tensor:
        """Scalar L_feat of student features and `_feature_targets`; `given` is the student's input."""
        if not self.view.per_token:
            return pairs(features, targets)  # type: ignore[no-any-return]
        most = None if pairs.element_wise else MOST_TOKENS
        taught = [self.view.pick(targets[f"feature_{i}"], given, labels, most) for i in range(len(features))]
        picked = [self.view.pick(feature, given, labels, most) for feature in features]
        return pairs(picked, pairs.pool_teacher(taught))  # type: ignore[no-any-return]


class DetachedHead(PairedFeatures):
    """A recipe whose student goes on from a detached feature at the deepest layer, so that the head's cross-entropy
    cannot reach the backbone."""

    def _detach_at(self) -> str | None:
        return self.student_layers[-1]
