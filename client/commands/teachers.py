"""`retort teachers`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from client import progress, render
from client.api import Retort
from client.commands.registered import Kind, add_commands
from client.commands.seeing import preprocessing_options
from client.session import Session, command, pairs, typed_pairs


@click.group()
def teachers() -> None:
    """Checkpoints to distil from."""


@teachers.command("add")
@click.argument("file", required=False, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--architecture", "-a", help="Catalogue name, e.g. timm:resnet34; a student and a language model's folder tell it."
)
@click.option(
    "--option", "-o", "options", multiple=True, callback=typed_pairs, help="Constructor argument, name=value."
)
@click.option("--from-job", help="Register what this job trained, instead of a file.")
@click.option("--name", default="", help="Your name for it.")
@click.option("--label", "labels", multiple=True, callback=pairs, help="name=value; may be repeated.")
@preprocessing_options
@command
def add(  # noqa: PLR0913 - click passes an option a parameter
    session: Session,
    retort: Retort,
    file: Path | None,
    architecture: str | None,
    options: dict[str, Any],
    from_job: str | None,
    name: str,
    labels: dict[str, str],
    preprocessing: dict[str, Any],
) -> None:
    """Register a FILE (safetensors, .pt, .pth, .bin) with its architecture, which a student's file tells itself, a
    folder or zip of a Hugging Face language model, or a finished job's student."""
    if from_job is not None:
        made = retort.teacher_from_job(from_job, name=name, labels=labels)
    elif file is not None:
        with progress.bar(Console(stderr=True), "sending") as show:
            made = retort.add_teacher(file, architecture, options, name, labels, show, preprocessing=preprocessing)
    else:
        raise click.UsageError("Give FILE (with --architecture, where it does not tell it), or --from-job.")
    session.show(made, lambda: render.details(dict(made)))


add_commands(
    teachers, Kind("teacher", "weights", Retort.teachers, Retort.teacher, Retort.delete_teacher, render.teachers)
)
