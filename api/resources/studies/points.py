"""Points of a space, looked at as `POST /jobs` would."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy.orm import Session

from api.errors.handlers import members, pointer
from api.errors.problems import FieldError, Unprocessable
from api.resources.jobs import measuring, validation
from api.resources.jobs.findings import Findings
from api.resources.jobs.plan import Plan
from api.resources.jobs.schemas import JobCreate
from api.resources.studies import variations
from api.resources.studies.base import given, inputs
from distill import auto_recipe
from distill.search.space import Assignment, Json, Space, applied, canonical, escaped
from distill.types import DistillConfig

_CONDITION = "Vary it only `when` it applies, or put values that go together into choices at /config."


@dataclass(frozen=True, slots=True)
class Looked:
    """A point that holds together as a job, of which workers may know more. `plan`, `config`: of its job."""

    assignment: Assignment
    plan: Plan
    config: DistillConfig


Refusal = tuple[str, str]
"""Pointer into the job and message."""


def refusal(error: FieldError) -> Refusal:
    """A student that was given by its name alone has it at /student, and in a point at /student/name."""
    return error.pointer.removesuffix("/name"), error.message


class Points:
    """Looks at points of the space as `POST /jobs` would."""

    def __init__(self, session: Session, tenant: str, base: JobCreate, dataset_id: str, space: Space) -> None:
        self._session, self._tenant, self._dataset_id, self._space = session, tenant, dataset_id, space
        self._given = given(base) | {"compare_with": None}
        self._of_base: Set[Refusal] = frozenset()
        self.checked, self.resource, self.inputs = 1, base.config.epochs, set[str]()
        self.worth_asking = list[Looked]()

    def check(self, findings: Findings, refused: Set[Refusal] = frozenset()) -> None:
        """Note points that no job takes: first of one place each, and if these are well of several together. Of a base
        job that is `refused` itself, the values alone, and what is not wrong without them."""
        self._of_base = refused
        seen = set[str]()
        for wanted in (variations.alone, variations.together) if not refused else (variations.alone,):
            wrong = False
            for assignment in wanted(self._space, self._given):
                if assignment and canonical(assignment) not in seen:
                    seen.add(canonical(assignment))
                    wrong |= self._refused(findings, assignment)
            if wrong:
                return
        if not refused and variations.all_are_looked_at(self._space):
            self._check_reached(findings, seen)

    def _refused(self, findings: Findings, assignment: Assignment) -> bool:
        self.checked += 1
        body = self._job(assignment)
        try:
            job = JobCreate.model_validate(body)
            if auto_recipe.asked(job.config):
                self._note(findings, assignment, "A study's jobs name their recipes.", "Name them.", "invalid_config")
                return True
            plan = validation.check(self._session, self._tenant, job, self._dataset_id)
        except ValidationError as error:
            first: Any = error.errors(include_url=False)[0]
            place = pointer(*members(body, first["loc"]))
            self._note(findings, assignment, f"{first['msg']} ({place or 'the job'}).", "", "invalid_config")
            return True
        except Unprocessable as refused:
            new = [error for error in refused.errors if refusal(error) not in self._of_base]
            if new:
                self._note(findings, assignment, new[0].message, refused.remedy, refused.code)
            return bool(new)
        self.resource = max(self.resource, job.config.epochs)
        self.inputs |= inputs(job)
        if measuring.worth_asking(job.config):
            self.worth_asking.append(Looked(assignment, plan, job.config))
        return False

    def _job(self, assignment: Assignment) -> Json:
        """The request for the point's job. The base job's weights are what every student starts from."""
        job, weights = applied(self._given, assignment), self._given["student"].get("weights")
        if weights is not None:
            student = {"name": job["student"]} if isinstance(job["student"], str) else job["student"]
            job["student"] = student | {"weights": weights}
        return job

    def _note(self, findings: Findings, assignment: Assignment, message: str, remedy: str, code: str) -> None:
        note(findings, self._space, assignment, message, remedy, code)

    def _check_reached(self, findings: Findings, seen: set[str]) -> None:
        """A condition that no other place ever fulfils is a slip."""
        for domain in self._space.domains:
            if domain.when is not None and not any(f'"{domain.pointer}"' in each for each in seen):
                message = f"The condition of {domain.pointer} never holds, so that it is never varied."
                findings.add(f"/space/{escaped(domain.pointer)}/when", message, _CONDITION, "invalid_config")


def note(findings: Findings, space: Space, assignment: Assignment, message: str, remedy: str, code: str) -> None:
    """Note that no job takes a point."""
    others = variations.described(assignment)
    said = f"With {others}: {message}" if others else message
    findings.add(variations.place(space, assignment), said, remedy or _CONDITION, code)
