"""Which teacher layers are distilled into which student layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from distill import selection
from distill.errors import InvalidConfig
from distill.layers import discover
from distill.running.prepare import Network, Prepared
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


def candidates(prepared: Prepared, network: Network, named: list[str] | None = None) -> list[Layer]:
    """The network's layers by discovery, or just the named ones. Raises LayersNotFound."""
    return discover(network.module, network.example(2, prepared.device), named)


def check_counts(prepared: Prepared) -> None:
    """Raise InvalidConfig where k layers cannot be found on either side, before any long work."""
    k, config, teacher = prepared.config.layers, prepared.config, prepared.teacher
    assert teacher is not None
    sides = (("teacher", teacher, config.teacher_layers), ("student", prepared.student, config.student_layers))
    for side, network, named in sides:
        layers = candidates(prepared, network, named)
        if len(layers) < k:
            raise InvalidConfig(
                f"{k} layers are to be distilled, but the {side} {network.architecture.name} has {len(layers)}.",
                f"Set layers to {len(layers)} or less, or name {side}_layers.",
                {"layers": k, "available": len(layers), "side": side},
            )


def choose(prepared: Prepared, curve: QCurve) -> Pairs:
    """Teacher layers by the configured rule or list, student layers at even depths or by list.

    Indices count within the Q curve where the layer is on it, else within the named list.
    """
    config, teacher = prepared.config, prepared.teacher
    assert teacher is not None
    if config.teacher_layers is not None:
        rule, chosen = "explicit", _named(prepared, teacher, config.teacher_layers, curve)
        reason = "teacher_layers were named"
    else:
        rule = config.selection
        scored = selection.choose(curve, rule, config.layers, config.selection_parameters)
        chosen = tuple(_layer(curve, index) for index in scored.chosen)
        reason = f"{rule}: {selection.registry.summary(rule)}"
    students = candidates(prepared, prepared.student, config.student_layers)
    picked = tuple(students) if config.student_layers else selection.student_layers(students, len(chosen))
    return Pairs(rule, chosen, picked, reason)


def _named(prepared: Prepared, teacher: Network, names: list[str], curve: QCurve) -> tuple[Layer, ...]:
    on_curve = {layer.name: layer.index for layer in curve.layers}
    found = candidates(prepared, teacher, names)
    return tuple(replace(layer, index=on_curve.get(layer.name, layer.index)) for layer in found)


def _layer(curve: QCurve, index: int) -> Layer:
    scored = next(layer for layer in curve.layers if layer.index == index)
    return Layer(scored.name, scored.index, scored.relative_depth, scored.kind, scored.shape)
