"""`retort exports`."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from client import render
from client.api import Retort
from client.session import Session, command, typed_pairs


@click.group()
def exports() -> None:
    """Students for other runtimes."""


@exports.command("add")
@click.argument("job_id")
@click.argument("format")
@click.option("--set", "parameters", multiple=True, callback=typed_pairs, metavar="NAME=VALUE", help="Of the format.")
@click.option(
    "--max-drop", type=float, default=0.01, show_default=True, help="What it may lose unmarked; 0.01: 1 point."
)
@command
def add(
    session: Session, retort: Retort, job_id: str, format: str, parameters: dict[str, Any], max_drop: float
) -> None:
    """Ask for the finished student of a job in another FORMAT."""
    made = retort.export(job_id, format, parameters=parameters, max_drop=max_drop)
    session.show(made, lambda: f"{made['id']} is {made['status']}")


@exports.command("list")
@click.argument("job_id")
@command
def show(session: Session, retort: Retort, job_id: str) -> None:
    """All exports of a job's student, with what each is worth."""
    found = retort.exports(job_id)
    session.show(found, lambda: _table(found))


def _table(found: list[dict[str, Any]]) -> Table:
    table = render.table("ID", "FORMAT", "STATUS", "LOST", "BYTES", "FILES")
    for each in found:
        result = each["result"] or {}
        lost = "" if result.get("drop") is None else f"{100 * max(0.0, result['drop']):.2f}"
        marked = " (more than allowed)" if each["exceeds_max_drop"] else ""
        names = ", ".join(file["name"] for file in each["files"])
        table.add_row(
            each["id"],
            each["format"],
            render.status(each["status"]),
            lost + marked,
            str(result.get("bytes", "")),
            names,
        )
    return table
