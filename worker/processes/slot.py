"""What one slot of a worker gives its trainer: devices, threads and a user."""

from __future__ import annotations

import os
from dataclasses import dataclass

from store.settings import Settings
from worker.errors import TooFewDevices
from worker.isolation import users
from worker.isolation.users import User
from worker.processes import gpus

THREADS = "OMP_NUM_THREADS"


@dataclass(frozen=True, slots=True)
class Slot:
    """`gpus`: of this slot alone while there are enough of them; () where the machine has none. `devices`: how many
    processes a job may have here; without GPUs each has an equal share of `cores`. `threads_given`: whether the
    operator says by OMP_NUM_THREADS how many threads a process has. `alone`: whether the worker has no other slot."""

    devices: int = 1
    gpus: tuple[str, ...] = ()
    cores: int = 1
    threads_given: bool = False
    alone: bool = True
    user: User | None = None

    @classmethod
    def of(cls, settings: Settings, number: int) -> Slot:
        """The worker's slot of this number, from 0."""
        return cls(
            devices=settings.devices_per_slot,
            gpus=gpus.of_slot(number, gpus.visible(), settings.devices_per_slot),
            cores=max(1, len(os.sched_getaffinity(0)) // settings.slots),
            threads_given=THREADS in os.environ,
            alone=settings.slots == 1,
            user=users.trainer(settings, number),
        )

    def processes(self, asked: int, batch_size: int) -> int:
        """Of a job that asked for so many; 0: as many as there are devices, and as share its batches equally."""
        return asked or max(n for n in range(1, self.devices + 1) if batch_size % n == 0)

    def environment(self, processes: int = 1) -> dict[str, str]:
        """A GPU for each process where there are any, and the cores shared evenly unless the operator set a number. A
        single process that has the machine to itself looks for itself at how many cores are free."""
        seen = {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus[:processes])} if self.gpus else {}
        if not self.threads_given and (processes > 1 or not self.alone):
            seen[THREADS] = str(max(1, self.cores // processes))
        return seen


def demanded(settings: Settings) -> None:
    """Raise `TooFewDevices` where a worker with these settings must not start: a slot would own a GPU twice."""
    there = gpus.visible()
    if there and settings.devices_per_slot > len(there):
        raise TooFewDevices(
            f"RETORT_DEVICES_PER_SLOT is {settings.devices_per_slot}, but this machine shows {len(there)} GPUs.",
            "Set it to their number at most, or show more of them by CUDA_VISIBLE_DEVICES.",
            {"devices_per_slot": settings.devices_per_slot, "gpus": len(there)},
        )
