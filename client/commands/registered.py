"""`list`, `show` and `delete`, the same for teachers and datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import click
from rich.table import Table

from client import render
from client.api import Retort
from client.session import Session, command

Row = TypeVar("Row", bound=Mapping[str, Any])


@dataclass(frozen=True)
class Kind(Generic[Row]):
    """What tells one noun's commands from the other's. `files`: what goes when one is deleted."""

    noun: str
    files: str
    every: Callable[[Retort], Iterator[Row]]
    one: Callable[[Retort, str], Row]
    delete: Callable[[Retort, str], None]
    table: Callable[[Iterable[Row]], Table]


def add_commands(group: click.Group, kind: Kind[Any]) -> None:
    """Give the group its `list`, `show` and `delete`."""
    name = kind.noun.upper()

    @group.command("list", help=f"All {kind.noun}s, newest first.")
    @command
    def list_(session: Session, retort: Retort) -> None:
        rows = list(kind.every(retort))
        session.show(rows, lambda: kind.table(rows))

    @group.command("show", help=f"One {kind.noun} with what its inspection found.")
    @click.argument("resource_id", metavar=f"{name}_ID")
    @command
    def show(session: Session, retort: Retort, resource_id: str) -> None:
        found = kind.one(retort, resource_id)
        session.show(found, lambda: render.details(dict(found)))

    @group.command("delete", help=f"Remove {kind.noun}s and their {kind.files}.")
    @click.argument("resource_ids", nargs=-1, required=True, metavar=f"{name}_IDS...")
    @command
    def delete(session: Session, retort: Retort, resource_ids: tuple[str, ...]) -> None:
        for resource_id in resource_ids:
            kind.delete(retort, resource_id)
            session.console.print(f"deleted {resource_id}")
