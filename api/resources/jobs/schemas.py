"""Bodies of /jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from api.http.openapi import keep_examples
from api.http.paging import PageInfo
from api.http.schemas import Labels, Name, RequestModel, ResponseModel
from api.resources.datasets.schemas import NamedSet
from api.resources.teachers.schemas import ArtifactReference
from distill.pruned import PrunedStudent
from distill.student_budget import BudgetedStudent
from distill.types import Architecture, DistillConfig, Importance, Sharding
from publishing.request import PublicationRequest
from store.repositories.shares import MOST_PROCESSES
from store.states import Status

CREATE_EXAMPLES: list[Any] = [
    {
        "teacher": "tch_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES",
        "dataset": {"named": "fashion-mnist"},
        "student": {"name": "retort:resnet8", "options": {"width": 8}},
        "config": {"recipe": "feature_only", "layers": 4, "epochs": 10},
        "name": "resnet8 from resnet34",
        "labels": {"team": "vision"},
    },
    {"dataset": {"named": "digits"}, "student": "retort:resnet8", "config": {"recipe": "cross_entropy", "epochs": 5}},
    {"dataset": {"named": "digits"}, "student": {"budget": {"bytes": 60000}}, "config": {"recipe": "cross_entropy"}},
]


class NamedReference(RequestModel):
    """A named data set; registered for you if it is not yet."""

    named: NamedSet


TensorPrefix = Annotated[str, Field(max_length=300)]
TensorMap = Annotated[
    dict[TensorPrefix, TensorPrefix] | None,
    Field(
        max_length=1000,
        description="Prefixes of the student's tensors -> prefixes of the weights' tensors, each ending at a dot or a "
        'whole name: what goes where, of any two networks. "" stands for all. Null: of one family by its blocks.',
        examples=[{"stem": "conv1", "stages.0": "layer1"}],
    ),
]


class FromTeacher(RequestModel):
    """Weights of a teacher. Where it is deeper than the student, every n-th block, both ends kept; of a pruned student
    the channels that matter."""

    map: TensorMap = None
    teacher: str = Field(max_length=60, description="Id of a ready teacher.")
    importance: Importance = Field("magnitude", description="Of a pruned student: which channels it keeps.")


class FromCheckpoint(RequestModel):
    """Weights of any registered checkpoint: teachers are what `POST /teachers` registers."""

    map: TensorMap = None
    checkpoint: str = Field(max_length=60, description="Id of a ready teacher.")


class FromArtifact(RequestModel):
    """Weights of a finished job's student."""

    map: TensorMap = None
    artifact: ArtifactReference


StudentWeights = FromTeacher | FromCheckpoint | FromArtifact


class StudentCreate(Architecture):
    """An architecture, and the weights that it starts from."""

    weights: StudentWeights | None = Field(
        None,
        description="Of the student's own architecture, or of a deeper network of its family; a head of other classes "
        "is made anew. Null: random weights, or as the architecture's options say.",
    )


def _meant(given: Any) -> str:
    """Which form of a student was meant, so that its errors alone are told."""
    names = set(given) if isinstance(given, dict) else set()
    if isinstance(given, PrunedStudent) or "prune" in names:
        return "by_pruning"
    if isinstance(given, BudgetedStudent) or "budget" in names or ("families" in names and "name" not in names):
        return "by_budget"
    return "by_architecture" if names or isinstance(given, (dict, StudentCreate)) else "by_name"


Student = Annotated[
    Annotated[str, Field(min_length=1, max_length=200), Tag("by_name")]
    | Annotated[StudentCreate, Tag("by_architecture")]
    | Annotated[BudgetedStudent, Tag("by_budget")]
    | Annotated[PrunedStudent, Tag("by_pruning")],
    Discriminator(_meant),
]
TeacherId = Annotated[str, Field(max_length=60)]
MOST_STORED = 2**31 - 1
"""What a column holds; how many processes a job may have is told with what there is (`processes.check`)."""
TeacherIds = TeacherId | Annotated[list[TeacherId], Field(min_length=1, max_length=8)]


class Resources(RequestModel):
    """What a job runs on."""

    processes: Annotated[int, Field(strict=True, ge=1, le=MOST_STORED)] | Literal["auto"] = Field(
        1,
        description="Processes that train together, each on a device of one worker's slot, each a share of every batch "
        f"(which must be a multiple of their number); {MOST_PROCESSES} at most. `auto`: as many as the slot has.",
        examples=[1, "auto"],
    )
    hosts: int = Field(
        1,
        strict=True,
        ge=1,
        le=MOST_STORED,
        description="Hosts of a worker's Ray cluster that share the processes equally; 1: the worker's own machine.",
    )
    sharding: Sharding = Field(
        "none",
        description="What each process holds of the trained network, of its gradients, of the optimizer's state and of "
        "the teacher while it trains. `none`: all of it. `full`: a share, so that networks are trained which do not "
        "fit one device; every step takes more traffic.",
    )


LIVE_EXAMPLE: Any = {"target": "mlflow", "tracking_uri": "https://mlflow.example.org", "secret": "mlflow"}


class LivePublication(PublicationRequest, RequestModel):
    """Where a job is told of while it runs, and its student handed over when it succeeds."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [LIVE_EXAMPLE], "additionalProperties": True}
    )


class JobCreate(RequestModel):
    """What to distil into what, on what, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": CREATE_EXAMPLES})
    teacher: TeacherIds | None = Field(
        None,
        description="Id of a ready teacher, or of several that teach together: each by its own layers, and by the "
        "weighted mean of their logits; null for recipes that need none (`cross_entropy`).",
    )
    dataset: Annotated[str, Field(max_length=60)] | NamedReference = Field(
        description='Id of a ready dataset, or {"named": ...}.'
    )
    student: Student = Field(
        description="The student's architecture: a catalogue name, or one with options, and with weights to start "
        "from; or what it may cost, for the largest student that the budget allows; or how its teacher is pruned."
    )
    config: DistillConfig = Field(default_factory=lambda: DistillConfig.model_validate({}))
    name: Name = ""
    labels: Labels = Field(default_factory=dict)
    priority: int = Field(0, strict=True, ge=-1000, le=1000, description="Higher starts first.")
    resources: Resources = Field(default_factory=lambda: Resources())
    compare_with: Annotated[str, Field(max_length=60)] | None = Field(
        None, description="Id of a job that succeeded on the same dataset, to report beside this one."
    )
    probe: Annotated[str, Field(max_length=60)] | None = Field(
        None,
        description="Id of a small dataset with labels, by which k-NN and a linear probe judge the features of student "
        "and teacher; for a dataset without any label.",
    )
    publish: list[LivePublication] = Field(
        default_factory=list,
        max_length=4,
        description="Targets that are told of the job while it runs (those that are `live` in the catalogue), each by "
        "a publication of its own: parameters when it starts, metrics as they come, and at its end the student, or "
        "that there is none.",
    )
    max_attempts: int | None = Field(None, ge=1, le=100, description="Attempts at system faults; null: the service's.")
    max_runtime_seconds: int | None = Field(
        None,
        ge=1,
        le=10**9,
        description="Longest time under a worker, all attempts together. Then training stops and the best student so "
        "far is kept, or the job fails when there is none yet. Null: the service's limit.",
    )


class JobExtend(RequestModel):
    """How a new job goes on from a finished one. What is left out is as it was there; a `teacher` or `probe` of null is
    none."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"epochs": 20}]})
    epochs: int = Field(ge=1, le=100_000, description="Of the new job: a schedule of its own.")
    config: dict[str, Any] = Field(
        default_factory=dict,
        description="Other fields of the job's config that shall differ. Of another `recipe` the parameters are its "
        "defaults unless given; another `preset` fills its settings, except epochs; `max_steps` is dropped unless "
        "given.",
        examples=[{"recipe": "cross_entropy"}],
    )
    teacher: TeacherIds | None = None
    dataset: Annotated[str, Field(max_length=60)] | NamedReference | None = None
    resources: Resources | None = None
    compare_with: Annotated[str, Field(max_length=60)] | None = None
    probe: Annotated[str, Field(max_length=60)] | None = None
    name: Name = ""
    labels: Labels | None = None


class JobPatch(RequestModel):
    """What may be changed of a job at any time; what is left out stays."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"name": "the good one", "labels": {"keep": "yes"}}]},
    )
    name: Name = ""
    labels: Labels = Field(default_factory=dict, description="All of them: those that are left out go.")
    priority: int = Field(0, strict=True, ge=-1000, le=1000, description="Higher starts first.")


JOB_EXAMPLE: dict[str, Any] = {
    "id": "job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES",
    "name": "resnet8 from resnet34",
    "labels": {"team": "vision"},
    "status": "running",
    "phase": "scoring",
    "priority": 0,
    "recipe": "feature_only",
    "config": DistillConfig.model_validate({"epochs": 10}).model_dump(mode="json"),
    "resolved": None,
    "student": {"name": "retort:resnet8", "options": {"width": 8}},
    "choice": None,
    "student_budget": None,
    "student_weights": None,
    "teacher": "tch_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES",
    "teachers": ["tch_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"],
    "dataset": "dst_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES",
    "task": "classify_images",
    "resources": {"processes": 1, "hosts": 1, "sharding": "none"},
    "compare_with": None,
    "attempt": 1,
    "max_attempts": 3,
    "max_runtime_seconds": None,
    "stop_reason": None,
    "study": None,
    "progress": {"fraction": 0.4, "step": 40, "total_steps": 100, "images_per_second": 900.0, "eta_seconds": 12.0},
    "selection": None,
    "selections": [],
    "result": None,
    "warnings": [],
    "publications": [],
    "error": None,
    "queue_position": None,
    "waiting_for": None,
    "not_before": None,
    "created_at": "2026-01-31T12:00:00Z",
    "started_at": "2026-01-31T12:00:01Z",
    "finished_at": None,
    "heartbeat_at": "2026-01-31T12:00:09Z",
    "links": {
        "self": "/jobs/job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES",
        "q_curve": "/jobs/job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES/q-curve",
        "cancel": "/jobs/job_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES/cancel",
    },
}


class JobWarning(ResponseModel):
    """Something that is probably wrong with a job that goes on."""

    code: str = Field(
        description="teacher_near_chance, teacher_permuted, preprocessing_assumed.", examples=["teacher_near_chance"]
    )
    message: str = Field(description="What was found.", examples=["The teacher is hardly better than guessing."])
    remedy: str = Field(description="What to change.", examples=["Check that it was trained on these classes."])
    details: dict[str, Any] = Field(description="Figures by name.", examples=[{"accuracy": 0.1, "n": 1000}])


class PublicationNote(ResponseModel):
    """How a publication of a job goes; GET /jobs/{id}/publications has the rest."""

    id: str = Field(examples=["job_01KA1N3ZCZ0D6M3XBMNKJ0Q2EX"])
    target: str = Field(examples=["mlflow"])
    status: Status = Field(examples=["running"])
    error: dict[str, Any] | None = Field(description="Why it failed.", examples=[None])
    warnings: list[JobWarning] = Field(
        description="`target_unavailable`: the target does not answer since `details.since`, and did again at "
        "`details.until` (null: it still does not). The job goes on."
    )


@keep_examples
class JobOut(ResponseModel):
    """A job. `links` holds what can be read, and those actions that its status allows now."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [JOB_EXAMPLE]})
    id: str
    name: str
    labels: dict[str, str]
    status: Status
    phase: str | None = Field(
        description="fetching, choosing, scoring, distilling, evaluating, packaging, uploading; of a publication "
        "publishing."
    )
    priority: int
    recipe: str
    config: DistillConfig
    resolved: dict[str, Any] | None = Field(description="{config, reasons}: every `auto` replaced, and why so.")
    student: Architecture
    choice: dict[str, Any] | None = Field(
        None,
        description="Of recipe `auto`, as far as it has come: {recipe, reason, metric, minutes, seconds, rungs, "
        "table}. `rungs` has the steps of each round, `table` the candidates, the best first, each with its value on "
        "validation samples after every round, or a note why it is none; null: the recipe was named.",
    )
    student_budget: dict[str, Any] | None = Field(
        None,
        description="{budget, families, reason, table, measured} of a student that was chosen by its budget: `table` "
        "has the largest of every kind within half, all and double of it; null: it was named.",
    )
    student_weights: dict[str, Any] | None = Field(
        description="What the student starts from: {teacher} or {artifact: {job_id, name}}, and `map` where one was "
        "given; null: no given weights."
    )
    teacher: str | None = Field(description="The first, where there are several.")
    teachers: list[str] = Field(default_factory=list, description="All of them, in their order.")
    dataset: str
    task: str | None = Field(description="The dataset's: GET /catalogue/tasks says what its figures are.")
    resources: Resources = Field(default_factory=lambda: Resources(), description="What it runs on, as asked for.")
    compare_with: str | None
    export_of: str | None = Field(None, description="The job whose student this one exports; null: it does not.")
    publication_of: str | None = Field(None, description="The job whose student this one publishes; null: it does not.")
    probe: str | None = Field(None, description="The labelled dataset that judges features; null: there is none.")
    attempt: int
    max_attempts: int
    max_runtime_seconds: int | None
    stop_reason: str | None = Field(
        description="Why training was stopped early: user, max_runtime, pruned (by its study); null: it was not."
    )
    study: str | None = Field(None, description="Id of the study that made it as a trial; null: none did.")
    progress: dict[str, Any] | None = Field(
        description="{fraction, step, total_steps, images_per_second, eta_seconds} of the current phase."
    )
    selection: dict[str, Any] | None = Field(
        description="{rule, chosen, teacher_layers, student_layers, reason}; of the first of several teachers."
    )
    selections: list[dict[str, Any]] = Field(
        default_factory=list, description="The same of every teacher, in their order, once they are chosen."
    )
    result: dict[str, Any] | None = Field(description="The report's summary.")
    warnings: list[JobWarning] = Field(
        description="What its run found to be probably wrong, before it trained: of teacher, classes, preprocessing."
    )
    publications: list[PublicationNote] = Field(
        default_factory=list, description="Where it is published, oldest first: while it runs, and its student later."
    )
    error: dict[str, Any] | None = Field(description="{code, message, remedy, fault, retryable, details}.")
    queue_position: int | None = Field(description="0: the next to start; null: it does not wait.")
    waiting_for: str | None = Field(None, description="What no live worker has, while it waits for that.")
    not_before: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    heartbeat_at: datetime | None
    links: dict[str, str]


class JobPage(PageInfo):
    """Jobs, newest first."""

    items: list[JobOut]


class Estimate(ResponseModel):
    """A figure with its range and what it is based on."""

    value: float = Field(examples=[12.5])
    low: float = Field(description="Probably not less.", examples=[8.3])
    high: float = Field(description="Probably not more.", examples=[18.8])
    basis: str = Field(examples=["2.1e+10 operations a second while training, in 5 earlier jobs with this student"])


class Estimates(ResponseModel):
    """What the job will take. A figure is null where too little is known; `notes` says what is missing."""

    memory_bytes: Estimate | None = Field(description="Peak of the trainer on the host.")
    disk_bytes: Estimate | None = Field(description="On the worker's scratch disk and in the store together.")
    minutes: Estimate | None = Field(description="From when a worker takes the job to its end.")
    notes: list[str] = Field(examples=[["Time in the queue is not included."]])


class Candidate(ResponseModel):
    """A recipe that recipe `auto` may choose, or why it may not."""

    recipe: str = Field(examples=["feature_only"])
    fits: bool = Field(examples=[True])
    reason: str | None = Field(description="Why it does not fit; null: it does.", examples=[None])


class DryRun(ResponseModel):
    """A job that would be accepted: nothing was queued."""

    valid: bool = Field(True, examples=[True])
    config: DistillConfig = Field(description="With every default filled in.")
    student: Architecture
    student_budget: dict[str, Any] | None = Field(
        None, description="As of a job: why a budget buys this student.", examples=[None]
    )
    recipes: list[Candidate] | None = Field(
        None,
        description="Of recipe `auto`: the candidates, and what is none; null: the recipe is named.",
        examples=[None],
    )
    teacher: str | None = Field(
        description="The first, where there are several.", examples=["tch_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"]
    )
    teachers: list[str] = Field(
        default_factory=list,
        description="All of them, in their order.",
        examples=[["tch_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"]],
    )
    dataset: str = Field(examples=["dst_01KA1N3ZCZ0D6M3XBMNKJ0Q2ES"])
    warnings: list[JobWarning] = Field(description="What its run would warn of, as far as inspections tell.")
    publish: list[LivePublication] = Field(
        default_factory=list, description="What it would publish while it runs, with every default filled in."
    )
    input_bytes: int = Field(description="Bytes of teachers and dataset that a worker fetches.", examples=[87_000_000])
    estimates: Estimates
