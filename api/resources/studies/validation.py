"""Everything about a study that can be known before its first trial."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from api.errors.problems import Unprocessable
from api.resources.datasets.service import task_of
from api.resources.jobs import validation
from api.resources.jobs.findings import Findings
from api.resources.jobs.plan import Plan
from api.resources.jobs.referring import ready
from api.resources.jobs.schemas import JobCreate
from api.resources.jobs.service import max_runtime
from api.resources.studies import places
from api.resources.studies.base import document, inputs, settled
from api.resources.studies.points import Looked, Points, Refusal, refusal
from api.resources.studies.schemas import ObjectiveIn, StrategyIn, StudyCreate
from distill import auto_recipe, parameters, tasks
from distill.search import strategies
from distill.search.objectives import COSTS, LOSS, Objective, validated
from distill.search.space import Domain, Json, Space
from distill.tasks.spec import TaskSpec
from store.settings import Settings
from store.tables import Dataset, Teacher

#: A search without end is one that goes through more points than this.
ENDLESS = 10_000


@dataclass(frozen=True)
class Checked:
    """A request that holds together. `base`: the job as trials are made from it; `checked`: how many points of the
    space were looked at as jobs; `resource`: the most epochs among them."""

    plan: Plan
    base: Json
    space: Space
    seeds: list[int]
    strategy: StrategyIn
    objectives: list[Objective]
    resource: int
    checked: int
    inputs: list[str]
    worth_asking: list[Looked]


def check(session: Session, settings: Settings, tenant: str, body: StudyCreate, dataset_id: str) -> Checked:
    """Raises `Unprocessable` with every finding."""
    findings = Findings()
    if not body.space:
        message = "The space is empty: nothing is varied."
        findings.add("/space", message, "Vary a place, or give the student of the base job as a budget.")
    sound = places.check(findings, body.space) and bool(body.space)
    strategy, seeds = _search(findings, body)
    _check_names(findings, body, _spec(session, dataset_id))
    plan, refused = _check_base(session, settings, tenant, findings, body.base, dataset_id)
    objectives = _objectives(findings, body, plan, strategy) if plan is not None else []
    if not sound:
        findings.raise_if_any()
    space = Space(
        [
            Domain.from_dict({"pointer": name} | each.model_dump(exclude={"student"}))
            for name, each in body.space.items()
        ]
    )
    _check_end(findings, body, space, strategy, seeds)
    points = Points(session, tenant, body.base, dataset_id, space)
    points.check(findings, refused)
    findings.raise_if_any()
    assert plan is not None
    return Checked(
        plan, document(settings, body.base, plan), settled(session, space), seeds, strategy, objectives,
        points.resource, points.checked, sorted(points.inputs | inputs(body.base) | {dataset_id}), points.worth_asking,
    )  # fmt: skip


def beside(session: Session, body: StudyCreate, dataset_id: str, refused: Unprocessable) -> Unprocessable:
    """The refusal of the request's students, and what else can be said of the request without them."""
    findings = Findings()
    _search(findings, body)
    _check_names(findings, body, _spec(session, dataset_id))
    if not len(findings):
        return refused
    others = findings.problem()
    more = f" And {len(findings)} more."
    return Unprocessable(
        refused.detail + more, refused.remedy, code=refused.code, errors=[*refused.errors, *others.errors],
        details=refused.details,
    )  # fmt: skip


# ---- the parts of the request


def _search(findings: Findings, body: StudyCreate) -> tuple[StrategyIn, list[int]]:
    strategy = StrategyIn(name=body.strategy) if isinstance(body.strategy, str) else body.strategy
    _check_strategy(findings, body, strategy)
    return strategy, _seeds(findings, body)


def _spec(session: Session, dataset_id: str) -> TaskSpec | None:
    """Of the dataset's task, where it is known."""
    dataset = session.get(Dataset, dataset_id)
    task = task_of(dataset) if dataset is not None else ""
    return tasks.spec(task) if task in tasks.names() else None


def _check_names(findings: Findings, body: StudyCreate, spec: TaskSpec | None) -> None:
    """Note objectives that the task has not, and those that are there twice, whatever the base job is."""
    names = [each.name for each in body.objectives]
    for place, name in enumerate(names):
        at = f"/objectives/{place}/name"
        if names.index(name) < place:
            findings.add(at, f"{name} is an objective already.", "Name every objective once.")
        elif spec is not None and name not in {spec.primary.name, *COSTS, *([LOSS] if spec.unlabelled else [])}:
            offered = f"Use one of {', '.join([spec.primary.name, *COSTS])}."
            known = name in {metric.name for metric in spec.metrics}
            message = f"{spec.title} has no figure {name!r}."
            if known:
                message = f"{name} is counted on the test set alone, by which nothing is chosen."
            findings.add(at, message, offered, "invalid_config" if known else "unknown_name")


def _check_strategy(findings: Findings, body: StudyCreate, strategy: StrategyIn) -> None:
    at = "/strategy" if isinstance(body.strategy, str) else "/strategy/name"
    with findings.at(at):
        strategies.registry.check(strategy.name)
        with findings.at("/strategy/parameters", "parameter"):
            parameters.check(strategies.registry.parameters(strategy.name), strategy.parameters)


def _seeds(findings: Findings, body: StudyCreate) -> list[int]:
    if isinstance(body.seeds, int):
        return list(range(body.seeds))
    if len(set(body.seeds)) < len(body.seeds):
        findings.add("/seeds", "A seed is there twice.", "Name every seed once: the same run again says nothing new.")
    return list(body.seeds)


def _check_base(
    session: Session, settings: Settings, tenant: str, findings: Findings, base: JobCreate, dataset_id: str
) -> tuple[Plan | None, set[Refusal]]:
    """Note, below /base, what would refuse the job itself, and return it."""
    if base.compare_with is not None:
        message = "A study compares with its base job."
        findings.add("/base/compare_with", message, "Leave compare_with out.", "invalid_config")
    if base.publish:
        message = "A study's trials are not published while they run."
        findings.add("/base/publish", message, "Leave publish out, and publish the best student.", "invalid_config")
    if auto_recipe.asked(base.config):
        message = "A study compares recipes itself, and its jobs name theirs."
        findings.add("/base/config/recipe", message, "Vary /config/recipe in the space.", "invalid_config")
        findings.raise_if_any()
    try:
        max_runtime(settings, base)
        return validation.check(session, tenant, base.model_copy(update={"compare_with": None}), dataset_id), set()
    except Unprocessable as refused:
        for error in refused.errors:
            findings.add(f"/base{error.pointer}", error.message, refused.remedy, refused.code, **refused.details)
        return None, {refusal(error) for error in refused.errors}


def _objectives(findings: Findings, body: StudyCreate, plan: Plan, strategy: StrategyIn) -> list[Objective]:
    spec = tasks.spec(plan.task)
    labelled = not spec.unlabelled or plan.parts(body.base.config).classes != 0
    main = validated(spec, labelled)
    found = [
        _objective(findings, f"/objectives/{place}", each, main, plan) for place, each in enumerate(body.objectives)
    ]
    names = [each.name for each in body.objectives]
    if names and names[0] in COSTS and strategies.prunes(strategy.name):
        message = f"{strategy.name} judges runs while they train, and {names[0]} is known at their end."
        remedy = f"Put {main.name} first, or use another strategy."
        findings.add("/objectives/0/name", message, remedy, "invalid_config")
    if main.name == LOSS and any(place.startswith("/config") and "recipe" in place for place in body.space):
        message = "The data have no labels, so that a run is judged by its recipe's own loss: two do not compare."
        findings.add("/space", message, "Vary other places, or use data with labels.", "labels_required")
    return found or [main]


def _objective(findings: Findings, at: str, given: ObjectiveIn, main: Objective, plan: Plan) -> Objective:
    usual = main.direction if given.name == main.name else "minimize"
    if given.name not in {main.name, *COSTS} and given.name in {tasks.spec(plan.task).primary.name, LOSS}:
        message = f"The base job's runs are judged by {main.name}."
        findings.add(f"{at}/name", message, f"Use one of {', '.join([main.name, *COSTS])}.", "invalid_config")
    if given.name == main.name and given.direction not in (None, main.direction):
        message = (
            f"A run keeps the student whose {main.name} is best by {main.direction}: nothing searches for the worst."
        )
        findings.add(f"{at}/direction", message, "Leave direction out.", "invalid_config")
    found = Objective(given.name, given.direction or usual, given.limit)
    if (unreachable := _unreachable(found, plan)) is not None:
        findings.add(
            f"{at}/limit", unreachable, "Give a limit that a student can keep, or leave it out.", "invalid_config"
        )
    return found


def _unreachable(objective: Objective, plan: Plan) -> str | None:
    """Why no student keeps the limit: costs are above 0, and a share lies between 0 and 1."""
    shares = {metric.name for metric in tasks.spec(plan.task).metrics if metric.unit == "share"}
    limit = objective.limit
    if limit is None:
        return None
    if objective.name in COSTS and not objective.maximised and limit <= 0:
        return f"No student has {limit:g} {objective.name} or less."
    if objective.name in shares and objective.maximised and limit > 1:
        return f"{objective.name} is a share, at most 1: nothing reaches {limit:g}."
    if objective.name in shares and not objective.maximised and limit < 0:
        return f"{objective.name} is a share, at least 0: nothing reaches {limit:g}."
    return None


def _check_end(findings: Findings, body: StudyCreate, space: Space, strategy: StrategyIn, seeds: list[int]) -> None:
    """Note a search that does not end, or ends before anything is compared."""
    budget = body.budget
    if strategy.name not in strategies.names():
        return  # said already
    exhausts = strategies.registry.flag(strategy.name, "exhausts", False)
    endless = [each.pointer for each in space.domains if each.size() == float("inf")]
    if exhausts and endless:
        have = "has" if len(endless) == 1 else "have"
        message = f"{strategy.name} tries every value, and {' and '.join(endless)} {have} endlessly many."
        findings.add("/space", message, "Give them a step or choices, or use another strategy.", "invalid_config")
    elif space.size() > ENDLESS and budget.trials is None and budget.minutes is None:
        message = "The space is endless, or as good as, and the budget has no end."
        findings.add("/budget", message, "Give trials or minutes.", "invalid_config")
    least = len(seeds) + (1 if strategies.prunes(strategy.name) else len(seeds))
    if budget.trials is not None and budget.trials < least:
        message = (
            f"{budget.trials} trials do not reach: the base job takes {len(seeds)}, a first point {least - len(seeds)}."
        )
        findings.add("/budget/trials", message, f"Give at least {least}, or fewer seeds.", "invalid_config")


def still(session: Session, tenant: str, checked: Checked) -> None:
    """Raise `Unprocessable` where a teacher or dataset has been deleted since it was checked."""
    findings = Findings()
    for row_id in checked.inputs:
        if row_id.startswith("dst_"):
            ready(session, tenant, findings, "/base", Dataset, row_id)
        else:
            ready(session, tenant, findings, "/base", Teacher, row_id)
    findings.raise_if_any()


def planned(body: StudyCreate, checked: Checked) -> int | None:
    """Jobs of search and confirmation; None where time alone ends the search."""
    points = checked.space.size()
    most = float("inf") if body.budget.trials is None else body.budget.trials
    search = min(most, (points + 1) * len(checked.seeds))
    return None if search == float("inf") else int(search) + 2 * body.confirm
