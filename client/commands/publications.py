"""`retort publish` and `retort publications`."""

from __future__ import annotations

from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from client import render
from client.api import Retort
from client.session import Session, command, typed_pairs


@click.command("publish")
@click.argument("job_id")
@click.argument("target")
@click.option("--set", "parameters", multiple=True, callback=typed_pairs, metavar="NAME=VALUE", help="Of the target.")
@click.option("--secret", help="Name of the secret with the credentials.")
@click.option("--again", is_flag=True, help="Publish though the same was published before.")
@command
def publish(
    session: Session,
    retort: Retort,
    job_id: str,
    target: str,
    parameters: dict[str, Any],
    secret: str | None,
    again: bool,
) -> None:
    """Hand the finished student of a job over to a TARGET: huggingface, mlflow, s3, tensorboard, ..."""
    made = retort.publish(job_id, target, parameters=parameters, secret=secret, again=again)
    session.show(made, lambda: f"{made['id']} is {made['status']}")


@click.command("publications")
@click.argument("job_id")
@command
def publications(session: Session, retort: Retort, job_id: str) -> None:
    """Where a job's student was handed over."""
    found = retort.publications(job_id)
    session.show(found, lambda: _table(found))


def _table(found: list[dict[str, Any]]) -> Table:
    table = render.table("ID", "TARGET", "STATUS", "RESULT")
    for each in found:
        result = (each["receipt"] or {}).get("url", "") if each["error"] is None else each["error"]["message"]
        table.add_row(each["id"], each["target"], render.status(each["status"]), escape(result))
    return table
