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
from publishing.bundle import Bundle, BundleFile
from publishing.errors import MissingCredentials
from publishing.redacting import Redactor
from publishing.request import PublicationRequest, whole
from store.repositories import jobs, secrets
from store.repositories.leases import Ending
from store.sealing import REMEDY, SealBroken
from store.settings import Settings
from store.tables import Job, Secret
from worker.errors import InputGone
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
    """The attempt of a publication: claimed, watched, cancelled and ended as that of a trainer is."""

    _credentials: dict[str, str]
    _redactor = Redactor(())

    def _fetch(self) -> None:
        self._check()
        with self._boss.database.read() as session:
            needed = published.read(session, self._holding.lease.job_id)
        settings = self._boss.settings
        back_off = settings.retry_back_off_seconds
        self._runtime = PublishTime(settings.publish_seconds, 0, back_off_seconds=back_off)
        self._tenant_id = needed.publication.tenant_id
        request = PublicationRequest.model_validate(needed.publication.publication)
        self._credentials = _credentials(settings, request, needed.secret)
        self._redactor = Redactor(self._credentials.values())
        folder = self._folder / FILES
        folder.mkdir()
        bundle = _bundle(needed, Fetcher(self._boss.objects, folder, self._check, self._note_now), folder)
        (self._folder / BUNDLE).write_text(bundle.model_dump_json())
        (self._folder / SPEC).write_text(_spec(settings, request).model_dump_json())

    def _start(self) -> TrainerProcess:
        """As the worker's user: it loads no stranger's file."""
        environment = child_environment(self._boss.settings, _certificates())
        process = TrainerProcess(COMMAND, self._folder, environment)
        process.tell(json.dumps(self._credentials))
        return process

    def _heard(self, event: Event) -> Event:
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


def _bundle(needed: Published, fetcher: Fetcher, folder: Path) -> Bundle:
    for row in needed.files:
        (folder / row.name).parent.mkdir(parents=True, exist_ok=True)
        fetcher.get(row.object_key, row.sha256, row.name)
    facts = ("name", "media_type", "size_bytes", "sha256")
    files = [BundleFile(**{name: getattr(row, name) for name in facts}) for row in needed.files]
    job = needed.job
    assert job.finished_at is not None
    return Bundle(
        folder=folder,
        publication=needed.publication.id,
        job=job.id,
        name=job.name,
        recipe=jobs.trained_recipe(job),
        task=needed.task,
        config=_config(job),
        student=job.student,
        result=job.result or {},
        finished_at=job.finished_at,
        files=files,
        metrics=needed.metrics,
        sources=needed.sources,
    )


def _config(job: Job) -> dict[str, Any]:
    """As it was resolved: every `auto` replaced."""
    found: dict[str, Any] = (job.resolved or {}).get("config", job.config)
    return found


def _spec(settings: Settings, request: PublicationRequest) -> PublicationSpec:
    return PublicationSpec(
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
