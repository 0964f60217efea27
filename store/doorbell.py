"""The doorbell: tells workers to look at the database now. It may be lost, late or rung twice; nothing depends on it.

Ring only after commit. A ring never raises: a job is in the database, and the sweep finds it.
"""

from __future__ import annotations

import logging
import threading
from typing import Literal, Protocol

from celery import Celery
from kombu import Exchange
from kombu.common import Broadcast
from kombu.exceptions import OperationalError

from store.settings import Settings

log = logging.getLogger(__name__)
Noun = Literal["job", "teacher", "dataset"]
TASK = "retort.wake"
EVERYBODY = Exchange("retort.doorbell", type="fanout")


class Doorbell(Protocol):
    def ring(self, noun: Noun, resource_id: str) -> None:
        """Wake a worker for this resource. Never raises, returns within seconds."""


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
    """A Celery message that carries only an id, to every worker that listens now."""

    def __init__(self, redis_url: str) -> None:
        self.app = celery_app(redis_url)

    def ring(self, noun: Noun, resource_id: str) -> None:
        try:
            self.app.send_task(
                TASK, args=(noun, resource_id), ignore_result=True, retry=False, exchange=EVERYBODY, declare=[EVERYBODY]
            )
        except (OperationalError, OSError) as error:
            log.warning("doorbell for %s %s not rung (%s); the next sweep finds it", noun, resource_id, error)


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
