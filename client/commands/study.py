"""`retort study --file`: a study of the service's own kind, on a service or without one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from client import local_service, study_file
from client.api import Retort
from client.commands.body import with_search
from client.commands.following import followed, show_end
from client.one_at_a_time import one_at_a_time
from client.session import Session


def wanted(arguments: Sequence[str]) -> bool:
    """Whether the arguments of `retort study` name a file; without one it is the grid of `distill.commands.study`."""
    return any(each in ("--file", "-f") or each.startswith("--file=") for each in arguments)


PLACES = {
    "--dataset": "base.dataset", "--teacher": "base.teacher", "--teacher-architecture": "base.teacher.architecture",
    "--teacher-epochs": "base.teacher.job.config.epochs", "--student": "base.student", "--epochs": "base.config.epochs",
    "--set": "base.config", "--recipes": 'space["/config/recipe"].choices',
    "--selections": 'space["/config/selection"].choices',
}  # fmt: skip
"""Options of the grid, and where a file says the same."""


def check(arguments: Sequence[str]) -> None:
    """Raises `UsageError` for options of the grid beside a file, and for those of a file without one."""
    given = [each.partition("=")[0] for each in arguments]
    if wanted(arguments):
        for name in (name for name in given if name in PLACES):
            raise click.UsageError(f"{name} is of the grid without --file. In the file it is {PLACES[name]}.")
    alone = {name for each in study.params for name in each.opts if name.startswith("--")} - {"--seeds", "--output"}
    for name in (name for name in given if name in alone and not wanted(arguments)):
        raise click.UsageError(f"{name} goes with --file FILE, which says what to search. The grid has no such option.")


@click.command("study")
@click.option("--file", "-f", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="The body of POST /studies as JSON; its dataset and teacher may be files here.")  # fmt: skip
@click.option("--url", help="A service; default: that of the program's --url, else one of our own in --output.")
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Where the file's paths start from; default: the file's folder.")  # fmt: skip
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=Path("study"), show_default=True)
@click.option("--strategy", "-s", help="grid, random, tpe, asha, hyperband.")
@click.option("--seeds", type=click.IntRange(1), help="How many seeds each configuration has.")
@click.option("--trials", type=click.IntRange(1), help="Jobs of the search at most; more than before extends it.")
@click.option("--minutes", type=float, help="Time under workers at most; more than before extends it.")
@click.option("--parallel", type=click.IntRange(1), help="Trials at once.")
@click.option("--confirm", type=click.IntRange(0), help="Fresh seeds that confirm the winner.")
@click.pass_context
def study(context: click.Context, /, file: Path, url: str | None, data: Path | None, output: Path, **rest: Any) -> None:
    """Search as a file says, and write study.md, study.json, table.csv, figure.svg and pareto.svg.

    Interrupt it whenever you like: the same command goes on. Without a service one of our own runs in OUTPUT/service
    meanwhile, on SQLite. Options go before what the file says.
    """
    session = context.find_object(Session)
    assert session is not None
    body = with_search(study_file.read(file), rest)
    output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(one_at_a_time(output))
        service = url or _given(context, session)
        where = service or f"the service in {output / 'service'}"
        if service is None:
            session.say("Starting the service ...")
            service = stack.enter_context(
                local_service.running(output / "service", output / "service.log", session.say)
            )
        retort = stack.enter_context(Retort(service, session.api_key))
        made = study_file.StudyFile(retort, body, data or file.parent, output, session.say, where).begun()
        session.say(f"{made['id']}: {made['name'] or 'a study'}")
        ended = followed(session, retort, made["id"])
        written = study_file.write(retort, ended, output)
        show_end(session, retort, ended)
        if not session.as_json:
            session.say(f"Written: {', '.join(str(path) for path in written)}")


def _given(context: click.Context, session: Session) -> str | None:
    """The program's --url or RETORT_URL, where one is given."""
    parent = context.parent
    default = click.core.ParameterSource.DEFAULT
    named = parent is not None and parent.get_parameter_source("url") is not default
    return session.url if named else None
