"""`retort webhooks`."""

from __future__ import annotations

from typing import Any

import click
from rich.markup import escape

from client import render
from client.api import Retort
from client.session import Session, command


@click.group()
def webhooks() -> None:
    """Be told when jobs change."""


@webhooks.command("add")
@click.argument("url")
@click.option("--event", "-e", "events", multiple=True, help="job.succeeded, ..., or *; may be repeated.")
@click.option("--description", default="", help="What it is for.")
@command
def add(session: Session, retort: Retort, url: str, events: tuple[str, ...], description: str) -> None:
    """Add one. Its secret is shown now and never again."""
    made = retort.add_webhook(url, list(events), description=description)
    session.show(made, lambda: f"{made['id']}\nsecret: {made['secret']}")


@webhooks.command("list")
@command
def list_(session: Session, retort: Retort) -> None:
    """Yours, newest first."""
    rows = list(retort.webhooks())

    def rendered() -> object:
        made = render.table("ID", "URL", "EVENTS", "STATUS")
        for row in rows:
            state = "enabled" if row["enabled"] else f"disabled: {row['disabled_reason']}"
            made.add_row(row["id"], escape(row["url"]), escape(", ".join(row["events"])), escape(state))
        return made

    session.show(rows, rendered)


@webhooks.command("delete")
@click.argument("webhook_id")
@command
def delete(session: Session, retort: Retort, webhook_id: str) -> None:
    """Remove one with its deliveries."""
    retort.delete_webhook(webhook_id)
    session.console.print(f"deleted {webhook_id}")


@webhooks.command("test")
@click.argument("webhook_id")
@command
def test(session: Session, retort: Retort, webhook_id: str) -> None:
    """Send a test message."""
    sent = retort.act_on_webhook(webhook_id, "test")
    session.show(sent, lambda: f"{sent['id']} is on its way. See: retort webhooks deliveries {webhook_id}")


@webhooks.command("enable")
@click.argument("webhook_id")
@command
def enable(session: Session, retort: Retort, webhook_id: str) -> None:
    """Enable one that was disabled because it failed."""
    row = retort.act_on_webhook(webhook_id, "enable")
    session.show(row, lambda: f"{row['id']} is enabled")


@webhooks.command("deliveries")
@click.argument("webhook_id")
@command
def deliveries(session: Session, retort: Retort, webhook_id: str) -> None:
    """Every message with what became of it, newest first."""
    rows = list(retort.deliveries(webhook_id))

    def rendered() -> object:
        made = render.table("ID", "TYPE", "STATUS", "TRIES", "LAST ANSWER", "MADE")
        for row in rows:
            shown = (row["id"], row["type"], row["status"], str(row["tries"]), escape(_last(row)))
            made.add_row(*shown, render.age(row["created_at"]))
        return made

    session.show(rows, rendered)


@webhooks.command("redeliver")
@click.argument("webhook_id")
@click.argument("delivery_id")
@command
def redeliver(session: Session, retort: Retort, webhook_id: str, delivery_id: str) -> None:
    """Send a message again, under its id."""
    sent = retort.redeliver(webhook_id, delivery_id)
    session.show(sent, lambda: f"{sent['id']} is on its way again")


def _last(row: dict[str, Any]) -> str:
    if not row["log"]:
        return ""
    last = row["log"][-1]
    return str(last["error"] or last["status_code"])
