"""Prometheus: the database's figures, and how long this process takes to answer."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors.problems import Unavailable
from api.state.lanes import Lane
from store.database import Database
from store.repositories import figures, tallies
from store.repositories.figures import Figures
from store.states import STATUSES

log = logging.getLogger(__name__)
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Exposition:
    """One a process. Several API processes behind one address share theirs by PROMETHEUS_MULTIPROC_DIR, as the client
    library does it; the database's figures are the same from each."""

    def __init__(self, database: Database, silent_seconds: float) -> None:
        self._database, self._silent_seconds = database, silent_seconds
        self._own = CollectorRegistry()
        self.latency = Histogram(
            "retort_http_request_seconds",
            "From the request to the first byte of the answer.",
            ("method", "route", "status"),
            registry=self._own,
            buckets=BUCKETS,
        )
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._own)

    async def asked(self, lane: Lane) -> bytes:
        """`text`, with a place in the lane for the database's figures."""
        try:
            found = await lane.run(self.figures)
        except Unavailable as error:
            log.warning("no figures: %s", error)
            found = None
        return await run_in_threadpool(self.text, found)

    def text(self, found: Figures | None) -> bytes:
        """The text format. A database that is away (None) is a figure too, not a failure."""
        registry = CollectorRegistry()
        registry.register(_Store(found))
        shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if shared:
            MultiProcessCollector(registry, shared)  # type: ignore[no-untyped-call]
        else:
            registry.register(self._own)
        return generate_latest(registry)

    def figures(self) -> Figures | None:
        try:
            with self._database.read() as session:
                return figures.read(session, self._silent_seconds)
        except SQLAlchemyError as error:
            log.warning("no figures: %s", str(error).partition("\n")[0])
            return None


class _Store(Collector):
    def __init__(self, found: Figures | None) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("retort_database_up", "Whether the database answered.", float(self._found is not None))
        if self._found is not None:
            yield from _families(self._found)


def _families(found: Figures) -> Iterator[Metric]:
    every = dict.fromkeys(STATUSES, 0) | found.jobs
    yield _gauge("retort_jobs", "Jobs there are, of all tenants.", "status", every)
    yield GaugeMetricFamily("retort_queue_depth", "Jobs that wait.", every["queued"])
    yield GaugeMetricFamily(
        "retort_queue_oldest_seconds", "For how long the longest waiting job could have started.",
        found.queue_oldest_seconds,
    )  # fmt: skip
    states = {"held": found.leases_held, "expired": found.leases_expired}
    yield _gauge("retort_leases", "Jobs under lease; expired: their worker is silent.", "state", states)
    yield GaugeMetricFamily("retort_inspections_waiting", "Teachers and datasets not inspected yet.", found.inspecting)
    yield GaugeMetricFamily("retort_workers", "Workers heard of lately.", found.workers)
    yield GaugeMetricFamily("retort_slots", "Slots of those workers.", found.slots)
    messages = dict.fromkeys(("pending", "delivered", "failed"), 0) | found.messages
    yield _gauge("retort_webhook_messages", "Messages in the outbox.", "status", messages)
    yield GaugeMetricFamily(
        "retort_webhook_oldest_seconds", "For how long the oldest message has been due and not been tried.",
        found.message_oldest_seconds,
    )  # fmt: skip
    yield from _counters(found.tallies)


def _counters(counted: dict[str, dict[str, float]]) -> Iterator[Metric]:
    attempts = CounterMetricFamily(
        "retort_attempts", "Attempts that ended, by how and why.", labels=("outcome", "code")
    )
    for label, value in counted.get(tallies.ATTEMPTS, {}).items():
        outcome, _, code = label.partition("/")
        attempts.add_metric((outcome, code), value)
    yield attempts
    tries = CounterMetricFamily("retort_webhook_tries", "Tries to deliver a message.", labels=("result",))
    for result in ("delivered", "failed"):
        tries.add_metric((result,), counted.get(tallies.TRIES, {}).get(result, 0.0))
    yield tries
    yield _claims(counted)


def _claims(counted: dict[str, dict[str, float]]) -> Metric:
    by_bound = {float(label): value for label, value in counted.get(tallies.CLAIM_BUCKETS, {}).items()}
    buckets, total = [], 0.0
    for bound in tallies.BOUNDS:
        total += by_bound.get(bound, 0.0)
        buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
    family = HistogramMetricFamily("retort_claim_seconds", "From when a job could start to when it did.")
    family.add_metric((), buckets, counted.get(tallies.CLAIM_SUM, {}).get("", 0.0))
    return family


def _gauge(name: str, text: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


class Timing:
    """Times every request under its route's template: ids would be a time series each."""

    def __init__(self, app: ASGIApp, exposition: Exposition) -> None:
        self.app, self._latency = app, exposition.latency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        def note() -> None:
            route = getattr(scope.get("route"), "path_format", "other")
            self._latency.labels(scope["method"], route, str(status)).observe(time.perf_counter() - started)

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                note()
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except BaseException:
            if not status:
                status = 500
                note()
            raise
