"""`retort catalogue` and `retort status`."""

from __future__ import annotations

import click
from rich.markup import escape

from client import render
from client.api import Retort
from client.session import Session, command

PARTS = ("tasks", "recipes", "losses", "selections", "optimizers", "presets", "datasets", "architectures")


@click.command("catalogue")
@click.argument("part", type=click.Choice(PARTS), default="recipes")
@click.option("--search", "-s", help="Part of an architecture's name.")
@command
def catalogue(session: Session, retort: Retort, part: str, search: str | None) -> None:
    """Names that a job may use."""
    entries = list(retort.architectures(search)) if part == "architectures" else retort.catalogue()[part]

    def rendered() -> object:
        made = render.table("NAME", "WHAT")
        for entry in entries:
            what = entry.get("summary") or entry.get("family") or ""
            made.add_row(escape(entry["name"]), escape(str(what)))
        return made

    session.show(entries, rendered)


@click.command("status")
@command
def status(session: Session, retort: Retort) -> None:
    """The service: version, workers, queue."""
    found = retort.system()
    session.show(found, lambda: render.details(found))
