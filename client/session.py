"""What every command shares: the service, the terminal, and how errors become exit codes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from rich.console import Console

from client.api import Retort
from client.errors import ProblemError, RetortClientError

P = ParamSpec("P")
R = TypeVar("R")
USER, SYSTEM, INTERRUPTED = 1, 2, 130


@dataclass
class Session:
    """Options of the whole program."""

    url: str
    api_key: str | None
    as_json: bool
    console: Console

    def say(self, line: str) -> None:
        """One plain line for the user."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def show(self, document: Any, render: Callable[[], Any]) -> None:
        """The document as JSON with --json, else what `render` makes of it."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2))
        else:
            self.console.print(render())


def command(function: Callable[Concatenate[Session, Retort, P], R]) -> Callable[P, R]:
    """Give the command its session and an open client."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        session = click.get_current_context().find_object(Session)
        assert session is not None
        with Retort(session.url, session.api_key) as retort:
            return function(session, retort, *args, **kwargs)

    return run


def add_actions(
    group: click.Group, argument: str, texts: Mapping[str, str], ask: Callable[[Retort, str, str], Any]
) -> None:
    """A command for each action, name -> help, that asks it of one thing (`ask(client, id, action)`) and says how that
    stands then."""
    for name, text in texts.items():
        group.add_command(_action(argument, name, text, ask))


def _action(argument: str, name: str, text: str, ask: Callable[[Retort, str, str], Any]) -> click.Command:
    @click.argument(argument)
    @command
    def act(session: Session, retort: Retort, /, **given: str) -> None:
        row = ask(retort, given[argument], name)
        session.show(row, lambda: f"{row['id']} is {row['status']}")

    return click.command(name, help=text)(act)


def explain(console: Console, error: RetortClientError) -> int:
    """Print what is wrong and what to do; the exit code."""
    console.print(f"[bold red]Error:[/] {_plain(error.message)}", highlight=False)
    for place in error.errors[:20] if isinstance(error, ProblemError) and len(error.errors) > 1 else []:
        console.print(f"  {_plain(place['pointer'])}: {_plain(place['message'])}", highlight=False)
    if error.remedy:
        console.print(f"[bold]Try:[/] {_plain(error.remedy)}", highlight=False)
    return USER if error.fault == "user" else SYSTEM


def _plain(text: str) -> str:
    """Text of the service is text, not rich's markup."""
    return text.replace("[", "\\[")


def pairs(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """`name=value` options as a dict."""
    return dict(_pair(text) for text in given)


def typed_pairs(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    """`name=value` options whose values are JSON, or text where they are none."""
    return {name: _typed(value) for name, value in map(_pair, given)}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not name=value")
    return name, value


def _typed(text: str) -> Any:
    try:
        return strict_json(text)
    except (ValueError, RecursionError):
        return text


def strict_json(text: str) -> Any:
    """The value of a JSON text. Raises `ValueError` for NaN and numbers beyond 1.8e308 too, which Python would read but
    no request can carry."""
    return json.loads(text, parse_float=_finite, parse_constant=_finite)


def json_object(file: Path) -> dict[str, Any]:
    """The object that a file of JSON holds. Raises `ValueError`, which says what it holds instead."""
    try:
        found = strict_json(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{file} holds no JSON object ({{...}}).")
    return found


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text} is no number of JSON")
    return value
