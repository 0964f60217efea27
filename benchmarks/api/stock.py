"""A database as it is after some months: 10,000 jobs with their history."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from distill.types import DistillConfig
from store.database import Database
from store.ids import new_id
from store.repositories import system, tenants
from store.tables import Artifact, Dataset, Job, JobEvent, Metric, Teacher

#: Of every hundred jobs.
MIX = {"succeeded": 85, "failed": 7, "cancelled": 3, "queued": 5}
EVENTS, METRICS = 12, 6


def fill(database: Database, jobs: int) -> dict[str, list[str]]:
    """Insert them; ids by kind, jobs also by status."""
    with database.write() as session:
        tenants.ensure_default(session)
        system.publish(session, "architecture", [{"name": "retort:resnet8", "library": "retort"}])
        system.publish(session, "dataset", [{"name": "digits", "classes": 10}])
        teacher, dataset = new_id("tch"), new_id("dst")
        session.add(_teacher(teacher))
        session.add(_dataset(dataset))
        session.flush()
        ids = {"teacher": [teacher], "dataset": [dataset], "job": []}
        statuses = [status for status, count in MIX.items() for _ in range(count)]
        for start in range(0, jobs, 1000):
            rows = [_job(statuses[n % 100], teacher, dataset) for n in range(start, min(start + 1000, jobs))]
            session.execute(insert(Job), rows)
            session.execute(insert(JobEvent), [event for row in rows for event in _events(row)])
            session.execute(insert(Metric), [metric for row in rows for metric in _metrics(row)])
            session.execute(insert(Artifact), [_artifact(row) for row in rows if row["status"] == "succeeded"])
            for row in rows:
                ids["job"].append(row["id"])
                ids.setdefault(row["status"], []).append(row["id"])
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    return ids


def _job(status: str, teacher: str, dataset: str) -> dict[str, Any]:
    config = DistillConfig.model_validate({"recipe": "feature_only"}).model_dump(mode="json")
    done = status == "succeeded"
    return {
        "id": new_id("job"),
        "tenant_id": tenants.DEFAULT_TENANT,
        "name": f"job of {status}",
        "labels": {"team": "vision"},
        "status": status,
        "recipe": "feature_only",
        "config": config,
        "resolved": {"config": config, "reasons": {"epochs": "as given"}} if done else None,
        "student": {"name": "retort:resnet8", "options": {}},
        "teacher_id": teacher,
        "dataset_id": dataset,
        "result": {"student": {"accuracy": 0.93}, "teacher": {"accuracy": 0.95}} if done else None,
        "event_seq": EVENTS,
    }


def _events(row: dict[str, Any]) -> list[dict[str, Any]]:
    data = {"name": "layer4.1", "quality": 2.5, "shape": [512, 7, 7], "index": 3}
    return [{"job_id": row["id"], "seq": seq, "kind": "layer_quality", "data": data} for seq in range(1, EVENTS + 1)]


def _metrics(row: dict[str, Any]) -> list[dict[str, Any]]:
    values = {"loss": 0.5, "accuracy": 0.9}
    return [
        {"job_id": row["id"], "split": "train", "step": step, "epoch": 1.0, "values": values} for step in range(METRICS)
    ]


def _artifact(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "job_id": row["id"],
        "name": "student.safetensors",
        "media_type": "application/octet-stream",
        "object_key": f"jobs/{row['id']}/artifacts/student.safetensors",
        "size_bytes": 10_000_000,
        "sha256": "0" * 64,
    }


def _teacher(teacher_id: str) -> Teacher:
    return Teacher(
        id=teacher_id,
        tenant_id=tenants.DEFAULT_TENANT,
        name="t",
        status="ready",
        architecture={"name": "retort:resnet8", "options": {}},
        object_key="teachers/none",
        size_bytes=10,
        sha256="0" * 64,
        report={"num_classes": 10},
    )


def _dataset(dataset_id: str) -> Dataset:
    return Dataset(
        id=dataset_id,
        tenant_id=tenants.DEFAULT_TENANT,
        name="digits",
        kind="named",
        status="ready",
        report={"classes": 10},
    )
