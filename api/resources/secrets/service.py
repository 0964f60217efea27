"""What /secrets does."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.errors.problems import Conflict, Forbidden, NotFound
from api.resources.secrets.schemas import SecretOut, SecretPut
from api.state.deps import Work
from store.repositories import quotas, secrets
from store.sealing import Sealer
from store.settings import Settings
from store.tables import Secret

KEYLESS = "Have the operator set RETORT_SECRETS_KEY to base64 of 32 random bytes, for API and workers alike."


def sealer(settings: Settings) -> Sealer:
    """Raises `Conflict` where there is no key to seal with: nothing is kept in clear."""
    if settings.sealer is None:
        raise Conflict("This service takes no credentials: it has no key to seal them with.", KEYLESS, code="no_key")
    return settings.sealer


def put(work: Work, tenant: str, name: str, body: SecretPut) -> SecretOut:
    """Raises `Forbidden` when the tenant has as many as it may have."""
    seals, most = sealer(work.context.settings), work.context.settings.max_secrets
    quotas.lock(work.session, tenant)
    if secrets.get(work.session, tenant, name) is None and secrets.count(work.session, tenant) >= most:
        details = {"quota": "secrets", "limit": most}
        detail = f"You have {most} secrets, as many as you may."
        raise Forbidden(detail, "Delete one.", code="quota_exceeded", details=details)
    return shown(secrets.put(work.session, seals, tenant, name, body.values()))


def delete(work: Work, tenant: str, name: str) -> None:
    work.session.delete(find(work.session, tenant, name))


def find(session: Session, tenant: str, name: str) -> Secret:
    """Raises `NotFound`, for another tenant's as for none."""
    row = secrets.get(session, tenant, name)
    if row is None:
        raise NotFound(f"There is no secret {name!r}.", "GET /secrets lists the names there are.")
    return row


def shown(row: Secret) -> SecretOut:
    return SecretOut(name=row.name, parts=row.parts, created_at=row.created_at, updated_at=row.updated_at)
