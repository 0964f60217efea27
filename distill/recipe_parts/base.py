"""What every recipe is: a module that holds the student and its projectors, and turns a batch into named losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    features. `teacher` is None for `cross_entropy`. `answer`: how the task's outputs are taught. `indices`: positions
    of the training samples, as batches name them, for recipes that `needs_index`.

    Of a set of teachers the pairs of the first come first, then those of the next, and so on; the student's layers are
    there once for each. `teacher_shares`: one a pair, the weight of its teacher, which sum to 1 over the teachers; ()
    stands for 1 each, as of one teacher.
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
    indices: Sequence[int] = ()
    teacher_shares: tuple[float, ...] = ()

    def only(self, pair: int) -> Setup:
        """With one pair of layers alone, counted from 0, or from -1 backwards."""
        layers = ("student_layers", "teacher_layers", "student_shapes", "teacher_shapes", "teacher_shares")
        return replace(self, **{name: getattr(self, name)[pair:][:1] for name in layers})

    @property
    def shares(self) -> tuple[float, ...]:
        """Of each pair, as a factor in a sum over pairs. Their own sum is the number of pairs of one teacher."""
        return self.teacher_shares or (1.0,) * len(self.teacher_layers)

    def deepest(self) -> Setup:
        """With the last pair of layers alone."""
        return self.only(-1)


Shape = tuple[int, ...]


class Recipe(nn.Module):
    """Base of all recipes.

    The student and the projectors are registered (trained, checkpointed); the teacher is not: it is frozen, in
    `eval()`, and never part of `state_dict()`. A training step is

        targets = recipe.targets(batch.teacher)      # no grad; may come from a cache instead
        parts = recipe(batch.student, batch.labels, recipe.told(targets, batch.index))
        parts["loss"].backward()

    `live_teacher` is True for recipes whose `forward` runs teacher modules with gradient (`blockwise_logit`); their
    targets can still be cached. `deepest` tells where the teacher may stop.

    `reads_logits`: whether the recipe learns from the teacher's logits, and so wants a teacher of the dataset's
    classes. `needs_index`: whether `forward` wants to know which samples it sees, as `told` adds it to the targets.
    `features_alone`: values of parameters, any one of which switches that off. Both are literals, which
    `distill.recipes.reads_logits` reads without importing.

    `several_teachers`: whether the recipe learns from a set of teachers (`distill.tasks.teacher_set`) as from one: it
    weighs its terms over pairs by `Setup.shares`, and takes teacher and layers apart nowhere. A literal too.

    `compares_samples`: whether the loss compares the samples of a batch with each other, so that gradient accumulation,
    which sees a part of the batch at a time, changes its value. Of several processes it asks for the samples of all
    (`distill.processes.whole`), or, as `crd`, for what all have seen. `needs_maps`: whether features must
    have positions, as pictures' have and texts' rows have not. `sample_answers`: whether the recipe itself answers
    with one class a sample. `one_class`: whether the recipe itself reads a row of logits as a choice of one among the
    classes, by more than a distance of two rows that the answer may ask for class by class: where the right class
    stands, or how the classes of a row compare. `needs_regions`: whether labels must say where in the input objects
    are (`Answer.regions`). Tasks offer recipes by the last four.

    `needs_labels`: whether the recipe learns nothing from a sample without a label. Where only a part has labels it
    trains on that part alone, and refuses data without any; every other recipe sees all samples, its `labels` are
    `NO_LABEL` where there is none, and `answer.loss` leaves those out. A literal too.

    `averages`: whether the recipe compares the mean of several networks' answers. A literal too.

    `remembers`: what the recipe keeps of every training sample, for estimates: a parameter's name -> how many times as
    many values (fp32) as it says. A literal too.
    """

    needs_teacher: ClassVar[bool] = True
    needs_layers: ClassVar[bool] = True
    live_teacher: ClassVar[bool] = False
    reads_logits: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = False
    features_alone: ClassVar[dict[str, Any]] = {}
    several_teachers: ClassVar[bool] = False
    needs_index: ClassVar[bool] = False
    compares_samples: ClassVar[bool] = False
    needs_maps: ClassVar[bool] = False
    sample_answers: ClassVar[bool] = False
    one_class: ClassVar[bool] = False
    needs_regions: ClassVar[bool] = False
    averages: ClassVar[bool] = False
    remembers: ClassVar[dict[str, int]] = {}

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self._check(setup)
        self.student, self.answer = setup.student, setup.answer
        object.__setattr__(self, "_teacher", setup.teacher)
        if setup.teacher is not None:
            setup.teacher.eval().requires_grad_(False)

    @classmethod
    def check_pairs(
        cls, parameters: Mapping[str, Any], student: Sequence[Shape], teacher: Sequence[Shape] | None
    ) -> None:
        """Raise `InvalidConfig` where layers of these shapes (of one sample, paired one to one) leave the recipe
        nothing to learn from. Runs ask before long work, with `teacher` None where its layers are not chosen yet; the
        constructor asks too."""

    @classmethod
    def check_student(cls, student: nn.Module, layers: Sequence[str], example: Any) -> None:
        """Raise `InvalidConfig` where the recipe cannot keep its promise on these student layers. Runs ask before
        long work; the constructor asks too."""

    def _check(self, setup: Setup) -> None:
        if self.needs_regions and not setup.answer.places:
            raise InvalidConfig(
                "This recipe weighs the objects of a picture, and these labels do not say where they are.",
                "Use a dataset of boxes, or another recipe.",
                {"field": "recipe"},
            )
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

    def told(self, targets: dict[str, Tensor], index: Tensor) -> dict[str, Tensor]:
        """The targets, with what only the batch knows: `index` (n,), its samples' positions in the training data, for a
        recipe that needs it. What calls `forward` passes targets through here; they are not cached with it."""
        return targets | {"index": index} if self.needs_index else targets

    def at(self, done: float) -> None:
        """Before each step: the share of the training's steps that is over, for terms whose weight depends on it."""

    def forward(self, student_input: Any, labels: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        """Named scalar parts; `loss` is what to differentiate, `outputs` (detached) ride along for the meter."""
        raise NotImplementedError

    def parts(self, loss: Tensor, compared: Compared, **terms: Tensor) -> dict[str, Tensor]:
        """What `forward` returns: the loss, its terms and the outputs, these detached. A term of labels is left out
        where no label teaches."""
        untaught = () if self.answer.taught else (self.answer.loss_name,)
        detached = {name: term.detach() for name, term in terms.items() if name not in untaught}
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
