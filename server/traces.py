"""OpenTelemetry traces, sent to the collector that a setting names. Imported only where it names one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from domain.work import Work, ended_by

_LEFT_WITHIN = 2.0
"""Seconds that a process's end waits for a collector: what it was not told then is lost."""
_FAULTS = frozenset({"broken", "fault", "unavailable"})


class Traces:
    """A span for each piece of work. It holds words and numbers of ours: no key, no document, nothing of a calendar."""

    def __init__(self, endpoint: str) -> None:
        # Ours alone: no global is set, and no library's spans are sent.
        self._provider = TracerProvider(
            resource=Resource({"service.name": "slotwire"}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
        self._tracer = self._provider.get_tracer("slotwire")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def watch(self, work: Work) -> Iterator[None]:
        parent = self._propagator.extract(work.came_with) if work.came_with else None
        kind = SpanKind.SERVER if "transport" in work.facts else SpanKind.INTERNAL
        with self._tracer.start_as_current_span(
            work.kind, parent, kind=kind, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                work.outcome = ended_by(error, work)
                raise
            finally:
                span.update_name(work.kind)
                span.set_attribute("slotwire.outcome", work.outcome)
                for name, value in work.facts.items():
                    span.set_attribute(f"slotwire.{name}", value)
                if work.outcome in _FAULTS:
                    span.set_status(Status(StatusCode.ERROR))

    def close(self) -> None:
        """Sends what is left. The provider itself would wait for as long as a collector that is silent may take."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_LEFT_WITHIN)
