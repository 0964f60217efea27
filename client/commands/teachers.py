"""`retort teachers`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from client import progress, render
from client.api import Retort
from client.session import Session, command, pairs, typed_pairs


@click.group()
def teachers() -> None:
    """Checkpoints to distil from."""


@teachers.command("add")
@click.argument("file", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--architecture", "-a", help="Catalogue name, e.g. timm:resnet34; a language model's folder tells it.")
@click.option(
    "--option", "-o", "options", multiple=True, callback=typed_pairs, help="Constructor argument, name=value."
)
@click.option("--from-job", help="Register what this job trained, instead of a file.")
@click.option("--name", default="", help="Your name for it.")
@click.option("--label", "labels", multiple=True, callback=pairs, help="name=value; may be repeated.")
@command
def add(
    session: Session,
    retort: Retort,
    file: Path | None,
    architecture: str | None,
    options: dict[str, Any],
    from_job: str | None,
    name: str,
    labels: dict[str, str],
) -> None:
    """Register a FILE (safetensors, .pt, .pth, .bin) with its architecture, a folder or zip of a Hugging Face language
    model, or a finished job's student."""
    if from_job is not None:
        made = retort.teacher_from_job(from_job, name=name, labels=labels)
    elif file is not None:
        with progress.bar(Console(stderr=True), "sending") as show:
            made = retort.add_teacher(file, architecture, options, name, labels, show)
    else:
        raise click.UsageError("Give FILE (with --architecture, if it is no language model), or --from-job.")
    session.show(made, lambda: render.details(dict(made)))


@teachers.command("list")
@command
def list_(session: Session, retort: Retort) -> None:
    """All teachers, newest first."""
    rows = list(retort.teachers())
    session.show(rows, lambda: render.teachers(rows))


@teachers.command("show")
@click.argument("teacher_id")
@command
def show(session: Session, retort: Retort, teacher_id: str) -> None:
    """One teacher with what its inspection found."""
    found = retort.teacher(teacher_id)
    session.show(found, lambda: render.details(dict(found)))


@teachers.command("delete")
@click.argument("teacher_ids", nargs=-1, required=True)
@command
def delete(session: Session, retort: Retort, teacher_ids: tuple[str, ...]) -> None:
    """Remove teachers and their weights."""
    for teacher_id in teacher_ids:
        retort.delete_teacher(teacher_id)
        session.console.print(f"deleted {teacher_id}")
