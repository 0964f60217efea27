"""An attempt whose process publishes instead of training: what it is given, and what is taken out of what it says."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from distill.types import Event
from publishing import targets
from publishing.bundle import Bundle, BundleFile, Outline
from publishing.errors import JobNotSucceeded, MissingCredentials
from publishing.redacting import Redactor
from publishing.request import PublicationRequest, whole
from store.repositories import jobs, secrets
from store.repositories.leases import Ending
from store.sealing import REMEDY, SealBroken
from store.settings import Settings
from store.states import LEASED, TERMINAL
from store.tables import Job, Secret
from worker.errors import InputGone
from worker.jobs import endings
from worker.jobs.endings import CANCELLED, HANDED_OVER, SUCCEEDED, Interrupted
from worker.jobs.exits import MORE_MEMORY
from worker.jobs.feed import Feed
from worker.jobs.limits import Runtime
from worker.jobs.publication_spec import BUNDLE, SPEC, PublicationSpec
from worker.jobs.publish_time import PublishTime
from worker.jobs.supervisor import Attempt
from worker.processes.environment import child_environment
from worker.processes.process import TrainerProcess
from worker.transfer import published
from worker.transfer.fetching import Fetcher
from worker.transfer.published import Published

COMMAND = (sys.executable, "-m", "worker.jobs.publisher")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
FILES = "files"


class PublicationAttempt(Attempt):
    """The attempt of a publication: claimed, watched, cancelled and ended as that of a trainer is.

    While its job runs it passes on what the job says, and is handed over when the job ends; the next attempt hands over
    the student, or says that there is none and ends as the job did (decision 0031)."""

    who = "The publisher"
    relief = MORE_MEMORY
    _credentials: dict[str, str]
    _redactor = Redactor(())
    _feed: Feed | None = None
    _closing: Ending | None = None

    def _fetch(self) -> None:
        self._check()
        with self._boss.database.read() as session:
            needed = published.read(session, self._holding.lease.job_id)
        settings = self._boss.settings
        back_off = settings.retry_back_off_seconds
        self._tenant_id = needed.publication.tenant_id
        request = PublicationRequest.model_validate(needed.publication.publication)
        what = self._part(needed.job)
        limit = Runtime(0, 0) if what == "follow" else None
        self._runtime = limit or PublishTime(settings.publish_seconds, 0, back_off_seconds=back_off)
        self._credentials = _credentials(settings, request, needed.secret)
        self._redactor = Redactor(self._credentials.values())
        folder = self._folder / FILES
        folder.mkdir()
        told = _outline(needed)
        if what == "publish":
            fetcher = Fetcher(self._boss.objects, folder, self._check, self._note_now)
            told = _bundle(needed, told, fetcher, folder)
        (self._folder / BUNDLE).write_text(told.model_dump_json())
        (self._folder / SPEC).write_text(_spec(settings, request, what).model_dump_json())

    def _part(self, job: Job) -> str:
        """What is to be done for a job in this state. Raises `Interrupted`."""
        if job.status == "succeeded":
            return "publish"
        if job.status in LEASED:
            self._feed = Feed(self._boss.database, job.id, job.event_seq, job.resolved is not None)
            return "follow"
        if job.status not in TERMINAL:  # it waits: for a pause to end, or after a fault
            raise Interrupted(HANDED_OVER)
        self._closing = CANCELLED if job.status == "cancelled" else endings.failed(_no_student(job).to_dict(), 0)
        if job.started_at is None:  # nobody was told that it ran
            raise Interrupted(self._closing)
        return job.status

    def _steps(self) -> Ending:
        ending = super()._steps()
        return self._closing if self._closing is not None and ending == SUCCEEDED else ending

    def _obey(self, process: TrainerProcess) -> None:
        super()._obey(process)
        if self._feed is not None:
            self._feed.pass_on(process)
            if self._feed.over:
                process.order("handover")

    def _start(self) -> TrainerProcess:
        """As the worker's user: it loads no stranger's file."""
        environment = child_environment(self._boss.settings, _certificates())
        process = TrainerProcess(COMMAND, self._folder, environment)
        process.tell(json.dumps(self._credentials))
        return process

    def _heard(self, event: Event) -> Event:
        if event.kind == "sent" and self._feed is not None:
            self._feed.sent()
        return replace(event, data=self._redactor.value(event.data))

    def _note_tail(self, ending: Ending) -> None:
        if self._process is not None:
            tail = self._process.tail
            lines = [self._redactor.text(line) for line in tail]
            tail.clear()
            tail.extend(lines)
        super()._note_tail(ending)


def _credentials(settings: Settings, request: PublicationRequest, row: Secret | None) -> dict[str, str]:
    """Raises `InputGone` for a secret that is gone, `SealBroken`, and `MissingCredentials`."""
    if request.secret is not None and row is None:
        remedy = "Store it again (PUT /secrets/NAME), and publish again."
        raise InputGone(f"The secret {request.secret!r} of this publication is gone.", remedy)
    if row is not None and settings.sealer is None:
        raise SealBroken("This worker has no key to open secrets with.", REMEDY)
    found = {} if row is None or settings.sealer is None else secrets.opened(settings.sealer, row)
    known = targets.credentials(request.target)
    missing = [name for name, each in known.items() if each.get("required") and not found.get(name)]
    if missing:
        raise MissingCredentials(
            f"{request.target} needs the credentials {', '.join(missing)}, which the secret does not hold.",
            f"Store them by name: {', '.join(known)}.",
            {"missing": missing},
        )
    return found


def _no_student(job: Job) -> JobNotSucceeded:
    why, code = f"Job {job.id} failed: it has no student to publish.", (job.error or {}).get("code")
    return JobNotSucceeded(why, "Retry the job: its publication goes on with it.", {"job": job.id, "code": code})


def _outline(needed: Published) -> Outline:
    job = needed.job
    return Outline(
        publication=needed.publication.id,
        job=job.id,
        name=job.name,
        recipe=jobs.trained_recipe(job),
        task=needed.task,
        config=_config(job),
        settled=job.resolved is not None or job.status == "succeeded",
        student=job.student,
        started_at=job.started_at or job.created_at,
        metrics=needed.metrics,
    )


def _bundle(needed: Published, outline: Outline, fetcher: Fetcher, folder: Path) -> Bundle:
    for row in needed.files:
        (folder / row.name).parent.mkdir(parents=True, exist_ok=True)
        fetcher.get(row.object_key, row.sha256, row.name)
    facts = ("name", "media_type", "size_bytes", "sha256")
    files = [BundleFile(**{name: getattr(row, name) for name in facts}) for row in needed.files]
    job = needed.job
    assert job.finished_at is not None
    return Bundle(
        **dict(outline),
        folder=folder,
        result=job.result or {},
        finished_at=job.finished_at,
        files=files,
        sources=needed.sources,
    )


def _config(job: Job) -> dict[str, Any]:
    """As it was resolved: every `auto` replaced."""
    found: dict[str, Any] = (job.resolved or {}).get("config", job.config)
    return found


def _spec(settings: Settings, request: PublicationRequest, what: Any) -> PublicationSpec:
    return PublicationSpec(
        what=what,
        target=request.target,
        parameters=whole(request.target, request.parameters),
        hosts=settings.publish_hosts,
        http_hosts=settings.publish_http_hosts,
        networks=settings.publish_networks,
        huggingface_endpoint=settings.huggingface_endpoint,
    )


def _certificates() -> dict[str, str]:
    """Where the machine's own authorities are, for targets behind a company's."""
    return {name: os.environ[name] for name in CERTIFICATES if name in os.environ}
