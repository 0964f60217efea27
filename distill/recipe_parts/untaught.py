"""Which parameters of a student a recipe leaves as they began: no loss of it reaches them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from distill.warned import RunWarning

SHOWN = 8
"""Modules that a message names; the details have them all."""


def without_gradient(loss: Tensor, student: nn.Module) -> list[str]:
    """Names of the student's trainable parameters that the scalar `loss` does not depend on. Runs the loss's backward
    pass: gradients are left behind."""
    loss.backward()  # type: ignore[no-untyped-call]
    return [name for name, p in student.named_parameters() if p.requires_grad and p.grad is None]


def modules_of(names: Sequence[str], student: nn.Module) -> list[str]:
    """The largest modules of which all trainable parameters are among `names`, and single parameters of others."""
    trained = [name for name, parameter in student.named_parameters() if parameter.requires_grad]
    return list(_folded("", trained, frozenset(names)))


def _folded(prefix: str, trained: Sequence[str], names: frozenset[str]) -> Iterator[str]:
    """Below the module `prefix`, all of whose trainable parameters are `trained`."""
    for part in dict.fromkeys(name[len(prefix) :].partition(".")[0] for name in trained):
        path = f"{prefix}{part}"
        below = [name for name in trained if name == path or name.startswith(f"{path}.")]
        if names.issuperset(below):
            yield path
        elif path not in below:
            yield from _folded(f"{path}.", below, names)


def caution(names: Sequence[str], student: nn.Module, recipe: str) -> RunWarning:
    """What to say of the parameters `names`, at least one, that no loss reaches."""
    modules, whole = modules_of(names, student), dict(student.named_parameters())
    count = sum(whole[name].numel() for name in names)
    more = f" and {len(modules) - SHOWN} more" if len(modules) > SHOWN else ""
    return RunWarning(
        "untaught_parameters",
        f"No loss of {recipe} reaches {count:,} parameters of the student, which stay as they begin: "
        f"{', '.join(modules[:SHOWN])}{more}.",
        "Name student_layers that come after them, or use a recipe whose labels reach the whole student.",
        {"modules": modules, "parameters": count, "tensors": len(names), "recipe": recipe},
    )
