"""How much of the spread of the first objective each place explains, among the better configurations."""

from __future__ import annotations

from dataclasses import dataclass

from distill.search.plan import Plan, Tried
from distill.search.table import BASE, Table

LEAST = 4  # configurations: of fewer the shares are chance


@dataclass(frozen=True, slots=True)
class Importance:
    """`shares`: place -> share, all together 1, the largest first; empty for too few `configurations`. `left_out`:
    places that not every configuration has."""

    shares: dict[str, float]
    configurations: int
    left_out: list[str]


def importance(plan: Plan, table: Table, objective: str) -> Importance:
    """PED-ANOVA (Watanabe et al., IJCAI 2023) by Optuna: how far the values that a place has among the better quarter
    differ from those that it has among all."""
    known = [
        Tried(dict(row.assignment), "complete", (row.values[objective].mean,))
        for row in sorted(table.rows, key=lambda row: row.configuration)
        if row.configuration != BASE and objective in row.values
    ]
    everywhere = [each.pointer for each in plan.space.domains if all(each.pointer in one.assignment for one in known)]
    left_out = [each.pointer for each in plan.space.domains if each.pointer not in everywhere]
    if len(known) < LEAST or not everywhere:
        return Importance({}, len(known), left_out)
    return Importance(_shares(plan, known, everywhere), len(known), left_out)


def _shares(plan: Plan, known: list[Tried], places: list[str]) -> dict[str, float]:
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    from distill.search import replay

    evaluator = PedAnovaImportanceEvaluator(target_quantile=0.25)
    found = get_param_importances(replay.study(plan, known), evaluator=evaluator, params=places)
    return {place: float(share) for place, share in sorted(found.items(), key=lambda item: (-item[1], item[0]))}
