"""What /webhooks does."""

from __future__ import annotations

from sqlalchemy.orm import Session

from api.errors import problems
from api.errors.problems import Conflict, FieldError, NotFound, Unprocessable
from api.resources.webhooks.schemas import DeliveryOut, TryOut, WebhookCreate, WebhookCreated, WebhookOut
from api.state.context import Context
from api.state.deps import Work
from distill.errors import RetortError
from store import signing
from store.egress import NameNotResolved, UrlRefused, resolve_and_pin
from store.ids import new_id
from store.repositories import outbox, quotas, rows, webhook_secrets, webhooks
from store.tables import Delivery, Webhook


def check_url(context: Context, url: str) -> None:
    """Raises `Unprocessable` for a URL that would not be called. Asks the resolver: not within a transaction."""
    try:
        resolve_and_pin(url, context.settings.webhook_policy)
    except (UrlRefused, NameNotResolved) as error:
        raise _refused(error) from error


def _refused(error: RetortError) -> Unprocessable:
    field = FieldError(pointer="/url", message=error.message)
    return Unprocessable(error.message, error.remedy, code=error.code, errors=[field], details=error.details)


def create(work: Work, tenant: str, body: WebhookCreate) -> WebhookCreated:
    """Raises `TooManyRequests` when the tenant has as many as it may have."""
    most = work.context.settings.max_webhooks
    quotas.lock(work.session, tenant)
    if webhooks.count(work.session, tenant) >= most:
        details = {"quota": "webhooks", "limit": most}
        raise problems.Forbidden(
            f"You have {most} webhooks, as many as you may.", "Delete one.", code="quota_exceeded", details=details
        )
    secret = body.secret or signing.new_secret()
    events = ",".join(sorted(set(body.events)))
    row = Webhook(id=new_id("whk"), tenant_id=tenant, url=body.url, description=body.description, events=events)
    webhook_secrets.keep(row, secret, work.context.settings.sealer)
    work.session.add(row)
    work.session.flush()
    work.session.refresh(row)
    return WebhookCreated(**shown(row).model_dump(), secret=secret)


def find(session: Session, tenant: str, webhook_id: str) -> Webhook:
    """Raises `NotFound`, for another tenant's as for none."""
    row = webhooks.get(session, tenant, webhook_id)
    if row is None:
        raise NotFound(f"There is no webhook {webhook_id!r}.", "GET /webhooks lists those there are.")
    return row


def locked(session: Session, tenant: str, webhook_id: str) -> Webhook:
    """The same, as it stays until commit. Lock no delivery before it: the worker does so in this order too."""
    row = find(session, tenant, webhook_id)
    rows.lock(session, row)
    return row


def find_delivery(session: Session, tenant: str, webhook_id: str, delivery_id: str) -> Delivery:
    row = outbox.get(session, find(session, tenant, webhook_id).id, delivery_id)
    if row is None:
        remedy = f"GET /webhooks/{webhook_id}/deliveries lists them."
        raise NotFound(f"This webhook has no delivery {delivery_id!r}.", remedy)
    return row


def test(work: Work, tenant: str, webhook_id: str) -> Delivery:
    """Leave a message that tells nothing."""
    row = _enabled(locked(work.session, tenant, webhook_id))
    made = outbox.add(work.session, row.id, outbox.TEST, {"webhook_id": row.id})
    work.session.refresh(made)
    _ring(work)
    return made


def redeliver(work: Work, tenant: str, webhook_id: str, delivery_id: str) -> Delivery:
    """Send a message again, whatever became of it."""
    _enabled(find(work.session, tenant, webhook_id))
    row = find_delivery(work.session, tenant, webhook_id, delivery_id)
    outbox.send_again(work.session, row)
    _ring(work)
    return row


def enable(work: Work, tenant: str, webhook_id: str) -> Webhook:
    row = locked(work.session, tenant, webhook_id)
    webhooks.enable(work.session, row)
    return row


def _enabled(row: Webhook) -> Webhook:
    if not row.enabled:
        remedy = f"POST /webhooks/{row.id}/enable once it works again."
        raise Conflict(f"The webhook is disabled: {row.disabled_reason}.", remedy, code="webhook_disabled")
    return row


def _ring(work: Work) -> None:
    work.after_commit(lambda: work.context.doorbell.ring("job", ""))


def shown(row: Webhook) -> WebhookOut:
    return WebhookOut(
        id=row.id,
        url=row.url,
        events=row.events.split(","),
        description=row.description,
        enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        failing_since=row.failing_since,
        created_at=row.created_at,
    )


def shown_delivery(row: Delivery) -> DeliveryOut:
    return DeliveryOut(
        id=row.id,
        type=row.type,
        status=row.status,
        payload=row.payload,
        tries=row.tries,
        next_try_at=row.next_at if row.status == "pending" else None,
        created_at=row.created_at,
        finished_at=row.finished_at,
        log=[TryOut.model_validate(each) for each in row.log.get("tries", [])],
    )
