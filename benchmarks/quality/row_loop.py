"""The Q metric as one would write it down from docs/methods.md, section 1: loops over classes and rows, for clarity."""

from __future__ import annotations

import math

import numpy as np


def row_loop(features: np.ndarray, labels: np.ndarray, train_size: int, dtype: type = np.float64) -> dict[str, float]:
    """S, I, E, Q, m, H, d, r of features (N, D), computed in `dtype` straight from the definitions."""
    F = features.astype(dtype)
    classes = np.unique(labels)
    norms = np.sqrt((F * F).sum(1))
    unit = np.divide(F, norms[:, None], out=np.zeros_like(F), where=norms[:, None] > 0)
    separation, minimum = _similarities(unit, labels, classes)
    entropy = float(np.mean([_entropy(F[labels == c]) for c in classes]))
    distance = float(np.mean([_nearest(F, labels, c) for c in classes]))
    norm = float(np.mean([norms[labels == c].mean() for c in classes]))
    information = (1 - minimum) * entropy / math.log(5)
    growth = (train_size / math.pi) ** (1 / min(F.shape))
    efficiency = 2 * distance / norm * growth if norm > 0 else 0.0
    return {
        "separation": separation,
        "information": information,
        "efficiency": efficiency,
        "quality": separation + math.sqrt(max(information * efficiency, 0.0)),
        "minimum_similarity": minimum,
        "entropy": entropy,
        "nearest_distance": distance,
        "mean_norm": norm,
    }


def _similarities(unit: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> tuple[float, float]:
    """S = intra - inter, and m, by one row of absolute cosines at a time."""
    means = np.zeros((len(classes), len(classes)))
    lowest = np.full(len(classes), np.inf)
    for i, row in enumerate(unit):
        own = int(np.searchsorted(classes, labels[i]))
        cosines = np.abs((unit * row).sum(1))
        for k, c in enumerate(classes):
            means[own, k] += cosines[labels == c].mean() / (labels == labels[i]).sum()
        lowest[own] = min(lowest[own], cosines[labels == labels[i]].min())
    off = [[means[c, k] for k in range(len(classes)) if k != c] for c in range(len(classes))]
    return float(np.mean(np.diag(means)) - np.mean([np.mean(row) for row in off])), float(lowest.mean())


def _entropy(members: np.ndarray) -> float:
    """Entropy of the normalised spectrum of the class covariance, by singular values of the centred features."""
    if (members == members[0]).all():
        return 0.0
    singular = np.linalg.svd(members - members.mean(0), compute_uv=False)
    shares = singular**2 / (singular**2).sum()
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def _nearest(F: np.ndarray, labels: np.ndarray, c: int) -> float:
    """Smallest Euclidean distance from a sample of class c to one of another class, row by row."""
    others = F[labels != c]
    return min(float(np.sqrt(((others - row) ** 2).sum(1)).min()) for row in F[labels == c])
