"""`retort serve`: the service on this machine, with nothing to install beside it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any

import click

from store import logs, tracing
from store.settings import Settings, problems


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder of everything it keeps.")
@click.option("--host", help="Address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default 8000); 0: any free one.")
@click.option("--until-input-ends", is_flag=True, hidden=True, help="End as by SIGTERM when standard input ends.")
@click.option("--slots", type=click.IntRange(1, 64), help="Trainers side by side (default 1).")
def serve(until_input_ends: bool, **options: Any) -> None:
    """Run the service here: API and one worker, SQLite, files in a folder.

    Every setting is also an environment variable (RETORT_PORT, RETORT_DATA_DIR, ...); options win.
    """
    from distill.errors import RetortError
    from embedded.lock import AlreadyRunning, only_one
    from embedded.service import PortTaken, listen, url_of
    from embedded.service import serve as run
    from worker.isolation.required import demanded
    from worker.processes import slot

    settings = _settings({name: value for name, value in options.items() if value is not None})
    logs.install(settings)
    tracing.start(settings, "retort")
    signal.signal(signal.SIGTERM, _leave)
    if until_input_ends:
        Thread(target=_leave_with_input, name="lifeline", daemon=True).start()
    try:
        slot.demanded(settings)
        demanded(settings)
        listener = listen(settings.host, settings.port)
        with only_one(settings.data_dir, f"{url_of(listener)}, process {os.getpid()}"), suppress(KeyboardInterrupt):
            run(settings, listener, lambda line: click.echo(line))
    except (AlreadyRunning, PortTaken) as error:
        raise click.ClickException(str(error)) from error
    except RetortError as error:
        raise click.ClickException(f"{error.message} {error.remedy}") from error


def _settings(options: dict[str, Any]) -> Settings:
    try:
        settings = Settings(**options)
    except ValueError as error:
        raise click.ClickException("\n".join(problems(error))) from error
    if not settings.embedded:
        raise click.ClickException(
            "RETORT_REDIS_URL is set, which means the full stack: start `python -m worker` and the API instead, "
            "or unset it to run everything in this process."
        )
    return settings


def _leave_with_input() -> None:
    """Who started us holds the other end, and the system closes it for who is killed."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends us as Ctrl-C does."""
    raise KeyboardInterrupt
