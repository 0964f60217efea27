"""The contract's documents, as far as the client looks into them."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

JobStatus = Literal[
    "queued", "running", "pausing", "paused", "stopping", "cancelling", "succeeded", "failed", "cancelled"
]
TERMINAL: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})


class Architecture(TypedDict):
    name: str
    options: dict[str, Any]


class Teacher(TypedDict):
    id: str
    name: str
    status: Literal["inspecting", "ready", "invalid"]
    architecture: Architecture
    size_bytes: int
    sha256: str
    report: dict[str, Any] | None
    error: dict[str, Any] | None
    labels: dict[str, str]
    created_at: str


class Dataset(TypedDict):
    id: str
    name: str
    kind: str
    task: str | None
    status: Literal["inspecting", "ready", "invalid", "sampled"]
    files: dict[str, dict[str, Any]]
    size_bytes: int
    digest: str
    pixel_range: NotRequired[list[int] | None]
    box_format: NotRequired[str]
    sample: NotRequired[dict[str, Any] | None]
    reading: NotRequired[dict[str, Any] | None]
    report: dict[str, Any] | None
    error: dict[str, Any] | None
    labels: dict[str, str]
    created_at: str


class Job(TypedDict):
    id: str
    name: str
    labels: dict[str, str]
    status: JobStatus
    phase: str | None
    priority: int
    recipe: str
    config: dict[str, Any]
    resolved: dict[str, Any] | None
    student: Architecture
    teacher: str | None
    teachers: list[str]
    dataset: str
    task: str | None
    resources: NotRequired[dict[str, int | str]]
    compare_with: str | None
    probe: str | None
    attempt: int
    max_attempts: int
    max_runtime_seconds: int | None
    stop_reason: str | None
    study: NotRequired[str | None]
    progress: dict[str, Any] | None
    selection: dict[str, Any] | None
    selections: list[dict[str, Any]]
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    queue_position: int | None
    waiting_for: NotRequired[str | None]
    created_at: str
    started_at: str | None
    finished_at: str | None
    heartbeat_at: str | None
    links: dict[str, str]


StudyStatus = Literal["running", "paused", "cancelling", "succeeded", "failed", "cancelled"]


class Study(TypedDict):
    """A search over jobs. `counts`: trials by state, and `configurations`."""

    id: str
    name: str
    labels: dict[str, str]
    status: StudyStatus
    phase: str
    task: str
    base: dict[str, Any]
    space: dict[str, dict[str, Any]]
    seeds: list[int]
    strategy: dict[str, Any]
    search_seed: int
    objectives: list[dict[str, Any]]
    budget: dict[str, Any]
    confirm: int
    points: float | None
    exhausted: bool
    counts: dict[str, int]
    used_minutes: float
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    created_at: str
    finished_at: str | None
    links: dict[str, str]


class Trial(TypedDict):
    """One job of a study: a configuration with a seed."""

    number: int
    configuration: int
    seed: int
    purpose: str
    assignment: dict[str, Any]
    state: Literal["active", "succeeded", "pruned", "failed", "cancelled"]
    outcome: str | None
    values: dict[str, float] | None
    test: dict[str, float] | None
    seconds: float | None
    job: str | None
    created_at: str
    finished_at: str | None
    links: dict[str, str]


class Metric(TypedDict):
    """A row of a task's reports. `path`: where a column of a report holds it, keys joined by `/`."""

    name: str
    label: str
    unit: Literal["share", "nats", "ratio", "per_second", "number"]
    higher_is_better: bool
    interval: bool
    path: str


class Task(TypedDict):
    """What students can be trained to answer, as far as the client looks into it. `metrics`: the primary one first."""

    name: str
    title: str
    summary: str
    samples: str
    metrics: list[Metric]
    container: Literal["weights", "folder"]


class Artifact(TypedDict):
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: str
    href: str


class QCurve(TypedDict):
    job_id: str
    complete: bool
    total_layers: int | None
    chosen: list[int]
    rule: str
    reading: str | None
    layers: list[dict[str, Any]]


class Event(TypedDict):
    """A message of a job's stream. `seq` is None for `progress`, which is not numbered."""

    seq: int | None
    kind: str
    data: dict[str, Any]
