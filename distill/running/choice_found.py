"""What the choice of a recipe has found, as its checkpoints keep it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from distill.auto_recipe import Rung


@dataclass
class Found:
    """What is known so far; plain data, which travels in every checkpoint. `rows`: a candidate or what is none:
    {recipe, values: one a finished rung, note, fits: whether it may be chosen}. `open`: who is still to be trained in
    this rung, in order."""

    rows: list[dict[str, Any]]
    open: list[str]
    rungs: list[Rung] = field(default_factory=list)
    rung: int = 0
    seconds: float = 0.0
    longest: int = 0
    metric: dict[str, Any] = field(default_factory=dict)
    curves: list[dict[str, Any]] = field(default_factory=list)
    ended: str = ""

    def to_dict(self) -> dict[str, Any]:
        return vars(self) | {"rungs": [[rung.candidates, rung.steps] for rung in self.rungs]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Found:
        return cls(**(data | {"rungs": [Rung(*pair) for pair in data["rungs"]]}))

    @classmethod
    def of(cls, fit: Sequence[str], unfit: Mapping[str, str]) -> Found:
        """`unfit`: recipe -> why it is no candidate."""
        rows = [
            {"recipe": name, "values": [], "note": unfit.get(name, ""), "fits": name not in unfit}
            for name in sorted((*fit, *unfit))
        ]
        return cls(rows, list(fit))

    @property
    def fitting(self) -> list[str]:
        """The recipes that may be chosen."""
        return [row["recipe"] for row in self.rows if row["fits"]]

    def row(self, recipe: str) -> dict[str, Any]:
        return next(row for row in self.rows if row["recipe"] == recipe)

    @property
    def total(self) -> int:
        """Steps of all rungs, if no candidate drops out."""
        return sum(rung.candidates * rung.steps for rung in self.rungs)

    @property
    def done(self) -> int:
        """Steps behind us; those of candidates that dropped out count as done."""
        if not self.rungs:
            return 0
        behind = sum(rung.candidates * rung.steps for rung in self.rungs[: self.rung])
        now = self.rungs[min(self.rung, len(self.rungs) - 1)]
        return behind + max(0, now.candidates - len(self.open)) * now.steps
