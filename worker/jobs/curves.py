"""The Q curve put together from a trainer's events, so that a complete one can be kept for reuse."""

from __future__ import annotations

from typing import Any

from distill.types import Event

FRAME = ("total_layers", "samples", "classes", "train_size", "seed", "digest")


class CurveCollector:
    """Feed it every event; `complete` is the curve (`QCurve.to_dict`) once its last layer was scored. Of several
    teachers one curve comes after the other."""

    def __init__(self) -> None:
        self._frame: dict[str, Any] = {}
        self._layers: dict[int, dict[str, Any]] = {}

    def feed(self, event: Event) -> bool:
        """True when this event completed a curve that was computed now, not reused."""
        if event.kind == "layers":
            self._frame, self._layers = event.data, {}
        elif event.kind == "layer_quality" and self._frame:
            point = {name: value for name, value in event.data.items() if name != "teacher"}
            self._layers[int(event.data["index"])] = point
            return len(self._layers) == self._frame.get("total_layers") and not self._frame.get("reused")
        return False

    def complete(self) -> dict[str, Any]:
        layers = [self._layers[index] for index in sorted(self._layers)]
        unchosen = {"layers": layers, "chosen": [], "rule": "", "reused": False}
        return {name: self._frame[name] for name in FRAME} | unchosen
