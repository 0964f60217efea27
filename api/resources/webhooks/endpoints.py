"""/webhooks and their deliveries."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Body, Response
from starlette.concurrency import run_in_threadpool

from api.http.auth import TenantDep
from api.http.openapi import documented
from api.http.paging import Cursor, Limit, encode
from api.resources.webhooks import service
from api.resources.webhooks.schemas import (
    DeliveryOut,
    DeliveryPage,
    WebhookCreate,
    WebhookCreated,
    WebhookOut,
    WebhookPage,
)
from api.state.deps import ContextDep, ListSession, ReadSession, WorkDep, write_work
from store.repositories import outbox, webhooks

router = APIRouter(tags=["webhooks"])


@router.post(
    "/webhooks",
    operation_id="create_webhook",
    summary="Be told when jobs change",
    status_code=201,
    responses=documented(403, 413, 415, 422),
)
async def create_webhook(
    context: ContextDep, tenant: TenantDep, body: Annotated[WebhookCreate, Body()], response: Response
) -> WebhookCreated:
    """The answer is the only place where the secret is ever shown. The URL must be https and lead to a public address,
    unless the operator allows more."""
    await context.lanes.resolving.run(service.check_url, context, body.url)
    async with asynccontextmanager(write_work)(context) as work:
        made = await run_in_threadpool(service.create, work, tenant, body)
    response.headers["Location"] = f"/webhooks/{made.id}"
    response.headers["Cache-Control"] = "no-store"
    return made


@router.get("/webhooks", operation_id="list_webhooks", summary="List webhooks", responses=documented(422))
def list_webhooks(session: ListSession, tenant: TenantDep, cursor: Cursor, limit: Limit = 50) -> WebhookPage:
    """Yours, newest first."""
    rows, more = webhooks.page(session, tenant, cursor, limit)
    return WebhookPage(items=[service.shown(row) for row in rows], next_cursor=encode(rows[-1].id) if more else None)


@router.get("/webhooks/{webhook_id}", operation_id="get_webhook", summary="Show a webhook", responses=documented(404))
def get_webhook(session: ReadSession, tenant: TenantDep, webhook_id: str) -> WebhookOut:
    """Whether it is enabled, and since when it fails."""
    return service.shown(service.find(session, tenant, webhook_id))


@router.delete(
    "/webhooks/{webhook_id}",
    operation_id="delete_webhook",
    summary="Delete a webhook",
    status_code=204,
    responses=documented(404),
)
def delete_webhook(work: WorkDep, tenant: TenantDep, webhook_id: str) -> None:
    """With its deliveries, those that wait included."""
    work.session.delete(service.locked(work.session, tenant, webhook_id))


@router.post(
    "/webhooks/{webhook_id}/test",
    operation_id="test_webhook",
    summary="Send a test message",
    status_code=202,
    responses=documented(404, 409),
)
def test_webhook(work: WorkDep, tenant: TenantDep, webhook_id: str) -> DeliveryOut:
    """A message of type `webhook.test`, delivered as every other; its log tells how that went."""
    return service.shown_delivery(service.test(work, tenant, webhook_id))


@router.post(
    "/webhooks/{webhook_id}/enable",
    operation_id="enable_webhook",
    summary="Enable a webhook that was disabled",
    responses=documented(404),
)
def enable_webhook(work: WorkDep, tenant: TenantDep, webhook_id: str) -> WebhookOut:
    """It is told again what happens from now on; redeliver what it has missed."""
    return service.shown(service.enable(work, tenant, webhook_id))


@router.get(
    "/webhooks/{webhook_id}/deliveries",
    operation_id="list_webhook_deliveries",
    summary="Deliveries of a webhook",
    responses=documented(404, 422),
)
def list_webhook_deliveries(
    session: ListSession, tenant: TenantDep, webhook_id: str, cursor: Cursor, limit: Limit = 50
) -> DeliveryPage:
    """Every message with its tries, newest first."""
    rows, more = outbox.page(session, service.find(session, tenant, webhook_id).id, cursor, limit)
    items = [service.shown_delivery(row) for row in rows]
    return DeliveryPage(items=items, next_cursor=encode(rows[-1].id) if more else None)


@router.post(
    "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
    operation_id="redeliver_webhook",
    summary="Send a message again",
    status_code=202,
    responses=documented(404, 409),
)
def redeliver_webhook(work: WorkDep, tenant: TenantDep, webhook_id: str, delivery_id: str) -> DeliveryOut:
    """Under the same id, with all its tries, whatever became of it."""
    return service.shown_delivery(service.redeliver(work, tenant, webhook_id, delivery_id))
