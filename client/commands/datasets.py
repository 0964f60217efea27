"""`retort datasets`."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from client import progress, render
from client.api import Retort
from client.session import Session, command, pairs

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
PLACE = click.Path(exists=True, path_type=Path)


@click.group()
def datasets() -> None:
    """Samples to distil on, of one task each."""


@datasets.command("add")
@click.argument("file", required=False, type=PLACE)
@click.option("--train", type=FILE, help="The training part, instead of FILE.")
@click.option("--test", type=FILE, help="The test part, beside --train.")
@click.option("--named", help="A data set that the service knows, e.g. fashion-mnist.")
@click.option("--url", help="https://, s3:// or hf:// URL that the service fetches itself.")
@click.option("--sha256", help="What the file at --url must have.")
@click.option("--task", default="", help="Of the catalogue's tasks; unless given, the files tell.")
@click.option("--name", default="", help="Your name for it.")
@click.option("--label", "labels", multiple=True, callback=pairs, help="name=value; may be repeated.")
@command
def add(
    session: Session,
    retort: Retort,
    file: Path | None,
    train: Path | None,
    test: Path | None,
    named: str | None,
    url: str | None,
    sha256: str | None,
    name: str,
    labels: dict[str, str],
    task: str,
) -> None:
    """Register a FILE (retort catalogue tasks says which), a folder of images or with tables train.* and test.*, a
    named set, or a URL."""
    if sum(given is not None for given in (file, train, named, url)) != 1:
        raise click.UsageError("Give one of FILE, --train (with --test), --named and --url.")
    if named is not None:
        made = retort.named_dataset(named, labels, task)
    elif url is not None:
        made = retort.fetched_dataset(url, sha256, name, labels, task)
    else:
        with progress.bar(Console(stderr=True), "sending") as show:
            made = retort.add_dataset(file, train=train, test=test, name=name, task=task, labels=labels, progress=show)
    session.show(made, lambda: render.details(dict(made)))


@datasets.command("list")
@command
def list_(session: Session, retort: Retort) -> None:
    """All datasets, newest first."""
    rows = list(retort.datasets())
    session.show(rows, lambda: render.datasets(rows))


@datasets.command("show")
@click.argument("dataset_id")
@command
def show(session: Session, retort: Retort, dataset_id: str) -> None:
    """One dataset with what its inspection found."""
    found = retort.dataset(dataset_id)
    session.show(found, lambda: render.details(dict(found)))


@datasets.command("delete")
@click.argument("dataset_ids", nargs=-1, required=True)
@command
def delete(session: Session, retort: Retort, dataset_ids: tuple[str, ...]) -> None:
    """Remove datasets and their files."""
    for dataset_id in dataset_ids:
        retort.delete_dataset(dataset_id)
        session.console.print(f"deleted {dataset_id}")
