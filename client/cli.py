"""The `retort` command: everything of the HTTP contract, and local commands that other packages attach."""

from __future__ import annotations

import ast
import sys
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

import click
from rich.console import Console

from client import demo
from client.api import DEFAULT_URL
from client.commands import study
from client.commands.catalogue import catalogue, status
from client.commands.datasets import datasets
from client.commands.exports import exports
from client.commands.jobs import jobs
from client.commands.predict import disagreements, predict
from client.commands.publications import publications, publish
from client.commands.results import download, q_curve
from client.commands.secrets import secrets
from client.commands.studies import studies
from client.commands.teachers import teachers
from client.commands.verify import signing_key, verify
from client.commands.webhooks import webhooks
from client.errors import RetortClientError, Unusable
from client.session import INTERRUPTED, SYSTEM, USER, Session, explain

GROUP = "retort.commands"


class Program(click.Group):
    """Commands of our own, and those that installed packages attach; these are imported only when they are run."""

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*super().list_commands(context), *_attached()})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        own = super().get_command(context, name)
        point = _attached().get(name)
        return own if own is not None or point is None else _Attached(point)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """`retort study` is the service's kind of study where a file says what to search, else the local grid."""
        if args[:1] == ["study"]:
            study.check(args[1:])
        if args[:1] == ["study"] and study.wanted(args[1:]):
            return "study", study.study, args[1:]
        return super().resolve_command(context, args)


class _Attached(click.Command):
    """Stands for a command of another package until it is run: `retort --help` must not import torch."""

    def __init__(self, point: EntryPoint) -> None:
        super().__init__(point.name, help=_summary(point), add_help_option=False)
        self.params = [click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)]
        self.ignore_unknown_options = True
        self.context_settings = {"ignore_unknown_options": True, "allow_interspersed_args": False}
        self._point = point

    def invoke(self, context: click.Context) -> object:
        loaded: click.Command = self._point.load()
        name = f"{context.find_root().info_name} {self.name}"
        return loaded.main(list(context.params["rest"]), prog_name=name, standalone_mode=False)


def _summary(point: EntryPoint) -> str:
    """The first line of the command's docstring, read without importing it; here, beside the service, not over HTTP."""
    with suppress(ModuleNotFoundError):
        spec = find_spec(point.module)
        body = ast.parse(Path(spec.origin).read_bytes()).body if spec and spec.origin else []
        for node in body:
            if isinstance(node, ast.FunctionDef) and node.name == point.attr:
                return (ast.get_docstring(node) or point.value).partition("\n")[0]
    return f"Of {point.module}."


def _attached() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", envvar="RETORT_URL", default=DEFAULT_URL, show_default=True, help="The service. [RETORT_URL]")
@click.option("--api-key", envvar="RETORT_API_KEY", help="Bearer key. [RETORT_API_KEY]")
@click.option("--json", "as_json", is_flag=True, help="Print documents as JSON.")
@click.version_option(package_name="retort", message="%(version)s")
@click.pass_context
def program(context: click.Context, url: str, api_key: str | None, as_json: bool) -> None:
    """Distil large models into small ones."""
    context.obj = Session(url, api_key or None, as_json, Console())


_COMMANDS = (
    teachers,
    datasets,
    jobs,
    exports,
    predict,
    disagreements,
    publish,
    publications,
    secrets,
    studies,
    webhooks,
    q_curve,
    download,
    catalogue,
    status,
)
for _command in (*_COMMANDS, signing_key, verify, demo.command):
    program.add_command(_command)


def main(arguments: list[str] | None = None) -> int:
    """Run the program; its exit code: 0, 1 (the user's fault), 2 (the system's), 130 (interrupted)."""
    console = Console(stderr=True)
    try:
        result = program.main(arguments, prog_name="retort", standalone_mode=False)
    except RetortClientError as error:
        return explain(console, error)
    except click.Abort:
        return INTERRUPTED
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return SYSTEM if getattr(error, "fault", "user") == "system" else USER  # of a local command
    except BrokenPipeError:
        return USER
    except OSError as error:
        return explain(console, _of_a_file(error))
    return result if isinstance(result, int) else 0


def _of_a_file(error: OSError) -> RetortClientError:
    """The user's where a path is to blame; a full disk is the system's."""
    why = error.strerror or str(error) or type(error).__name__
    return RetortClientError(f"{why}.") if error.filename is None else Unusable(f"{error.filename}: {why}.")


def run() -> None:
    sys.exit(main())


if __name__ == "__main__":
    run()
