"""The report's verdict: whether a student beats the one beside it, said only where like is compared with like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distill.likeness import Differing, alike
from distill.statistics import Difference

if TYPE_CHECKING:
    from distill.tasks.spec import Metric

_ALONE = (
    "There is no comparison: train the same student with recipe cross_entropy for the same steps and name that "
    "job as the comparison, to see what distillation bought."
)
_BASELINE = (
    "This student learned from labels alone: name it as the comparison of a distilled student that trains for the same "
    "steps, to see what distillation buys."
)
_ONE_SEED = "This is one seed; other seeds move the difference further (`retort study` runs several)."
_UNKNOWN = "how that student was trained is not known, so this is no verdict on the recipe"


def verdict(
    difference: Difference | None,
    label: str,
    metric: Metric | None = None,
    differing: Sequence[Differing] | None = (),
    distilled: bool = True,
) -> dict[str, Any]:
    """What the difference of the primary `metric` (unnamed: a share of which more is better) to the comparison `label`
    says. `differing`: what the two runs do not have in common; None: nobody knows. `distilled`: whether a teacher
    taught the student.

    `beats`: True or False, only of the same student after the same steps and outside the noise, else None; `alike`:
    whether it is that, None: unknown or no comparison; `differences`: the fields, with both values; `difference`; and
    all of it as `text`.
    """
    if difference is None:
        text = _ALONE if distilled else _BASELINE
        return {"beats": None, "alike": None, "text": text, "difference": None, "differences": []}
    found = None if differing is None else list(differing)
    like = None if found is None else alike(found)
    said = _Words(difference, label, metric)
    text = said.beating(found or []) if like else said.standing(found)
    return {
        "beats": said.beats if like else None,
        "alike": like,
        "text": f"{text} {_ONE_SEED}",
        "difference": difference.to_dict(),
        "differences": [each.to_dict() for each in found or ()],
    }


@dataclass(frozen=True)
class _Words:
    """A difference in words."""

    difference: Difference
    label: str
    metric: Metric | None

    @property
    def higher_is_better(self) -> bool:
        return self.metric is None or self.metric.higher_is_better

    @property
    def beats(self) -> bool | None:
        found = self.difference
        return (found.value > 0) == self.higher_is_better if found.clear else None

    def beating(self, differing: Sequence[Differing]) -> str:
        """Who is better, of the same student after the same steps."""
        words = {True: f"The student beats {self.label}", False: f"The student does NOT beat {self.label}: it is worse"}
        first = f"{words[self.beats]} ({self._interval()})." if self.beats is not None else self._unclear()
        return f"{first} The two runs differ also in {_listed(differing)}." if differing else first

    def standing(self, differing: Sequence[Differing] | None) -> str:
        """Where the figures stand, of students that are not alike."""
        value, name = self._number(abs(self.difference.value)), "accuracy" if self.metric is None else self.metric.label
        side = "above" if self.difference.value > 0 else "below"
        where = f"is {value} {side} that of {self.label}" if self.difference.value else f"equals that of {self.label}"
        noise = "" if self.difference.clear else ", within the noise of the test set"
        why = _UNKNOWN if differing is None else f"but {self.label} differs in {_listed(differing)}"
        return f"The student's {name} {where} ({self._interval()}){noise}; {why}."

    def _unclear(self) -> str:
        ahead = self.difference.value if self.higher_is_better else -self.difference.value
        lean = "ahead" if ahead > 0 else "behind" if ahead < 0 else "level"
        return (
            f"The student does not clearly beat {self.label}: it is {lean}, within the noise of the test set "
            f"({self._interval()})."
        )

    def _interval(self) -> str:
        found = self.difference
        low, high = self._number(found.low, "+", unit=False), self._number(found.high, "+", unit=False)
        return f"{self._number(found.value, '+')}, 95 % interval {low} to {high}, paired on {found.n} test samples"

    def _number(self, value: float, sign: str = "", unit: bool = True) -> str:
        if self.metric is None or self.metric.unit == "share":
            return f"{100 * value:{sign}.2f}{' points' if unit else ''}"
        return f"{value:{sign}.4f}"


def _listed(differing: Sequence[Differing]) -> str:
    return "; ".join(map(str, differing))
