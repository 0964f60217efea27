"""One attempt of one job, from its claim to its end (docs/execution.md)."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from distill.errors import RetortError
from distill.types import Event
from store import logs, tracing
from store.database import AWAY, Database
from store.objects import ObjectStore, StorageUnavailable
from store.repositories import leases, recording
from store.repositories.leases import Ending, Lease, LeaseLost
from store.settings import Settings
from store.states import Status
from store.tables import Job
from worker.isolation import users
from worker.jobs import endings
from worker.jobs.curves import CurveCollector
from worker.jobs.endings import CANCELLED, HANDED_OVER, SUCCEEDED, Interrupted
from worker.jobs.exits import SMALLER_BATCHES, completed, explain_exit
from worker.jobs.holding import Holding
from worker.jobs.journal import Journal
from worker.jobs.limits import Runtime
from worker.jobs.memory import MemoryGauge
from worker.jobs.supplied import suppliers_of
from worker.jobs.trainer import SPEC, WRITABLE
from worker.jobs.uploading import CheckpointUploader, own_file, upload_artifact
from worker.processes import scratch
from worker.processes.environment import child_environment
from worker.processes.process import TrainerProcess
from worker.processes.slot import Slot
from worker.transfer import inputs, tally
from worker.transfer.fetching import Fetcher
from worker.transfer.supplier import Store, Supplier
from worker.transfer.tally import Tally

log = logging.getLogger(__name__)
COMMAND = (sys.executable, "-m", "worker.jobs.trainer")
GROUP_COMMAND = (sys.executable, "-m", "worker.jobs.group")
TICK_SECONDS, DRAIN_SECONDS = 0.1, 5.0


class Supervisor:
    """Runs claimed jobs. `leaving` is set when the worker shuts down: jobs are handed over then."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        objects: ObjectStore,
        leaving: threading.Event | None = None,
        command: Sequence[str] = COMMAND,
        group_command: Sequence[str] = GROUP_COMMAND,
        attempt: type[Attempt] | None = None,
        wide: type[Attempt] | None = None,
    ) -> None:
        """`command`: starts a trainer; `group_command`: one of several processes, whose number follows. `attempt`:
        what an attempt is where it is not training; `wide`: where the job is on several hosts."""
        self.settings, self.database, self.objects = settings, database, objects
        self._kind = attempt or Attempt
        self._wide = wide or self._kind
        self.command, self.group_command = command, group_command
        self.leaving = leaving or threading.Event()
        self.patient = True  # while leaving: let trainers write a checkpoint first
        self.holdings: dict[str, Holding] = {}

    def supervise(self, lease: Lease, slot: Slot | None = None) -> Status | None:
        """Bring the attempt to its end and return the job's new status; None when the lease was lost. When this
        returns, nothing of the attempt runs any more and its scratch folder is gone. `slot`: where it runs."""
        ids = {"job_id": lease.job_id, "attempt": lease.attempt, "request_id": lease.request_id}
        facts = {"job_id": lease.job_id, "attempt": lease.attempt, "worker_id": lease.worker_id}
        with logs.bound(**ids), tracing.span("attempt", "consumer", lease.traceparent, **facts) as span:
            status = self._supervise(lease, slot or Slot())
            span.note(job_status=status or "lease lost")
        return status

    def _supervise(self, lease: Lease, slot: Slot) -> Status | None:
        status = None
        try:
            with Holding(self.settings, self.database, lease) as holding:
                self.holdings[lease.job_id] = holding
                ending = self._attempt(holding, slot)
                status = holding.write(lambda session: leases.settle(session, lease, ending))
        except LeaseLost:
            log.warning("%s attempt %d: the lease is lost; nothing more is written", lease.job_id, lease.attempt)
        finally:
            self.holdings.pop(lease.job_id, None)
        if status == "cancelled":
            self._drop_objects(lease.job_id)
        return status

    def _attempt(self, holding: Holding, slot: Slot) -> Ending:
        lease = holding.lease
        try:
            kind = self._kind if lease.hosts == 1 else self._wide
            with scratch.folder(kind.root(self.settings, lease), lease.job_id, lease.attempt) as folder:
                return kind(self, holding, folder, slot).run()
        except OSError as error:  # no folder, no attempt: a full disk, most likely
            log.exception("%s attempt %d has no scratch folder", lease.job_id, lease.attempt)
            return endings.failed(endings.explain_break(error).to_dict(), self.settings.retry_back_off_seconds)

    def poke(self) -> None:
        """Somebody rang: look for requests now."""
        for holding in list(self.holdings.values()):
            holding.poke()

    def _drop_objects(self, job_id: str) -> None:
        with suppress(StorageUnavailable):  # housekeeping of orphaned objects is another day's work
            for key in list(self.objects.keys(f"jobs/{job_id}/")):
                self.objects.delete(key)


class Attempt:
    """The attempt's own state: its trainer, its journal, what it has made so far."""

    who: ClassVar[str] = "The trainer"  # its process, as the subject of an error
    relief: ClassVar[str] = SMALLER_BATCHES  # what helps where memory ran out

    def __init__(self, boss: Supervisor, holding: Holding, folder: Path, slot: Slot) -> None:
        self._boss, self._holding, self._folder, self._slot, self._processes = boss, holding, folder, slot, 1
        self._journal, self._curve = Journal(holding), CurveCollector()
        self._artifacts: dict[str, dict[str, Any]] = {}
        self._failure: dict[str, Any] | None = None
        self._done, self._ordered_at, self._tenant_id, self._phase = False, 0.0, "", "fetching"
        self._runtime, self._memory = Runtime(0, 0), MemoryGauge(0)
        self._process: TrainerProcess | None = None
        self._suppliers: list[Supplier] = []
        self._tally, self._crowded = Tally(boss.settings.shard_cache_bytes), 0

    @staticmethod
    def root(settings: Settings, lease: Lease) -> Path:
        """Where its folder is made."""
        return settings.scratch

    def run(self) -> Ending:
        """Raises `LeaseLost`; every other way to end is an `Ending`."""
        try:
            ending = self._steps()
        except Interrupted as interrupt:
            ending = interrupt.ending
        except LeaseLost:
            self._end_trainer(0)
            raise
        except Exception as error:
            ending = self._broken(error)
        self._end_trainer(0)
        self._note_crowding()
        if (count := self._tally.count).fetched:
            self._journal.note("info", tally.summary(count))
        self._note_tail(ending)
        self._journal.flush()
        return self._with_facts(ending)

    def _steps(self) -> Ending:
        self._journal.add(Event("phase", {"phase": "fetching"}))
        self._fetch()
        self._watch()
        if self._done:
            self._upload()
            return SUCCEEDED
        return self._undone()

    # ---- fetching

    def _fetch(self) -> None:
        self._check()
        with self._boss.database.read() as session:
            needed = inputs.read(session, self._holding.lease.job_id)
            used = leases.used_seconds(session, self._holding.lease)
        self._runtime = Runtime.of(self._boss.settings, needed.job.max_runtime_seconds, used)
        self._tenant_id = needed.job.tenant_id
        self._settle_processes(needed.job)
        folder = self._folder / "inputs"
        folder.mkdir()
        fetcher = Fetcher(self._boss.objects, folder, self._check, self._note_now)
        spec = inputs.fetch_all(needed, fetcher)
        self._suppliers = suppliers_of(
            self._boss.settings, self._boss.objects, needed, fetcher, self._shards(), self._tally
        )
        (self._folder / SPEC).write_text(spec.model_dump_json())

    def _shards(self) -> Store:
        """Where shards are kept that stay elsewhere."""
        return Store.of_machine(self._boss.settings)

    def _settle_processes(self, job: Job) -> None:
        devices, batch_size = self._slot.devices, job.config["batch_size"]
        self._processes = self._slot.processes(job.processes, batch_size)
        if job.processes != 1:
            why = f"{self._processes} of this slot's {devices} devices train this job, each a share of every batch"
            self._journal.note("info", f"{why} of {batch_size}")

    # ---- the trainer

    def _watch(self) -> None:
        self._check()
        self._process = process = self._start()
        self._memory = MemoryGauge(process.pid)
        journal = self._journal
        uploader = CheckpointUploader(self._boss.objects, self._holding, self._folder, lambda: journal.written)
        try:
            while not process.exited() and not self._lingers():
                self._take_events(process, uploader, TICK_SECONDS)
                self._journal.flush_if_due()
                self._obey(process)
                self._keep_time(process)
                self._note_memory()
                self._note_crowding()
            process.end(0)
            self._take_the_rest(process, uploader)
            if not self._done:
                self._journal.flush()
                uploader.drain(self._boss.settings.cancel_grace_seconds)
        finally:
            uploader.close()

    def _start(self) -> TrainerProcess:
        environment = child_environment(self._boss.settings, self._slot.environment(self._processes))
        users.grant(self._folder, self._slot.user, WRITABLE)
        return TrainerProcess(self._command(), self._folder, environment, self._slot.user)

    def _command(self) -> Sequence[str]:
        return self._boss.command if self._processes == 1 else (*self._boss.group_command, str(self._processes))

    def _take_events(self, process: TrainerProcess, uploader: CheckpointUploader, seconds: float) -> None:
        """What comes within `seconds`, and no longer, so that a trainer that never stops talking hides neither orders
        nor the clock; nothing while the journal is full."""
        end = time.monotonic() + seconds
        with suppress(queue.Empty):
            while not self._journal.full:
                said = process.events.get(end - time.monotonic())
                if said is None:
                    break
                self._take(*said, uploader)
                if time.monotonic() > end or not process.events.bytes:
                    return
            time.sleep(seconds)  # the pipe is closed, or the database away: do not spin

    def _take_the_rest(self, process: TrainerProcess, uploader: CheckpointUploader) -> None:
        """All that an ended trainer said: at most what may wait, and a pipe full."""
        with suppress(queue.Empty):
            while (said := process.events.get()) is not None:
                self._take(*said, uploader)

    def _heard(self, event: Event) -> Event:
        """What is taken of what the process said."""
        return event

    def _take(self, event: Event, size: int, uploader: CheckpointUploader) -> None:
        event = self._heard(event)
        if event.kind == "done":
            self._done, self._ordered_at = True, time.monotonic()
        elif event.kind == "failed":
            self._failure = event.data
        elif event.kind == "artifact":
            path = str(own_file(self._folder, str(event.data["path"])))
            self._artifacts[str(event.data["name"])] = event.data | {"path": path}
        elif event.kind == "memory":
            self._memory.told(int(event.data["peak_bytes"]))
        elif event.kind == "checkpoint":
            self._save(event.data, uploader)
        else:
            self._phase = str(event.data.get("phase", self._phase)) if event.kind == "phase" else self._phase
            self._journal.add(event, size)
            if self._curve.feed(event):
                self._keep_curve()

    def _save(self, data: dict[str, Any], uploader: CheckpointUploader) -> None:
        try:
            uploader.submit(data, self._journal.said)
        except OSError as error:
            self._journal.note("warning", f"checkpoint of step {data.get('step')} not stored: {error}")

    def _keep_curve(self) -> None:
        curve, tenant_id = self._curve.complete(), self._tenant_id
        self._journal.flush()
        self._holding.write(lambda session: recording.cache_curve(session, tenant_id, curve))

    def _obey(self, process: TrainerProcess) -> None:
        """Do what the job's owner or the worker's operator wants of a running trainer."""
        if self._holding.lost:
            raise LeaseLost(self._holding.lease.job_id)
        status = self._holding.status
        if status == "cancelling":
            process.end(self._boss.settings.cancel_grace_seconds)
            raise Interrupted(CANCELLED)
        if status == "stopping":
            process.order("stop")
        if (status == "pausing" or self._boss.leaving.is_set()) and not self._done:
            self._hand_over(process)

    def _keep_time(self, process: TrainerProcess) -> None:
        """At the job's time limit: stop and keep the best student, or give up."""
        verdict = self._runtime.verdict(self._phase)
        if self._done or verdict == "goes_on":
            return
        if verdict == "fail":
            process.end(self._boss.settings.cancel_grace_seconds)
            raise Interrupted(self._runtime.failure(self._phase))
        if process.order("stop"):
            self._journal.note("warning", f"stopped after {self._runtime.limit_seconds:g} s; the best student is kept")
            self._journal.flush()
            self._holding.write(lambda session: leases.overtime(session, self._holding.lease))
            self._holding.poke()

    def _note_memory(self) -> None:
        if not self._memory.sample():
            return
        lease, peak = self._holding.lease, self._memory.peak_bytes
        with suppress(*AWAY):
            self._holding.try_write(lambda session: recording.note_memory(session, lease, peak))
            self._memory.noted()

    def _note_crowding(self) -> None:
        """Say it when it begins, and again whenever it has doubled."""
        count = self._tally.count
        if count.crowded > 2 * self._crowded:
            self._crowded = count.crowded
            self._journal.note("warning", tally.crowded(count, self._boss.settings))

    def _hand_over(self, process: TrainerProcess) -> None:
        if process.order("handover"):
            self._ordered_at = time.monotonic()
        waited = time.monotonic() - self._ordered_at
        if waited > self._boss.settings.cancel_grace_seconds or not self._boss.patient:
            raise Interrupted(HANDED_OVER)

    def _lingers(self) -> bool:
        """It said `done` and still does not go."""
        grace = self._boss.settings.cancel_grace_seconds
        return self._done and time.monotonic() - self._ordered_at > grace

    def _undone(self) -> Ending:
        process, back_off = self._process, self._boss.settings.retry_back_off_seconds
        assert process is not None
        assert process.exit_code is not None
        if self._failure is not None:
            return endings.failed(self._completed(self._failure), back_off)
        if process.exit_code == 0 and "handover" in process.ordered:
            return HANDED_OVER
        last = process.tail[-1] if process.tail else ""
        error = explain_exit(
            process.exit_code, process.peak_memory_bytes, last, self.who, self.relief, self._memory.kills.lately()
        )
        return endings.failed(error.to_dict(), back_off)

    def _completed(self, failure: dict[str, Any]) -> dict[str, Any]:
        """With what is seen from here alone. What a host of a cluster ended for memory, that host has told."""
        elsewhere = "host" in (failure.get("details") or {})
        for_memory = None if elsewhere else self._memory.kills.lately()
        return completed(failure, self._memory.peak_bytes or None, for_memory)

    # ---- uploading

    def _upload(self) -> None:
        self._journal.add(Event("phase", {"phase": "uploading"}))
        self._journal.flush()
        for data in self._artifacts.values():
            upload_artifact(self._boss.objects, self._holding, data, self._check_upload, self._note_now)

    # ---- whatever happens

    def _check(self) -> None:
        """Raise when the attempt is to end before its trainer runs."""
        self._check_lease_and_cancel()
        if self._runtime.verdict(self._phase) != "goes_on":
            raise Interrupted(self._runtime.failure(self._phase))
        if self._boss.leaving.is_set() or self._holding.status == "pausing":
            raise Interrupted(HANDED_OVER)

    def _check_upload(self) -> None:
        """A finished run is worth its upload, so neither a pause nor a shutdown stops one that goes on."""
        self._check_lease_and_cancel()

    def _check_lease_and_cancel(self) -> None:
        if self._holding.lost:
            raise LeaseLost(self._holding.lease.job_id)
        if self._holding.status == "cancelling":
            raise Interrupted(CANCELLED)

    def _note_now(self, level: str, message: str) -> None:
        """A line of the job's log that the user should see while we wait."""
        log.info("%s: %s", self._holding.lease.job_id, message)
        self._journal.note(level, message)
        self._journal.flush_if_due(now=True)
        if level == "warning" and self._boss.leaving.is_set():
            raise Interrupted(HANDED_OVER)

    def _end_trainer(self, grace_seconds: float) -> None:
        if self._process is not None:
            self._process.end(grace_seconds)
        while self._suppliers:
            self._suppliers.pop().close()

    def _broken(self, error: Exception) -> Ending:
        if not isinstance(error, RetortError):
            log.exception("%s attempt %d broke", self._holding.lease.job_id, self._holding.lease.attempt)
        return endings.failed(endings.explain_break(error).to_dict(), self._boss.settings.retry_back_off_seconds)

    def _note_tail(self, ending: Ending) -> None:
        """What the trainer printed last, kept where it may explain something."""
        if self._process is not None and ending.error is not None:
            for line in self._process.tail:
                self._journal.note("output", line)

    def _with_facts(self, ending: Ending) -> Ending:
        if self._process is None:
            return ending
        peak = max(self._process.peak_memory_bytes or 0, self._memory.peak_bytes)
        return replace(ending, exit_code=self._process.exit_code, peak_memory_bytes=peak or None)
