"""Whether a teacher's logits mean the dataset's classes. Torch-free: a run asks it, and the API before it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from distill import recipes
from distill.class_names import arrangement, placeholders
from distill.types import DistillConfig

Said = Literal["auto", "same", "other"]


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """Whether a teacher's classes are the dataset's. `same`: logit i is the dataset's class i. `reason`: how that is
    known, worded as the end of a sentence about the teacher. `wrong`: why the user's `teacher_classes` is impossible,
    empty where it is possible. `renamed`: the number of classes agrees, their names or their task do not. `unlike`: of
    a set, what those of its teachers are called that keep it from knowing the classes. `unlabelled`: no teacher could
    know them, since no sample of the dataset has a label."""

    same: bool
    reason: str
    wrong: str = ""
    renamed: bool = False
    unlike: tuple[str, ...] = ()
    unlabelled: bool = False

    @property
    def said(self) -> Said:
        """What `teacher_classes: auto` becomes."""
        return "same" if self.same else "other"


def match_classes(
    theirs: int | None,
    their_names: Sequence[str],
    ours: int,
    our_names: Sequence[str],
    said: Said = "auto",
    learnt: str = "",
) -> ClassMatch:
    """Compare a teacher of `theirs` classes (0: it has no classifier; None: unknown) with a dataset of `ours`.

    `said` "same" or "other" decides where numbers and names allow it. "auto": equal numbers are the same classes unless
    both sides name them and the names differ (`arrangement`). A teacher that names no classes, or by their numbers
    alone (`placeholders`), is believed by its number. `learnt`: what else it says that it was trained for: logits of
    equal classes are then something else (a choice among them, or a yes and no of each)."""
    if theirs == 0:
        return _other("it has no classifier for this dataset", said)
    if theirs is not None and ours == 0:
        return _other("the dataset has no labels, and so no classes", said)
    if theirs is not None and theirs != ours:
        return _other(f"it tells {theirs} classes apart, the dataset has {ours}", said)
    order = _arranged(their_names, our_names)
    if order == "permuted":
        return _other("it has the dataset's classes in another order", said)
    if said != "auto":
        return ClassMatch(said == "same", f"teacher_classes is {said!r}")
    if learnt:
        return ClassMatch(False, f"it was trained for {learnt}, where logits mean something else", renamed=True)
    if order == "different":
        return ClassMatch(False, f"its {ours} classes have other names than the dataset's", renamed=True)
    return ClassMatch(True, "the same names" if order else f"as many classes ({ours}), which it does not name")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one teacher's classes: how many (0: it has no classifier; None: unknown), their names, and what
    else it says that it was trained for (`match_classes`)."""

    label: str
    count: int | None
    names: Sequence[str] = ()
    learnt: str = ""


def match_set(
    teachers: Sequence[Known], ours: int, our_names: Sequence[str], said: Said = "auto"
) -> tuple[ClassMatch, tuple[ClassMatch, ...]]:
    """Of a set of teachers and of each of them: the set knows the dataset's classes where every one does, and where no
    two of them mean different classes by one logit. Of a set of one the two are the same."""
    each = tuple(match_classes(known.count, known.names, ours, our_names, said, known.learnt) for known in teachers)
    if len(each) == 1:
        return replace(each[0], unlabelled=ours == 0), each
    unlike = [(known.label, match) for known, match in zip(teachers, each, strict=True) if not match.same]
    wrong = next(
        (f"{known.label}: {match.wrong}" for known, match in zip(teachers, each, strict=True) if match.wrong), ""
    )
    if unlike:
        reasons = "; ".join(f"{label}: {match.reason}" for label, match in unlike)
        renamed = all(match.renamed for _, match in unlike)
        return ClassMatch(False, reasons, wrong, renamed, tuple(label for label, _ in unlike), ours == 0), each
    clash = _clash(teachers, said)
    if clash is not None:
        first, second = clash
        return ClassMatch(
            False, f"{first} and {second} name different classes by the same logits", "", True, clash
        ), each
    return ClassMatch(
        True, "; ".join(f"{known.label}: {m.reason}" for known, m in zip(teachers, each, strict=True))
    ), each


def _clash(teachers: Sequence[Known], said: Said) -> tuple[str, str] | None:
    """Two teachers that both name their classes, and differently; where the user says that the classes are the same,
    in another order alone."""
    wrong = ("permuted",) if said == "same" else ("permuted", "different")
    pairs = itertools.combinations(teachers, 2)
    return next(((a.label, b.label) for a, b in pairs if _arranged(a.names, b.names) in wrong), None)


def _arranged(theirs: Sequence[str], ours: Sequence[str]) -> str | None:
    """None where one side does not really name its classes."""
    if not theirs or not ours:
        return None
    order = arrangement(theirs, ours)
    return None if order == "different" and (placeholders(theirs) or placeholders(ours)) else order


def _other(reason: str, said: Said) -> ClassMatch:
    return ClassMatch(False, reason, f'teacher_classes cannot be "same": {reason}.' if said == "same" else "")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a recipe cannot learn from a teacher, and what to do."""

    message: str
    remedy: str


def refusal(match: ClassMatch, config: DistillConfig, offered: Callable[[str], bool]) -> Refusal | None:
    """What is wrong with a job of this recipe and such a teacher; None: nothing. `offered`: whether the task has a
    recipe. Raises `UnknownName` for a recipe that there is not."""
    if match.wrong:
        return Refusal(match.wrong, "Leave teacher_classes out: a recipe that reads features alone takes this teacher.")
    if match.same or not recipes.reads_logits(config.recipe, config.recipe_parameters):
        return None
    if match.unlabelled:
        return Refusal(
            f"The recipe {config.recipe} reads logits, and no sample of the dataset has a label: there are no classes "
            "that they could mean.",
            f"Use a recipe that reads features alone ({', '.join(recipes.without_labels(offered))}), or register a "
            "dataset with labels.",
        )
    others = ", ".join(recipes.reading_features(offered))
    if match.unlike:
        return Refusal(
            f"The recipe {config.recipe} reads the teachers' logits, and not all of them know the dataset's classes: "
            f"{match.reason}.",
            f"Leave {' or '.join(match.unlike)} out, or use a recipe that reads features alone ({others})."
            + (_SAME if match.renamed else ""),
        )
    return Refusal(
        f"The recipe {config.recipe} reads the teacher's logits, and the teacher does not know the dataset's classes: "
        f"{match.reason}.",
        f"Use a recipe that reads features alone ({others}), or a teacher of these classes: a job with recipe "
        "cross_entropy trains one." + (_SAME if match.renamed else ""),
    )


_SAME = ' Where its logits mean the same classes in the same order all the same, set teacher_classes to "same".'
