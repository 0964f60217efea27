"""What a study has found, from its trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json
from sqlalchemy.orm import Session

from api.http.forms import invalid_query
from api.resources.studies import service
from api.resources.studies.kept_tables import KEPT
from api.resources.studies.results_schemas import ImportanceOut
from distill.search import collection, importance, pareto, table_forms
from distill.search.objectives import COSTS, Objective
from distill.search.pareto import Pareto
from distill.search.plan import Plan
from distill.search.space import Space
from distill.search.table import Run, Table, tabulate
from store.repositories import trials
from store.tables import Study


@dataclass(frozen=True)
class Found:
    """A study and its table."""

    study: Study
    objectives: list[Objective]
    table: Table

    @property
    def title(self) -> str:
        return self.study.name or self.study.id


def load(session: Session, tenant: str, study_id: str) -> Found:
    study = service.find(session, tenant, study_id)
    objectives = [Objective(**each) for each in study.objectives]

    def made() -> Table:
        with collection.paused():
            return tabulate((Run(*row) for row in trials.runs(session, study_id)), objectives)

    return Found(study, objectives, KEPT.table(study_id, study.event_seq, made))


def table_json(found: Found) -> bytes:
    """TableOut, whose rows are `distill.search.table.Row`: of ten thousand too large to be checked member by member."""
    with collection.paused():
        return to_json(
            {
                "objectives": found.study.objectives,
                "comparisons": found.table.comparisons,
                "result": found.study.result,
                "rows": found.table.rows,
            }
        )


def table_text(found: Found, media_type: str) -> str:
    if media_type == "text/csv":
        return table_forms.to_csv(found.table, found.objectives)
    return table_forms.to_markdown(found.table, found.objectives, found.title, found.study.result)


def plotted(found: Found, x: str | None, y: str | None) -> Pareto:
    """Raises `Unprocessable` for a figure that there is not."""
    first = found.objectives[0].name
    second = found.objectives[1].name if len(found.objectives) > 1 else "bytes"
    return pareto.pareto(found.table, _axis(found, "x", x or second), _axis(found, "y", y or first))


def _axis(found: Found, place: str, name: str) -> Objective:
    axis = pareto.axis(name, found.objectives)
    if axis is None:
        names = dict.fromkeys([*(each.name for each in found.objectives), *COSTS])
        raise invalid_query(f"/{place}", f"The study has no figure {name!r}.", f"Use one of {', '.join(names)}.")
    return axis


def pareto_body(session: Session, found: Found, shown: Pareto) -> dict[str, Any]:
    jobs = trials.first_jobs(session, found.study.id)
    return {
        "x": {"name": shown.x.name, "direction": shown.x.direction},
        "y": {"name": shown.y.name, "direction": shown.y.direction},
        "points": [point.to_dict() | {"job": jobs.get(point.configuration)} for point in shown.points],
    }


def importances(found: Found) -> ImportanceOut:
    study, first = found.study, found.objectives[0]
    plan = Plan(Space.from_list(study.space), study.base, study.search_seed, (first.direction,), study.resource)
    told = importance.importance(plan, found.table, first.name)
    return ImportanceOut(
        objective=first.name, configurations=told.configurations, shares=told.shares, left_out=told.left_out
    )
