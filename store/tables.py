"""Every table. JSON columns hold what is only ever read whole; what is filtered or fenced on has its own column."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.clock import db_now
from store.part_table import DatasetPart as DatasetPart
from store.prediction_table import Prediction as Prediction
from store.secret_tables import Secret as Secret
from store.states import STATUSES
from store.study_tables import Study as Study
from store.study_tables import StudyEvent as StudyEvent
from store.study_tables import Trial as Trial
from store.table_base import Base as Base
from store.table_base import BigId
from store.table_base import Json as Json
from store.table_base import JsonColumn as JsonColumn
from store.table_base import Leasable as Leasable

ALL_SCOPES = "read,write,admin"
UPLOAD_STATUSES = ("open", "completing", "complete", "failed", "used", "expired")


class Tenant(Base):
    """Who owns rows. Embedded mode has one, `tnt_default`."""

    __tablename__ = "tenants"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    # Quotas of its own; NULL: the settings', 0: none.
    max_running_jobs: Mapped[int | None]
    max_queued_jobs: Mapped[int | None]
    max_stored_bytes: Mapped[int | None] = mapped_column(BigInteger)
    served_at: Mapped[datetime | None]  # when a job of its last started: who waits longest comes first
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class ApiKey(Base):
    """A bearer key: only its sha256 is kept."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[str] = mapped_column(String(60), default=ALL_SCOPES)  # of read, write, admin, metrics; comma between
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class Teacher(Leasable, Base):
    """A registered checkpoint. `status`: inspecting -> ready | invalid."""

    __tablename__ = "teachers"
    __table_args__ = (CheckConstraint("status IN ('inspecting', 'ready', 'invalid')", name="status"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(20), default="inspecting", index=True)
    architecture: Mapped[Json]  # distill.types.Architecture
    object_key: Mapped[str] = mapped_column(String(500))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    source: Mapped[Json | None]  # store.sources: what it was sent as, where that had to be converted
    preprocessing: Mapped[Json | None]  # distill.types.TeacherPreprocessing, as far as it was told at registration
    report: Mapped[Json | None]  # distill.models.CheckpointReport: num_classes, parameters, ...
    error: Mapped[Json | None]  # RetortError.to_dict()
    labels: Mapped[Json] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class Dataset(Leasable, Base):
    """A registered dataset. `files`: role, or place in a role (`store.dataset_files`), -> {object_key, size_bytes,
    sha256, filename}; empty for named sets. `task`: what was asked for, once inspected what was found
    (`distill.tasks`); empty before, and of older releases' rows.
    `pixel_range`: [low, high], in which 16-bit grey is read; None: the upper byte. `box_format`: what the numbers of
    boxes are; empty: the files tell. `shards`: of one that is `streamed`, with `files` its index and manifest; and what
    was told of the classes of tars that were uploaded (`store.shard_references`). `reading`: of a large dataset of
    shards until its verdict, what a `sample` of them holds, and how far its parts are (`store.repositories.parts`);
    None otherwise. `status` is sampled where the inspection was to end with the sample."""

    __tablename__ = "datasets"
    __table_args__ = (CheckConstraint("status IN ('inspecting', 'ready', 'invalid', 'sampled')", name="status"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    kind: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20), default="inspecting", index=True)
    files: Mapped[Json] = mapped_column(default=dict)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    digest: Mapped[str] = mapped_column(String(64), default="")
    task: Mapped[str] = mapped_column(String(60), default="", server_default="")
    pixel_range: Mapped[list[int] | None] = mapped_column(JsonColumn)
    box_format: Mapped[str] = mapped_column(String(20), default="", server_default="")
    shards: Mapped[Json | None]
    reading: Mapped[Json | None]
    report: Mapped[Json | None]  # of the task's inspection: classes, counts, image sizes, ...
    error: Mapped[Json | None]
    labels: Mapped[Json] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())

    @property
    def streamed(self) -> bool:
        """Whether its shards stay where they lie, and none is among `files`."""
        return bool(self.shards and self.shards["given"])


class Job(Leasable, Base):
    """One run. Only the holder of `lease_token` writes to a leased job, but for requests (cancel, stop, pause)."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ({})".format(", ".join(f"'{s}'" for s in STATUSES)), name="status"),
        Index("ix_jobs_queue", "status", "priority", "id"),
        Index("ix_jobs_list", "tenant_id", "id"),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200), default="")
    labels: Mapped[Json] = mapped_column(default=dict)
    status: Mapped[str] = mapped_column(String(20), default="queued")
    phase: Mapped[str | None] = mapped_column(String(20))
    priority: Mapped[int] = mapped_column(default=0)
    processes: Mapped[int] = mapped_column(default=1, server_default="1")  # 0: one for each device of the slot
    hosts: Mapped[int] = mapped_column(default=1, server_default="1")  # of a cluster, as many processes on each
    sharding: Mapped[str] = mapped_column(String(10), default="none", server_default="none")  # of what they train
    recipe: Mapped[str] = mapped_column(String(80))
    config: Mapped[Json]  # distill.types.DistillConfig as asked for, defaults filled in
    resolved: Mapped[Json | None]  # {config, reasons}: every "auto" replaced by the run
    student: Mapped[Json]  # distill.types.Architecture
    choice: Mapped[Json | None]  # of recipe `auto`, as far as it has come: {recipe, reason, metric, rungs, table, ...}
    student_budget: Mapped[Json | None]  # what bought it: {budget, families, reason, table, measured}
    start: Mapped[Json | None]  # of the student, where not from noise: {teacher: id} or {artifact: {job_id, name}}
    probe_id: Mapped[str | None] = mapped_column(String(40))  # judges features where the dataset has no labels
    teacher_id: Mapped[str | None] = mapped_column(ForeignKey("teachers.id", ondelete="RESTRICT"), index=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="RESTRICT"), index=True)
    compare_with: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"))
    # The finished job whose student this one exports or publishes; such a job trains nothing.
    student_of: Mapped[str | None] = mapped_column("export_of", String(40), index=True)
    export: Mapped[Json | None]  # how: distill.types.ExportRequest
    publication: Mapped[Json | None]  # where to: publishing.request.PublicationRequest
    max_attempts: Mapped[int] = mapped_column(default=3)
    faults: Mapped[int] = mapped_column(default=0)  # attempts lost to system faults since the user last queued it
    stop_requested: Mapped[bool] = mapped_column(default=False)  # outlives an attempt, so that a stop is never lost
    stop_reason: Mapped[str | None] = mapped_column(String(20))  # user, max_runtime, pruned
    max_runtime_seconds: Mapped[int | None]  # under lease, all attempts together
    request_id: Mapped[str | None] = mapped_column(String(64))  # of the request that made it
    traceparent: Mapped[str | None] = mapped_column(String(55))  # W3C Trace Context of its submission
    progress: Mapped[Json | None]  # {fraction, step, total_steps, images_per_second, eta_seconds}
    curve: Mapped[Json | None]  # the curve's frame: QCurve.to_dict() without its layers
    selection: Mapped[Json | None]  # {rule, chosen, teacher_layers, student_layers, reason}
    result: Mapped[Json | None]  # the report's summary
    warnings: Mapped[Json | None]  # code -> {code, message, remedy, details}: what the run warned of
    error: Mapped[Json | None]
    event_seq: Mapped[int] = mapped_column(default=0)  # number of the job's last event; also its version (ETag)
    not_before: Mapped[datetime | None]  # back-off after a system fault
    heartbeat_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


def _job_key() -> Mapped[str]:
    return mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))


class Attempt(Base):
    """One claim of a job by a worker, with how it ended."""

    __tablename__ = "attempts"
    __table_args__ = (UniqueConstraint("job_id", "number"),)
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = _job_key()
    number: Mapped[int]
    worker_id: Mapped[str] = mapped_column(String(40))
    started_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    finished_at: Mapped[datetime | None]
    # succeeded, failed, cancelled, paused, handed_over, worker_lost
    outcome: Mapped[str | None] = mapped_column(String(40))
    error: Mapped[Json | None]
    exit_code: Mapped[int | None]
    peak_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    recorded: Mapped[int] = mapped_column(default=0)  # trainer events written: a repeated commit adds none twice


class JobEvent(Base):
    """What happened, numbered per job without gaps: `seq` is the SSE id and the cursor."""

    __tablename__ = "job_events"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(30))
    data: Mapped[Json]
    attempt: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class JobTeacher(Base):
    """One of a job's several teachers, from 1: the first stands in the job's row, with its curve and selection."""

    __tablename__ = "job_teachers"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    teacher_id: Mapped[str] = mapped_column(ForeignKey("teachers.id", ondelete="RESTRICT"), index=True)
    curve: Mapped[Json | None]  # as the job's
    selection: Mapped[Json | None]  # as the job's


class CurvePoint(Base):
    """One scored layer of a job's Q curve: distill.types.LayerQuality. `teacher`: which of several it is of, from 0."""

    __tablename__ = "curve_points"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    teacher: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=0, server_default="0")
    layer_index: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[Json]


class Metric(Base):
    """One row of metrics. A resumed attempt that runs a step again replaces the row instead of adding one."""

    __tablename__ = "metrics"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    split: Mapped[str] = mapped_column(String(20), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[float]
    values: Mapped[Json]


class LogLine(Base):
    """One line of a trainer's log."""

    __tablename__ = "log_lines"
    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    attempt: Mapped[int]
    level: Mapped[str] = mapped_column(String(10))
    message: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class Artifact(Base):
    """A file a job made, verified in the store by size and sha256 before its row exists."""

    __tablename__ = "artifacts"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(100))
    object_key: Mapped[str] = mapped_column(String(500))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class Checkpoint(Base):
    """A training state in the store, from which a new attempt continues."""

    __tablename__ = "checkpoints"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[float]
    attempt: Mapped[int]
    object_key: Mapped[str] = mapped_column(String(500))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class CachedCurve(Base):
    """A complete Q curve by digest (teacher, data, sample, parameters), for reuse within its tenant."""

    __tablename__ = "cached_curves"
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    curve: Mapped[Json]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class Worker(Base):
    """A worker process that is (or was) there."""

    __tablename__ = "workers"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    hostname: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int]
    slots: Mapped[int]
    info: Mapped[Json] = mapped_column(default=dict)  # device, versions
    started_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    heartbeat_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class CatalogueEntry(Base):
    """What workers can do and the API cannot know without torch: architectures, published at worker start."""

    __tablename__ = "catalogue_entries"
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)  # architecture | dataset
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    data: Mapped[Json]
    updated_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class Upload(Base):
    """A file that arrives in parts. `status`: open -> completing -> complete -> used; completing -> failed, and back to
    open when the store is away; expired while its parts are being removed."""

    __tablename__ = "uploads"
    __table_args__ = (
        CheckConstraint("status IN ({})".format(", ".join(f"'{s}'" for s in UPLOAD_STATUSES)), name="status"),
        CheckConstraint("purpose IN ('teacher', 'dataset')", name="purpose"),
        Index("ix_uploads_list", "tenant_id", "id"),
        Index("ix_uploads_expiry", "status", "expires_at"),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(String(20))
    filename: Mapped[str] = mapped_column(String(200))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    part_bytes: Mapped[int] = mapped_column(BigInteger)
    direct: Mapped[bool]  # clients may PUT parts to the store itself
    declared_sha256: Mapped[str | None] = mapped_column(String(64))
    sha256: Mapped[str | None] = mapped_column(String(64))  # of what the store holds, once complete
    status: Mapped[str] = mapped_column(String(20), default="open")
    object_key: Mapped[str] = mapped_column(String(500))
    handle: Mapped[str] = mapped_column(String(1000))  # the store's name for the parts
    error: Mapped[Json | None]
    resource_id: Mapped[str | None] = mapped_column(String(40), index=True)  # the teacher or dataset that it became
    lease_token: Mapped[str | None] = mapped_column(String(40))  # of whoever joins and verifies it
    lease_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    expires_at: Mapped[datetime]


class Webhook(Base):
    """Where a tenant wants to be told. `sealed`: its signing secret by the operator's key (`store.sealing`); NULL where
    there was no key: then `secret` has it as it is, else "" (`store.repositories.webhook_secrets`)."""

    __tablename__ = "webhooks"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), index=True)
    url: Mapped[str] = mapped_column(String(2000))
    description: Mapped[str] = mapped_column(String(200), default="")
    events: Mapped[str] = mapped_column(String(500))  # types, comma between; * for all
    secret: Mapped[str] = mapped_column(String(200), default="")
    sealed: Mapped[str | None]
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None] = mapped_column(String(200))
    failing_since: Mapped[datetime | None]  # no delivery has succeeded since
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class Delivery(Base):
    """The outbox: a message for a webhook, written with what it tells of. `status`: pending -> delivered | failed."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status"),
        Index("ix_webhook_deliveries_due", "status", "next_at"),
        Index("ix_webhook_deliveries_list", "webhook_id", "id"),
    )
    id: Mapped[str] = mapped_column(String(40), primary_key=True)  # the `webhook-id`: the same at every try
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(60))
    payload: Mapped[Json]
    status: Mapped[str] = mapped_column(String(20), default="pending")
    tries: Mapped[int] = mapped_column(default=0)  # since it was made or sent again by hand
    log: Mapped[Json] = mapped_column(
        default=dict
    )  # {tries: [{at, status_code, error, seconds, answer}]}, the last few
    next_at: Mapped[datetime] = mapped_column(insert_default=db_now())  # while a try goes on: when it counts as lost
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
    finished_at: Mapped[datetime | None]


class Tally(Base):
    """A counter for /metrics that outlives processes and deleted jobs."""

    __tablename__ = "tallies"
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    label: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[float]


class Orphan(Base):
    """An object that no row refers to, since when it was first found so: removed when that is long ago."""

    __tablename__ = "orphans"
    object_key: Mapped[str] = mapped_column(String(500), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(insert_default=db_now())


class IdempotencyKey(Base):
    """A client's `Idempotency-Key`: the answer is stored in the transaction that made the resource."""

    __tablename__ = "idempotency_keys"
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    status_code: Mapped[int | None]
    resource_id: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(insert_default=db_now())
