"""S and m without any rounding, for features that cancel: whole numbers for the products, 60 digits for the roots."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np

from benchmarks.quality.row_loop import row_loop


def exactly(features: np.ndarray, labels: np.ndarray, train_size: int) -> dict[str, float]:
    """What `row_loop` gives, with S, m, I and Q from cosines of 60 digits. H, d and r are differences or norms of
    single samples there, which float64 has without cancellation."""
    found = row_loop(features, labels, train_size)
    with localcontext() as context:
        context.prec = 60
        separation, distinct = _similarities(_cosines(features), labels)
    information = distinct * found["entropy"] / math.log(5)
    quality = separation + math.sqrt(information * found["efficiency"])
    changed = {"separation": separation, "information": information, "quality": quality, "distinct": distinct}
    return found | changed


def _cosines(features: np.ndarray) -> np.ndarray:
    least = np.abs(features[features != 0]).min()
    scale = Fraction(2) ** (60 - math.frexp(least)[1])
    whole = np.vectorize(lambda x: int(Fraction(x) * scale), otypes=[object])(features)
    products = whole @ whole.T
    roots = [Decimal(int(products[i, i])).sqrt() for i in range(len(products))]
    decimal = np.vectorize(lambda x: abs(Decimal(int(x))), otypes=[object])(products)
    return decimal / np.multiply.outer(np.array(roots, object), np.array(roots, object))


def _similarities(cosines: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """S = intra - inter, and 1 - m."""
    members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    means = [[cosines[np.ix_(a, b)].sum() / (len(a) * len(b)) for b in members] for a in members]
    number = len(members)
    intra = sum(means[c][c] for c in range(number)) / number
    inter = sum(means[a][b] for a in range(number) for b in range(number) if a != b) / (number * (number - 1))
    lowest = sum(cosines[np.ix_(a, a)].min() for a in members) / number
    return float(intra - inter), float(1 - lowest)
