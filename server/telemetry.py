"""Whoever watches the process, by setting: `/metrics`, a collector of traces, both or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from domain.work import Watch, Work, unwatched
from schema.errors import Code
from server.config import Settings
from server.metrics import Metrics

NOT_RUN = "request"
"""The kind of what never became an operation: a wrong key, a document that is none."""

# The worst first.
_BY_CODE = {Code.INTERNAL: "fault", Code.UNAVAILABLE: "unavailable", Code.RATE_LIMITED: "limited"}
GONE = 499
"""Nobody is answered so: the client has gone before it had asked. Proxies log it as this, too."""
_BY_STATUS = {
    401: "denied",
    403: "denied",
    429: "limited",
    GONE: "left",
    500: "fault",
    503: "unavailable",
}


@dataclass(frozen=True, slots=True)
class Telemetry:
    """`metrics` is None where none are kept; `watch` then costs nothing."""

    metrics: Metrics | None = None
    watch: Watch = unwatched


@contextmanager
def open_telemetry(settings: Settings) -> Iterator[Telemetry]:
    """Ended last: what ends before it is still told."""
    metrics = Metrics() if settings.metrics else None
    watches: list[Watch] = [] if metrics is None else [metrics.watch]
    with ExitStack() as stack:
        if settings.traces_url:
            from server.traces import Traces  # Its packages are slow to import, and most have no collector.

            traces = Traces(settings.traces_url)
            stack.callback(traces.close)
            watches.append(traces.watch)
        yield Telemetry(metrics, _all(watches))


def _all(watches: list[Watch]) -> Watch:
    if len(watches) < 2:
        return watches[0] if watches else unwatched

    @contextmanager
    def watch_all(work: Work) -> Iterator[None]:
        with ExitStack() as stack:
            for watch in watches:
                stack.enter_context(watch(work))
            yield

    return watch_all


def outcome_of(codes: object, *, status: int = 200) -> str:
    """One word for how an operation ended, from the codes of its errors and HTTP's status."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    found = codes if isinstance(codes, list) else []
    worst = next((word for code, word in _BY_CODE.items() if code in found), None)
    return worst or ("refused" if found or status >= 400 else "ok")
