"""What a job's run needs: read from the database at once, then fetched without holding a transaction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from distill.modalities.images.shards.supply import INDEX, SUPPLY
from distill.tasks import container, of_report
from distill.tasks.several_teachers import labels
from distill.types import (
    Architecture,
    ComparisonInput,
    DatasetInput,
    DistillConfig,
    ExportInput,
    ExportRequest,
    Importance,
    RunSpec,
    StartInput,
    TeacherInput,
    TeacherPreprocessing,
    TrainedRun,
)
from store.dataset_files import by_role, is_numbered
from store.repositories import jobs
from store.shard_references import KIND
from store.tables import Artifact, Checkpoint, Dataset, Job, JobTeacher, Teacher
from worker.errors import InputGone
from worker.transfer import shards
from worker.transfer.fetching import Fetcher
from worker.transfer.shards import MANIFEST, Entry

#: What a curve depends on besides teacher and dataset. The run compares digests; this only finds a candidate.
CURVE_SETTINGS = (
    "quality_samples",
    "seed",
    "train_limit",
    "validation_fraction",
    "image_size",
    "max_length",
    "text_features",
    "pseudo_classes",
)


@dataclass(frozen=True, slots=True)
class Started:
    """The weights that the student starts from. `label`: what they are, for people; `named`: the map of names."""

    label: str
    architecture: dict[str, Any]
    object_key: str
    sha256: str
    preprocessing: TeacherPreprocessing | None = None
    named: dict[str, str] | None = None
    importance: Importance = "magnitude"


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export is made of, and what a predictor loads: the finished job, its student and its report."""

    job: Job
    student: Artifact
    report: Artifact


@dataclass(frozen=True, slots=True)
class Inputs:
    """Rows, detached from their session. `checkpoints` newest first."""

    job: Job
    dataset: Dataset
    teachers: tuple[Teacher, ...]
    compared: tuple[Job, Artifact] | None
    start: Started | None
    checkpoints: list[Checkpoint]
    curves: list[dict[str, Any]]
    probe: Dataset | None = None
    exported: Exported | None = None


def read(session: Session, job_id: str) -> Inputs:
    """Raises `InputGone` for a teacher, dataset, probe or start of the student that is not (or no longer) ready."""
    job = session.get_one(Job, job_id)
    dataset = session.get(Dataset, job.dataset_id)
    teachers = [session.get(Teacher, teacher_id) for teacher_id in jobs.teacher_ids(session, job)]
    probe = session.get(Dataset, job.probe_id) if job.probe_id else None
    needed = (
        ("dataset", dataset, True),
        *(("teacher", teacher, True) for teacher in teachers),
        ("probe", probe, bool(job.probe_id)),
    )
    for noun, row, wanted in needed:
        if wanted and (row is None or row.status != "ready"):
            raise InputGone(
                f"The {noun} of this job is {'gone' if row is None else row.status}.", f"Register the {noun} again."
            )
    assert dataset is not None
    compared = _compared(session, job)
    start, curves = _start(session, job.start), known_curves(session, job)
    there = tuple(teacher for teacher in teachers if teacher is not None)
    exported = finished(session, job.student_of) if job.student_of else None
    return Inputs(job, dataset, there, compared, start, jobs.checkpoints(session, job.id), curves, probe, exported)


def fetch_all(inputs: Inputs, fetcher: Fetcher) -> RunSpec:
    """The job as its trainer sees it, with every input on disk."""
    return RunSpec(
        config=DistillConfig.model_validate(inputs.job.config),
        student=Architecture.model_validate(inputs.job.student),
        start=_start_input(inputs.start, fetcher),
        dataset=dataset_input(inputs.dataset, fetcher),
        teacher=_teachers(inputs.teachers, fetcher),
        comparison=_comparison(inputs, fetcher),
        probe=dataset_input(inputs.probe, fetcher, "probe") if inputs.probe is not None else None,
        reuse_curves=tuple(inputs.curves),
        resume_from=fetcher.checkpoint(inputs.checkpoints),
        sharding="full" if inputs.job.sharding == "full" else "none",
        export=_export(inputs, fetcher),
    )


def dataset_input(row: Dataset, fetcher: Fetcher, called: str = "dataset") -> DatasetInput:
    """`called`: how its files' names begin."""
    sharded = row.kind == KIND  # whose shards come when they are needed
    files = {
        role: str(fetcher.get(file["object_key"], file["sha256"], f"{called}-{role}{_suffixes(file)}"))
        for role, file in row.files.items()
        if (role == INDEX if sharded else not is_numbered(role))
    }
    if sharded:
        files[SUPPLY] = str(supply_folder(fetcher.folder.parent, called))
    else:
        parts = by_role(row.files).items()
        files |= {role: str(_folder(several, fetcher, f"{called}-{role}")) for role, several in parts}
    task = row.task or of_report(row.report)
    known = {"kind": row.kind, "name": row.name, "files": files, "digest": row.digest, "task": task}
    return DatasetInput.model_validate(known | {"pixel_range": row.pixel_range, "box_format": row.box_format})


def _folder(files: Sequence[Mapping[str, Any]], fetcher: Fetcher, called: str) -> Path:
    """Several files of one role in a folder, whose names count them in their order."""
    folder = fetcher.folder / called
    folder.mkdir()
    for number, file in enumerate(files):
        name = re.sub(r"[^\w.-]", "_", PurePath(file["filename"]).stem, flags=re.ASCII)
        fetcher.get(file["object_key"], file["sha256"], f"{called}/{number:04}-{name}.{file['format']}")
    return folder


def supply_folder(job: Path, called: str) -> Path:
    """Where in a job's folder the shards of one of its datasets are given."""
    return job / "shards" / called


def manifest(row: Dataset, fetcher: Fetcher, called: str) -> list[Entry]:
    """What the shards of a dataset that stays where it lies are, as this worker or another one registered them."""
    file = row.files[MANIFEST]
    path = fetcher.get(file["object_key"], file["sha256"], f"{called}-{MANIFEST}.json")
    try:
        return shards.read(path.read_text())
    finally:
        path.unlink()


def known_curves(session: Session, job: Job) -> list[dict[str, Any]]:
    """Complete curves that probably are this job's, one a teacher at most: its own from an earlier attempt, or that of
    the same teacher and dataset with the same settings."""
    found = (_known_curve(session, job, teacher_id) for teacher_id in jobs.teacher_ids(session, job))
    return [curve for curve in found if curve is not None]


def _known_curve(session: Session, job: Job, teacher_id: str) -> dict[str, Any] | None:
    for config, digest in _like(session, job, teacher_id):
        same = all(config.get(name) == job.config.get(name) for name in CURVE_SETTINGS)
        found = jobs.cached_curve(session, job.tenant_id, digest) if same else None
        if found is not None:
            return found
    return None


def _like(session: Session, job: Job, teacher_id: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Configuration and digest of the curves of that teacher on the job's dataset, the newest first, its own last."""
    on = (Job.tenant_id == job.tenant_id, Job.dataset_id == job.dataset_id)
    order = (Job.id == job.id, Job.id.desc())
    alone = select(Job.config, Job.curve).where(*on, Job.teacher_id == teacher_id, Job.curve.is_not(None))
    beside = select(Job.config, JobTeacher.curve).join(JobTeacher, JobTeacher.job_id == Job.id)
    beside = beside.where(*on, JobTeacher.teacher_id == teacher_id, JobTeacher.curve.is_not(None))
    for query in (alone, beside):
        for config, curve in session.execute(query.order_by(*order).limit(20)):
            yield config, (curve or {}).get("digest", "")


def _teachers(rows: Sequence[Teacher], fetcher: Fetcher) -> TeacherInput | tuple[TeacherInput, ...] | None:
    """One stands alone, and is called nothing but the teacher."""
    called = labels([(row.id, row.name) for row in rows]) if len(rows) > 1 else [""] * len(rows)
    found = tuple(_teacher(row, label, i, fetcher) for i, (row, label) in enumerate(zip(rows, called, strict=True)))
    return found if len(found) > 1 else next(iter(found), None)


def _teacher(row: Teacher, label: str, position: int, fetcher: Fetcher) -> TeacherInput:
    architecture = Architecture.model_validate((row.report or {}).get("architecture") or row.architecture)
    file = "teacher" if not position else f"teacher-{position + 1}"
    name = f"{file}.zip" if container(architecture.name) == "folder" else f"{file}.safetensors"
    return TeacherInput(
        architecture=architecture,
        weights=str(fetcher.get(row.object_key, row.sha256, name)),
        num_classes=int((row.report or {})["num_classes"]),
        digest=row.sha256,
        preprocessing=_told(row),
        label=label,
    )


def _start(session: Session, reference: dict[str, Any] | None) -> Started | None:
    if reference is None:
        return None
    importance = reference.get("importance", "magnitude")
    return replace(_weights(session, reference), named=reference.get("map"), importance=importance)


def _weights(session: Session, reference: dict[str, Any]) -> Started:
    if "teacher" in reference:
        return _teachers_weights(session.get(Teacher, reference["teacher"]), reference["teacher"])
    job_id = reference["artifact"]["job_id"]
    job = session.get(Job, job_id)
    student = jobs.student(session, job_id)
    if job is None or student is None:
        raise InputGone(
            f"The student of {job_id}, which this job's student starts from, is gone.", "Start from other weights."
        )
    return Started(f"the student of {job_id}", job.student, student.object_key, student.sha256)


def _teachers_weights(row: Teacher | None, teacher_id: str) -> Started:
    if row is None or row.status != "ready":
        state = "gone" if row is None else row.status
        raise InputGone(
            f"Teacher {teacher_id}, which the student starts from, is {state}.", "Start from other weights."
        )
    architecture = (row.report or {}).get("architecture") or row.architecture
    return Started(f"teacher {row.id}", architecture, row.object_key, row.sha256, _told(row))


def _start_input(found: Started | None, fetcher: Fetcher) -> StartInput | None:
    if found is None:
        return None
    return StartInput(
        label=found.label,
        architecture=Architecture.model_validate(found.architecture),
        weights=str(fetcher.get(found.object_key, found.sha256, "start.safetensors")),
        preprocessing=found.preprocessing,
        digest=found.sha256,
        map=found.named,
        importance=found.importance,
    )


def _told(row: Teacher) -> TeacherPreprocessing | None:
    return None if row.preprocessing is None else TeacherPreprocessing.model_validate(row.preprocessing)


def _compared(session: Session, job: Job) -> tuple[Job, Artifact] | None:
    other = session.get(Job, job.compare_with) if job.compare_with else None
    student = jobs.student(session, other.id) if other else None
    return (other, student) if other is not None and student is not None and other.status == "succeeded" else None


def _comparison(inputs: Inputs, fetcher: Fetcher) -> ComparisonInput | None:
    if inputs.compared is None:
        if inputs.job.compare_with:
            fetcher.note("warning", f"{inputs.job.compare_with} has no finished student to compare with")
        return None
    return _finished(*inputs.compared, "comparison", fetcher)


def _finished(job: Job, student: Artifact, called: str, fetcher: Fetcher) -> ComparisonInput:
    """A finished job's student; `called`: how its file's name begins."""
    return ComparisonInput(
        label=job.name or jobs.trained_recipe(job),
        architecture=Architecture.model_validate(job.student),
        weights=str(fetcher.get(student.object_key, student.sha256, f"{called}{Path(student.name).suffix}")),
        recipe=jobs.trained_recipe(job),
        job_id=job.id,
        run=_run_of(job),
    )


def finished(session: Session, job_id: str) -> Exported:
    """Raises `InputGone`."""
    job, student = session.get(Job, job_id), jobs.student(session, job_id)
    report = jobs.artifact(session, job_id, "report.json")
    if job is None or student is None or report is None:
        raise InputGone(f"The student's files of {job_id} are gone.", "Train the student again.")
    return Exported(job, student, report)


def teachers_of(session: Session, job: Job) -> list[Teacher]:
    """All of a finished job's teachers, in their order. Raises `InputGone` where one was deleted."""
    rows = [session.get(Teacher, teacher_id) for teacher_id in jobs.teacher_ids(session, job)]
    there = [row for row in rows if row is not None]
    if len(there) < len(rows):
        raise InputGone(f"A teacher of {job.id} is gone.", "Ask the student alone.")
    return there


def teacher_inputs(rows: Sequence[Teacher], fetcher: Fetcher) -> tuple[TeacherInput, ...]:
    """The teachers as a run sees them, fetched."""
    found = _teachers(rows, fetcher)
    return () if found is None else found if isinstance(found, tuple) else (found,)


def _export(inputs: Inputs, fetcher: Fetcher) -> ExportInput | None:
    found = inputs.exported
    if found is None:
        return None
    return ExportInput(
        requests=(ExportRequest.model_validate(inputs.job.export),),
        student=_finished(found.job, found.student, "student", fetcher),
        report=str(fetcher.get(found.report.object_key, found.report.sha256, "report.json")),
    )


def _run_of(job: Job) -> TrainedRun | None:
    """How a finished job's student was trained, from its result; None where an older release wrote too little."""
    result, resolved = job.result or {}, job.resolved or {}
    try:
        return TrainedRun(
            student=Architecture.model_validate(result["student"]["architecture"]),
            steps=result["training"]["steps"],
            configuration=resolved["config"],
            head_fitted=bool((result["training"].get("head") or {}).get("fitted")),
            teacher=result.get("digests", {}).get("teacher", ""),
            start=result.get("digests", {}).get("start", ""),
        )
    except (KeyError, TypeError, ValueError):  # pydantic's error is a ValueError
        return None


def _suffixes(file: dict[str, Any]) -> str:
    """`.tar` of `datasets/dst_1/all.tar`: readers go by it. An upload's key has none; its format is known otherwise."""
    return f".{file['format']}" if "format" in file else "".join(Path(file["object_key"]).suffixes)
