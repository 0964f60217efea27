"""Networks put together of two: a student's backbone, a projector, and a teacher's layers from one layer on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill.answers import logits_of
from distill.layers import capture
from distill.layers.forward import forward
from distill.layers.modes import evaluating
from distill.recipe_parts.layout import CommonResolution, Layout
from distill.recipe_parts.projectors import resize
from distill.recipe_parts.tail import Tail, shadow


@dataclass(frozen=True)
class Seam:
    """Where the two networks meet: the names of the layers and the shapes (of one sample) of their features.
    `rectified`: the projector ends in a ReLU."""

    student_layer: str
    teacher_layer: str
    student_shape: tuple[int, ...]
    teacher_shape: tuple[int, ...]
    rectified: bool

    @property
    def common(self) -> CommonResolution:
        return CommonResolution(Layout(self.student_shape), Layout(self.teacher_shape))


class Composite(nn.Module):
    """`composite(images)` (n, c, h, w) -> logits (n, C): student up to its layer, projector, teacher from its layer on.

    It shares its tensors with the networks that it was made of and leaves them as they are; `prune` takes off what no
    logit depends on, so that parameters and state dict are those of the layers that run. In eval mode alone. Raises
    `InvalidConfig` where the teacher cannot be run from its layer on (`Tail`).
    """

    stops: bool = True
    """Does the student stop at its layer? A trace cannot follow that."""

    def __init__(
        self, student: nn.Module, projector: nn.Module, teacher: nn.Module, seam: Seam, teacher_example: Any
    ) -> None:
        super().__init__()
        self.seam, self._common = seam, seam.common
        self._tail = Tail(teacher, seam.teacher_layer, teacher_example)
        self.student, self.projector, self.teacher = shadow(student), shadow(projector), self._tail.network

    def forward(self, images: Any) -> Tensor:
        with capture(self.student, [self.seam.student_layer], stop=self.stops) as features:
            logits_of(forward(self.student, images))
        common = self._common
        projected = self.projector(common.student(features[self.seam.student_layer]))
        own = Layout(tuple(projected.shape[1:]), channels_first=common.maps)
        teachers = common.teacher_layout
        return self._tail(teachers.restore(resize(projected, own, teachers)))

    def prune(self, images: Any) -> Composite:
        """Take the tensors off every module, below the two networks, of which nothing runs and nothing reaches the
        logits."""
        reached = self._reached(images)
        for network in (self.student, self.teacher):
            _prune(network, reached)
        return self

    def traceable(self) -> Composite:
        """A copy that a trace can follow: the student runs to its end, with zeros for what was taken off, and nothing
        of that reaches the logits."""
        whole = copy.deepcopy(self)
        whole.stops = False
        _restore(whole.student)
        return whole

    def _reached(self, images: Any) -> set[int]:
        """Identities of modules that run and of parameters that the logits depend on."""
        parameters = list(self.parameters())
        ran: set[int] = set()
        handles = [
            module.register_forward_pre_hook(lambda m, _: ran.add(id(m)))
            for module in self.modules()
            if not self._tail.answers(module)
        ]
        try:
            with evaluating(self), _with_gradient(parameters), torch.enable_grad():
                gradients = torch.autograd.grad(self(images).sum(), parameters, allow_unused=True)
        finally:
            for handle in handles:
                handle.remove()
        return ran | {id(p) for p, gradient in zip(parameters, gradients, strict=True) if gradient is not None}


@contextmanager
def _with_gradient(parameters: list[nn.Parameter]) -> Iterator[None]:
    before = [parameter.requires_grad for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(parameter.is_floating_point())
    try:
        yield
    finally:
        for parameter, wanted in zip(parameters, before, strict=True):
            parameter.requires_grad_(wanted)


_TAKEN = "_taken_off"
_TABLES = ("_parameters", "_buffers", "_modules")


def _prune(module: nn.Module, reached: set[int]) -> None:
    for child in module.children():
        if _idle(child, reached):
            _take_off(child)
        else:
            _prune(child, reached)


def _take_off(module: nn.Module) -> None:
    """Tensors, of which shapes are remembered, and children. The tables are replaced, never changed: the network that
    the shadow was made of has the same ones."""
    for child in module.children():
        _take_off(child)
    shapes = [{name: _shape_of(tensor) for name, tensor in getattr(module, table).items()} for table in _TABLES[:2]]
    module.__dict__[_TAKEN] = (*shapes, module._modules)
    for table in _TABLES:  # None and not absent: a module's text, which converters write, asks for its tensors
        setattr(module, table, dict.fromkeys(getattr(module, table)))


def _shape_of(tensor: Tensor | None) -> Tensor | None:
    """The same without storage, a parameter still where it is one."""
    if tensor is None:
        return None
    shape = torch.empty_like(tensor.detach(), device="meta")
    return nn.Parameter(shape, requires_grad=False) if isinstance(tensor, nn.Parameter) else shape


def _restore(module: nn.Module) -> None:
    """Undo `_take_off` below the module, with zeros for the tensors."""
    if _TAKEN in module.__dict__:
        for table, taken in zip(_TABLES, module.__dict__.pop(_TAKEN), strict=True):
            setattr(module, table, taken)
        module._apply(_zeros, recurse=False)  # type: ignore[no-untyped-call]
    for child in module.children():
        _restore(child)


def _zeros(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor, device="cpu")


def _idle(module: nn.Module, reached: set[int]) -> bool:
    return not any(id(part) in reached for part in (*module.modules(), *module.parameters()))
