"""How much each class counts in the loss on labels, and when classes are skewed. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from distill.errors import UnknownName
from distill.warned import RunWarning

Wanted = Literal["none", "balanced", "effective_number"] | Mapping[str, float]
BETA = 0.999
"""Of the effective number: what arXiv 1901.05555 takes for ImageNet and iNaturalist."""
SKEWED = 10.0
"""From this ratio of the largest to the smallest class on an inspection warns (**our choice**)."""
SHOWN = 20  # weights that a reason lists one by one


def weights(wanted: Wanted, counts: Sequence[int], names: Sequence[str]) -> list[float]:
    """w_c for each of K classes with n_c training samples, n in all:

        balanced            w_c ~ n / (K n_c)
        effective_number    w_c ~ (1 - b) / (1 - b^n_c), b = 0.999 (Cui et al., CVPR 2019, arXiv 1901.05555)
        {name: w}           as given, 1 for a class that is not named

    scaled so that sum_c n_c w_c = n: the mean weight of a training sample is 1, so that only ratios count and no
    learning rate has to follow. `balanced` is so already. A class without a training sample has weight 1 (**our
    choice**). Raises `UnknownName` for a name that no class has.
    """
    raw = [1.0 if not n else _raw(wanted, n, name) for n, name in zip(counts, names, strict=True)]
    if isinstance(wanted, Mapping):
        check_names(wanted, names)
    total = sum(n * w for n, w in zip(counts, raw, strict=True))
    scale = sum(counts) / total if total else 1.0
    return [w * scale if n else 1.0 for n, w in zip(counts, raw, strict=True)]


def _raw(wanted: Wanted, count: int, name: str) -> float:
    if isinstance(wanted, Mapping):
        return float(wanted.get(name, 1.0))
    return 1 / count if wanted == "balanced" else (1 - BETA) / (1 - BETA**count)


def check_names(wanted: Mapping[str, float], names: Sequence[str]) -> None:
    """Raises `UnknownName`, with near ones, for a name that no class has."""
    for name in wanted:
        if name not in names:
            raise UnknownName("class", name, names)


def told(wanted: Wanted, found: Sequence[float], counts: Sequence[int], names: Sequence[str]) -> str:
    """The weights in words, as a reason."""
    how = {"balanced": "n / (K n_c)", "effective_number": f"1 / effective number, beta {BETA}"}
    formula = "as given" if isinstance(wanted, Mapping) else how[wanted]
    rows = sorted(zip(names, found, counts, strict=True), key=lambda row: -row[1])
    kept = rows if len(rows) <= SHOWN else [rows[0], rows[-1]]
    listed = ", ".join(f"{name} {weight:.3g} (of {count:,})" for name, weight, count in kept)
    more = "" if len(rows) <= SHOWN else f", the others of {len(rows)} classes between"
    return f"{formula}, scaled to a mean of 1: {listed}{more}"


def skew(counts: Sequence[int], names: Sequence[str], samples: str) -> RunWarning | None:
    """A warning where the largest class has at least `SKEWED` times the training samples of the smallest. `samples`:
    what they are called. Classes without any training sample are left aside."""
    known = [(count, name) for count, name in zip(counts, names, strict=True) if count]
    if len(known) < 2:
        return None
    (low, least), (high, most) = min(known), max(known)
    ratio = high / low
    if ratio < SKEWED:
        return None
    return RunWarning(
        "classes_skewed",
        f"The classes are skewed: {most} has {high:,} training {samples}, {least} {low:,}, {ratio:.3g} times fewer.",
        "`class_weights` or `sampling` set to `balanced` makes rare classes count as much as common ones; "
        "balanced accuracy and macro-F1 say whether they are found.",
        {"ratio": round(ratio, 2), "largest": [most, high], "smallest": [least, low], "threshold": SKEWED},
    )
