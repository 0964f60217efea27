"""Bodies of /studies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.http.openapi import keep_examples
from api.http.paging import PageInfo
from api.http.schemas import Labels, Name, RequestModel, ResponseModel
from api.resources.jobs.schemas import DryRun, JobCreate
from distill.student_budget import BudgetedStudent
from store.study_tables import StudyStatus, TrialState

Pointer = Annotated[str, Field(max_length=300, examples=["/config/learning_rate"])]
Direction = Literal["minimize", "maximize"]
CREATE_EXAMPLES: list[Any] = [
    {
        "base": {
            "teacher": "tch_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES",
            "dataset": {"named": "fashion-mnist"},
            "student": "retort:resnet8",
            "config": {"epochs": 9},
        },
        "space": {
            "/config/recipe": {"choices": ["feature_only", "logit"]},
            "/config/learning_rate": {"low": 0.0001, "high": 0.01, "log": True},
            "/config/recipe_parameters/temperature": {"low": 1, "high": 8, "when": {"/config/recipe": ["logit"]}},
        },
        "strategy": "asha",
        "seeds": 1,
        "budget": {"trials": 40, "parallel": 2},
        "name": "which recipe",
    },
    {
        "base": {
            "dataset": {"named": "fashion-mnist"},
            "student": {"budget": {"bytes": 60000, "latency_ms": 5}},
            "config": {"recipe": "cross_entropy", "epochs": 9},
        },
        "seeds": 1,
        "name": "the best student under 60 kB",
    },
]


class DomainIn(RequestModel):
    """The values of one place: `choices`, or all numbers from `low` to `high`; at /student also the networks that a
    budget buys."""

    student: BudgetedStudent | None = Field(
        None, description="At /student alone: candidates within the budget, and some within half and double of it."
    )
    choices: list[Any] | None = Field(None, min_length=1, max_length=1000, description="Any JSON values.")
    low: float | None = Field(None, description="Of a range: the least value.")
    high: float | None = Field(None, description="Of a range: the largest value.")
    log: bool = Field(False, description="Even by ratio instead of by difference.")
    step: float | None = Field(None, gt=0, description="Only low, low + step, ...")
    integer: bool = Field(False, description="Whole numbers.")
    when: dict[Pointer, Annotated[list[Any], Field(min_length=1, max_length=1000)]] | None = Field(
        None,
        min_length=1,
        description="Vary it only where the job, all places without a condition filled in, has one of these values at "
        "each of these places.",
    )


class StrategyIn(RequestModel):
    """A strategy with its parameters; `GET /catalogue/strategies` lists them."""

    name: str = Field(max_length=80, examples=["asha"])
    parameters: dict[str, Any] = Field(default_factory=dict, examples=[{"reduction_factor": 3}])


class ObjectiveIn(RequestModel):
    """A figure on validation samples, or what the student costs."""

    name: str = Field(
        max_length=80,
        description="The primary metric of the task, or parameters, bytes, flops, latency_ms, seconds.",
        examples=["accuracy"],
    )
    direction: Direction | None = Field(None, description="Null: as the figure is usually wanted.")
    limit: float | None = Field(
        None,
        description="What a winner must keep: at least so much if it is maximised, else at most.",
        examples=[60000],
    )


class BudgetIn(RequestModel):
    """When the search ends. What confirms the winner comes on top."""

    trials: int | None = Field(None, ge=1, le=10_000, description="Jobs of the search; each seed is one.")
    minutes: float | None = Field(
        None, gt=0, le=10**7, description="Time under workers of all trials together; then nothing new begins."
    )
    parallel: int = Field(4, ge=1, le=100, description="Trials that may wait or run at once.")


Seed = Annotated[int, Field(ge=0, le=2**31 - 1001)]


class StudyCreate(RequestModel):
    """What to vary of which job, and for what."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": CREATE_EXAMPLES})
    base: JobCreate = Field(
        description="The job that is varied, and that everything is compared with. In place of its seed each trial has "
        "one of `seeds`; its name gives way to the study's."
    )
    space: dict[Pointer, DomainIn] = Field(
        default_factory=dict,
        max_length=50,
        description="Place in the job, as a JSON pointer -> its values. Places: those below /config and /student, and "
        "/teacher. A value replaces what is there; an object at /config changes the members that it names (null: as if "
        "left out). Empty only where the base job's student is a budget.",
    )
    seeds: Annotated[int, Field(ge=1, le=50)] | Annotated[list[Seed], Field(min_length=1, max_length=50)] = Field(
        3, description="How many (0, 1, ...), or which: every configuration is trained once with each."
    )
    strategy: Annotated[str, Field(max_length=80)] | StrategyIn = Field(
        "random", description="Left out, of students by a budget: `asha`."
    )
    search_seed: int = Field(0, ge=0, le=2**31 - 1, description="Of the strategy: the same suggests the same.")
    objectives: list[ObjectiveIn] = Field(
        default_factory=list,
        max_length=4,
        description="The first decides the winner. Empty: the primary metric of the task.",
    )
    budget: BudgetIn = Field(default_factory=lambda: BudgetIn())
    confirm: int = Field(
        3,
        ge=0,
        le=50,
        description="Fresh seeds with which winner and base job are trained before one is called better.",
    )
    name: Name = ""
    labels: Labels = Field(default_factory=dict)


class StudyExtend(RequestModel):
    """How a study goes on. What is left out stays."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"trials": 20}]})
    trials: int | None = Field(None, ge=1, le=10_000, description="So many more.")
    minutes: float | None = Field(None, gt=0, le=10**7, description="So many more.")
    parallel: int | None = Field(None, ge=1, le=100, description="From now on.")


class Objective(ResponseModel):
    """A figure of validation samples, or a cost."""

    name: str = Field(examples=["accuracy"])
    direction: Direction = Field(examples=["maximize"])
    limit: float | None = Field(examples=[None])


STUDY_EXAMPLE: dict[str, Any] = {
    "id": "stu_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES",
    "name": "which recipe",
    "labels": {},
    "status": "running",
    "phase": "searching",
    "task": "classify_images",
    "base": {"teacher": ["tch_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"], "config": {"epochs": 9}},
    "space": {"/config/recipe": {"choices": ["feature_only", "logit"]}},
    "seeds": [0, 1, 2],
    "strategy": {"name": "random", "parameters": {}},
    "search_seed": 0,
    "objectives": [{"name": "accuracy", "direction": "maximize", "limit": None}],
    "budget": {"trials": 40, "minutes": None, "parallel": 2},
    "confirm": 3,
    "student_budget": None,
    "points": 2.0,
    "exhausted": False,
    "counts": {"active": 2, "succeeded": 7, "pruned": 3, "failed": 0, "cancelled": 0, "configurations": 5},
    "used_minutes": 12.5,
    "result": None,
    "error": None,
    "created_at": "2026-01-31T12:00:00Z",
    "finished_at": None,
    "links": {
        "self": "/studies/stu_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES",
        "pause": "/studies/stu_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES/pause",
    },
}


@keep_examples
class StudyOut(ResponseModel):
    """A study. `links` holds what can be read, and those actions that its status allows now."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [STUDY_EXAMPLE]})
    id: str
    name: str
    labels: dict[str, str]
    status: StudyStatus
    phase: str = Field(description="searching, confirming.")
    task: str
    base: dict[str, Any] = Field(description="The job that is varied: configuration 0.")
    space: dict[str, dict[str, Any]]
    seeds: list[int]
    strategy: dict[str, Any]
    search_seed: int
    objectives: list[Objective]
    budget: dict[str, Any]
    confirm: int
    student_budget: dict[str, Any] | None = Field(
        None,
        description="{budget, families, reason, table, measured, counted}: what its students may cost, which were "
        "counted and which are trained; null: it has none.",
    )
    points: float | None = Field(description="How many points the space has; null: endless.")
    exhausted: bool = Field(description="Every point was tried.")
    counts: dict[str, int] = Field(
        description="Trials by state (active, succeeded, pruned, failed, cancelled), and `configurations`."
    )
    used_minutes: float = Field(description="Under workers, of all ended trials.")
    result: dict[str, Any] | None = Field(
        description="{winner, base_is_best, confirmed, difference: {mean, low, high, n, verdict}, fresh_seeds, "
        "reading}: `difference` is that of winner and base job on fresh seeds. Of a budget also `student_budget`: "
        "{budget, half, double, outside, front, reading}: the best within it, within half and double of it, the best "
        "outside it where that did better, and the front."
    )
    error: dict[str, Any] | None
    created_at: datetime
    finished_at: datetime | None
    links: dict[str, str]


class StudyPage(PageInfo):
    """Studies, newest first."""

    items: list[StudyOut]


class StudyDryRun(ResponseModel):
    """A study that would be accepted: nothing was made."""

    valid: bool = Field(True, examples=[True])
    points: float | None = Field(description="How many points the space has; null: endless.", examples=[24])
    checked: int = Field(description="So many of its points were checked as jobs.", examples=[24])
    trials: int | None = Field(description="Jobs of search and confirmation; null: as many as fit.", examples=[46])
    hours: float | None = Field(
        description="Of device time, if every trial took as long as the base job; null: not known.", examples=[3.5]
    )
    base: DryRun
    space: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="As it would be searched, the choices of a budget filled in.",
        examples=[{"/config/layers": {"choices": [2, 4]}}],
    )
    student_budget: dict[str, Any] | None = Field(None, description="As of a study.", examples=[None])


class TrialOut(ResponseModel):
    """One job of a study."""

    number: int = Field(examples=[4])
    configuration: int = Field(description="0 is the base job.", examples=[1])
    seed: int = Field(examples=[0])
    purpose: str = Field(description="search, confirmation.", examples=["search"])
    assignment: dict[str, Any] = Field(examples=[{"/config/recipe": "logit"}])
    state: TrialState = Field(
        description="`pruned`: given up early; its job is a stopped one that succeeded, with `stop_reason` pruned.",
        examples=["succeeded"],
    )
    outcome: str | None = Field(description="Code of a failed trial's error; `deleted`: its job is.", examples=[None])
    values: dict[str, float] | None = Field(
        description="On validation samples, and costs.", examples=[{"accuracy": 0.91, "bytes": 61000}]
    )
    test: dict[str, float] | None = Field(
        description="On the test set; of winner and base job alone, once the study has ended.", examples=[None]
    )
    seconds: float | None = Field(description="Under workers.", examples=[31.5])
    job: str | None = Field(description="Null: it was deleted, or there was none.", examples=["job_01KA1N3ZCZ0D6M3XB"])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    finished_at: datetime | None = Field(examples=[None])
    links: dict[str, str] = Field(examples=[{"job": "/jobs/job_01KA1N3ZCZ0D6M3XB"}])


class TrialPage(PageInfo):
    """Trials, first to last."""

    items: list[TrialOut]


class StudyEventOut(ResponseModel):
    """One event; `seq` counts from 1 without gaps and is the SSE id."""

    seq: int = Field(examples=[1])
    kind: str = Field(description="status, phase, trial, extended.", examples=["status"])
    data: dict[str, Any] = Field(examples=[{"status": "running"}])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class StudyEventPage(PageInfo):
    """Events, oldest first."""

    items: list[StudyEventOut]
