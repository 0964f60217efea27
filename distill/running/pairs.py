"""Which teacher layers are distilled into which student layers: the pairs themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from distill.types import Layer, QCurve


@dataclass(frozen=True)
class Pairs:
    """Teacher and student layers, one to one, in depth order."""

    rule: str
    teacher: tuple[Layer, ...]
    student: tuple[Layer, ...]
    reason: str

    @property
    def teacher_names(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.teacher)

    @property
    def student_names(self) -> tuple[str, ...]:
        return tuple(layer.name for layer in self.student)

    def marked(self, curve: QCurve) -> QCurve:
        """The curve with the chosen layers marked."""
        index = {layer.name: layer.index for layer in curve.layers}
        chosen = tuple(index[name] for name in self.teacher_names if name in index)
        return replace(curve, chosen=chosen, rule=self.rule)

    def to_dict(self) -> dict[str, Any]:
        """The data of the `selection` event."""
        return {
            "rule": self.rule,
            "chosen": [layer.index for layer in self.teacher],
            "teacher_layers": list(self.teacher_names),
            "student_layers": list(self.student_names),
            "reason": self.reason,
        }
