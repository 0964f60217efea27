"""One trace from the request to the attempt, through the database; JSON logs and request ids on the way."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from store import logs, tracing
from store.repositories import leases
from tests.api.driver import Driver
from tests.worker.support import World

sdk = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter", reason="needs retort[otel]")


@pytest.fixture
def spans() -> Iterator[Any]:
    exporter = sdk.InMemorySpanExporter()
    tracing.start(logs.Settings(), "test", exporter)
    yield exporter
    tracing.stop()


def submit(world: World, tmp_path: Path, **headers: str) -> str:
    app = create_app(world.settings, world.database, world.objects)
    driver = Driver(world.database, world.objects, tmp_path)  # type: ignore[arg-type]
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        driver.publish()
        body = {"dataset": driver.dataset(), "student": "retort:resnet8", "config": {"recipe": "cross_entropy"}}
        answer = client.post("/jobs", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        assert answer.headers["x-request-id"]
        return str(answer.json()["id"])


def test_request_job_and_attempt_are_one_trace(world: World, tmp_path: Path, spans: Any) -> None:
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    world.job_id = submit(world, tmp_path, traceparent=caller)
    spans_before = spans.get_finished_spans()
    assert world.run("success") == "succeeded"
    found = {span.name: span for span in (*spans_before, *spans.get_finished_spans())}
    request, job, attempt = found["POST /jobs"], found["job"], found["attempt"]
    assert {span.context.trace_id for span in (request, job, attempt)} == {int(caller.split("-")[1], 16)}
    assert request.parent.span_id == int(caller.split("-")[2], 16)
    assert job.parent.span_id == request.context.span_id
    assert attempt.parent.span_id == job.context.span_id
    assert attempt.attributes["job_id"] == job.attributes["job_id"] == world.job_id
    assert attempt.attributes["job_status"] == "succeeded"
    assert request.attributes["http.response.status_code"] == 202
    assert request.attributes["http.route"] == "/jobs"


def test_a_later_attempt_belongs_to_the_same_trace(world: World, tmp_path: Path, spans: Any) -> None:
    world.job_id = submit(world, tmp_path)
    assert world.run("killed") == "queued"
    assert world.run("success") == "succeeded"
    attempts = [span for span in spans.get_finished_spans() if span.name == "attempt"]
    assert [span.attributes["attempt"] for span in attempts] == [1, 2]
    assert len({span.parent.span_id for span in attempts}) == 1


def test_without_the_setting_nothing_is_traced(world: World, tmp_path: Path) -> None:
    world.job_id = submit(world, tmp_path)
    with world.database.read() as session:
        assert leases.queued(session) == [world.job_id]
    assert world.job.traceparent is None
    assert tracing.traceparent() is None
    code = "import api.app, store.tracing as t, store.settings as s, sys; t.start(s.Settings(), 'x')\n"
    code += "sys.exit('opentelemetry.sdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_request_id_reaches_the_attempts_log(world: World, tmp_path: Path) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    root = logging.getLogger("worker")
    root.addHandler(handler)
    try:
        world.job_id = submit(world, tmp_path, **{"X-Request-ID": "mine-1"})
        assert world.run("nonsense") == "succeeded"  # an event that cannot be recorded is logged
    finally:
        root.removeHandler(handler)
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines() if "cannot be recorded" in line]
    assert (line["request_id"], line["job_id"], line["attempt"]) == ("mine-1", world.job_id, 1)
    assert "KeyError" in line["exception"]


@pytest.mark.parametrize("given", ["x" * 65, "a b", ""])
def test_an_unusable_request_id_is_replaced(world: World, tmp_path: Path, given: str) -> None:
    world.job_id = submit(world, tmp_path, **{"X-Request-ID": given})
    assert str(world.job.request_id).startswith("req_")
