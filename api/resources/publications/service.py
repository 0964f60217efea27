"""What /jobs/{id}/publish does: a publication is a job that sends a finished job's student."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from api.resources.artifacts import service as artifacts
from api.resources.jobs import companions
from api.resources.jobs.findings import Findings
from api.resources.jobs.service import find
from api.resources.publications.schemas import PublicationCreate, PublicationList, PublicationOut
from api.resources.secrets.service import sealer
from api.state.context import Context
from publishing import targets
from publishing.request import PublicationRequest, check_parameters, urls
from store import egress
from store.repositories import jobs, secrets
from store.settings import Settings
from store.tables import Job

GIVEN_UP = frozenset({"failed", "cancelled"})


def submit(
    context: Context, tenant: str, job_id: str, body: PublicationCreate, key: str | None
) -> tuple[PublicationOut, bool]:
    """Queue the publication; the publication, and whether it was asked for before. Raises `Conflict` and
    `Unprocessable`."""

    def make(session: Session) -> Job:
        source = find(session, tenant, job_id)
        companions.check_finished(session, source, "publish")
        _check(session, context.settings, tenant, body)
        request = body.model_dump(mode="json", exclude={"again"})
        earlier = None if body.again else _earlier(session, source, request)
        name = f"{body.target} of {source.name or source.id}"
        return earlier or companions.row(context.settings, source, name, publication=request)

    sent = body.model_dump(mode="json")
    return companions.submit(context, tenant, f"/jobs/{job_id}/publish", sent, key, make, _shown)


def _earlier(session: Session, source: Job, request: dict[str, Any]) -> Job | None:
    """The newest publication that was asked for in the same words and was not given up."""
    same = [each for each in jobs.publications(session, source.id) if each.publication == request]
    return next((each for each in reversed(same) if each.status not in GIVEN_UP), None)


def _check(session: Session, settings: Settings, tenant: str, body: PublicationCreate) -> None:
    """Raises `Unprocessable` that names all that is wrong."""
    findings = Findings()
    with findings.at("/target"):
        targets.registry.check(body.target)
        with findings.at("/parameters", "parameter"):
            check_parameters(body.target, body.parameters)
            _check_urls(findings, settings, body)
        _check_secret(session, findings, settings, tenant, body)
    findings.raise_if_any()


def _check_urls(findings: Findings, settings: Settings, body: PublicationCreate) -> None:
    """As far as a name tells; addresses are judged when the worker connects."""
    for name, url in urls(body.target, body.parameters).items():
        with findings.at(f"/parameters/{name}"):
            egress.check_name(url, settings.publish_policy)


def _check_secret(
    session: Session, findings: Findings, settings: Settings, tenant: str, body: PublicationCreate
) -> None:
    """Note a secret that there is not (another tenant's is as none), one that lacks what the target needs, and one for
    a target that takes none: nobody hands over what nobody asks for."""
    if body.secret is not None and not targets.credentials(body.target):
        message = f"{body.target} takes no credentials."
        findings.add("/secret", message, "Leave secret out.", "invalid_config")
        return
    needed = [name for name, each in targets.credentials(body.target).items() if each.get("required")]
    row = secrets.get(session, tenant, body.secret) if body.secret is not None else None
    if body.secret is not None:
        sealer(settings)
        if row is None:
            message = f"There is no secret {body.secret!r}."
            findings.add("/secret", message, "GET /secrets lists the names there are.", "unknown_secret")
            return
    missing = [name for name in needed if row is None or name not in row.parts]
    if missing:
        message = f"{body.target} needs the credentials {', '.join(missing)}."
        remedy = "PUT /secrets/NAME with them, and name that secret."
        findings.add("/secret", message, remedy, "credentials_missing", missing=missing)


def listed(session: Session, tenant: str, job_id: str) -> PublicationList:
    job = find(session, tenant, job_id)
    return PublicationList(items=[_shown(session, each) for each in jobs.publications(session, job.id)])


def shown(session: Session, tenant: str, job_id: str, publication_id: str) -> PublicationOut:
    """Raises `NotFound`."""
    return companions.one_of(listed(session, tenant, job_id).items, job_id, "publication", publication_id)


def _shown(session: Session, job: Job) -> PublicationOut:
    request = PublicationRequest.model_validate(job.publication)
    return PublicationOut(
        id=job.id,
        job=job.student_of or "",
        target=request.target,
        parameters=request.parameters,
        secret=request.secret,
        status=job.status,
        attempt=job.attempt,
        error=job.error,
        receipt=(job.result or {}).get("publication"),
        files=[artifacts.shown(row) for row in jobs.artifacts(session, job.id)],
        created_at=job.created_at,
        finished_at=job.finished_at,
        links={"self": companions.link(job), "job": f"/jobs/{job.id}", "events": f"/jobs/{job.id}/events"},
    )
