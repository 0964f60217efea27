"""What every recipe is: a module that holds the student and its projectors, and turns a batch into named losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from distill.answers import Answer, ClassAnswer, Compared
from distill.errors import InvalidConfig
from distill.layers import WHOLE, FeatureView


@dataclass(frozen=True)
class Setup:
    """What a recipe is built from.

    Layer names are `distill.layers.discover` names, in depth order, paired one to one; shapes are one sample's, as in
    `Layer.shape` after the `view`, which says what of a feature counts. Both are empty for recipes that use no
    features. `teacher` is None for `cross_entropy`. `answer`: how the task's outputs are taught.
    """

    student: nn.Module
    teacher: nn.Module | None
    num_classes: int
    student_layers: tuple[str, ...] = ()
    teacher_layers: tuple[str, ...] = ()
    student_shapes: tuple[tuple[int, ...], ...] = ()
    teacher_shapes: tuple[tuple[int, ...], ...] = ()
    student_example: Any = None  # a batch of at least 2 inputs, for recipes that trace their networks
    teacher_example: Any = None
    view: FeatureView = WHOLE
    answer: Answer = field(default_factory=ClassAnswer)


class Recipe(nn.Module):
    """Base of all recipes.

    The student and the projectors are registered (trained, checkpointed); the teacher is not: it is frozen, in
    `eval()`, and never part of `state_dict()`. A training step is

        targets = recipe.targets(batch.teacher)      # no grad; may come from a cache instead
        parts = recipe(batch.student, batch.labels, targets)
        parts["loss"].backward()

    `live_teacher` is True for recipes whose `forward` runs teacher modules with gradient (`blockwise_logit`); their
    targets can still be cached. `deepest` tells where the teacher may stop.

    `reads_logits`: whether the recipe learns from the teacher's logits, and so wants a teacher of the dataset's
    classes. `features_alone`: values of parameters, any one of which switches that off. Both are literals, which
    `distill.recipes.reads_logits` reads without importing.
    """

    needs_teacher: ClassVar[bool] = True
    needs_layers: ClassVar[bool] = True
    live_teacher: ClassVar[bool] = False
    reads_logits: ClassVar[bool] = True
    features_alone: ClassVar[dict[str, Any]] = {}

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self._check(setup)
        self.student, self.answer = setup.student, setup.answer
        object.__setattr__(self, "_teacher", setup.teacher)
        if setup.teacher is not None:
            setup.teacher.eval().requires_grad_(False)

    @classmethod
    def check_student(cls, student: nn.Module, layers: Sequence[str], example: Any) -> None:
        """Raise `InvalidConfig` where the recipe cannot keep its promise on these student layers. Runs ask before
        long work; the constructor asks too."""

    def _check(self, setup: Setup) -> None:
        if self.needs_teacher and setup.teacher is None:
            raise InvalidConfig("This recipe needs a teacher.", "Name a teacher, or use cross_entropy.")
        counts = [len(setup.student_layers), len(setup.teacher_layers)]
        counts += [len(setup.student_shapes), len(setup.teacher_shapes)]
        if self.needs_layers and (counts[0] == 0 or len(set(counts)) > 1):
            raise InvalidConfig(
                f"Layers pair one to one; here are {counts[0]} student and {counts[1]} teacher layers.",
                "Choose the same number of layers, at least one, on both sides.",
                {"student_layers": list(setup.student_layers), "teacher_layers": list(setup.teacher_layers)},
            )

    @property
    def teacher(self) -> nn.Module | None:
        """The frozen teacher, kept out of the module tree so that it is neither trained nor saved."""
        teacher: nn.Module | None = self.__dict__["_teacher"]
        return teacher

    @torch.no_grad()
    def targets(self, teacher_input: Any) -> dict[str, Tensor]:
        """What the loss needs of the teacher: name -> tensor, first axis the batch, already pooled to the loss's
        resolution. Depends on nothing trainable, so it may be computed once and cached. {} without a teacher."""
        return {}

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Named scalar parts; `loss` is what to differentiate, `outputs` (detached) ride along for the meter."""
        raise NotImplementedError

    def parts(self, loss: Tensor, compared: Compared, **terms: Tensor) -> dict[str, Tensor]:
        """What `forward` returns: the loss, its terms and the outputs, these detached."""
        detached = {name: term.detach() for name, term in terms.items()}
        return {"loss": loss} | detached | {"outputs": compared.outputs.detach()}

    def beside(self) -> nn.Module:
        """What is trained beside the student and delivered with `companions`: its weights are averaged and kept for the
        best student as the student's are. A module without parameters where there is no such thing."""
        return nn.Module()

    def companions(self) -> Mapping[str, nn.Module]:
        """Further networks that the recipe's authors deploy, by name, made of the trained ones: from the student's
        inputs to the task's outputs, in eval mode. They are evaluated and delivered beside the plain student."""
        return {}

    def exported(self) -> nn.Module:
        """The plain student: exactly the architecture's own modules, so its state dict has exactly its keys."""
        return self.student
