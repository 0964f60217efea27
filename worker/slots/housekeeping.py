"""A worker's regular duties: report that it lives, take over jobs of dead workers, wake slots, sweep scratch."""

from __future__ import annotations

import logging
import os
import platform
import socket
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from sqlalchemy.orm import Session

from distill import exports
from store import expiry
from store.database import Database
from store.objects import ObjectStore, StorageUnavailable
from store.repositories import leases, predictions, system
from store.settings import Settings
from store.tables import Worker
from worker.cluster.view import ClusterView
from worker.isolation import users
from worker.isolation.required import survey
from worker.processes import gpus, scratch

log = logging.getLogger(__name__)
FORGOTTEN_SECONDS = 3600.0


class Housekeeping:
    """`round()` does all of it once; every worker does it, and the database lets only one succeed."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        objects: ObjectStore,
        worker_id: str,
        wake: Callable[[], None],
        cluster: ClusterView | None = None,
    ) -> None:
        self._settings, self._database, self._objects = settings, database, objects
        self._worker_id, self._wake = worker_id, wake
        self._cluster = cluster or ClusterView(settings)

    @cached_property
    def lacked_exports(self) -> dict[str, dict[str, Any]]:
        """What is missing for a format that cannot be written here, by the format; as the worker started."""
        return exports.lacking()

    def round(self) -> None:
        """Raises one of `store.database.AWAY`."""
        self.beat()
        self.tell_of_cluster()
        self.expire()
        self.look()
        with self._database.write() as session:
            predictions.sweep(session)
        self._database.forget()
        scratch.sweep(self._settings.scratch)
        self._sweep_shared()
        for upload_id in expiry.sweep(self._database, self._objects):
            log.info("%s expired and is removed", upload_id)

    def beat(self) -> None:
        """Note that we are alive, and forget workers that have not been for an hour."""
        with self._database.write() as session:
            if not system.beat(session, self._worker_id):
                system.register_worker(session, self._row())
            system.forget_workers(session, FORGOTTEN_SECONDS)

    def tell_of_cluster(self) -> None:
        """Note what the worker's cluster has now, for who asks for hosts."""
        with self._database.write() as session:
            system.note_cluster(session, self._worker_id, self._cluster.said)

    def _sweep_shared(self) -> None:
        """Remove what workers that are forgotten left in the folder that a cluster shares. Their numbers of processes
        say nothing here, and their jobs are others' by now."""
        root = self._settings.ray_shared_dir
        if root is None or not root.is_dir():
            return
        with self._database.read() as session:
            known = {worker.id for worker in system.live_workers(session, FORGOTTEN_SECONDS)}
        for path in root.glob("wrk_*"):
            silent_seconds = time.time() - path.stat().st_mtime
            if path.name not in known and silent_seconds > FORGOTTEN_SECONDS:
                log.warning("removing %s, left by a worker that is gone", path)
                users.remove(path)

    def expire(self) -> None:
        """Take jobs from holders that have been silent for longer than their lease."""
        with self._database.read() as session:
            lost = leases.expired(session)
        for job_id in lost:
            with self._database.write() as session:
                status = leases.expire(session, job_id, self._settings.retry_back_off_seconds)
            if status is not None:
                log.warning("%s was lost by its worker and is %s now", job_id, status)
            if status == "cancelled":
                self._drop_objects(job_id)

    def _drop_objects(self, job_id: str) -> None:
        with suppress(StorageUnavailable):  # then they are orphans, for later
            for key in list(self._objects.keys(f"jobs/{job_id}/")):
                self._objects.delete(key)

    def look(self) -> None:
        """Wake the slots when work waits that nobody rang for."""
        with self._database.read() as session:
            waiting = _work_waits(session, self._settings, self._cluster.hosts, self.lacked_exports)
        if waiting:
            self._wake()

    def leave(self) -> None:
        with self._database.write() as session:
            system.remove_worker(session, self._worker_id)

    def _row(self) -> Worker:
        held = survey(self._settings)
        isolation = {"complete": held.complete, "trainers": held.summary(), "problems": list(held.problems),
                     "other_user": held.other_user}  # fmt: skip
        info = {"gpus": gpus.visible(), "cpus": len(os.sched_getaffinity(0)), "python": platform.python_version()}
        info["predictors"] = self._settings.predictors
        info["devices_per_slot"] = self._settings.devices_per_slot
        info["lacked_exports"] = self.lacked_exports
        info["isolation"] = isolation
        info["cluster"] = self._cluster.said
        return Worker(
            id=self._worker_id,
            hostname=socket.gethostname(),
            pid=os.getpid(),
            slots=self._settings.slots,
            info=info,
        )


def _work_waits(session: Session, settings: Settings, hosts: Sequence[int], lacked: Collection[str]) -> bool:
    from store.repositories import parts, resources
    from store.tables import Dataset, Teacher

    return bool(
        leases.any_queued(session, settings.max_running_jobs, settings.devices_per_slot, hosts, lacked)
        or resources.waiting(session, Teacher, limit=1)
        or resources.waiting(session, Dataset, limit=1)
        or parts.waiting(session, limit=1)
    )
