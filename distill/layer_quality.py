"""Layers, what each is worth distilling, and the Q curve that they make. Torch-free."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Layer:
    """A generalised layer: the output of one call of one module (docs/methods.md, section 1).

    `name` is the dotted module path, with `#2`, `#3` for later calls of the same module; `shape` is one sample's
    feature shape without the batch axis; `relative_depth` = (index + 1) / number of layers, in (0, 1].
    """

    name: str
    index: int
    relative_depth: float
    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LayerQuality:
    """One point of the Q curve (docs/methods.md, section 1).

    separation S in [-1, 1]; information I >= 0; efficiency E >= 0; quality Q = S + sqrt(I E);
    minimum_similarity m in [0, 1]; entropy H in nats; nearest_distance d = mean_c d_c and mean_norm r in feature units.
    `pooled`: the layer did not fit the memory budget and was average-pooled before scoring, so its values are
    those of the pooled feature. `standard_error` holds bootstrap standard errors of S, I, E, Q by field name.
    `samples`: how many of the curve's samples the layer is scored on; None: all of them.
    """

    name: str
    index: int
    relative_depth: float
    kind: str
    shape: tuple[int, ...]
    separation: float
    information: float
    efficiency: float
    quality: float
    minimum_similarity: float
    entropy: float
    nearest_distance: float
    mean_norm: float
    pooled: bool = False
    standard_error: dict[str, float] | None = None
    samples: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"shape": list(self.shape)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LayerQuality:
        return cls(**(data | {"shape": tuple(data["shape"])}))


@dataclass(frozen=True, slots=True)
class QCurve:
    """The teacher's Q curve, complete or (while scoring) partial: `len(layers) < total_layers`.

    `chosen` holds the indices of the chosen layers in depth order (empty until selection), `rule` what chose them;
    `digest` identifies teacher weights, data, labels, sample and parameters, and is the key for reuse. `grouping`: what
    the groups are, the dataset's `labels` or `pseudo_classes`, clusters of the teacher's deepest feature.
    """

    layers: tuple[LayerQuality, ...]
    total_layers: int
    samples: int
    classes: int
    train_size: int
    seed: int
    digest: str = ""
    chosen: tuple[int, ...] = ()
    rule: str = ""
    reused: bool = False
    grouping: str = "labels"

    @property
    def complete(self) -> bool:
        return len(self.layers) == self.total_layers

    def to_dict(self) -> dict[str, Any]:
        data = asdict(self)
        data["layers"] = [layer.to_dict() for layer in self.layers]
        data["chosen"] = list(self.chosen)
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> QCurve:
        layers = tuple(LayerQuality.from_dict(layer) for layer in data["layers"])
        return cls(**(data | {"layers": layers, "chosen": tuple(data["chosen"])}))
