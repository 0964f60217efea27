"""`retort studies`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from client import render, study_tables
from client.api import Retort
from client.commands import body as bodies
from client.commands.following import followed, show_end
from client.session import Session, add_actions, command, strict_json
from client.studies import FIGURE_MEDIA, PARETO_MEDIA, TABLE_MEDIA

ACTIONS = {
    "cancel": "End a study and its active trials.",
    "pause": "Begin no further trial, and hold those that wait or run.",
    "resume": "Go on with a paused study.",
}


@click.group()
def studies() -> None:
    """Searches over jobs: which variation is better, and by how much."""


def _places(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    return dict(_place(text) for text in given)


def _place(text: str) -> tuple[str, Any]:
    """`config.learning_rate=[0.1, 0.01]`, or `={"low": ..., "high": ...}` -> pointer and domain."""
    name, equals, value = text.partition("=")
    try:
        domain = strict_json(value) if equals else None
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{value!r} is no JSON: {error}") from error
    if not isinstance(domain, list | dict):
        raise click.BadParameter(
            f'{text!r}: write config.layers=[2, 4], or config.learning_rate={{"low": ..., "high": ...}}'
        )
    pointer = name if name.startswith("/") else "/" + name.replace(".", "/")
    return pointer, {"choices": domain} if isinstance(domain, list) else domain


@studies.command("begin")
@click.option(
    "--file",
    "-f",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The body as JSON: the whole, or its base.",
)
@click.option("--job", "-j", help="Id of a job to vary.")
@click.option("--vary", "space", multiple=True, callback=_places, help="config.layers=[2, 4]; may be repeated.")
@click.option("--strategy", "-s", help="grid, random, tpe, asha, hyperband.")
@click.option("--seeds", type=click.IntRange(1), help="How many seeds each configuration has.")
@click.option("--trials", type=click.IntRange(1), help="Jobs of the search at most.")
@click.option("--minutes", type=float, help="Time under workers at most.")
@click.option("--parallel", type=click.IntRange(1), help="Trials at once.")
@click.option("--confirm", type=click.IntRange(0), help="Fresh seeds that confirm the winner.")
@click.option("--name", help="Your name for it.")
@click.option("--dry-run", is_flag=True, help="Check everything, begin nothing.")
@click.option("--watch", "-w", is_flag=True, help="Stay and show how it goes.")
@command
def begin(
    session: Session, retort: Retort, /, file: Path | None, job: str | None, space: dict[str, Any], dry_run: bool,
    watch: bool, **rest: Any,
) -> None:  # fmt: skip
    """Vary a job. Options go before what --file says."""
    body = bodies.read(file)
    body |= {"base": base_of(retort, job)} if job else {}
    body |= {"space": body.get("space", {}) | space} if space else {}
    body = bodies.with_search(body, rest)
    if dry_run:
        checked = retort.check_study(**body)
        session.show(checked, lambda: render.details(checked))
        return
    study = retort.create_study(**body)
    if watch:
        _watch(session, retort, study["id"])
    else:
        session.show(study, lambda: f"{study['id']}\nFollow it with: retort studies watch {study['id']}")


def base_of(retort: Retort, job_id: str) -> dict[str, Any]:
    """The request that would make this job again."""
    job = retort.job(job_id)
    student: dict[str, Any] = dict(job["student"])
    if job.get("student_weights"):
        student["weights"] = job["student_weights"]  # type: ignore[typeddict-item]
    teachers = job["teachers"]
    found = {
        "teacher": teachers if len(teachers) > 1 else next(iter(teachers), None),
        "dataset": job["dataset"],
        "student": student,
        "config": {name: value for name, value in job["config"].items() if name != "seed"},
        "probe": job["probe"],
        "resources": job.get("resources"),
    }
    return {name: value for name, value in found.items() if value is not None}


@studies.command("list")
@click.option("--status", multiple=True, help="Only these; may be repeated.")
@command
def list_(session: Session, retort: Retort, status: tuple[str, ...]) -> None:
    """Studies, newest first."""
    rows = list(retort.studies(list(status)))
    session.show(rows, lambda: study_tables.studies(rows))


@studies.command("show")
@click.argument("study_id")
@command
def show(session: Session, retort: Retort, study_id: str) -> None:
    """One study with its table, the best configuration first."""
    study = retort.study(study_id)
    hidden = {"base", "links"}
    session.show(study, lambda: render.details({name: value for name, value in study.items() if name not in hidden}))
    if not session.as_json:
        session.console.print(study_tables.rows(retort.study_table(study_id)))


@studies.command("trials")
@click.argument("study_id")
@click.option("--state", multiple=True, help="Only these; may be repeated.")
@command
def trials(session: Session, retort: Retort, study_id: str, state: tuple[str, ...]) -> None:
    """Its jobs, first to last."""
    rows = list(retort.study_trials(study_id, list(state)))
    session.show(rows, lambda: study_tables.trials(rows))


@studies.command("table")
@click.argument("study_id")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A .csv, .md or .json file.")
@command
def table(session: Session, retort: Retort, study_id: str, output: Path | None) -> None:
    """Configurations with their spreads and differences, in the terminal or into a file."""
    if output is not None:
        _write(session, output, retort.study_table_as(study_id, _form(output, TABLE_MEDIA)))
        return
    found = retort.study_table(study_id)
    session.show(found, lambda: study_tables.rows(found))


@studies.command("pareto")
@click.argument("study_id")
@click.option("--x", help="A figure; the second objective, or bytes.")
@click.option("--y", help="A figure; the first objective.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="A .svg, .png or .json file.")
@command
def pareto(session: Session, retort: Retort, study_id: str, x: str | None, y: str | None, output: Path | None) -> None:
    """What better costs: configurations that no other beats in both figures."""
    if output is not None:
        _write(session, output, retort.study_pareto_as(study_id, _form(output, PARETO_MEDIA), x, y))
        return
    found = retort.study_pareto(study_id, x, y)
    session.show(found, lambda: study_tables.front(found))


@studies.command("figure")
@click.argument("study_id")
@click.option("--x", help="A cost, a numeric place (epochs), or a score of layers (quality).")
@click.option("--y", help="An objective or a cost; the first objective.")
@click.option("--series", help="A place of few values; the recipe if varied. none: no series.")
@click.option(
    "--output", "--out", "-o", type=click.Path(dir_okay=False, path_type=Path),
    help="A .svg, .png, .csv or .json file.",
)  # fmt: skip
@command
def figure(
    session: Session, retort: Retort, study_id: str, x: str | None, y: str | None, series: str | None,
    output: Path | None,
) -> None:  # fmt: skip
    """Configurations as points with 95 % intervals over their seeds, in series; drawn by the service."""
    if output is not None:
        _write(session, output, retort.study_figure_as(study_id, _form(output, FIGURE_MEDIA), x, y, series))
        return
    found = retort.study_figure(study_id, x, y, series)
    session.show(found, lambda: study_tables.points(found))
    if not session.as_json:
        session.console.print("\n".join(found["reading"]), markup=False)


def _form(output: Path, media: dict[str, str]) -> str:
    form = output.suffix.removeprefix(".")
    if form not in media:
        raise click.BadParameter(f"{output.name} should end in one of {', '.join(media)}", param_hint="--output")
    return form


def _write(session: Session, output: Path, content: bytes) -> None:
    output.write_bytes(content)
    session.console.print(f"wrote {output}")


@studies.command("importance")
@click.argument("study_id")
@command
def importance(session: Session, retort: Retort, study_id: str) -> None:
    """How much each place of the space matters."""
    found = retort.study_importance(study_id)
    session.show(found, lambda: study_tables.shares(found))


@studies.command("extend")
@click.argument("study_id")
@click.option("--trials", type=click.IntRange(1), help="So many more.")
@click.option("--minutes", type=float, help="So many more.")
@click.option("--parallel", type=click.IntRange(1), help="From now on.")
@command
def extend(
    session: Session, retort: Retort, study_id: str, trials: int | None, minutes: float | None, parallel: int | None
) -> None:
    """Give the search more; one that has ended goes on."""
    study = retort.extend_study(study_id, trials, minutes, parallel)
    session.show(study, lambda: f"{study['id']} is {study['status']}")


@studies.command("watch")
@click.argument("study_id")
@command
def watch(session: Session, retort: Retort, study_id: str) -> None:
    """Show how a study goes until it ends. Ctrl-C ends the watching, not the study."""
    _watch(session, retort, study_id)


@studies.command("delete")
@click.argument("study_ids", nargs=-1, required=True)
@click.option("--cancel", is_flag=True, help="Cancel first what is still active.")
@command
def delete(session: Session, retort: Retort, study_ids: tuple[str, ...], cancel: bool) -> None:
    """Remove ended studies; their jobs stay."""
    for study_id in study_ids:
        retort.delete_study(study_id, cancel)
        session.console.print(f"deleted {study_id}")


add_actions(studies, "study_id", ACTIONS, Retort.act_on_study)


def _watch(session: Session, retort: Retort, study_id: str) -> None:
    show_end(session, retort, followed(session, retort, study_id))
