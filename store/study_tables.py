"""Tables of studies: what is searched for, which jobs that made, and what happened."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from store.clock import db_now
from store.table_base import Base, Json, JsonColumn

StudyStatus = Literal["running", "paused", "cancelling", "succeeded", "failed", "cancelled"]
STUDY_STATUSES: tuple[StudyStatus, ...] = get_args(StudyStatus)
#: Nothing happens any more unless its owner asks.
STUDY_TERMINAL: frozenset[StudyStatus] = frozenset({"succeeded", "failed", "cancelled"})
TrialState = Literal["active", "succeeded", "pruned", "failed", "cancelled"]
TRIAL_STATES: tuple[TrialState, ...] = get_args(TrialState)


def _one_of(column: str, names: tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint("{} IN ({})".format(column, ", ".join(f"'{name}'" for name in names)), name=column)


class Study(Base):
    """A search. `phase`: searching -> confirming. Whoever changes a study or its trials holds the lock of its row."""

    __tablename__ = "studies"
    __table_args__ = (
        _one_of("status", STUDY_STATUSES),
        Index("ix_studies_list", "tenant_id", "id"),
        Index("ix_studies_status", "status"),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200), default="")
    labels: Mapped[Json] = mapped_column(default=dict)
    status: Mapped[str] = mapped_column(String(20), default="running")
    phase: Mapped[str] = mapped_column(String(20), default="searching")
    task: Mapped[str] = mapped_column(String(60))  # distill.tasks: of its dataset
    # The job that is varied: {teacher: [ids], dataset, student, start, config, probe, compare_with, labels, priority,
    # max_attempts, max_runtime_seconds, processes, hosts, sharding}; config as it was given: a preset still fills what
    # it leaves out.
    base: Mapped[Json]
    space: Mapped[list[Any]] = mapped_column(JsonColumn)  # distill.search.space.Domain, in order
    seeds: Mapped[list[int]] = mapped_column(JsonColumn)
    confirm: Mapped[int]  # so many fresh seeds of winner and base job
    strategy: Mapped[str] = mapped_column(String(80))
    strategy_parameters: Mapped[Json]
    search_seed: Mapped[int]
    resource: Mapped[int]  # the most epochs of a run
    objectives: Mapped[list[Any]] = mapped_column(JsonColumn)  # {name, direction, limit}; the first decides
    budget: Mapped[Json]  # {trials, minutes, parallel}
    exhausted: Mapped[bool] = mapped_column(default=False)  # every point of its space was tried
    student_budget: Mapped[Json | None]  # what its students may cost: {budget, families, counted, reason, table, ...}
    inputs: Mapped[list[str]] = mapped_column(JsonColumn)  # teachers and datasets that its trials need
    result: Mapped[Json | None]  # {winner, confirmed, ...}, at its end
    error: Mapped[Json | None]
    event_seq: Mapped[int] = mapped_column(default=0)
    request_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    finished_at: Mapped[datetime | None]


class Trial(Base):
    """One job of a study: a configuration with a seed. It outlives its job: what counts of it is kept here.

    `configuration`: 0 is the base job. `purpose`: search | confirmation. `outcome`: code of a failed one's error."""

    __tablename__ = "study_trials"
    __table_args__ = (
        _one_of("state", TRIAL_STATES),
        Index("ix_study_trials_state", "study_id", "state"),
        Index("ix_study_trials_digest", "study_id", "digest"),
    )
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    configuration: Mapped[int]
    seed: Mapped[int]
    purpose: Mapped[str] = mapped_column(String(20), default="search")
    assignment: Mapped[Json]  # JSON pointer -> value
    digest: Mapped[str] = mapped_column(String(64))  # of all that the job would do but for its seed: equal is one
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"), unique=True)
    state: Mapped[str] = mapped_column(String(20), default="active")
    outcome: Mapped[str | None] = mapped_column(String(60))
    values: Mapped[Json | None]  # objective -> value, of validation samples and of the student's size
    test: Mapped[Json | None]  # metric -> value on the test set, of what the study reports at its end
    reported: Mapped[Json] = mapped_column(default=dict)  # validation -> value of the first objective
    marks: Mapped[Json] = mapped_column(default=dict)  # the pruner's own
    seconds: Mapped[float | None]  # under a worker, all attempts together
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    finished_at: Mapped[datetime | None]


class StudyEvent(Base):
    """What happened, numbered per study without gaps, as of jobs."""

    __tablename__ = "study_events"
    study_id: Mapped[str] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(30))
    data: Mapped[Json]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
