"""The curve in plain language: where extraction turns into compression, what was chosen and why, what to beware of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill import selection
from distill.types import LayerQuality, QCurve

DIP = 0.02  # a fall of less than this share of Q's range does not interrupt a rise (our choice)


def reading(curve: QCurve) -> str:
    """A few sentences, one paragraph each, for a complete or a partial curve."""
    if not curve.layers:
        return f"No layer has been scored yet; {curve.total_layers} are to come."
    parts = [_state(curve), _best(curve), _turn(curve)]
    parts += [_chosen(curve)] if curve.chosen else []
    parts += [_warning()] if curve.complete and rises_to_the_end(curve) else []
    parts += [_noise(curve)] if any(layer.standard_error for layer in curve.layers) else []
    parts += [_pooled(curve)] if any(layer.pooled for layer in curve.layers) else []
    parts += [_fewer(curve)] if any(layer.samples is not None for layer in curve.layers) else []
    return "\n\n".join(parts)


def turning_point(layers: Sequence[LayerQuality]) -> LayerQuality | None:
    """The layer of highest information I, where it lies inside the curve: before it features are extracted and I
    rises, after it they are compressed towards the classes and I falls (**our choice**). None at either end."""
    peak = max(layers, key=lambda layer: (layer.information, layer.index), default=None)
    inside = peak is not None and layers[0].index < peak.index < layers[-1].index
    return peak if inside else None


def rises_to_the_end(curve: QCurve) -> bool:
    """Does Q rise to the last layer, dips of less than `DIP` of its range aside?"""
    values = [layer.quality for layer in curve.layers]
    span = max(values) - min(values)
    highest, monotone = values[0], span > 0
    for value in values[1:]:
        monotone = monotone and value >= highest - DIP * span
        highest = max(highest, value)
    return monotone and values[-1] == highest and len(values) > 2


def _name(layer: LayerQuality) -> str:
    return f"layer {layer.index} ({layer.name}, depth {layer.relative_depth:.2f})"


def _groups(curve: QCurve) -> str:
    if curve.grouping == "labels":
        return "classes"
    return "pseudo-classes (k-means clusters of the teacher's deepest feature, not labels)"


def _state(curve: QCurve) -> str:
    sample = f"{curve.samples:,} training samples of {curve.classes:,} {_groups(curve)}"
    if curve.complete:
        reused = " It is reused from an earlier run with the same inputs." if curve.reused else ""
        return f"The curve has {curve.total_layers} layers, scored on {sample}.{reused}"
    return f"The curve is partial: {len(curve.layers)} of {curve.total_layers} layers are scored, on {sample}."


def _best(curve: QCurve) -> str:
    best = max(curve.layers, key=lambda layer: (layer.quality, layer.index))
    spread = max(curve.layers, key=lambda layer: (layer.separation, layer.index))
    text = f"Quality Q is highest, {best.quality:.3g}, at {_name(best)}: {_parts(best)}."
    return text + (
        " It is also the layer that separates the classes best."
        if spread is best
        else f" The classes are separated best, S = {spread.separation:.3g}, at {_name(spread)}."
    )


def _parts(layer: LayerQuality) -> str:
    return f"S = {layer.separation:.3g}, I = {layer.information:.3g}, E = {layer.efficiency:.3g}"


def _turn(curve: QCurve) -> str:
    peak, first, last = turning_point(curve.layers), curve.layers[0], curve.layers[-1]
    so_far = "" if curve.complete else " so far"
    if peak is None:
        return _no_turn(curve)
    moves = "rises" if last.separation >= peak.separation else "falls"
    return (
        f"Extraction turns into compression at {_name(peak)}{so_far}: information I goes from {first.information:.3g} "
        f"at the first layer to {peak.information:.3g} there and down to {last.information:.3g} at the last, while "
        f"separation S {moves} from {peak.separation:.3g} to {last.separation:.3g}."
    )


def _no_turn(curve: QCurve) -> str:
    first, last = curve.layers[0].information, curve.layers[-1].information
    trend = "rises" if last > first else "falls" if last < first else "stays"
    text = f"Information I {trend}: {first:.3g} at the first layer, {last:.3g} at the "
    if not curve.complete:
        return f"{text}latest; no turn from extraction to compression has been seen yet."
    return f"{text}last. It is highest at one end, so no layer inside marks a turn from extraction to compression."


def _chosen(curve: QCurve) -> str:
    layers = [layer for layer in curve.layers if layer.index in curve.chosen]
    reason = selection.registry.summary(curve.rule) if curve.rule in selection.names() else "A list of layers."
    listed = "; ".join(f"{_name(layer)} with Q = {layer.quality:.3g}" for layer in layers)
    return f"Chosen by the rule `{curve.rule}` ({reason.rstrip('.')}): {listed}."


def _warning() -> str:
    return (
        "Warning: Q rises all the way to the last layer. No layer inside the network stands out, and distilling the "
        "features of selected layers is then known to help less; compare with `cross_entropy` and `logit` before you "
        "rely on it."
    )


def _noise(curve: QCurve) -> str:
    errors = [_error(layer.standard_error) for layer in curve.layers if layer.standard_error]
    return (
        f"The bootstrap standard error of Q is at most {max(errors):.2g}; layers whose Q differ by less than twice "
        "that cannot be told apart by this sample."
    )


def _error(errors: dict[str, Any] | None) -> float:
    return float((errors or {}).get("quality", 0.0))


def _pooled(curve: QCurve) -> str:
    names = [str(layer.index) for layer in curve.layers if layer.pooled]
    return (
        f"Layers {', '.join(names)} did not fit the memory budget and were average-pooled before scoring; their values "
        "are those of the pooled features. A larger budget or a smaller sample scores them as they are."
    )


def _fewer(curve: QCurve) -> str:
    fewer = [layer for layer in curve.layers if layer.samples is not None]
    least = min(fewer, key=lambda layer: layer.samples or 0)
    return (
        f"{len(fewer)} of the layers are scored on a part of the samples, those that their cells can show: "
        f"{_name(least)} on {least.samples:,}. Values of layers with other samples are no exact comparison."
    )
