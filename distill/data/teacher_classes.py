"""Whether a teacher's logits mean the dataset's classes. Torch-free: a run asks it, and the API before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from distill.data.class_names import arrangement

Said = Literal["auto", "same", "other"]


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """`same`: logit i is the dataset's class i. `reason`: what that was told by, as the end of a sentence; `wrong`: why
    what the user said of them cannot be, empty where it can."""

    same: bool
    reason: str
    wrong: str = ""


def acquaintance(
    theirs: int | None, their_names: Sequence[str], ours: int, our_names: Sequence[str], said: Said = "auto"
) -> Acquaintance:
    """Compare a teacher of `theirs` classes (0: it has no classifier; None: unknown) with a dataset of `ours`.

    `said` "same" or "other" decides where numbers and names allow it. "auto": equal numbers are the same classes unless
    both sides name them and the names differ (`arrangement`); a teacher whose file names no classes is believed by
    its number."""
    if theirs == 0:
        return _other("it has no classifier", said)
    if theirs is not None and theirs != ours:
        return _other(f"it tells {theirs} classes apart, the dataset has {ours}", said)
    order = arrangement(their_names, our_names) if their_names and our_names else None
    if order == "permuted":
        return _other("it has the dataset's classes in another order", said)
    if said != "auto":
        return Acquaintance(said == "same", f'teacher_classes is "{said}"')
    if order == "different":
        return Acquaintance(False, f"its {ours} classes have other names than the dataset's")
    return Acquaintance(True, "the same names" if order else f"as many classes ({ours}); its file does not name them")


def _other(reason: str, said: Said) -> Acquaintance:
    wrong = f'teacher_classes cannot be "same": {reason}.' if said == "same" else ""
    return Acquaintance(False, reason, wrong)
