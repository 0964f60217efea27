"""A job that leaves its recipe to us: checked as every job that would name one, so that candidates are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from api.errors.problems import FieldError, Unprocessable
from api.resources.jobs.findings import Findings
from api.resources.jobs.plan import Plan
from api.resources.jobs.schemas import Candidate, Estimate, Estimates, JobCreate
from distill import auto_recipe, recipes, tasks
from distill.errors import InvalidConfig, UnknownName

PLACE = "/config/recipe"
Check = Callable[[JobCreate], Plan]


def checked(body: JobCreate, check: Check) -> Plan:
    """The plan, with its candidates. `check`: of a job that names its recipe. Raises `Unprocessable`: what stands
    against every recipe that learns from the job's teachers is the job's fault, and not that of the recipes."""
    _check_time(body)
    plans, refused = dict[str, Plan](), dict[str, Unprocessable]()
    for name in _named(body):
        try:
            plans[name] = check(named(body, name))
        except Unprocessable as error:
            refused[name] = error
    taught = [name for name in (*plans, *refused) if recipes.registry.flag(name, "needs_teacher", default=True)]
    among = taught if body.teacher is not None and taught else [*plans, *refused]
    if among and not any(name in plans for name in among):
        raise _of_all([refused[name] for name in among])
    first = next(iter(plans.values()))
    _check_labels(body, first)
    why = {name: error.errors[0].message for name, error in refused.items()}
    return replace(first, candidates=tuple(plans), excluded=why)


def named(body: JobCreate, recipe: str) -> JobCreate:
    """The job that names this recipe."""
    return body.model_copy(update={"config": auto_recipe.variant(body.config, recipe)})


def candidates(plan: Plan) -> list[Candidate] | None:
    """What a dry run tells of the recipes; None where one is named."""
    if not plan.candidates:
        return None
    fit = [Candidate(recipe=name, fits=True, reason=None) for name in plan.candidates]
    return fit + [Candidate(recipe=name, fits=False, reason=why) for name, why in sorted(plan.excluded.items())]


def estimated(found: list[tuple[str, Estimates]], minutes: float) -> Estimates:
    """Of the choice, about `minutes`, and then of the candidate that takes most; from the one that takes least."""
    return Estimates(
        memory_bytes=_most([(name, each.memory_bytes) for name, each in found]),
        disk_bytes=_most([(name, each.disk_bytes) for name, each in found]),
        minutes=_after(_most([(name, each.minutes) for name, each in found]), minutes),
        notes=list(dict.fromkeys(note for _, each in found for note in each.notes)),
    )


def _most(found: list[tuple[str, Estimate | None]]) -> Estimate | None:
    known = [(name, each) for name, each in found if each is not None]
    if not known or len(known) < len(found):
        return None
    name, worst = max(known, key=lambda pair: pair[1].value)
    basis = f"of the candidates {name} takes most: {worst.basis}"
    return Estimate(value=worst.value, low=min(each.low for _, each in known), high=worst.high, basis=basis)


def _after(training: Estimate | None, minutes: float) -> Estimate | None:
    if training is None:
        return None
    basis = f"about {minutes:g} minutes to choose the recipe (auto_minutes), then {training.basis}"
    low, high = training.low, training.high + 2 * minutes
    return Estimate(value=training.value + minutes, low=low, high=high, basis=basis)


def _named(body: JobCreate) -> tuple[str, ...]:
    try:
        return auto_recipe.named(body.config)
    except UnknownName as error:
        findings = Findings()
        findings.add("/config/auto_recipes", error.message, error.remedy, error.code, **error.details)
        raise findings.problem() from error
    except InvalidConfig as error:
        findings = Findings()
        findings.add(f"/config/{error.details['field']}", error.message, error.remedy, error.code)
        raise findings.problem() from error


def _of_all(refused: list[Unprocessable]) -> Unprocessable:
    """What all have in common; where that is nothing, every recipe with its reason."""
    shared = [error for error in refused[0].errors if all(_has(each, error) for each in refused)]
    if len(shared) == len(refused[0].errors):
        return refused[0]
    told = list(dict.fromkeys(error.message for each in refused for error in each.errors))
    message = "No recipe fits teacher, data and task." if not shared else shared[0].message
    errors = shared or [FieldError(pointer=PLACE, message=each) for each in told]
    return Unprocessable(message, refused[0].remedy, errors=errors, code=refused[0].code)


def _has(refused: Unprocessable, wanted: FieldError) -> bool:
    return any((each.pointer, each.message) == (wanted.pointer, wanted.message) for each in refused.errors)


def _check_time(body: JobCreate) -> None:
    """A job that reaches its limit while it chooses has no student to keep."""
    limit, minutes = body.max_runtime_seconds, body.config.auto_minutes
    if limit is None or 60 * minutes < limit:
        return
    findings = Findings()
    message = f"auto_minutes is {minutes:g}, and the job may run for {limit} s in all."
    remedy = "Give max_runtime_seconds more, or auto_minutes less."
    findings.add("/config/auto_minutes", message, remedy, "invalid_config")
    findings.raise_if_any()


def _check_labels(body: JobCreate, plan: Plan) -> None:
    """Data without any label: a run is judged by its recipe's own loss there."""
    if not tasks.spec(plan.task).unlabelled or plan.parts(body.config).classes != 0:
        return
    findings, (message, remedy) = Findings(), auto_recipe.WITHOUT_LABELS
    findings.add(PLACE, message, remedy, "labels_required")
    findings.raise_if_any()
