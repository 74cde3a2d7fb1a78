"""What those who run the server see of it: health, readiness, metrics and traces, with nothing in them of anyone's."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.campaigns.connected import connect
from benchmarks.client import Client
from benchmarks.ports import free_ports
from benchmarks.world import APPLE_ID, PASSWORD, ROOT, Process, World, world
from models.bell import Bell
from models.database import Database
from server.database import migrate
from server.metrics import Metrics
from server.telemetry import Telemetry
from server.traces import Traces
from tests.e2e import queries as q
from tests.e2e.serving import Served, receive, send, serving, settings_with
from tests.integration.world import world_on

VIEWER = {"query": "query Mine { viewer { role } }"}
Samples = dict[tuple[str, tuple[str, ...]], float]
"""By name, and the labels' values in the order of their names."""


@pytest.fixture
async def served(database: Database, bell: Bell) -> AsyncIterator[Served]:
    metrics = Metrics()
    telemetry = Telemetry(metrics, metrics.watch)
    made = await world_on(database, bell)
    settings = settings_with(METRICS="on", TRUSTED_PROXIES="127.0.0.1")
    async with serving(made, settings, telemetry) as running:
        yield running


async def get(served: Served, path: str, **headers: str) -> httpx2.Response:
    async with served.client(**headers) as client:
        return await client.get(path)


async def metrics_of(served: Served) -> Samples:
    return samples((await get(served, "/metrics")).text)


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_metrics_count_operations_by_kind_transport_and_outcome(served: Served) -> None:
    await served.post(served.owner, VIEWER)
    await served.post(served.owner, {"query": "mutation { updateUser(input: 5) { __typename } }"})
    await served.post("sw_admin_" + "x" * 43, VIEWER)
    async with served.socket(served.owner) as opened:
        await send(opened, type="subscribe", id="1", payload=VIEWER)
        assert (await receive(opened))["type"] == "next"
        found = await metrics_of(served)
        assert found["slotwire_connections", ()] == 1
    done = {
        labels: value for (name, labels), value in found.items() if name == "slotwire_work_total" and value
    }
    assert done == {
        ("query", "ok", "http"): 1,
        ("request", "refused", "http"): 1,
        ("request", "denied", "http"): 1,
        ("query", "ok", "websocket"): 1,
    }
    assert found["slotwire_work_seconds_count", ("query", "http")] == 1
    assert found["slotwire_pending_writes", ()] == 0


async def test_metrics_tell_nothing_of_anyone(served: Served) -> None:
    await served.post(served.owner, VIEWER)
    text = (await get(served, "/metrics")).text
    anyones = (served.world.subaccount, served.world.anna.user, served.owner, "Mine", "usr_", "key_", "sw_")
    assert not [name for name in anyones if name in text]


async def test_metrics_are_for_the_addresses_that_are_set(served: Served) -> None:
    assert (await get(served, "/metrics")).status_code == 200
    assert (await get(served, "/metrics", **{"x-forwarded-for": "203.0.113.7"})).status_code == 404


async def test_without_the_setting_there_are_no_metrics(database: Database, bell: Bell) -> None:
    async with serving(await world_on(database, bell)) as running:
        assert (await get(running, "/metrics")).status_code == 404


async def test_it_is_ready_while_the_database_is_migrated_for_it(served: Served) -> None:
    assert (await get(served, "/readyz")).status_code == 200
    await served.world.write("UPDATE tortoise_migrations SET name = '9999_later' WHERE name LIKE '0001%'")
    answer = await get(served, "/readyz")
    assert (answer.status_code, answer.text) == (503, "The database was migrated for another version.\n")
    assert (await get(served, "/healthz")).text == "ok\n"


class Collector:
    """Takes OTLP over HTTP, as any collector does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[bytes] = []

    @property
    def spans(self) -> list[Span]:
        exports = (ExportTraceServiceRequest.FromString(body) for body in self.bodies)
        return [
            span
            for export in exports
            for resource in export.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def facts(self) -> set[tuple[str, str]]:
        """The name and the outcome of each span."""
        return {
            (span.name, attribute.value.string_value)
            for span in self.spans
            for attribute in span.attributes
            if attribute.key == "slotwire.outcome"
        }


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name.
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}/v1/traces")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_request_is_a_span_of_the_trace_that_it_came_with(database: Database, bell: Bell) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with collecting() as collector:
        traces = Traces(collector.url)
        telemetry = Telemetry(watch=traces.watch)
        async with serving(await world_on(database, bell), telemetry=telemetry) as running:
            await running.post(running.owner, VIEWER, traceparent=parent)
        await asyncio.to_thread(traces.close)
    [span] = collector.spans
    assert (span.name, span.trace_id.hex()) == ("query", "0af7651916cd43dd8448eb211c80319c")
    assert span.kind == Span.SPAN_KIND_SERVER
    assert span.status.code == Status.STATUS_CODE_UNSET


@pytest.mark.slow
async def test_a_whole_server_tells_of_polls_and_writes_and_of_no_ones_calendar(tmp_path: Path) -> None:
    with collecting() as collector:
        settings = {"SLOTWIRE_METRICS": "on", "SLOTWIRE_TRACES_URL": collector.url}
        url = f"sqlite:///{tmp_path / 'slotwire.sqlite3'}"
        async with world(tmp_path, url, settings=settings) as running:
            await connect(running)
            title = await booked(running)
            found = samples(await until(running, "slotwire_work_total", ("write", "ok", "")))
    assert found["slotwire_work_total", ("poll", "ok", "")] >= 1
    assert found["slotwire_work_seconds_count", ("poll", "")] >= 1
    assert found["slotwire_poll_lag_seconds_count", ()] >= 1
    assert ("slotwire_event_loop_lag_seconds_count", ()) in found
    assert {("poll", "ok"), ("write", "ok"), ("mutation", "ok")} <= collector.facts()
    told = b"".join(collector.bodies)
    people = running.people
    for secret in (
        PASSWORD,
        APPLE_ID,
        people.owner_key,
        people.admin_key,
        people.booking_key,
        title,
        "Grace",
    ):
        assert secret.encode() not in told, secret


def within_a_week() -> dict[str, str]:
    today = datetime.now(UTC).replace(microsecond=0)
    return {"from": today.isoformat(), "to": (today + timedelta(days=7)).isoformat()}


async def booked(running: World) -> str:
    """The title that the host's calendar has for it."""
    async with running.guest() as guest:
        asked = {"bookingPage": running.people.booking_page, **within_a_week()}
        starts = (await guest.call(q.AVAILABILITY, input=asked))["availability"]["slotStarts"]
        given = {
            "idempotencyKey": "a-key-made-anew-1",
            "bookingPage": running.people.booking_page,
            "start": starts[-1],
            "guest": {"name": "Grace Hopper", "email": "grace@example.com"},
        }
        answer = await guest.mutate("bookAppointment", "... on AppointmentBooked { booking { title } }",
                                    "BookAppointmentInput!", given)  # fmt: skip
    return str(answer["booking"]["title"])


async def until(running: World, name: str, labels: tuple[str, ...]) -> str:
    url = running.graphql_url().replace("/graphql", "/metrics")
    async with asyncio.timeout(30), httpx2.AsyncClient(trust_env=False) as http:
        while True:
            text = (await http.get(url)).text
            if (name, labels) in samples(text):
                return text
            await asyncio.sleep(0.2)


@pytest.mark.slow
async def test_a_loop_by_itself_can_be_watched_too(tmp_path: Path) -> None:
    [port] = free_ports(1)
    settings = {
        "SLOTWIRE_DATABASE_URL": f"sqlite:///{tmp_path / 'slotwire.sqlite3'}",
        "SLOTWIRE_SEALING_KEY_FILE": str(tmp_path / "sealing.key"),
        "SLOTWIRE_METRICS": "on",
        "SLOTWIRE_PORT": str(port),
    }
    await migrate(settings["SLOTWIRE_DATABASE_URL"])
    process = Process(["-m", "server", "sync"], settings, tmp_path / "sync.log")
    process.start()
    try:
        await process.answers(f"http://127.0.0.1:{port}/readyz")
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            assert "slotwire_pending_writes 0.0" in (await http.get("/metrics")).text
            assert (await http.post("/graphql", json=VIEWER)).status_code == 404
    finally:
        assert await asyncio.to_thread(process.stop) == 0


@pytest.mark.parametrize("command", ["serve", "sync"])
async def test_a_process_takes_as_many_open_files_as_it_may_need(tmp_path: Path, command: str) -> None:
    """Where a partition of iCloud hangs, a loop by itself has over a thousand connections too."""
    [port] = free_ports(1)
    settings = {
        "SLOTWIRE_DATABASE_URL": f"sqlite:///{tmp_path / 'slotwire.sqlite3'}",
        "SLOTWIRE_SEALING_KEY_FILE": str(tmp_path / "sealing.key"),
        "SLOTWIRE_METRICS": "on",
        "SLOTWIRE_GRAPHIQL": "off",
        "SLOTWIRE_PORT": str(port),
    }
    await migrate(settings["SLOTWIRE_DATABASE_URL"])
    process = Process(["-m", "server", command], settings, tmp_path / "server.log")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        process.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        await process.answers(f"http://127.0.0.1:{port}/readyz")
        assert isinstance(process.running, subprocess.Popen)
        assert resource.prlimit(process.running.pid, resource.RLIMIT_NOFILE)[0] > 1024
    finally:
        assert await asyncio.to_thread(process.stop) == 0


def test_nothing_of_opentelemetry_is_imported_where_no_collector_is_named() -> None:
    asked = (
        "import server.run, sys; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    found = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"


@pytest.mark.slow
async def test_a_process_that_was_told_to_end_serves_on_and_asks_for_no_more(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'slotwire.sqlite3'}"
    async with world(tmp_path, url, settings={"SLOTWIRE_DRAIN_SECONDS": "10"}) as running:
        process = running.servers[0].running
        assert process is not None
        async with (
            httpx2.AsyncClient(trust_env=False) as http,
            Client(running.graphql_url(), running.people.owner_key) as owner,
        ):
            process.terminate()
            ready = running.graphql_url().replace("/graphql", "/readyz")
            async with asyncio.timeout(60):
                while (await http.get(ready)).status_code != 503:
                    await asyncio.sleep(0.05)
            assert (await owner.call("{ viewer { role } }"))["viewer"]["role"] == "OWNER"
        assert await asyncio.to_thread(process.wait, 60) == 0
