"""The knowledge quality Q of one layer (docs/methods.md, section 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from distill.errors import InvalidConfig, NonFiniteFeatures
from distill.quality import pairs, within
from distill.quality.classes import Classes, check_train_size, group
from distill.quality.gram import Columns, MatrixColumns
from distill.quality.kernel import Kernel, WholeKernel
from distill.quality.pairs import Closest, Means
from distill.quality.refine import refine
from distill.quality.within import Entropies, Within, mean_norms


@dataclass(frozen=True, slots=True)
class KnowledgeQuality:
    """S, I, E, Q and their parts m, H, d, r, named and ranged as in `distill.types.LayerQuality`.

    `intra` and `inter` are the mean absolute cosine similarities within and across classes, in [0, 1]."""

    separation: float
    information: float
    efficiency: float
    quality: float
    minimum_similarity: float
    entropy: float
    nearest_distance: float
    mean_norm: float
    intra: float
    inter: float


def knowledge_quality(features: Tensor, labels: Tensor | Sequence[int], train_size: int) -> KnowledgeQuality:
    """Q of one layer's features, equal to a direct float64 computation to 1e-4 relative.

    Where all samples point one way, S and 1 - m are differences of cosines near 1 and carry an absolute error of up to
    2e-15 (measured against 60 digits). I and Q keep 1e-4 relative down to spreads of 1e-6 of the norm, S down to S =
    1e-11; below, they are 0 within that error. E, H, d and r keep it always.

        S = intra - inter;  I = (1 - m) H / ln 5;  E = (2 mean_c d_c / r) (M / pi)^(1 / G);  Q = S + sqrt(I E)

    `features` (N, ...), any floating dtype, flattened to (N, D), neither pooled nor centred; `labels` (N,) integers
    on any device; `train_size` M: size of the whole training set. G = min(N, D).
    Defined results (**our choices**; `distill.quality` gives each reason and the published value): a sample of norm 0
    has similarity 0 to all, itself included; a class with one sample or without spread has entropy 0; of a class with
    more samples than D the entropy is that of D eigenvalues; where every feature is 0, all values are 0.
    Raises `InvalidDataset` for one class, `NonFiniteFeatures` for NaN or infinity.
    Source: arXiv 2511.14981. Cost: half a float64 product F F^T, C eigenproblems of class size, memory 8 N^2 bytes.
    """
    if len(features) != len(labels) or features[:1].numel() == 0:
        raise InvalidConfig(
            f"Features of shape {tuple(features.shape)} do not fit {len(labels)} labels.",
            "Give one feature row, of at least one value, for every label.",
        )
    check_train_size(train_size)
    features = features.cpu() if features.device.type == "mps" else features  # no float64 there
    classes = group(labels).to(features.device)
    columns = MatrixColumns(features.detach().flatten(1), classes.order)
    return from_kernel(WholeKernel(columns, len(features), features.device), columns, classes, train_size)[0]


def from_kernel(
    kernel: Kernel, columns: Columns, classes: Classes, train_size: int, name: str = ""
) -> tuple[KnowledgeQuality, bool]:
    """Q from a layer's Gram matrix, and whether `columns` had to be read again because rounding hid something."""
    check_finite(kernel, name)
    ones = kernel.diagonal.new_ones(1, classes.samples)
    closest, means = Closest(kernel, classes), Means(kernel, classes, ones)
    pairs.read(kernel, [closest, means])
    similar, entropies = Within(kernel, classes, ones), Entropies(kernel, classes, ones)
    within.read(kernel, classes, [similar, entropies])
    near, spread = closest.nearest(), entropies.values[0]
    refined = not bool(near.resolved.all() and entropies.resolved.all())
    if refined:
        near, spread = refine(kernel, columns, classes, near, entropies)
    (similarity,) = similarities(means, similar)
    distance, norm = float(near.distances.mean()), float(mean_norms(kernel, classes, ones))
    degrees = min(classes.samples, columns.dims)
    return combine(similarity, float(spread.mean()), distance, norm, train_size, degrees), refined


def check_finite(kernel: Kernel, name: str) -> None:
    """Raise `NonFiniteFeatures` when a squared norm is not finite."""
    bad = int((~kernel.diagonal.isfinite()).sum())
    if bad:
        raise NonFiniteFeatures(
            f"Layer {name!r} has NaN or infinite features for {bad} of {len(kernel.diagonal)} samples."
            if name
            else f"The features of {bad} of {len(kernel.diagonal)} samples are NaN or infinite.",
            "Check the checkpoint and the input normalisation; half-precision teachers may overflow.",
            {"layer": name, "samples": bad},
        )


@dataclass(frozen=True)
class Similarity:
    """`intra`, `inter` means of P, and `minimum` m = mean_c min P over the class block."""

    intra: float
    inter: float
    minimum: float


def similarities(means: Means, similar: Within) -> list[Similarity]:
    """For each row of weights: intra = mean_c w'Pw / W_c^2 over the class block, inter = mean_c mean_{c' != c} of the
    block means, and m."""
    inter = (means.everywhere() - similar.means) / (similar.means.shape[1] - 1)
    values = [value.mean(1).tolist() for value in (similar.means, inter, similar.minima)]
    return [Similarity(*found) for found in zip(*values, strict=True)]


def combine(
    similar: Similarity, entropy: float, distance: float, norm: float, train_size: int, degrees: int
) -> KnowledgeQuality:
    """S, I, E and Q from their parts; `degrees` G = min(N, D)."""
    information = max((1 - similar.minimum) * entropy / math.log(5), 0.0)
    efficiency = 2 * distance / norm * (train_size / math.pi) ** (1 / degrees) if norm > 0 else 0.0
    separation = similar.intra - similar.inter
    quality = separation + math.sqrt(max(information * efficiency, 0.0))
    parts = (similar.minimum, entropy, distance, norm, similar.intra, similar.inter)
    return KnowledgeQuality(separation, information, efficiency, quality, *parts)
