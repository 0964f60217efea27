"""What is asked of a publication: by POST /jobs/{id}/publish, and by the `publish` of a job that is to run."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from api.resources.jobs import companion_row
from api.resources.jobs.findings import Findings
from api.resources.jobs.schemas import LivePublication, PublicationNote
from api.resources.secrets.service import sealer
from publishing import targets
from publishing.request import PublicationRequest, check_parameters, urls, whole
from store import egress
from store.repositories import jobs, secrets
from store.settings import Settings
from store.tables import Job


def check(session: Session, settings: Settings, tenant: str, asked: PublicationRequest) -> None:
    """Raises `Unprocessable` that names all that is wrong."""
    findings = Findings()
    _check(session, findings, settings, tenant, asked, "")
    findings.raise_if_any()


def check_live(session: Session, settings: Settings, tenant: str, asked: Sequence[LivePublication]) -> None:
    """The same of publications of a job that is to run: their targets can be told of it while it does."""
    findings = Findings()
    for index, each in enumerate(asked):
        where = f"/publish/{index}"
        _check(session, findings, settings, tenant, each, where)
        if each.target in targets.names() and not targets.live(each.target):
            able = ", ".join(name for name in targets.names() if targets.live(name))
            message = f"{each.target} cannot be told of a job while it runs."
            remedy = f"Publish there when it has succeeded (POST /jobs/ID/publish), or name one that can: {able}."
            findings.add(f"{where}/target", message, remedy, "target_not_live")
        if any(_same(each, other) for other in asked[:index]):
            findings.add(where, "The same publication is asked for twice.", "Name it once.", "invalid_config")
    findings.raise_if_any()


def _same(one: PublicationRequest, other: PublicationRequest) -> bool:
    return one.target == other.target and one.parameters == other.parameters


def rows(settings: Settings, source: Job, asked: Sequence[LivePublication]) -> list[Job]:
    """The jobs that publish what `source` says and makes. They wait until it runs."""
    return [
        companion_row.row(
            settings, source, f"{each.target} of {source.name or source.id}", publication=each.model_dump(mode="json")
        )
        for each in asked
    ]


def planned(asked: Sequence[LivePublication]) -> list[LivePublication]:
    """As they would be: with every default."""
    return [each.model_copy(update={"parameters": whole(each.target, each.parameters)}) for each in asked]


def noted(row: Job) -> PublicationNote:
    """A publication as its job tells of it."""
    asked = PublicationRequest.model_validate(row.publication)
    warnings = list((row.warnings or {}).values())
    return PublicationNote(id=row.id, target=asked.target, status=row.status, error=row.error, warnings=warnings)


def follow_again(session: Session, source: Job) -> None:
    """A job that failed is retried: publications that ended with it go on with it."""
    for each in jobs.publications(session, source.id):
        if each.status == "failed" and (each.error or {}).get("code") == "job_not_succeeded":
            jobs.move(session, each, "queued", phase=None)


def give_up(session: Session, source: Job) -> None:
    """A job is cancelled before it ran: its publications have nothing to tell."""
    for each in jobs.publications(session, source.id) if source.started_at is None else ():
        jobs.request_cancel(session, each)


def _check(
    session: Session, findings: Findings, settings: Settings, tenant: str, asked: PublicationRequest, where: str
) -> None:  # fmt: skip
    with findings.at(f"{where}/target"):
        targets.registry.check(asked.target)
        with findings.at(f"{where}/parameters", "parameter"):
            check_parameters(asked.target, asked.parameters)
            _check_urls(findings, settings, asked, where)
        _check_secret(session, findings, settings, tenant, asked, f"{where}/secret")


def _check_urls(findings: Findings, settings: Settings, asked: PublicationRequest, where: str) -> None:
    """As far as a name tells; addresses are judged when the worker connects."""
    for name, url in urls(asked.target, asked.parameters).items():
        with findings.at(f"{where}/parameters/{name}"):
            egress.check_name(url, settings.publish_policy)


def _check_secret(
    session: Session, findings: Findings, settings: Settings, tenant: str, asked: PublicationRequest, pointer: str
) -> None:  # fmt: skip
    """Note a secret that there is not (another tenant's is as none), one that lacks what the target needs, and one for
    a target that takes none: nobody hands over what nobody asks for."""
    if asked.secret is not None and not targets.credentials(asked.target):
        message = f"{asked.target} takes no credentials."
        findings.add(pointer, message, "Leave secret out.", "invalid_config")
        return
    needed = [name for name, each in targets.credentials(asked.target).items() if each.get("required")]
    row = secrets.get(session, tenant, asked.secret) if asked.secret is not None else None
    if asked.secret is not None:
        sealer(settings)
        if row is None:
            message = f"There is no secret {asked.secret!r}."
            findings.add(pointer, message, "GET /secrets lists the names there are.", "unknown_secret")
            return
    missing = [name for name in needed if row is None or name not in row.parts]
    if missing:
        message = f"{asked.target} needs the credentials {', '.join(missing)}."
        remedy = "PUT /secrets/NAME with them, and name that secret."
        findings.add(pointer, message, remedy, "credentials_missing", missing=missing)
