"""JSON log lines with the ids of what is being done."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest

from store import logs

log = logging.getLogger("tests.logs")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield stream
    log.removeHandler(handler)


def read(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_ids_are_on_every_line_of_their_block(lines: io.StringIO) -> None:
    log.info("before")
    with logs.bound(job_id="job_1", attempt=2, request_id=None):
        log.info("with %d", 1)
        with logs.bound(request_id="req_1"):
            log.info("inner")
        log.info("outer")
    log.info("after")
    found = read(lines)
    assert [line["message"] for line in found] == ["before", "with 1", "inner", "outer", "after"]
    assert [line.get("job_id") for line in found] == [None, "job_1", "job_1", "job_1", None]
    assert [line.get("request_id") for line in found] == [None, None, "req_1", None, None]
    assert found[1]["attempt"] == 2
    assert {"time", "level", "logger"} <= set(found[0])


def test_one_line_each_whatever_is_said(lines: io.StringIO) -> None:
    try:
        raise ValueError("two\nlines \U0001f40d \x00")
    except ValueError:
        log.exception('quotes " and\nbreaks')
    (line,) = read(lines)
    assert line["message"] == 'quotes " and\nbreaks'
    assert "ValueError: two" in line["exception"]


def test_a_thread_has_the_ids_when_it_is_given_them(lines: io.StringIO) -> None:
    with logs.bound(job_id="job_1"):
        given = threading.Thread(target=copy_context().run, args=(log.info, "given"))
        bare = threading.Thread(target=log.info, args=("bare",))
        for thread in (given, bare):
            thread.start()
            thread.join()
    assert [line.get("job_id") for line in read(lines)] == ["job_1", None]
