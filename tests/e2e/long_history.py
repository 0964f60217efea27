"""Write a finished job with a hundred thousand training metrics into a service's database, for the chart's sake.

Usage: RETORT_DATA_DIR=... python tests/e2e/long_history.py [STEPS]; prints the job's id.
"""

from __future__ import annotations

import math
import sys
from typing import Any

from sqlalchemy import insert, select

from store.database import Database
from store.ids import new_id
from store.repositories import jobs
from store.settings import Settings
from store.tables import Dataset, Job, JobEvent, Metric

STEPS = 100_000


def values(step: int, steps: int) -> dict[str, float]:
    """A plausible course: falling loss with noise, one cycle of the learning rate."""
    noise = math.sin(step * 12.9898) * 0.08
    loss = 0.3 + 2 * math.exp(-4 * step / steps) + noise
    rate = 0.0075 * math.sin(math.pi * step / steps)
    return {"loss": loss, "feature": 0.6 * loss, "accuracy": 1 - loss / 3, "learning_rate": rate}


def rows(job_id: str, steps: int) -> list[dict[str, Any]]:
    return [
        {"job_id": job_id, "split": "train", "step": step, "epoch": step / 400, "values": values(step, steps)}
        for step in range(1, steps + 1)
    ]


def main(steps: int) -> str:
    database = Database(Settings().resolved_database_url)
    with database.write() as session:
        dataset = session.scalars(select(Dataset)).first()
        if dataset is None:
            raise SystemExit("Register a dataset with the service first.")
        job = Job(
            id=new_id("job"), tenant_id=dataset.tenant_id, name="a hundred thousand steps", recipe="cross_entropy",
            config={"recipe": "cross_entropy"}, student={"name": "retort:resnet8", "options": {}},
            dataset_id=dataset.id, status="queued", attempt=1,
        )  # fmt: skip
        jobs.add(session, job)
        metrics = rows(job.id, steps)
        session.execute(insert(Metric), metrics)
        events = [
            {"job_id": job.id, "seq": seq, "kind": "metrics", "data": {k: v for k, v in row.items() if k != "job_id"}}
            for seq, row in enumerate(metrics, start=2)
        ]
        session.execute(insert(JobEvent), events)
        session.refresh(job)
        job.event_seq = steps + 1
        jobs.move(session, job, "cancelled")
        return job.id


if __name__ == "__main__":
    sys.stdout.write(main(int(sys.argv[1]) if len(sys.argv) > 1 else STEPS) + "\n")
