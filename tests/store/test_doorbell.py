"""The doorbell wakes, may be lost, and never raises."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from celery.contrib.testing.worker import start_worker

from store.doorbell import TASK, CeleryDoorbell, InProcessDoorbell, celery_app
from tests.services.processes import free_ports
from tests.services.redis import Redis
from tests.worker.support import wait_until


def test_a_ring_between_looking_and_waiting_is_not_lost() -> None:
    bell = InProcessDoorbell()
    seen = bell.rings
    bell.ring("job", "job_1")
    assert bell.wait(seen, 10)
    assert not bell.wait(bell.rings, 0.01)


def test_a_ring_wakes_every_waiter() -> None:
    bell, woken = InProcessDoorbell(), list[bool]()
    threads = [threading.Thread(target=lambda: woken.append(bell.wait(0, 20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    bell.ring("job", "job_1")
    for thread in threads:
        thread.join()
    assert woken == [True] * 4


@pytest.mark.services
def test_a_ring_is_one_message_with_only_the_id_and_nothing_that_stays(redis: Redis) -> None:
    redis.client().flushall()
    with listening(redis) as heard:
        CeleryDoorbell(redis.url).ring("job", "job_1")
        (body,) = heard(1)
    assert TASK.encode() in body
    assert len(body) < 2000
    assert [name for name in redis.client().scan_iter() if redis.client().type(name) == b"list"] == []


@contextmanager
def listening(redis: Redis) -> Iterator[Callable[[int], list[bytes]]]:
    """What is published, as soon as there is so much of it."""
    with redis.client().pubsub(ignore_subscribe_messages=True) as subscribed:
        subscribed.psubscribe("*")
        subscribed.get_message(timeout=5)

        def heard(least: int) -> list[bytes]:
            found, deadline = list[bytes](), time.monotonic() + 10
            while len(found) < least and time.monotonic() < deadline:
                message = subscribed.get_message(timeout=1)
                found += [message["data"]] if message is not None else []
            return found

        yield heard


@pytest.mark.services
def test_a_worker_hears_each_ring_once(redis: Redis) -> None:
    app, heard = celery_app(redis.url), list[str]()

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def wake(noun: str, resource_id: str) -> None:
        heard.append(f"{noun} {resource_id}")

    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=10):
        wait_until(lambda: redis.listeners() == 1)
        for number in range(3):
            CeleryDoorbell(redis.url).ring("job", f"job_{number}")
        wait_until(lambda: len(heard) == 3)
    assert sorted(heard) == ["job job_0", "job job_1", "job job_2"]


def test_without_redis_a_ring_returns_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "store.doorbell"):
        CeleryDoorbell(f"redis://127.0.0.1:{free_ports(1)[0]}/0").ring("job", "job_1")
        wait_until(lambda: "the next sweep finds it" in caplog.text)


def test_a_redis_that_accepts_and_does_not_answer_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """Who rings does not wait for that, however many there are; and one failure stands for all that wait."""
    with socket.create_server(("127.0.0.1", 0)) as silent, caplog.at_level(logging.WARNING, "store.doorbell"):
        bell = CeleryDoorbell(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        for number in range(50):
            bell.ring("job", f"job_{number}")
        assert caplog.text == ""  # none has been given up yet
        wait_until(lambda: "the next sweep finds it" in caplog.text)
        time.sleep(0.2)
    assert caplog.text.count("the next sweep finds it") == 1


@pytest.mark.services
def test_rings_again_when_redis_is_back(redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    bell = CeleryDoorbell(redis.url)
    with listening(redis) as heard:
        bell.ring("job", "job_1")
        assert len(heard(1)) == 1
    redis.stop()
    with caplog.at_level(logging.WARNING, "store.doorbell"):
        bell.ring("job", "job_2")
        wait_until(lambda: "job_2 not rung" in caplog.text)
    redis.start()
    with listening(redis) as heard:
        bell.ring("job", "job_3")
        assert len(heard(1)) == 1
