"""The doorbell: tells workers to look at the database now. It may be lost, late or rung twice; nothing depends on it.

Ring only after commit. A ring never raises: a job is in the database, and the sweep finds it.
"""

from __future__ import annotations

import logging
import queue
import threading
from contextlib import suppress
from typing import Literal, Protocol

from celery import Celery
from kombu import Exchange
from kombu.common import Broadcast

from store.settings import Settings

log = logging.getLogger(__name__)
Noun = Literal["job", "teacher", "dataset", "prediction"]
TASK = "retort.wake"
MOST_WAITING, IDLE_SECONDS = 1000, 10.0
EVERYBODY = Exchange("retort.doorbell", type="fanout")


class Doorbell(Protocol):
    def ring(self, noun: Noun, resource_id: str) -> None:
        """Wake a worker for this resource. Never raises, returns at once."""


class InProcessDoorbell:
    """Wakes threads of this process: the embedded default."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rings = 0

    def ring(self, noun: Noun, resource_id: str) -> None:
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    @property
    def rings(self) -> int:
        """How often it rang. Read it before looking at the database, then `wait` for a later ring."""
        with self._changed:
            return self._rings

    def wait(self, seen: int, timeout_seconds: float) -> bool:
        """Block until it rang after `seen`, or the time is over. True if it rang."""
        with self._changed:
            return self._changed.wait_for(lambda: self._rings != seen, timeout_seconds)


class CeleryDoorbell:
    """A Celery message that carries only an id, to every worker that listens now.

    One thread of its own rings, one ring after the other: a Redis that is silent for seconds holds up rings and nobody
    who asks for one. When one fails, those that wait behind it are dropped too: the sweep finds what they were for.
    """

    def __init__(self, redis_url: str) -> None:
        self.app = celery_app(redis_url)
        self._waiting: queue.Queue[tuple[Noun, str]] = queue.Queue(MOST_WAITING)
        self._starting = threading.Lock()
        self._ringer: threading.Thread | None = None

    def ring(self, noun: Noun, resource_id: str) -> None:
        try:
            self._waiting.put_nowait((noun, resource_id))
        except queue.Full:
            log.warning(
                "doorbell for %s %s not rung: %d wait; the next sweep finds it", noun, resource_id, MOST_WAITING
            )
        with self._starting:
            if self._ringer is None:
                self._ringer = threading.Thread(target=self._run, name="doorbell", daemon=True)
                self._ringer.start()

    def _run(self) -> None:
        """Ring until nothing was to ring for a while."""
        while True:
            try:
                self._send(*self._waiting.get(timeout=IDLE_SECONDS))
            except queue.Empty:
                with self._starting:
                    if self._waiting.empty():
                        self._ringer = None
                        return

    def _send(self, noun: Noun, resource_id: str) -> None:
        try:
            self.app.send_task(
                TASK, args=(noun, resource_id), ignore_result=True, retry=False, exchange=EVERYBODY, declare=[EVERYBODY]
            )
        except Exception as error:  # of kombu, redis or the socket; whatever it is, it must not end the thread
            log.warning("doorbell for %s %s not rung (%s); the next sweep finds it", noun, resource_id, error)
            self._drop()

    def _drop(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()


def celery_app(redis_url: str) -> Celery:
    """The Celery application that API and workers share: no result backend, early acknowledgement, no retries.

    Every worker hears every ring. Of one queue the worker that happens to take a message may have no slot free, or not
    be the one whose job is cancelled, while the one that could act sleeps until its sweep.
    """
    app = Celery("retort", broker=redis_url)
    app.conf.update(
        task_queues=(Broadcast(EVERYBODY.name, exchange=EVERYBODY),),
        task_default_queue=EVERYBODY.name,
        task_ignore_result=True,
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # a worker sweeps meanwhile, and comes back when Redis does
        broker_connection_timeout=2,
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "retry_on_timeout": False,
            "fanout_patterns": False,  # no routing keys: they would have to be the same on both sides
        },
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,  # whoever reaches Redis can ring, and nothing else
    )
    return app


def open_doorbell(settings: Settings) -> Doorbell:
    """The doorbell that the settings name."""
    return CeleryDoorbell(settings.redis_url) if settings.redis_url else InProcessDoorbell()
