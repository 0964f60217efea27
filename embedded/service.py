"""The whole service in one process: SQLite, a folder of objects, slots, and the API over HTTP."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from api.app import create_app
from api.serving import configured
from store.database import Database
from store.doorbell import InProcessDoorbell
from store.objects import open_store
from store.repositories import tenants
from store.sealing_anew import seal_anew
from store.settings import Settings
from worker.inspecting import catalogue
from worker.slots.pool import SlotPool

log = logging.getLogger(__name__)
SAY_SECONDS = 15.0
GRACEFUL_SECONDS = 5  # somebody waits at the keyboard


class PortTaken(Exception):
    """Somebody else listens there."""

    def __init__(self, host: str, port: int, why: OSError) -> None:
        super().__init__(
            f"Cannot listen on {host}:{port} ({why.strerror}). Choose another port with --port, or --port 0 for any."
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `PortTaken`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise PortTaken(host, port, error) from error
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def parts(settings: Settings) -> Iterator[tuple[Database, SlotPool, uvicorn.Server]]:
    """Database migrated, slots running, server made; at the end of the block nothing runs any more."""
    database, objects, doorbell = Database(settings.resolved_database_url), open_store(settings), InProcessDoorbell()
    database.migrate()
    seal_anew(settings, database)
    with database.write() as session:
        tenants.ensure_default(session)
    pool = SlotPool(settings, database, objects, doorbell)
    app = create_app(settings, database=database, objects=objects, doorbell=doorbell)
    pool.start()
    try:
        yield database, pool, uvicorn.Server(configured(app, graceful=GRACEFUL_SECONDS))
    finally:
        try:
            pool.shutdown(handover=True)
        except KeyboardInterrupt:  # asked twice: do not wait for checkpoints
            pool.shutdown(handover=False)
        database.close()


def serve(settings: Settings, listener: socket.socket, say: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. `say` gets the lines for the user."""
    with parts(settings) as (database, pool, server):
        if not catalogue.published(database):
            say("First start: reading which architectures this machine can build ...")
            _wait(pool.catalogue_tried, say)
        say(
            f"Retort serves at {url_of(listener)}  (API: {url_of(listener)}/docs, data: {settings.data_dir.absolute()})"
        )
        say("Ctrl-C ends it; queued and running jobs go on at the next start.")
        try:
            server.run(sockets=[listener])
        finally:
            say("Ending: running jobs write a checkpoint ...")


def _wait(tried: threading.Event, say: Callable[[str], None]) -> None:
    """Until the pool has tried, which gives up what hangs. In short steps, so that Ctrl-C is heard."""
    begun = said = time.monotonic()
    while not tried.wait(0.1):
        if time.monotonic() - said >= SAY_SECONDS:
            said = time.monotonic()
            say(f"Still reading them, {said - begun:.0f} s: a slow or busy machine takes minutes.")
