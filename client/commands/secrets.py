"""`retort secrets`."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from client import render
from client.api import Retort
from client.session import Session, command


@click.group()
def secrets() -> None:
    """Credentials for publications, which go in and never come out."""


@secrets.command("put")
@click.argument("name")
@click.argument("parts", nargs=-1)
@command
def put(session: Session, retort: Retort, name: str, parts: tuple[str, ...]) -> None:
    """Leave credentials under NAME. They are asked for, or read from standard input, never taken as arguments:
    one value, or one for each of PARTS (access_key secret_key)."""
    values = {part: click.prompt(part, hide_input=True) for part in parts or ("token",)}
    kept = retort.put_secret(name, values)
    session.show(kept, lambda: f"{name} is kept")


@secrets.command("list")
@command
def show(session: Session, retort: Retort) -> None:
    """Their names."""
    found = retort.secrets()
    session.show(found, lambda: _table(found))


@secrets.command("remove")
@click.argument("name")
@command
def remove(session: Session, retort: Retort, name: str) -> None:
    """Forget one."""
    retort.delete_secret(name)
    session.show({"name": name}, lambda: f"{name} is gone")


def _table(found: list[dict[str, Any]]) -> Table:
    table = render.table("SECRET", "HOLDS", "SINCE")
    for each in found:
        table.add_row(str(each["name"]), ", ".join(map(str, each["parts"])), str(each["updated_at"]))
    return table
