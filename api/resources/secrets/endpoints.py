"""/secrets."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.http.auth import TenantDep
from api.http.openapi import documented
from api.resources.secrets import service
from api.resources.secrets.schemas import SecretList, SecretOut, SecretPut
from api.state.deps import ReadSession, WorkDep
from store.repositories import secrets

router = APIRouter(tags=["secrets"])
NAME = r"^[A-Za-z0-9_.-]{1,63}$"
SecretName = Annotated[str, Path(pattern=NAME, description="A name of your own.", examples=["hub"])]


@router.put(
    "/secrets/{secret_name}",
    operation_id="put_secret",
    summary="Leave credentials",
    responses=documented(409, 413, 415, 422),
)
def put_secret(work: WorkDep, tenant: TenantDep, secret_name: SecretName, body: SecretPut) -> SecretOut:
    """Keep credentials for publications under this name, in the place of those that were there. They are sealed by the
    operator's key, and no answer, event or log has them."""
    return service.put(work, tenant, secret_name, body)


@router.get("/secrets", operation_id="list_secrets", summary="List names of secrets")
def list_secrets(session: ReadSession, tenant: TenantDep) -> SecretList:
    """Yours, by name, without their values."""
    return SecretList(items=[service.shown(row) for row in secrets.all_of(session, tenant)])


@router.delete(
    "/secrets/{secret_name}",
    operation_id="delete_secret",
    summary="Delete a secret",
    status_code=204,
    responses=documented(404, 422),
)
def delete_secret(work: WorkDep, tenant: TenantDep, secret_name: SecretName) -> None:
    """A publication that waits and names it fails."""
    service.delete(work, tenant, secret_name)
