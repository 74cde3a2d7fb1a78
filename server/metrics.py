"""What `/metrics` tells, in Prometheus's format: counts and times by kind and outcome. Nothing of whose they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from domain.work import Work, ended_by
from models.sql import fetch
from resolvers.context import Services

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LOOK_AT_THE_LOOP_EVERY = 0.5
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LAGS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_WRITES = "SELECT COUNT(*) AS number, MIN(created_at) AS oldest FROM pending_write"
_OPERATIONS = ("request", "query", "mutation", "subscription")
_OURS = (
    *product(_OPERATIONS, ("http", "websocket"), ("fault", "broken")),
    *product(("poll", "write"), ("",), ("broken",)),
)
"""What wakes someone: kind, transport and outcome."""
_OVERDUE = "SELECT MIN(next_poll_at) AS due_at FROM icloud_account"
# A subscription lasts as long as its page is open: that is no latency.
_UNTIMED = frozenset({"subscription"})


class Metrics:
    """One a process. Its registry is its own: what a library counts for itself stays out."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._done = Counter(
            "slotwire_work",
            "Operations, polls of iCloud and writes to it, by how they ended.",
            ["kind", "transport", "outcome"],
            registry=self.registry,
        )
        # At 0 from the start: a series that begins at 1 has no rate, and the first fault would wake no one.
        for kind, transport, outcome in _OURS:
            self._done.labels(kind, transport, outcome)
        self._seconds = Histogram(
            "slotwire_work_seconds",
            "How long they took.",
            ["kind", "transport"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._running = Gauge(
            "slotwire_work_running", "Those that go on right now.", ["kind"], registry=self.registry
        )
        self._loop_lag = Histogram(
            "slotwire_event_loop_lag_seconds",
            "How much later than asked the event loop came back.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._pending = self._gauge("slotwire_pending_writes", "Appointments to be written to iCloud.")
        self._oldest = self._gauge("slotwire_oldest_pending_write_seconds", "For how long the oldest waits.")
        self._overdue = self._gauge(
            "slotwire_overdue_poll_seconds", "For how long the poll that is due longest has been due."
        )
        self._lag = Histogram(
            "slotwire_poll_lag_seconds",
            "Seconds between when a poll was due and when it ran.",
            buckets=_LAGS,
            registry=self.registry,
        )

    def follow(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """A gauge that is asked for its value when it is read."""
        self._gauge(name, help_text).set_function(value)

    @contextmanager
    def watch(self, work: Work) -> Iterator[None]:
        began, kind = time.perf_counter(), work.kind
        self._running.labels(kind).inc()
        try:
            yield
        except BaseException as error:
            work.outcome = ended_by(error, work)
            raise
        finally:
            self._running.labels(kind).dec()
            transport = str(work.facts.get("transport", ""))
            self._done.labels(work.kind, transport, work.outcome).inc()
            if work.late is not None:
                self._lag.observe(work.late)
            if work.kind not in _UNTIMED:
                self._seconds.labels(work.kind, transport).observe(time.perf_counter() - began)

    async def text(self, services: Services) -> bytes:
        """Raises what the database raises."""
        async with services.database.reading() as db:
            [writes] = await fetch(db, _WRITES)
            [polls] = await fetch(db, _OVERDUE)
        now = services.clock()
        self._pending.set(writes["number"])
        self._oldest.set(_since(writes["oldest"], now))
        self._overdue.set(_since(polls["due_at"], now))
        return generate_latest(self.registry)

    async def look_at_the_loop(self) -> None:
        """Until it is cancelled."""
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_LOOK_AT_THE_LOOP_EVERY)
            self._loop_lag.observe(max(time.perf_counter() - began - _LOOK_AT_THE_LOOP_EVERY, 0))

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(name, help_text, registry=self.registry)


def _since(at: float | None, now: float) -> float:
    return 0 if at is None else max(now - at, 0)
