"""Whether a teacher knows the classes that it is to teach, judged by its answers on labelled samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from distill.answers.classes import guesses, guessing_limit
from distill.statistics import paired_difference
from distill.warned import RunWarning

LITTLE = 0.1
"""Cohen's kappa below which a teacher knows next to nothing (**our choice**): of ten equal classes 19 % right."""
GAIN = 0.1
"""How much more accurate a mapping of the classes must make the answers to be named (**our choice**)."""
MOST_CLASSES = 2000  # beyond that the assignment takes seconds
SHOWN = 50  # pairs of a mapping in a warning


@dataclass(frozen=True)
class Answers:
    """Rows with a class: `labels`, `predicted` (m,) int64, on the CPU; `outputs` is how many classes the network tells
    apart."""

    labels: Tensor
    predicted: Tensor
    outputs: int

    @property
    def accuracy(self) -> float:
        return float((self.labels == self.predicted).double().mean())

    def counts(self) -> tuple[Tensor, Tensor]:
        """(C,) each: how often every class is the label, and how often it is predicted."""
        return (
            torch.bincount(self.labels, minlength=self.outputs),
            torch.bincount(self.predicted, minlength=self.outputs),
        )


def judged(found: Answers, classes: Sequence[str]) -> list[RunWarning]:
    """What is wrong with a teacher of these answers: its classes in another order, or next to nothing known. `classes`:
    names by number, where the rows' classes have names."""
    if len(found.labels) < 2:
        return []
    permuted = _permuted(found, classes) if len(classes) == found.outputs <= MOST_CLASSES else None
    wrong = permuted or _near_chance(found)
    return [] if wrong is None else [wrong]


def kappa(found: Answers) -> float:
    """Cohen's kappa (a - e) / (1 - e) in [-1, 1]: a the accuracy, e that of the same predictions dealt at random."""
    labels, predicted = (each.double() / len(found.labels) for each in found.counts())
    expected = float((labels * predicted).sum())
    return (found.accuracy - expected) / (1 - expected) if expected < 1 else 0.0


def _near_chance(found: Answers) -> RunWarning | None:
    labels, predicted = found.counts()
    if guessing_limit(labels, labels) >= 1:  # too few, or one class alone: not even the labels would pass
        return None
    known = kappa(found)
    if guesses(found.accuracy, labels, predicted) is None and known >= LITTLE:
        return None
    return RunWarning(
        "teacher_near_chance",
        f"The teacher is hardly better than guessing: {found.accuracy:.1%} of {len(found.labels):,} held-out "
        f"predictions are right (Cohen's kappa {known:.2f}).",
        "Check that it was trained on these classes, and how it sees its inputs (preprocessing at registration); a "
        "student cannot learn from it what it does not know.",
        {"accuracy": found.accuracy, "kappa": known, "n": len(found.labels)},
    )


def _permuted(found: Answers, classes: Sequence[str]) -> RunWarning | None:
    """The mapping is found on every other row and must hold on the rest, so that it is not fitted to noise."""
    mapping = _best(Answers(found.labels[::2], found.predicted[::2], found.outputs))
    labels, predicted = found.labels[1::2], found.predicted[1::2]
    plain, mapped = labels == predicted, mapping[labels] == predicted
    gain = paired_difference(int((mapped & ~plain).sum()), int((plain & ~mapped).sum()), len(labels))
    if not gain.clear or gain.value < GAIN:
        return None
    accuracy = float(mapped.double().mean())
    moved = _moved(found, classes)
    some = ", ".join(f"{ours} as {theirs}" for ours, theirs in list(moved.items())[:5])
    return RunWarning(
        "teacher_permuted",
        f"The teacher's classes stand in another order than the dataset's: {found.accuracy:.1%} of its answers are "
        f"right, {accuracy:.1%} if its outputs are renamed (it answers {some}{', ...' if len(moved) > 5 else ''}).",
        "Reorder the rows of its last layer by details.mapping and register it again, or name the dataset's classes so "
        "that they sort in the teacher's order.",
        {"accuracy": found.accuracy, "accuracy_mapped": accuracy, "n": len(found.labels), "mapping": moved},
    )


def _best(found: Answers) -> Tensor:
    """(C,) int64: for each class of the labels the output that stands for it most often, one to one."""
    size = found.outputs
    table = torch.bincount(found.labels * size + found.predicted, minlength=size**2).view(size, size)
    # Where counts are equal a class stays itself.
    worth = table.double() + 0.5 * torch.eye(size, dtype=torch.float64)
    from scipy.optimize import linear_sum_assignment  # here: a run that needs no mapping does not pay for it

    _, columns = linear_sum_assignment(worth.numpy(), maximize=True)
    return torch.from_numpy(columns)


def _moved(found: Answers, classes: Sequence[str]) -> dict[str, str]:
    """Name of a class -> name at the place of the output that stands for it, where these differ and answers say so."""
    mapping = _best(found)
    seen = set(zip(found.labels.tolist(), found.predicted.tolist(), strict=True))
    pairs = [
        (ours, theirs) for ours, theirs in enumerate(mapping.tolist()) if ours != theirs and (ours, theirs) in seen
    ]
    return {classes[ours]: classes[theirs] for ours, theirs in pairs[:SHOWN]}
