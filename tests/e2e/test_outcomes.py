"""How each operation ended, as whoever runs the server is told: in the metrics, and in the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from starlette.applications import Starlette

from domain.work import Work
from models.bell import Bell
from models.database import Database
from models.sql import execute
from server.closing import TOO_SLOW, ClosedError
from server.logs import _Line
from server.metrics import Metrics
from server.telemetry import Telemetry, outcome_of
from server.wire import GoneError
from tests.e2e.serving import Served, receive, send, serving
from tests.integration.world import NOW, world_on

STREAMS = ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"]
NO_ONE = "usr_00000000000000000000000000"
ENDED = "slotwire_work_total"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def served(database: Database, bell: Bell, metrics: Metrics) -> AsyncIterator[Served]:
    async with serving(
        await world_on(database, bell), telemetry=Telemetry(metrics, metrics.watch)
    ) as running:
        yield running


def follow(user: str) -> dict[str, str]:
    return {"query": f'subscription {{ iCloudAccountChanges(userId: "{user}") {{ account {{ id }} }} }}'}


def break_in_each_event(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    app = served.server.config.app
    assert isinstance(app, Starlette)
    told = app.state.engine._schema.type_map["ICloudAccountChange"].fields["account"]

    def broken(*_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(told, "resolve", broken)


@asynccontextmanager
async def stream(served: Served, accept: str, user: str) -> AsyncIterator[httpx2.Response]:
    async with (
        served.client(served.owner, accept=accept) as client,
        client.stream("POST", "/graphql", json=follow(user)) as response,
    ):
        yield response


def told(metrics: Metrics) -> dict[tuple[str, str, str], float]:
    """By kind, transport and outcome, what there was of."""
    return {
        (sample.labels["kind"], sample.labels["transport"], sample.labels["outcome"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == ENDED and sample.value
    }


async def once_told(metrics: Metrics) -> dict[tuple[str, str, str], float]:
    async with asyncio.timeout(30):
        while not (found := told(metrics)):
            await asyncio.sleep(0.02)
    return found


async def event_of(response: httpx2.Response) -> bytes:
    read, chunks = b"", response.aiter_raw()
    async with asyncio.timeout(30):
        while b"account" not in read:
            read += await anext(chunks)
    return read


def test_a_first_fault_is_seen_to_come() -> None:
    """Prometheus sees no rate in a series that begins with it."""
    metrics = Metrics()
    for kind in ("request", "query", "mutation", "subscription"):
        for transport in ("http", "websocket"):
            for outcome in ("fault", "broken"):
                labels = {"kind": kind, "transport": transport, "outcome": outcome}
                assert metrics.registry.get_sample_value(ENDED, labels) == 0, labels
    for kind in ("poll", "write"):
        labels = {"kind": kind, "transport": "", "outcome": "broken"}
        assert metrics.registry.get_sample_value(ENDED, labels) == 0, labels


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ZeroDivisionError(), "broken"),
        (asyncio.CancelledError(), "left"),
        (GoneError(), "left"),
        (ClosedError(TOO_SLOW, "Too slow"), "left"),
    ],
    ids=lambda given: type(given).__name__ if isinstance(given, BaseException) else given,
)
def test_what_broke_is_told_from_what_nobody_waits_for(error: BaseException, outcome: str) -> None:
    work, metrics = Work("poll"), Metrics()
    with pytest.raises(type(error)), metrics.watch(work):
        raise error
    labels = {"kind": "poll", "transport": "", "outcome": outcome}
    assert metrics.registry.get_sample_value(ENDED, labels) == 1


@pytest.mark.parametrize(
    ("codes", "status", "word"),
    [
        (None, 200, "ok"),
        (["BAD_REQUEST"], 200, "refused"),
        (["NOT_FOUND", "INTERNAL"], 200, "fault"),
        (["UNAVAILABLE"], 200, "unavailable"),
        (None, 503, "unavailable"),
        (None, 429, "limited"),
        (None, 401, "denied"),
        (None, 413, "refused"),
    ],
)
def test_an_outcome_is_one_of_few_words(codes: list[str] | None, status: int, word: str) -> None:
    assert outcome_of(codes, status=status) == word


def test_a_fault_counts_before_what_else_went_wrong() -> None:
    assert outcome_of(["RATE_LIMITED", "UNAVAILABLE", "INTERNAL"]) == "fault"


@pytest.mark.parametrize("accept", STREAMS)
async def test_a_stream_counts_once_it_has_ended(served: Served, metrics: Metrics, accept: str) -> None:
    async with stream(served, accept, served.world.anna.user) as response:
        await event_of(response)
        assert told(metrics) == {}
    assert await once_told(metrics) == {("subscription", "http", "left"): 1}


@pytest.mark.parametrize("accept", STREAMS)
async def test_a_stream_whose_event_broke_is_a_fault(
    served: Served, metrics: Metrics, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_in_each_event(served, monkeypatch)
    async with stream(served, accept, served.world.anna.user) as response:
        assert b"INTERNAL" in await event_of(response)
    assert await once_told(metrics) == {("subscription", "http", "fault"): 1}


@pytest.mark.parametrize("accept", STREAMS)
async def test_a_stream_that_the_server_ends_is_told_as_such(
    served: Served, metrics: Metrics, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server.requests")
    async with stream(served, accept, NO_ONE) as response:
        assert b"NOT_FOUND" in await response.aread()
    assert await once_told(metrics) == {("subscription", "http", "refused"): 1}
    [said] = [record.said for record in caplog.records if record.message == "stream closed"]  # type: ignore[attr-defined]
    assert (said["why"], said["codes"]) == ("complete", ["NOT_FOUND"])


async def test_a_page_that_is_closed_is_no_fault(served: Served, metrics: Metrics) -> None:
    async with served.socket(served.owner) as opened:
        await send(opened, type="subscribe", id="1", payload=follow(served.world.anna.user))
        assert (await receive(opened))["type"] == "next"
    assert await once_told(metrics) == {("subscription", "websocket", "left"): 1}


async def test_a_subscription_over_a_websocket_whose_event_broke_is_a_fault(
    served: Served,
    metrics: Metrics,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also where its page is closed then, as most are; and the log says whose it was."""
    caplog.set_level("INFO", "server.requests")
    break_in_each_event(served, monkeypatch)
    async with served.socket(served.owner) as opened:
        await send(opened, type="subscribe", id="1", payload=follow(served.world.anna.user))
        assert (await receive(opened))["type"] == "next"
    assert await once_told(metrics) == {("subscription", "websocket", "fault"): 1}
    [said] = [record.said for record in caplog.records if "codes" in getattr(record, "said", {})]  # type: ignore[attr-defined]
    assert said["codes"] == ["INTERNAL"]
    assert said["key"].startswith("key_")


async def test_what_never_became_an_operation_counts_over_websockets_too(
    served: Served, metrics: Metrics
) -> None:
    async with served.socket(served.owner) as opened:
        await send(opened, type="subscribe", id="1", payload={"query": "{ nope }"})
        assert (await receive(opened))["type"] == "error"
    assert told(metrics) == {("request", "websocket", "refused"): 1}
    async with served.raw_socket() as opened:
        await send(opened, type="connection_init", payload={"authorization": "Bearer sw_owner_" + "x" * 43})
        await opened.wait_closed()
    assert told(metrics) == {("request", "websocket", "refused"): 1, ("request", "websocket", "denied"): 1}


async def test_a_poll_that_nobody_begins_is_told_by_every_process(served: Served, metrics: Metrics) -> None:
    """Not one that waits, as iCloud said or for its owner: a night without any would wake someone."""

    async def overdue(due_at: float | None) -> float | None:
        await world.write("UPDATE icloud_account SET next_poll_at = $1", due_at)
        await metrics.text(served.services)
        return metrics.registry.get_sample_value("slotwire_overdue_poll_seconds")

    world = served.world
    await metrics.text(served.services)
    assert metrics.registry.get_sample_value("slotwire_overdue_poll_seconds") == 0
    await world.connect()
    assert await overdue(None) == 0
    assert await overdue(NOW + 3600) == 0
    assert await overdue(NOW - 1000) == 1000


async def test_a_row_that_the_database_refuses_stands_in_no_log(database: Database) -> None:
    async with database.writing() as db:
        try:
            await execute(
                db,
                "INSERT INTO deployment_fact (name, value) VALUES ($1, NULL)",
                "Grace\n\ngrace@example.com",
            )
        except Exception as error:  # noqa: BLE001 - each database has its own.
            group = ExceptionGroup("tasks", [error])
    given = (type(group), group, None)
    record = logging.LogRecord("x", logging.ERROR, "", 1, "The sync loop ended by itself.", (), given)
    told = _Line(as_json=False).format(record).casefold()
    assert "grace" not in told
    assert "not null" in told or "not-null" in told


async def test_who_goes_before_all_is_asked_made_no_mistake(served: Served, metrics: Metrics) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    head = f"POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {served.owner}\r\n"
    writer.write(f"{head}content-type: application/json\r\ncontent-length: 500\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    assert await once_told(metrics) == {("request", "http", "left"): 1}


async def test_an_operation_is_not_named_at_any_length(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server.requests")
    await served.ask(served.owner, f"query {'N' * 50_000} {{ viewer {{ role }} }}")
    [said] = [record.said for record in caplog.records if record.message == "request"]  # type: ignore[attr-defined]
    assert said["operation"] == "query " + "N" * 100
