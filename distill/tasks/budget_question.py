"""What a worker is asked about the networks that a budget may choose among. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from distill.student_budget import StudentBudget
from distill.tasks.candidates import Chain
from distill.tasks.forecast import Forecast, Parts, Question


def question(rules: Forecast, parts: Parts, chains: Sequence[Chain], budget: StudentBudget) -> Question:
    """As `distill.tasks.counting` answers it: every network as the task would have it counted in its place."""
    asked = [_chain(rules, parts, chain) for chain in chains]
    task = asked[0]["common"].pop("task")
    for chain in asked[1:]:
        del chain["common"]["task"]
    limits = budget.limits()
    return {"task": task, "chains": asked, "limits": limits, "form": budget.form, "threads": budget.threads}


def _chain(rules: Forecast, parts: Parts, chain: Chain) -> Question:
    asked = [rules.questions(replace(parts, student=member))["student"] for member in chain.members]
    common = {name: value for name, value in asked[0].items() if all(each[name] == value for each in asked[1:])}
    return {"common": common, "varied": [_without(each, common) for each in asked]}


def _without(asked: Question, common: Mapping[str, Any]) -> Question:
    return {name: value for name, value in asked.items() if name not in common}
