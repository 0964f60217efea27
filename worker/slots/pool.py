"""The slots of one worker: threads that claim jobs from the database and supervise them, woken by a doorbell."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from store.database import AWAY, Database
from store.doorbell import InProcessDoorbell
from store.ids import new_id
from store.objects import ObjectStore
from store.repositories import jobs, leases
from store.repositories.leases import Lease
from store.repositories.shares import Lane
from store.settings import Settings
from worker.cluster.attempt import ClusterAttempt
from worker.cluster.view import ClusterView
from worker.inspecting import catalogue, costs, process
from worker.inspecting.inspections import Inspections
from worker.inspecting.keeping import Leaving
from worker.jobs import supervisor
from worker.jobs.publication import PublicationAttempt
from worker.jobs.supervisor import Supervisor
from worker.predicting.seats import Seat, Seats
from worker.processes import gpus, scratch
from worker.processes.slot import Slot
from worker.slots.housekeeping import Housekeeping
from worker.slots.tidier import Tidier
from worker.studies.runner import Studies
from worker.webhooks.deliverer import Deliverer

log = logging.getLogger(__name__)
AWAY_SECONDS = 2.0
LIVE_PER_SLOT = 2  # jobs that run are followed side by side; what more there is, is told when its turn comes
CORES_A_READER, MOST_READERS = 4, 8  # the rest is the trainers'
STUDY_SECONDS = 1.0  # between looks at studies that go on: what other workers' trials do rings no bell here


class SlotPool:
    """`settings.slots` trainers side by side, beside them one inspection, readers of streamed data, predictors,
    studies, and housekeeping.

    `doorbell`: rung from outside (the API in the same process); otherwise call `wake`. The database decides, so a
    ring that is lost costs at most `sweep_seconds`.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        objects: ObjectStore,
        doorbell: InProcessDoorbell | None = None,
        trainer: Sequence[str] = supervisor.COMMAND,
        inspector: Sequence[str] = process.COMMAND,
    ) -> None:
        self.worker_id = new_id("wrk")
        self._settings, self._database, self._bell = settings, database, doorbell or InProcessDoorbell()
        self._inspector = inspector
        self._leaving, self.catalogue_tried = threading.Event(), threading.Event()
        self._supervisor = Supervisor(settings, database, objects, self._leaving, trainer, wide=ClusterAttempt)
        self._publisher = Supervisor(settings, database, objects, self._leaving, attempt=PublicationAttempt)
        inspections = partial(Inspections, settings, database, objects, self.worker_id, self._leaving, inspector)
        self._inspections = inspections(streamed=False)
        streams = inspections(streamed=True, wake=self.wake)
        self._cluster = ClusterView(settings, self._leaving, self._tell_of_cluster)
        self._housekeeping = Housekeeping(settings, database, objects, self.worker_id, self.wake, self._cluster)
        self._studies = Studies(settings, database, self.wake)
        self._tidier = Tidier(settings, database, objects, self._leaving)
        seats = Seats(settings, database, objects, self.worker_id, self._leaving)
        self._threads = [
            threading.Thread(target=self._keep_house, name="housekeeping"),
            threading.Thread(target=self._cluster.run, name="cluster"),
            threading.Thread(target=self._publish, name="catalogue"),
            threading.Thread(target=self._pass_on_rings, name="bell"),
            threading.Thread(target=Deliverer(settings, database, self._leaving).run, name="webhooks"),
            threading.Thread(target=self._loop, args=(self._inspect_next, self._sweep), name="inspections"),
            *(self._reader_thread(streams, number) for number in range(_readers(settings))),
            threading.Thread(target=self._loop, args=(self._publish_next, self._until_due), name="publications"),
            threading.Thread(target=self._loop, args=(self._studies.run_due, self._until_step), name="studies"),
            *(self._live_thread(number) for number in range(LIVE_PER_SLOT * settings.slots)),
            *(self._slot_thread(slot) for slot in range(settings.slots)),
            *(self._seat_thread(seat) for seat in seats.all()),
        ]

    def _slot_thread(self, slot: int) -> threading.Thread:
        return threading.Thread(target=self._loop, args=(self._slot(slot), self._until_due), name=f"slot-{slot}")

    def _reader_thread(self, streams: Inspections, number: int) -> threading.Thread:
        return threading.Thread(target=self._loop, args=(streams.run_next, self._sweep), name=f"streams-{number}")

    def _live_thread(self, number: int) -> threading.Thread:
        return threading.Thread(target=self._loop, args=(self._follow_next, self._until_due), name=f"live-{number}")

    def _seat_thread(self, seat: Seat) -> threading.Thread:
        def sit() -> None:
            try:
                self._loop(seat.run_next, seat.wait_seconds)
            finally:
                seat.leave()

        return threading.Thread(target=sit, name="predictor")

    def start(self) -> None:
        """Remove what an earlier worker on this scratch folder left, and begin. Returns at once."""
        scratch.sweep(self._settings.scratch)
        gpus.make_devices()
        for thread in self._threads:
            thread.start()
        self._tidier.start()

    def wake(self) -> None:
        """Look at the database now. Cheap, from any thread, any number of times."""
        self._bell.ring("job", "")

    def shutdown(self, handover: bool = True) -> None:
        """End, leaving nothing running. With `handover`, trainers may write a checkpoint first (for up to
        `cancel_grace_seconds`), and their jobs queue again; without, they are killed and continue from the last one."""
        self._supervisor.patient = self._publisher.patient = handover
        self._leaving.set()
        self.wake()
        self._cluster.stop()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._tidier.join()
        try:
            self._housekeeping.leave()
        except AWAY as error:
            log.warning("could not sign off (%s)", error)

    # ---- threads

    def _loop(self, work: Callable[[], bool], wait_seconds: Callable[[], float]) -> None:
        """Work until there is none, then wait for a ring."""
        while not self._leaving.is_set():
            seen = self._bell.rings
            try:
                if not work():
                    self._bell.wait(seen, wait_seconds())
            except AWAY as error:
                log.warning("the database is away (%s)", str(error).partition("\n")[0])
                self._leaving.wait(AWAY_SECONDS)
            except Exception:
                log.exception("unexpected; going on")
                self._leaving.wait(AWAY_SECONDS)

    def _inspect_next(self) -> bool:
        """Inputs first: somebody waits for them with a file in hand."""
        if self._inspections.run_next():
            return True
        try:
            return costs.answer_next(self._settings, self._database, self._check_leaving, self._inspector)
        except Leaving:
            return False

    def _slot(self, slot: int) -> Callable[[], bool]:
        place = Slot.of(self._settings, slot)

        def run_next() -> bool:
            if not self._run_next(self._supervisor, place, f"slot {slot}"):
                return False
            self.wake()  # it may be a trial that a study waits for, or have publications
            return True

        return run_next

    def _publish_next(self) -> bool:
        """Beside the slots: a publication waits for the network and computes nothing."""
        return self._run_next(self._publisher, Slot(), "the lane of publications", "publications")

    def _follow_next(self) -> bool:
        """Beside the job that it tells of."""
        if not self._run_next(self._publisher, Slot(), "a lane of publications of jobs that run", "live"):
            return False
        self.wake()  # its job has ended: the lane of publications is to hand over the student
        return True

    def _run_next(self, supervisor: Supervisor, place: Slot, where: str, lane: Lane = "slots") -> bool:
        lease = self._claim(lane)
        if lease is None:
            return False
        if lane == "slots":
            self._wake_followers(lease)
        log.info("%s attempt %d starts in %s", lease.job_id, lease.attempt, where)
        status = supervisor.supervise(lease, place)
        log.info("%s attempt %d ended: the job is %s", lease.job_id, lease.attempt, status or "another worker's")
        return True

    def _wake_followers(self, lease: Lease) -> None:
        with suppress(*AWAY), self._database.read() as session:
            if jobs.publications(session, lease.job_id):
                self.wake()

    def _claim(self, lane: Lane) -> Lease | None:
        most, processes = self._settings.max_running_jobs, self._settings.devices_per_slot
        with self._database.read() as session:
            candidates = leases.queued(
                session, max_running=most, processes=processes, lane=lane, hosts=self._cluster.hosts,
                lacked=self._housekeeping.lacked_exports,
            )  # fmt: skip
        for job_id in candidates:
            with self._database.write() as session:
                lease = leases.claim(session, job_id, self.worker_id, self._settings.lease_seconds, most)
            if lease is not None:
                return lease
        return None

    def _sweep(self) -> float:
        return self._settings.sweep_seconds

    def _until_step(self) -> float:
        return min(STUDY_SECONDS, self._sweep()) if self._studies.busy else self._sweep()

    def _until_due(self) -> float:
        """A job that waits out its back-off rings no bell."""
        with self._database.read() as session:
            due = leases.next_due(session)
        return self._sweep() if due is None else min(self._sweep(), due + 0.01)

    def _tell_of_cluster(self) -> None:
        """What it has may be what a job waits for."""
        with suppress(*AWAY):
            self._housekeeping.tell_of_cluster()
        self.wake()

    def _keep_house(self) -> None:
        pause = min(self._settings.renew_seconds, self._settings.sweep_seconds)
        while not self._leaving.is_set():
            started = time.monotonic()
            self._show_life()
            try:
                self._housekeeping.round()
            except AWAY as error:
                log.warning("no housekeeping, the database is away (%s)", str(error).partition("\n")[0])
            except Exception:
                log.exception("housekeeping failed")
            self._leaving.wait(max(0.1, pause - (time.monotonic() - started)))

    def _show_life(self) -> None:
        if self._settings.alive_file is not None:
            with suppress(OSError):  # whoever looks at the file then says that we do not live
                self._settings.alive_file.touch()

    def _pass_on_rings(self) -> None:
        """A ring may be about a job that runs: a cancel, a stop."""
        while not self._leaving.is_set():
            seen = self._bell.rings
            self._supervisor.poke()
            self._publisher.poke()
            self._bell.wait(seen, self._sweep())

    def _publish(self) -> None:
        while not self._leaving.is_set():
            try:
                catalogue.publish(self._settings, self._database, self._check_leaving, self._inspector)
                break
            except Leaving:
                break
            except AWAY:
                self._leaving.wait(AWAY_SECONDS)
            except Exception:
                log.exception("the catalogue could not be published")
                break
        self.catalogue_tried.set()

    def _check_leaving(self) -> None:
        if self._leaving.is_set():
            raise Leaving


def _readers(settings: Settings) -> int:
    """How many parts of streamed datasets this worker reads side by side."""
    return settings.shard_readers or min(MOST_READERS, max(1, len(os.sched_getaffinity(0)) // CORES_A_READER))
