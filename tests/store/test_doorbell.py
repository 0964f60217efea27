"""The doorbell wakes, may be lost, and never raises."""

from __future__ import annotations

import logging
import socket
import threading
import time

import pytest

from store.doorbell import TASK, CeleryDoorbell, InProcessDoorbell, celery_app
from tests.services.processes import free_ports
from tests.services.redis import Redis


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
def test_a_ring_puts_one_message_with_only_the_id(redis: Redis) -> None:
    redis.client().flushall()
    CeleryDoorbell(redis.url).ring("job", "job_1")
    (body,) = redis.client().lrange("celery", 0, -1)
    assert TASK.encode() in body
    assert len(body) < 2000


@pytest.mark.services
def test_a_worker_takes_the_message_once(redis: Redis) -> None:
    from celery.contrib.testing.worker import start_worker

    redis.client().flushall()
    app, heard = celery_app(redis.url), list[str]()

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def wake(noun: str, resource_id: str) -> None:
        heard.append(f"{noun} {resource_id}")

    for number in range(3):
        CeleryDoorbell(redis.url).ring("job", f"job_{number}")
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=10):
        deadline = time.monotonic() + 20
        while len(heard) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
    assert sorted(heard) == ["job job_0", "job job_1", "job job_2"]
    assert redis.client().llen("celery") == 0


def test_without_redis_a_ring_returns_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "store.doorbell"):
        CeleryDoorbell(f"redis://127.0.0.1:{free_ports(1)[0]}/0").ring("job", "job_1")
    assert "the next sweep finds it" in caplog.text


def test_a_redis_that_accepts_and_does_not_answer_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, caplog.at_level(logging.WARNING, "store.doorbell"):
        CeleryDoorbell(f"redis://127.0.0.1:{silent.getsockname()[1]}/0").ring("job", "job_1")
    assert "the next sweep finds it" in caplog.text


@pytest.mark.services
def test_rings_again_when_redis_is_back(redis: Redis) -> None:
    bell = CeleryDoorbell(redis.url)
    bell.ring("job", "job_1")
    redis.stop()
    bell.ring("job", "job_2")
    redis.start()
    redis.client().flushall()
    bell.ring("job", "job_3")
    assert redis.client().llen("celery") == 1
