"""Spans over the wire: a process with the setting sends them to a collector, the last ones at its exit."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.slowness import within

service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="needs retort[otel]")
PROGRAM = """
import sys
from store import tracing
from store.settings import Settings
tracing.start(Settings(), "retort-worker")
with tracing.span("job", "producer", job_id="job_1"):
    parent = tracing.traceparent()
with tracing.span("attempt", "consumer", parent, job_id="job_1", attempt=2):
    pass
"""


class Collector(BaseHTTPRequestHandler):
    """What an OpenTelemetry collector's OTLP/HTTP receiver does with traces (protobuf over POST /v1/traces)."""

    received: list[tuple[str, str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        found = service.ExportTraceServiceRequest.FromString(body)
        self.received.append((self.path, self.headers["Content-Type"], found))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.end_headers()
        self.wfile.write(service.ExportTraceServiceResponse().SerializeToString())

    def log_message(self, *arguments: Any) -> None:
        """Not into the tests' output."""


def test_spans_reach_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = type("Handler", (Collector,), {"received": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("RETORT_OTEL_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    try:
        subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=within(120))
    finally:
        server.shutdown()
        server.server_close()
    assert {(path, kind) for path, kind, _ in handler.received} == {("/v1/traces", "application/x-protobuf")}
    resources = [resource for _, _, found in handler.received for resource in found.resource_spans]
    services = {
        item.value.string_value for r in resources for item in r.resource.attributes if item.key == "service.name"
    }
    spans = {span.name: span for r in resources for scope in r.scope_spans for span in scope.spans}
    assert services == {"retort-worker"}
    assert set(spans) == {"job", "attempt"}
    assert spans["attempt"].trace_id == spans["job"].trace_id
    assert spans["attempt"].parent_span_id == spans["job"].span_id
    facts = {item.key: item.value for item in spans["attempt"].attributes}
    assert (facts["job_id"].string_value, facts["attempt"].int_value) == ("job_1", 2)


def test_a_collector_that_is_away_costs_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETORT_OTEL_ENDPOINT", "http://127.0.0.1:1")
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM + "print('done')"], check=True, timeout=within(120), capture_output=True
    )
    assert ended.stdout == b"done\n"
