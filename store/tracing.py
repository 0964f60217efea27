"""OpenTelemetry traces, where a setting names a collector: request -> job -> attempt, across processes.

A job keeps the W3C `traceparent` of its submission, so the attempt that another machine makes hours later belongs to
the same trace. Without the setting nothing is imported and every function does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from store.settings import Settings

REMEDY = "RETORT_OTEL_ENDPOINT is set but OpenTelemetry is not installed: pip install 'retort[otel]', or unset it."
_tracer: Any = None


def start(settings: Settings, service: str, exporter: Any = None) -> None:
    """Send spans to the settings' collector in the background, or to `exporter` at once. Ends the program with a remedy
    when the extra is not installed."""
    global _tracer
    if not settings.otel_endpoint and exporter is None:
        return
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    except ImportError as error:
        raise SystemExit(REMEDY) from error
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    processor = SimpleSpanProcessor(exporter) if exporter is not None else _background(settings)
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer("retort")


def stop() -> None:
    global _tracer
    _tracer = None


def _background(settings: Settings) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SystemExit(REMEDY) from error
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otel_endpoint.rstrip("/") + "/v1/traces"))


class Span:
    """What happens now; `note` adds facts."""

    def __init__(self, inner: Any = None) -> None:
        self._inner = inner

    def note(self, name: str | None = None, **facts: Any) -> None:
        if self._inner is None:
            return
        if name is not None:
            self._inner.update_name(name)
        self._inner.set_attributes({key.replace("__", "."): value for key, value in facts.items() if value is not None})


@contextmanager
def span(name: str, kind: str = "internal", parent: str | None = None, **facts: Any) -> Iterator[Span]:
    """A span for the time of the block, below `parent` (a traceparent) or whatever goes on already. In the names of
    facts `__` stands for a dot. An exception marks it as failed."""
    if _tracer is None:
        yield Span()
        return
    from opentelemetry.trace import SpanKind

    kinds = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "producer": SpanKind.PRODUCER,
             "consumer": SpanKind.CONSUMER}  # fmt: skip
    with _tracer.start_as_current_span(name, context=_context(parent), kind=kinds[kind]) as inner:
        made = Span(inner)
        made.note(**facts)
        yield made


def traceparent() -> str | None:
    """Of the span that goes on now, to be continued elsewhere."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def _context(parent: str | None) -> Any:
    if parent is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent})
