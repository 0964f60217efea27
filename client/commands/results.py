"""`retort q-curve` and `retort download`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from client import render
from client.api import MEDIA, Retort
from client.session import Session, command

REPORTS = ("report.md", "report.json")


@click.command("q-curve")
@click.argument("job_id")
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A .svg, .png, .csv or .json file."
)
@click.option("--teacher", type=click.IntRange(0), default=0, help="Which of several teachers, counted from 0.")
@command
def q_curve(session: Session, retort: Retort, job_id: str, output: Path | None, teacher: int) -> None:
    """The Q curve of a job, in the terminal or into a file."""
    if output is not None:
        form = output.suffix.removeprefix(".")
        if form not in MEDIA:
            raise click.BadParameter(f"{output.name} should end in one of {', '.join(MEDIA)}", param_hint="--output")
        output.write_bytes(retort.q_curve_as(job_id, form, teacher))
        session.console.print(f"wrote {output}")
        return
    curve = retort.q_curve(job_id, teacher)
    session.show(curve, lambda: render.curve(curve))
    if not session.as_json:
        session.console.print(_caption(curve))


def _caption(curve: Any) -> str:
    total = curve["total_layers"]
    if total is None:
        return "No layer is scored yet."
    parts = [f"{len(curve['layers'])} of {total} layers scored"]
    if curve["chosen"]:
        parts.append(f"* chosen by {curve['rule']}")
    return "; ".join(parts) + "."


@click.command("download")
@click.argument("job_id")
@click.argument("what", default="all")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Folder, or for one artifact a file.")
@command
def download(session: Session, retort: Retort, job_id: str, what: str, output: Path | None) -> None:
    """Fetch WHAT a job made: student, report, an artifact's name, or all. Every file is verified by its sha256."""
    known = [artifact["name"] for artifact in retort.artifacts(job_id)]
    groups = {"all": known, "report": [name for name in REPORTS if name in known]}
    names = [retort.student_name(job_id)] if what == "student" else groups.get(what, [what])
    if not names:
        raise click.UsageError(f"Job {job_id} has made no files yet; retort jobs show {job_id} tells how it stands.")
    folder = output or Path(job_id)
    for name in names:
        one_file = len(names) == 1 and output is not None and _is_file(output)
        path = folder if one_file else folder / Path(name).name
        retort.download(job_id, name, path)
        session.console.print(f"{path}", highlight=False)
    if what == "all" and retort.job(job_id)["status"] == "succeeded":
        for path in retort.download_manifest(job_id, folder):
            session.console.print(f"{path}", highlight=False)


def _is_file(output: Path) -> bool:
    """Whether a single file is to be called so: what is there decides, else the name, by a dot in it."""
    return output.is_file() or (bool(output.suffix) and not output.is_dir())
