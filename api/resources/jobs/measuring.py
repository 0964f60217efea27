"""What the networks of a job cost: asked of workers, who can build them, and remembered by all."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api import waiting
from api.context import Context
from api.resources.jobs import texts
from api.resources.jobs.findings import Findings
from api.resources.jobs.kinds import classes_of
from api.resources.jobs.validation import Plan
from distill.recorded import recorded_view
from distill.types import DistillConfig
from store.repositories import costs, system
from store.tables import Teacher

LIVE_SECONDS = 60.0
Question = dict[str, Any]


async def answers(context: Context, plan: Plan, config: DistillConfig, seconds: float) -> dict[str, Any]:
    """What workers have counted of the plan's networks, by `student` and `teacher`; asks them for what is missing and
    waits for it, if any worker is there to ask. Raises `Unprocessable` for a student that cannot be built."""
    wanted = questions(plan, config)
    if await context.lanes.writing.run(_ask, context, wanted):

        def look() -> dict[str, Any]:
            with context.database.read() as session:
                return _known(session, wanted)

        found = await waiting.until(context.lanes.reading, look, lambda known: len(known) == len(wanted), seconds)
    else:
        found = await context.lanes.reading.run(_look, context, wanted)
    _refuse(found)
    return found


def _look(context: Context, wanted: dict[str, Question]) -> dict[str, Any]:
    with context.database.read() as session:
        return _known(session, wanted)


def _known(session: Session, wanted: dict[str, Question]) -> dict[str, Any]:
    found = {role: costs.find(session, question) for role, question in wanted.items()}
    return {role: answer for role, answer in found.items() if answer is not None}


def _ask(context: Context, wanted: dict[str, Question]) -> bool:
    """Whether somebody was asked who may answer, and rung for."""
    with context.database.write() as session:
        missing = wanted.keys() - _known(session, wanted).keys()
        asked = bool(missing) and bool(system.live_workers(session, LIVE_SECONDS))
        for role in missing if asked else ():
            costs.ask(session, wanted[role])
    if asked:
        context.doorbell.ring("job", "")
    return asked


def _refuse(found: dict[str, Any]) -> None:
    error, findings = found.get("student", {}).get("error"), Findings()
    if error and error.get("fault") == "user":
        findings.add("/student", error["message"], error["remedy"], error["code"], **error["details"])
    findings.raise_if_any()


def questions(plan: Plan, config: DistillConfig) -> dict[str, Question]:
    """What to count, as the run would build it."""
    if texts.is_text(plan):
        return texts.questions(plan, config)
    report = plan.dataset.report or {}
    classes = classes_of(plan.dataset)
    native = native_size(report)
    asked: dict[str, Question] = {}
    if classes and report.get("counts"):
        student = {"architecture": plan.student.model_dump(mode="json"), "num_classes": classes}
        asked["student"] = student | _input(channels_of(report), config.image_size, native)
        if plan.teacher is not None and plan.teacher.report and "in_channels" in plan.teacher.report:
            asked["teacher"] = _of_teacher(plan.teacher, native)
    return asked


def _of_teacher(teacher: Teacher, native: list[int] | None) -> Question:
    found: dict[str, Any] = teacher.report or {}
    recorded = recorded_view(found.get("metadata", {}), found["in_channels"])
    size = recorded["size"][0] if recorded else "auto"
    about = {"architecture": found.get("architecture", teacher.architecture), "num_classes": found["num_classes"]}
    return about | _input(found["in_channels"], size, native)


def _input(channels: int, image_size: int | str, native: list[int] | None) -> Question:
    return {"in_channels": channels, "image_size": image_size, "native_size": native}


def channels_of(report: dict[str, Any]) -> int:
    """As the run decides: 1 where all images are grey."""
    return 3 if report.get("modes", {}).get("colour") else 1


def native_size(report: dict[str, Any]) -> list[int] | None:
    """(h, w) where all images have it."""
    heights, widths = report.get("heights", [0, 0, 1]), report.get("widths", [0, 0, 1])
    uniform = heights[0] == heights[2] and widths[0] == widths[2]
    return [heights[0], widths[0]] if uniform else None
