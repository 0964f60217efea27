"""What the networks of a job cost: asked of workers, who can build them, and remembered by all."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.resources.jobs.findings import Findings
from api.resources.jobs.plan import Plan
from api.resources.jobs.processes import LIVE_SECONDS
from api.services import waiting
from api.state.context import Context
from distill import auto_recipe, layer_count, recipes
from distill.errors import InvalidConfig
from distill.layer_count import Side
from distill.tasks.forecast import Question, forecast
from distill.types import DistillConfig
from store.repositories import costs, system

REHEARSAL = "rehearsal"


async def answers(context: Context, plan: Plan, config: DistillConfig, seconds: float) -> dict[str, Any]:
    """What workers have counted of the plan's networks, by `student` and `teacher`, and under `rehearsal` what the run
    would warn of; asks them for what is missing and waits for it, if any worker is there to ask. Raises `Unprocessable`
    for a student that cannot be built, and for what the run would refuse."""
    return await _answers(context, questions(plan, config) | rehearsal(plan, config), config, seconds)


def worth_asking(config: DistillConfig) -> bool:
    """Whether a job waits for workers before it is queued: where layers are named or counted. That is what is often
    wrong, and a job in the queue helps nobody then."""
    if config.layers == "auto" or auto_recipe.asked(config):
        return False
    return recipes.registry.flag(config.recipe, "needs_layers", default=True)


async def rehearse(context: Context, plan: Plan, config: DistillConfig, seconds: float) -> None:
    """Has workers put together what the run will, and waits. Raises `Unprocessable` for what it would refuse."""
    _refuse(await asked(context, before_queueing(plan, config), seconds), config)


def refuse_known(session: Session, plan: Plan, config: DistillConfig) -> None:
    """Raises `Unprocessable` for what workers found already that the run would refuse."""
    _refuse(known(session, rehearsal(plan, config) | before_queueing(plan, config)), config)


def before_queueing(plan: Plan, config: DistillConfig) -> dict[str, Question]:
    """What a job that is worth it waits for: the run put together, where layers of the student are named, else how many
    layers its networks have."""
    if not worth_asking(config):
        return {}
    return questions(plan, config) if config.student_layers is None else rehearsal(plan, config)


async def _answers(
    context: Context, wanted: dict[str, Question], config: DistillConfig, seconds: float
) -> dict[str, Any]:
    found = await asked(context, wanted, seconds)
    _refuse(found, config)
    return found


async def asked(context: Context, wanted: dict[str, Question], seconds: float) -> dict[str, Any]:
    """What workers have answered to each question; asks them for what is missing and waits so long, if any is there."""
    if not await context.lanes.writing.run(_ask, context, wanted):
        return await context.lanes.reading.run(_look, context, wanted)

    def look() -> dict[str, Any]:
        return _look(context, wanted)

    return await waiting.until(context.lanes.reading, look, lambda known: len(known) == len(wanted), seconds)


def _look(context: Context, wanted: dict[str, Question]) -> dict[str, Any]:
    with context.database.read() as session:
        return known(session, wanted)


def known(session: Session, wanted: dict[str, Question]) -> dict[str, Any]:
    """What workers have answered already."""
    found = {role: costs.find(session, question) for role, question in wanted.items()}
    return {role: answer for role, answer in found.items() if answer is not None}


def _ask(context: Context, wanted: dict[str, Question]) -> bool:
    """Whether somebody was asked who may answer, and rung for."""
    with context.database.write() as session:
        missing = wanted.keys() - known(session, wanted).keys()
        asked = bool(missing) and bool(system.live_workers(session, LIVE_SECONDS))
        for role in missing if asked else ():
            costs.ask(session, wanted[role])
    if asked:
        context.doorbell.ring("job", "")
    return asked


def _refuse(found: dict[str, Any], config: DistillConfig) -> None:
    findings = Findings()
    for role in ("student", REHEARSAL):
        error = found.get(role, {}).get("error")
        if error and error.get("fault") == "user":
            findings.add(_pointer(role, error), error["message"], error["remedy"], error["code"], **error["details"])
            break  # a student that cannot be built is no second finding
    if not len(findings) and (refused := too_few(found, config)) is not None:
        findings.add("/config/layers", refused.message, refused.remedy, refused.code, **refused.details)
    findings.raise_if_any()


def too_few(found: dict[str, Any], config: DistillConfig) -> InvalidConfig | None:
    """The refusal of more layers than a network has that workers have counted. `found`: as `known` has it."""
    if not worth_asking(config):
        return None
    named = {"student": config.student_layers, "teacher": config.teacher_layers}
    for name, answer in found.items():
        role, available = name.partition("_")[0], answer.get("cost", {}).get("layers")
        if available is None or named.get(role) is not None:
            continue
        refused = layer_count.too_few(config, Side(role, _architecture(answer.get("question", {})), available))
        if refused is not None:
            return refused
    return None


def _architecture(question: dict[str, Any]) -> str:
    """The name of the network that a question is about."""
    named = question.get("student") or question.get("architecture") or {}
    return str(named.get("name") or (question.get("config") or {}).get("model_type", ""))


def _pointer(role: str, error: dict[str, Any]) -> str:
    """Into the request. A rehearsal says which setting is to blame."""
    field = error["details"].get("field", "recipe") if role == REHEARSAL else role
    return f"/{field}" if field in ("student", "teacher") else f"/config/{field}"


def rehearsal(plan: Plan, config: DistillConfig) -> dict[str, Question]:
    """What to put together, as the task would have it; {} where it asks for nothing, and where the recipe is to be
    chosen: its run tells of those that do not fit."""
    if plan.candidates:
        return {}
    question = forecast(plan.task).rehearsal(plan.parts(config))
    return {} if question is None else {REHEARSAL: question}


def questions(plan: Plan, config: DistillConfig) -> dict[str, Question]:
    """What to count, as the task would have it; where the recipe is to be chosen, for a recipe that needs all that any
    candidate does."""
    rules, parts = forecast(plan.task), plan.parts(_most_needing(plan, config))
    return {} if rules.missing(parts) else rules.questions(parts)


def _most_needing(plan: Plan, config: DistillConfig) -> DistillConfig:
    """With the first candidate that learns from a teacher, or the first of all."""
    if not plan.candidates:
        return config
    taught = [name for name in plan.candidates if recipes.registry.flag(name, "needs_teacher", default=True)]
    return auto_recipe.variant(config, (taught or list(plan.candidates))[0])
