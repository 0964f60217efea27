"""Which teacher layers are distilled into which student layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from distill import selection
from distill.errors import InvalidConfig
from distill.running.prepare import Network, Prepared
from distill.selection import even_positions
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
    return prepared.layers(network, named)


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


def choose_evenly(prepared: Prepared) -> Pairs:
    """Named teacher layers, else k at even depths: what remains without a Q curve."""
    config, teacher = prepared.config, prepared.teacher
    assert teacher is not None
    found = candidates(prepared, teacher, config.teacher_layers)
    named = config.teacher_layers is not None
    chosen = tuple(found) if named else tuple(found[i] for i in even_positions(len(found), config.layers))
    reason = "teacher_layers were named" if named else f"even depths, because there is no Q curve: {prepared.unscored}"
    return Pairs("explicit" if named else "even", chosen, _students(prepared, len(chosen)), reason)


def _students(prepared: Prepared, count: int) -> tuple[Layer, ...]:
    """Layers at even depths, or those that the configuration names."""
    named = prepared.config.student_layers
    found = candidates(prepared, prepared.student, named)
    return tuple(found) if named else selection.student_layers(found, count)


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
    return Pairs(rule, chosen, _students(prepared, len(chosen)), reason)


def _named(prepared: Prepared, teacher: Network, names: list[str], curve: QCurve) -> tuple[Layer, ...]:
    on_curve = {layer.name: layer.index for layer in curve.layers}
    found = candidates(prepared, teacher, names)
    return tuple(replace(layer, index=on_curve.get(layer.name, layer.index)) for layer in found)


def _layer(curve: QCurve, index: int) -> Layer:
    scored = next(layer for layer in curve.layers if layer.index == index)
    return Layer(scored.name, scored.index, scored.relative_depth, scored.kind, scored.shape)
