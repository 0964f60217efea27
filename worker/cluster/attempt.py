"""An attempt whose trainer runs on several hosts of a cluster."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from store.repositories.leases import Lease
from store.settings import Settings
from store.tables import Job
from worker.cluster import driver
from worker.cluster.team import END_SECONDS
from worker.jobs.supervisor import Attempt
from worker.processes.environment import cluster_environment
from worker.processes.process import TrainerProcess
from worker.transfer.supplier import Store

log = logging.getLogger(__name__)
COMMAND = (sys.executable, "-m", "worker.cluster.driver")
CLEAR = (sys.executable, "-m", "worker.cluster.clear")
CLEAR_SECONDS = 90.0


class ClusterAttempt(Attempt):
    """The attempt of a job on several hosts: claimed, watched, cancelled and ended as that of one trainer is. All hosts
    share its folder; it takes the worker's slot, and none of its devices."""

    command: Sequence[str] = COMMAND

    @staticmethod
    def root(settings: Settings, lease: Lease) -> Path:
        assert settings.ray_shared_dir is not None
        return settings.ray_shared_dir / lease.worker_id

    def _shards(self) -> Store:
        return Store.of_cluster(self._boss.settings, self._holding.lease.worker_id)

    def _settle_processes(self, job: Job) -> None:
        self._processes = job.processes
        each = f"{job.processes // job.hosts} processes on each of {job.hosts} hosts of the cluster train this job"
        self._journal.note("info", f"{each}, each a share of every batch of {job.config['batch_size']}")

    def _start(self) -> TrainerProcess:
        hosts = self._holding.lease.hosts
        command = (*self.command, str(hosts), str(self._processes // hosts))
        environment = cluster_environment(self._boss.settings)
        return TrainerProcess(command, self._folder, environment, patience_seconds=END_SECONDS)

    def _end_trainer(self, grace_seconds: float) -> None:
        super()._end_trainer(grace_seconds)
        if self._process is not None and self._process.exit_code not in (None, 0, 1, driver.ENDED):
            self._clear()

    def _clear(self) -> None:
        """The driver was killed: Ray ends what it had, and this waits for it."""
        command: list[Any] = [*CLEAR, str(self._holding.lease.hosts), str(self._folder)]
        try:
            subprocess.run(
                command, env=cluster_environment(self._boss.settings), check=True, timeout=CLEAR_SECONDS,
                capture_output=True,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            log.error("%s may have left actors in the cluster: %s", self._holding.lease.job_id, error)
