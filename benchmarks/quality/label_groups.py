"""How should pictures with several labels be grouped for the Q curve? Four groupings on features whose truth is known.

    python -m benchmarks.quality.label_groups

A made-up layer has a direction u_k for each of 8 classes, a mean m, noise of its own spectrum, and a signal s:
x = m + s sum_k y_k u_k + noise. Of every layer the same directions, spectrum and signal make two samples: pictures with
one class each, on which Q is what its paper defines (the truth), and pictures with 1 to 4 classes, of which the first
are the commonest. A grouping is good where its curve over 40 such layers ranks them as the truth does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from distill.quality import knowledge_quality
from distill.tasks.tag_images.opening import strata

CLASSES, SAMPLES, LAYERS, SEEDS, TRAIN = 8, 400, 40, 5, 4000
PARTS = ("separation", "information", "efficiency", "quality")
Grouping = Callable[[Tensor, Tensor], list[float]]


def labels(several: bool, random: np.random.Generator) -> Tensor:
    """(n, C) bool; class k is drawn by a weight of 1 / (k + 1)."""
    weights = 1 / np.arange(1, CLASSES + 1)
    hot = np.zeros((SAMPLES, CLASSES), bool)
    for row in hot:
        count = int(random.integers(1, 5)) if several else 1
        row[random.choice(CLASSES, count, replace=False, p=weights / weights.sum())] = True
    return torch.from_numpy(hot)


def parts(features: Tensor, groups: Tensor) -> list[float]:
    found = knowledge_quality(features, groups, TRAIN)
    return [getattr(found, part) for part in PARTS]


def one_each(features: Tensor, hot: Tensor) -> list[float]:
    """A picture stands for its rarest label: what the task does."""
    return parts(features, torch.from_numpy(strata(hot.numpy())))


def at_random(features: Tensor, hot: Tensor) -> list[float]:
    """A picture stands for one of its labels, drawn evenly."""
    drawn = torch.multinomial(hot.double(), 1, generator=torch.Generator().manual_seed(0))[:, 0]
    return parts(features, drawn)


def pairs(features: Tensor, hot: Tensor) -> list[float]:
    """A row for each label of a picture."""
    picture, label = hot.nonzero().T
    return parts(features[picture], label)


def one_against_rest(features: Tensor, hot: Tensor) -> list[float]:
    """The mean over the classes of with it against without it."""
    found = [parts(features, hot[:, k].long()) for k in range(CLASSES)]
    return np.mean(found, axis=0).tolist()  # type: ignore[no-any-return]


GROUPINGS: dict[str, Grouping] = {
    "rarest label": one_each, "label at random": at_random, "pairs": pairs, "one against the rest": one_against_rest,
}  # fmt: skip


def layer(random: np.random.Generator) -> Callable[[Tensor], Tensor]:
    """Labels (n, C) -> features (n, d) of a layer of random width, signal, mean and spectrum."""
    width, signal = int(random.choice([16, 64, 256, 1024])), float(10 ** random.uniform(-1, 1))
    directions = random.normal(size=(CLASSES, width)) / np.sqrt(width)
    mean = random.normal(size=width) / np.sqrt(width) * random.uniform(0, 4)
    spread = np.arange(1, width + 1) ** -random.uniform(0, 1)
    spread /= np.linalg.norm(spread)

    def features(hot: Tensor) -> Tensor:
        noise = random.normal(size=(len(hot), width)) * spread
        return torch.from_numpy(mean + signal * hot.numpy() @ directions + noise)

    return features


def main() -> None:
    print("| grouping | S | I | E | Q |\n|---|---|---|---|---|")
    ranks: dict[str, list[list[float]]] = {name: [] for name in GROUPINGS}
    for seed in range(SEEDS):
        random = np.random.default_rng(seed)
        one, several = labels(several=False, random=random), labels(several=True, random=random)
        truth, found = [], {name: list[list[float]]() for name in GROUPINGS}
        for _ in range(LAYERS):
            features = layer(random)
            truth.append(parts(features(one), one.long().argmax(1)))
            seen = features(several)
            for name, grouping in GROUPINGS.items():
                found[name].append(grouping(seen, several))
        for name, values in found.items():
            both = zip(np.array(values).T, np.array(truth).T, strict=True)
            ranks[name].append([spearmanr(a, b).statistic if np.ptp(a) > 0 else 0.0 for a, b in both])
    for name, rows in ranks.items():
        mean, low = np.mean(rows, axis=0), np.min(rows, axis=0)
        print(f"| {name} | " + " | ".join(f"{a:.2f} ({b:.2f})" for a, b in zip(mean, low, strict=True)) + " |")


if __name__ == "__main__":
    main()
