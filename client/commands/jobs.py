"""`retort jobs`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from client import figures, render
from client.api import Retort
from client.commands import body as bodies
from client.errors import JobFailed
from client.session import Session, add_actions, command, pairs, typed_pairs
from client.types import TERMINAL, Job
from client.watch import watch as watch_job

FOLLOW_SECONDS = 1.0
ACTIONS = {
    "cancel": "End a job and keep nothing of its student.",
    "stop": "End training now and keep the best student so far.",
    "pause": "Free the worker and keep the training state.",
    "resume": "Queue a paused job again.",
    "retry": "Queue a job that failed by a fault of the system again.",
}


def _resources(_context: click.Context, _parameter: click.Parameter, given: str | None) -> dict[str, Any] | None:
    return None if given is None else {"processes": int(given) if given.isdecimal() else given}


@click.group()
def jobs() -> None:
    """Runs: scoring, distilling, evaluating."""


@jobs.command("submit")
@click.option("--file", "-f", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The body as JSON.")
@click.option("--teacher", "-t", "teachers", multiple=True, help="Id of a teacher; of several that teach together.")
@click.option("--dataset", "-d", help="Id of a dataset, or the name of a set in the catalogue.")
@click.option("--student", "-s", help="Architecture, e.g. retort:resnet8.")
@click.option("--option", "-o", "options", multiple=True, callback=typed_pairs, help="Student's argument, name=value.")
@click.option("--weights", help="Id of a teacher, or of a finished job, that the student starts from.")
@click.option("--map", "named", multiple=True, callback=pairs, help="Of --weights: the student's prefix=theirs.")
@click.option("--recipe", "-r", help="Recipe; feature_only unless given.")
@click.option("--set", "config", multiple=True, callback=typed_pairs, help="Any field of config, name=value (JSON).")
@click.option("--name", help="Your name for it.")
@click.option("--label", "labels", multiple=True, callback=pairs, help="name=value; may be repeated.")
@click.option("--priority", type=int, help="Higher starts first.")
@click.option("--processes", "resources", callback=_resources, help="That train together, a device each; or auto.")
@click.option("--hosts", type=int, help="Hosts of a cluster that share the processes; 1 unless given.")
@click.option("--sharding", help="full: each process holds a share of the networks; none unless given.")
@click.option("--compare-with", help="Id of a finished job to report beside this one.")
@click.option("--probe", help="Id of a small labelled dataset that judges features, for one without labels.")
@click.option("--dry-run", is_flag=True, help="Check everything, queue nothing.")
@click.option("--watch", "-w", is_flag=True, help="Stay and show how it goes.")
@command
def submit(  # noqa: PLR0913 - click: one each option
    session: Session,
    retort: Retort,
    /,
    file: Path | None,
    teachers: tuple[str, ...],
    student: str | None,
    dataset: str | None,
    options: dict[str, Any],
    weights: str | None,
    named: dict[str, str],
    recipe: str | None,
    config: dict[str, Any],
    hosts: int | None,
    sharding: str | None,
    dry_run: bool,
    watch: bool,
    **rest: Any,
) -> None:
    """Queue a job. Options go before what --file says; of config and of the student's arguments both count."""
    body = bodies.read(file)
    body |= {name: value for name, value in rest.items() if value not in (None, {})}
    asked = {name: value for name, value in (("hosts", hosts), ("sharding", sharding)) if value is not None}
    body |= {"resources": body.get("resources", {}) | asked} if asked else {}
    body = bodies.with_dataset(bodies.with_teachers(body, teachers), dataset)
    body = bodies.with_weights(bodies.with_student(body, student, options), weights, named)
    body = bodies.with_config(body, config | ({"recipe": recipe} if recipe else {}))
    if dry_run:
        checked = retort.dry_run(**body)
        session.show(checked, lambda: render.details(checked))
        return
    _queued(session, retort, retort.submit(**body), watch)


@jobs.command("extend")
@click.argument("job_id")
@click.option("--epochs", type=click.IntRange(1), required=True, help="Of the new job.")
@click.option("--teacher", "-t", "teachers", multiple=True, help="Another teacher, or several.")
@click.option("--dataset", "-d", help="Id of another dataset, or the name of a set in the catalogue.")
@click.option("--set", "config", multiple=True, callback=typed_pairs, help="Any other field of config, name=value.")
@click.option("--name", help="Your name for it.")
@click.option("--watch", "-w", is_flag=True, help="Stay and show how it goes.")
@command
def extend(
    session: Session, retort: Retort, /, job_id: str, teachers: tuple[str, ...], dataset: str | None, watch: bool,
    **rest: Any,
) -> None:  # fmt: skip
    """A new job whose student goes on from a finished one's."""
    body = {name: value for name, value in rest.items() if value not in (None, {})}
    body = bodies.with_dataset(bodies.with_teachers(body, teachers), dataset)
    _queued(session, retort, retort.extend(job_id, **body), watch)


@jobs.command("list")
@click.option("--status", multiple=True, help="Only these; may be repeated.")
@click.option("--recipe", help="Only this recipe.")
@click.option("--label", "labels", multiple=True, callback=pairs, help="name=value; all must hold.")
@command
def list_(
    session: Session, retort: Retort, status: tuple[str, ...], recipe: str | None, labels: dict[str, str]
) -> None:
    """Jobs, newest first."""
    rows = list(retort.jobs(list(status), recipe, labels))
    session.show(rows, lambda: render.jobs(rows))


@jobs.command("show")
@click.argument("job_id")
@command
def show(session: Session, retort: Retort, job_id: str) -> None:
    """One job with all that is known of it: last, once it has ended, its figures."""
    job = retort.job(job_id)
    hidden = ({"config", "links"} if job["resolved"] else {"links"}) | {"result"}
    session.show(job, lambda: render.details({name: value for name, value in job.items() if name not in hidden}))
    networks = figures.columns(job)
    if networks and not session.as_json:
        rows = figures.rows([(job, column) for column in networks.values()], retort.tasks())
        session.console.print(render.figures(networks, rows))


@jobs.command("compare")
@click.argument("job_ids", nargs=-1, required=True)
@command
def compare(session: Session, retort: Retort, job_ids: tuple[str, ...]) -> None:
    """The students of jobs side by side. Figures compare on the same dataset only."""
    found = [retort.job(job_id) for job_id in job_ids]
    rows = figures.rows([(job, figures.columns(job).get("student")) for job in found], retort.tasks())
    session.show(found, lambda: render.figures([job["name"] or job["id"] for job in found], rows))


@jobs.command("watch")
@click.argument("job_id")
@command
def watch(session: Session, retort: Retort, job_id: str) -> None:
    """Show how a job goes until it ends. Ctrl-C ends the watching, not the job."""
    _watch(session, retort, job_id)


@jobs.command("logs")
@click.argument("job_id")
@click.option("--tail", type=click.IntRange(1, 1000), default=100, show_default=True, help="The last so many lines.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended.")
@command
def logs(session: Session, retort: Retort, job_id: str, tail: int, follow: bool) -> None:
    """What the trainer wrote."""
    lines, cursor = retort.log_tail(job_id, tail)
    session.show(lines, lambda: "\n".join(map(_line, lines)))
    while follow:
        ended = retort.job(job_id)["status"] in TERMINAL
        lines, cursor = retort.logs_after(job_id, cursor)
        if lines:
            session.show(lines, lambda lines=lines: "\n".join(map(_line, lines)))  # type: ignore[misc]
        elif ended:
            return
        else:
            time.sleep(FOLLOW_SECONDS)


def _line(line: dict[str, Any]) -> str:
    return escape(f"{line['created_at'][:19]} {line['attempt']} {line['level']:7} {line['message']}")


@jobs.command("delete")
@click.argument("job_ids", nargs=-1, required=True)
@click.option("--cancel", is_flag=True, help="Cancel first what is still active.")
@command
def delete(session: Session, retort: Retort, job_ids: tuple[str, ...], cancel: bool) -> None:
    """Remove ended jobs with all they made."""
    for job_id in job_ids:
        retort.delete_job(job_id, cancel)
        session.console.print(f"deleted {job_id}")


add_actions(jobs, "job_id", ACTIONS, Retort.act)


def _queued(session: Session, retort: Retort, job: Job, watch: bool) -> None:
    if watch:
        _watch(session, retort, job["id"])
    else:
        session.show(job, lambda: f"{job['id']}\nFollow it with: retort jobs watch {job['id']}")


def _watch(session: Session, retort: Retort, job_id: str) -> None:
    console = Console(stderr=True) if session.as_json else session.console  # stdout is the document's alone
    try:
        job = watch_job(retort, console, job_id)
    except KeyboardInterrupt:
        console.print(f"The job goes on. See it again with: retort jobs watch {job_id}")
        raise
    if job["status"] != "succeeded":
        raise JobFailed(dict(job))
    session.show(job, lambda: _ended(job))


def _ended(job: Job) -> str:
    return f"{job['id']} succeeded. Fetch what it made with: retort download {job['id']}"
