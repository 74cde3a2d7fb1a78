"""Subscriptions over HTTP: server-sent events and Apollo's parts, word for word; how they end, what they may cost."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest

from models.bell import Bell
from models.database import Database
from resolvers import events
from resolvers.keyring import TRUSTED_FOR
from resolvers.views import SlotView
from server import sockets, stream
from server.database import open_database
from server.framing import EventStream, Parts
from tests.clients.proxy import wire_to_database
from tests.e2e.serving import Json, Served, serving, settings_with
from tests.integration.world import NOW, world_on

CHANGES = """subscription($user: ID!, $after: Cursor) { blockedSlotChanges(userId: $user, after: $after) {
    cursor kind slot { title } } }"""
EVENTS = "text/event-stream"
PARTS = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9"
REVOKE = "mutation($id: ID!) { revokeKey(input: {keyId: $id}) { __typename } }"


@pytest.fixture
async def served(database: Database, bell: Bell) -> AsyncIterator[Served]:
    async with serving(await world_on(database, bell)) as running:
        yield running


class Reader:
    """What came so far of a stream's bytes."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._chunks = response.aiter_raw()
        self.read = b""

    async def until(self, end: bytes, *, within: float = 60) -> bytes:
        """What comes up to and with `end`."""
        async with asyncio.timeout(within):
            while end not in self.read:
                self.read += await anext(self._chunks)
        found, _, self.read = self.read.partition(end)
        return found + end

    async def rest(self, *, within: float = 60) -> bytes:
        """All that comes until the server is done."""
        async with asyncio.timeout(within):
            async for chunk in self._chunks:
                self.read += chunk
        return self.read


@asynccontextmanager
async def following(
    served: Served, accept: str, *, key: str | None = None, query: str = CHANGES, **variables: object
) -> AsyncIterator[Reader]:
    given = {"user": served.world.anna.user, **variables} if "$user" in query else variables
    async with served.client(key or served.owner, accept=accept) as client:
        body = {"query": query, "variables": given}
        async with client.stream("POST", "/graphql", json=body, timeout=60) as response:
            yield Reader(response)


async def block(served: Served, hours: int, title: str = "Dentist") -> None:
    start = int(NOW) + hours * 3600
    made = await served.world.owner(
        events.create_blocked_slot, user_id=served.world.anna.user, start=start, end=start + 1800, title=title
    )
    assert isinstance(made, SlotView)


def data_of(event: bytes) -> Json:
    first, second, *_ = event.decode().split("\n")
    assert first == "event: next"
    shown: Json = json.loads(second.removeprefix("data: "))
    return shown


def open_ones(served: Served) -> int:
    return len(served.sockets)


async def so_many_are_open(served: Served, number: int) -> None:
    async with asyncio.timeout(60):
        while open_ones(served) != number:
            await asyncio.sleep(0.02)


async def none_is_open(served: Served) -> None:
    await so_many_are_open(served, 0)


async def test_events_are_framed_by_line_feeds_alone(served: Served) -> None:
    async with following(served, EVENTS) as reader:
        assert reader.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reader.response.headers["cache-control"] == "no-store"
        assert await reader.until(b"\n\n") == b":\n\n"
        await served.world.followed()
        await block(served, 1, "One\r\nTwo")
        event = await reader.until(b"\n\n")
    assert b"\r" not in event
    assert data_of(event)["data"]["blockedSlotChanges"]["kind"] == "ADDED"


async def test_parts_are_whole_as_soon_as_they_are_sent(served: Served) -> None:
    async with following(served, PARTS) as reader:
        assert (
            reader.response.headers["content-type"]
            == 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0"'
        )
        assert await reader.until(b"--graphql") == b"\r\n--graphql"
        await served.world.followed()
        await block(served, 1)
        part = await reader.until(b"\r\n--graphql")
    head, _, body = part.removesuffix(b"\r\n--graphql").partition(b"\r\n\r\n")
    assert head == b"\r\ncontent-type: application/json"
    assert json.loads(body)["payload"]["data"]["blockedSlotChanges"]["slot"]["title"] == "Dentist"


@pytest.mark.parametrize(
    ("accept", "framing", "beat"), [(EVENTS, EventStream, b":\n\n"), (PARTS, Parts, b"{}\r\n--graphql")]
)
async def test_a_silent_stream_gives_signs_of_life(
    served: Served, accept: str, framing: type, beat: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framing, "beat_every", 0.1)
    async with following(served, accept) as reader:
        for _ in range(4):
            await reader.until(beat)


@pytest.mark.parametrize(("accept", "opening"), [(EVENTS, b":\n\n"), (PARTS, b"\r\n--graphql")])
async def test_a_client_goes_on_from_its_cursor(served: Served, accept: str, opening: bytes) -> None:
    async with following(served, EVENTS) as reader:
        await reader.until(b":\n\n")
        await served.world.followed()
        await block(served, 1, "One")
        first = data_of(await reader.until(b"\n\n"))["data"]["blockedSlotChanges"]
    await block(served, 3, "Two")
    async with following(served, accept, after=first["cursor"]) as reader:
        await reader.until(opening)
        assert b"Two" in await reader.until(b"}}}")


@pytest.mark.parametrize("accept", [EVENTS, "multipart/mixed;subscriptionSpec=1.0"])
async def test_one_answer_is_a_stream_that_is_over_at_once(served: Served, accept: str) -> None:
    async with following(served, accept, query="{ viewer { role } }") as reader:
        whole = await reader.rest()
    assert b'{"data":{"viewer":{"role":"OWNER"}}}' in whole
    assert whole.endswith(b"event: complete\ndata:\n\n" if accept == EVENTS else b"--graphql--\r\n")


async def test_who_likes_json_as_much_is_answered_in_json(served: Served) -> None:
    for accept in (PARTS, f"{EVENTS}, application/json", f"application/json;q=0.9, {EVENTS};q=0.9"):
        answer = await served.post(served.owner, {"query": "{ viewer { role } }"}, accept=accept)
        assert answer.headers["content-type"].startswith("application/"), accept


async def test_a_refused_subscription_is_told_and_completed(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server.requests")
    async with following(served, EVENTS, key=served.booking) as reader:
        whole = await reader.rest()
    opening, event, complete, _ = whole.split(b"\n\n")
    assert (opening, complete) == (b":", b"event: complete\ndata:")
    assert data_of(event)["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    await none_is_open(served)
    assert caplog.records[-1].said["codes"] == ["FORBIDDEN"]  # type: ignore[attr-defined]


async def test_a_subscription_is_followed_by_get_too_by_its_hash(served: Served) -> None:
    extensions = {
        "persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(CHANGES.encode()).hexdigest()}
    }
    parameters = {
        "query": CHANGES,
        "extensions": json.dumps(extensions),
        "variables": json.dumps({"user": served.world.anna.user}),
    }
    async with (
        served.client(served.owner, accept=EVENTS) as client,
        client.stream("GET", "/graphql", params=parameters) as response,
    ):
        reader = Reader(response)
        await reader.until(b":\n\n")
        await served.world.followed()
        await block(served, 1)
        assert data_of(await reader.until(b"\n\n"))["data"]
    async with served.client(served.owner, accept=EVENTS) as client:
        head = await client.head("/graphql", params=parameters)
    assert (head.status_code, head.headers["allow"]) == (405, "GET, POST, OPTIONS")


@pytest.mark.parametrize("accept", [EVENTS, PARTS])
async def test_a_revoked_keys_stream_is_told_so_and_ends_within_5_s(served: Served, accept: str) -> None:
    shown = await served.ask(served.admin, "{ keys { edges { node { id role } } } }")
    [key] = [it["node"]["id"] for it in shown["data"]["keys"]["edges"] if it["node"]["role"] == "OWNER"]
    async with following(served, accept) as reader:
        await served.ask(served.admin, REVOKE, id=key)
        whole = await reader.rest()
    assert sockets.LOOK_EVERY + TRUSTED_FOR < 5
    assert b"UNAUTHENTICATED" in whole
    assert whole.endswith(b"event: complete\ndata:\n\n" if accept == EVENTS else b"--graphql--\r\n")
    await none_is_open(served)


async def test_a_client_that_leaves_leaves_nothing_behind(served: Served) -> None:
    async with following(served, EVENTS) as reader:
        await reader.until(b":\n\n")
        await served.world.followed()
        assert (open_ones(served), len(served.services.feeds)) == (1, 1)
    await none_is_open(served)
    assert len(served.services.feeds) == 0


async def test_a_reader_that_takes_nothing_is_cut_off(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server.requests")
    monkeypatch.setattr(stream, "SEND_WITHIN", 0.5)
    monkeypatch.setattr(EventStream, "beat", b":" + b" " * 1_000_000 + b"\n\n")
    monkeypatch.setattr(EventStream, "beat_every", 0.01)
    body = json.dumps({"query": CHANGES, "variables": {"user": served.world.anna.user}})
    head = (
        f"POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {served.owner}\r\naccept: {EVENTS}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.setblocking(False)
        await loop.sock_connect(reader, ("127.0.0.1", served.port))
        await loop.sock_sendall(reader, (head + body).encode())
        async with asyncio.timeout(60):
            while not any(record.message == "stream closed" for record in caplog.records):
                await asyncio.sleep(0.1)
    [said] = [record.said for record in caplog.records if record.message == "stream closed"]  # type: ignore[attr-defined]
    assert said["why"] == "too slow"
    await none_is_open(served)


async def test_the_log_tells_of_a_stream_as_it_begins_and_as_it_ends(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server.requests")

    def told() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.name == "server.requests"]

    async with following(served, EVENTS) as reader:
        await reader.until(b":\n\n")
    await none_is_open(served)
    async with asyncio.timeout(60):
        while told()[-1].message != "stream closed":
            await asyncio.sleep(0.02)
    begun, ended = (record.said for record in told()[-2:])  # type: ignore[attr-defined]
    assert (begun["operation"], begun["status"], ended["why"], ended["events"]) == (
        "subscription", 200, "gone", 0,
    )  # fmt: skip
    assert served.owner not in caplog.text


async def test_connections_have_their_caps(database: Database, bell: Bell) -> None:
    settings = settings_with(CONNECTIONS="4", CONNECTIONS_PER_ADDRESS="3", CONNECTIONS_PER_KEY="2",
                             TRUSTED_PROXIES="127.0.0.1")  # fmt: skip
    async with serving(await world_on(database, bell), settings) as served:

        async def one_more(key: str, address: str) -> tuple[int, str | None]:
            body = {"query": CHANGES, "variables": {"user": served.world.anna.user}}
            headers = {"accept": EVENTS, "x-forwarded-for": address}
            async with (
                served.client(key) as client,
                client.stream("POST", "/graphql", json=body, headers=headers) as response,
            ):
                return response.status_code, response.headers.get("retry-after")

        async with following(served, EVENTS), served.socket(served.owner):
            assert await one_more(served.owner, "127.0.0.1") == (429, "5")
            assert (await one_more(served.admin, "127.0.0.1"))[0] == 200
            await so_many_are_open(served, 2)
            async with served.raw_socket():
                await so_many_are_open(served, 3)
                assert await one_more(served.admin, "127.0.0.1") == (429, "5")
                async with served.raw_socket(**{"X-Forwarded-For": "192.0.2.1"}):
                    await so_many_are_open(served, 4)
                    assert await one_more(served.admin, "192.0.2.2") == (503, "5")
                    async with served.raw_socket(**{"X-Forwarded-For": "192.0.2.3"}) as refused:
                        await refused.wait_closed()
                        assert refused.close_code == 1013
        await none_is_open(served)


@pytest.mark.parametrize("accept", [EVENTS, PARTS])
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_database_that_hangs_up_cuts_its_streams_and_completes_none(
    database_url: str, bell: Bell, accept: str
) -> None:
    async with (
        wire_to_database(database_url) as (wire, through),
        open_database(through) as database,
        serving(await world_on(database, bell)) as served,
        following(served, accept) as reader,
    ):
        await served.world.followed()
        wire.cut()
        await bell.ring(served.world.anna.user)
        with pytest.raises(httpx2.RemoteProtocolError):
            await reader.rest()
        wire.mend()


async def test_a_server_that_stops_cuts_its_streams_and_tells_its_sockets_1012(
    database: Database, bell: Bell
) -> None:
    async with (
        serving(await world_on(database, bell)) as served,
        following(served, EVENTS) as reader,
        served.socket(served.owner) as opened,
    ):
        await reader.until(b":\n\n")
        served.server.should_exit = True
        with pytest.raises(httpx2.RemoteProtocolError):
            await reader.rest()
        await opened.wait_closed()
        assert opened.close_code == 1012
