"""What is below GraphQL: heads and bodies that never end, frames that are no text, silence, and readers that stop."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from models.bell import Bell
from models.database import Database
from server import http, outgoing, room, run, websocket, wire
from server.wire import MOST_AHEAD
from tests.e2e.serving import Served, send, serving
from tests.integration.world import world_on


@pytest.fixture
async def served(database: Database, bell: Bell) -> AsyncIterator[Served]:
    async with serving(await world_on(database, bell)) as running:
        yield running


async def said_to(served: Served, *pieces: bytes, within: float = 60) -> bytes:
    """All that is answered to these bytes until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.05)
        async with asyncio.timeout(within):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "piece", [b"", b"POST /graphql HTTP/1.1\r\nhost: x\r\nx: "], ids=["nothing", "half a head"]
)
async def test_a_head_that_never_ends_is_waited_for_for_a_while(
    served: Served, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEAD_WITHIN", 0.3)
    assert await said_to(served, piece) == b""


async def test_a_second_request_on_a_connection_is_waited_for_no_longer(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEAD_WITHIN", 0.3)
    first = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    answer = await said_to(served, first, b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: ")
    assert answer.count(b"200 OK") == 1


async def test_between_two_requests_a_connection_is_kept_longer_than_a_proxy_keeps_it(
    database: Database, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.IDLE_FOR > 60
    monkeypatch.setattr(run, "IDLE_FOR", 1)
    async with serving(await world_on(database, bell)) as served:
        answer = await said_to(served, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.count(b"200 OK") == 1


@pytest.mark.parametrize(
    ("head", "rest"),
    [
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", b"\r\n"),
        (b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\n\r\n", b"{"),
    ],
    ids=["an empty line", "a body that no one reads"],
)
async def test_what_comes_after_an_answer_and_is_no_request_keeps_no_connection(
    database: Database, bell: Bell, monkeypatch: pytest.MonkeyPatch, head: bytes, rest: bytes
) -> None:
    monkeypatch.setattr(run, "IDLE_FOR", 1)
    async with serving(await world_on(database, bell)) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(head)
        await answered(reader)
        writer.write(rest)
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()


async def test_a_trailer_counts_as_no_header(served: Served) -> None:
    body, trailer = b'{"query": "{ viewer { role } }"}', f"authorization: Bearer {served.admin}"
    start = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    chunked = b"transfer-encoding: chunked\r\n"
    ahead = f"authorization: Bearer {served.owner}\r\n".encode()
    told = []
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    for head in (start + chunked, start + ahead + chunked):
        writer.write(head + b"\r\n%x\r\n%b\r\n0\r\n%b\r\n\r\n" % (len(body), body, trailer.encode()))
        told.append((await answered(reader))[1])
    # The same bytes once more, now as headers: what was read of the head before does not stand for them.
    writer.write(start + chunked + trailer.encode() + b"\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    told.append((await answered(reader))[1])
    writer.close()
    assert [b"UNAUTHENTICATED" in told[0], b"OWNER" in told[1], b"ADMIN" in told[2]] == [True] * 3


H2C = ("connection: upgrade", "upgrade: h2c")


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_beside_an_upgrade_is_400_and_brings_no_request_along(
    served: Served, *, is_chunked: bool
) -> None:
    hidden = asking(served.admin)
    head = asking(served.owner, hidden, *H2C).removesuffix(hidden)
    if is_chunked:
        length = f"content-length: {len(hidden)}".encode()
        head = head.replace(length, b"transfer-encoding: chunked")
        hidden = b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden)
    answer = await said_to(served, head, hidden)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"ADMIN" not in answer


async def test_an_upgrade_that_is_not_offered_is_passed_over_where_there_is_no_body(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    head = "GET /healthz HTTP/1.1\r\nhost: x\r\n" + "\r\n".join(H2C) + "\r\n\r\n"
    for request in (head.encode(), asking(served.owner)):
        writer.write(request)
        assert (await answered(reader))[0][0].startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_a_head_over_64_kib_is_431(served: Served) -> None:
    head = b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: "
    answer = await said_to(served, head, *[b"x" * 8192] * 8)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_body_that_never_ends_is_408(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_WITHIN", 0.3)
    answer = await said_to(served, head_of(served, 40) + b'{"query":')
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"BAD_REQUEST" in answer


async def test_a_client_is_not_blamed_for_a_process_that_stood_still(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BODY_WITHIN", 0.3)
    body = b'{"query": "{ viewer { role } }"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(head_of(served, len(body)) + body[:9])
    await asyncio.sleep(0.05)
    writer.write(body[9:])
    time.sleep(0.6)
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.close()


def head_of(served: Served, length: int) -> bytes:
    return (
        f"POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {served.owner}\r\n"
        f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    ).encode()


async def test_a_frame_that_is_no_utf_8_is_1007_and_no_trace_in_the_log(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async with served.socket(served.owner) as opened:
        opened.transport.write(Frame(Opcode.TEXT, b'{"type":"\xff"}').serialize(mask=True))
        await opened.wait_closed()
        assert opened.close_code == 1007
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
def test_a_frame_is_the_one_that_the_library_would_make(size: int) -> None:
    assert wire.text_frame(b"x" * size) == Frame(Opcode.TEXT, b"x" * size).serialize(mask=False)


async def test_pieces_of_a_frame_are_counted_together(served: Served) -> None:
    async with served.socket(served.owner) as opened:
        await opened.send(["x" * 40_000, "x" * 40_000])
        await opened.wait_closed()
        assert opened.close_code == 1009


async def test_a_peer_that_answers_no_ping_is_dropped_so_that_it_may_come_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.server.config, "ws_ping_interval", 0.1)
    monkeypatch.setattr(served.server.config, "ws_ping_timeout", 1.0)
    async with served.socket(served.owner) as opened:
        opened.transport.pause_reading()  # Its pongs are sent by who reads.
        async with asyncio.timeout(60):
            while len(served.sockets):
                await asyncio.sleep(0.05)
        opened.transport.resume_reading()
        await opened.wait_closed()
        assert opened.close_code == 1006


async def test_the_server_pings_a_silent_socket_in_words_a_page_can_see(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "PING_EVERY", 0.1)
    async with served.socket(served.owner) as opened, asyncio.timeout(60):
        for _ in range(3):
            assert json.loads(await opened.recv()) == {"type": "ping"}
            await send(opened, type="pong")


FREE = """subscription($input: AvailabilityInput!) { availabilityChanges(input: $input) { availability {
    windows { start end } slots { start end } slotStarts } } }"""


ASK = """query($input: AvailabilityInput!) { availability(input: $input) { ... on Availability {
    windows { start end } slots { start end } slotStarts } } }"""


async def send_much(served: Served, opened: ClientConnection, query: str) -> None:
    asked = {
        "userIds": [served.world.anna.user],
        "durationMinutes": 15,
        "from": "2026-10-27T00:00:00Z",
        "to": "2026-11-26T00:00:00Z",
    }
    for number in range(90):
        payload = {"query": query, "variables": {"input": asked}}
        await send(opened, type="subscribe", id=str(number), payload=payload)


@pytest.mark.parametrize("bound", ["MOST_WAITING", "MOST_WAITING_IN_ALL"])
async def test_more_than_may_wait_for_a_reader_is_4410_at_once(
    served: Served, bound: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server.requests")
    monkeypatch.setattr(outgoing, bound, 200_000)
    monkeypatch.setattr(outgoing, "SEND_WITHIN", 600.0)
    async with served.socket(served.owner) as opened:
        await send_much(served, opened, FREE)
        async with asyncio.timeout(60):
            while caplog.records[-1].message != "websocket closed":
                await asyncio.sleep(0.05)
        assert served.sockets.waiting == 0
        with suppress(ConnectionClosed):
            async with asyncio.timeout(60):
                async for _ in opened:
                    pass
        assert opened.close_code == 4410


async def test_who_asks_much_and_reads_it_is_answered_all(served: Served) -> None:
    async with served.socket(served.owner) as opened:
        await send_much(served, opened, ASK)
        ended = 0
        async with asyncio.timeout(60):
            while ended < 90:
                ended += json.loads(await opened.recv())["type"] == "complete"
    assert served.sockets.waiting == 0


async def test_what_was_told_to_go_counts_until_it_has_gone(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server.requests")
    async with served.raw_socket() as opened:
        opened.transport.pause_reading()  # So that it answers no goodbye.
        await send(opened, type="nonsense")
        async with asyncio.timeout(60):
            while not any(record.message == "websocket closed" for record in caplog.records):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        assert len(served.sockets) == 1
        opened.transport.resume_reading()
        await opened.wait_closed()
        assert opened.close_code == 4400
    async with asyncio.timeout(60):
        while len(served.sockets):
            await asyncio.sleep(0.02)


def asking(key: str | None, query: bytes = b'{"query": "{ viewer { role } }"}', *more: str) -> bytes:
    bearer = [] if key is None else [f"authorization: Bearer {key}"]
    lines = ("POST /graphql HTTP/1.1", "host: x", "content-type: application/json", *bearer, *more)
    return "\r\n".join([*lines, f"content-length: {len(query)}", "", ""]).encode() + query


async def answered(reader: asyncio.StreamReader) -> tuple[list[bytes], bytes]:
    """One answer: its lines but for the date, and its body."""
    async with asyncio.timeout(60):
        head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        length = next(int(line[16:]) for line in head if line.startswith(b"content-length: "))
        return [line for line in head if not line.startswith(b"date:")], await reader.readexactly(length)


class Counted:
    """A connection's transport, and how often it was written to."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.transport.write(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self.transport, name)


async def test_an_answer_is_one_write_and_the_same_as_uvicorn_would_send(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Counted] = []
    connection_made = wire.HTTPWire.connection_made

    def counting(self: wire.HTTPWire, transport: asyncio.Transport) -> None:
        made.append(Counted(transport))
        connection_made(self, made[-1])  # type: ignore[arg-type]

    monkeypatch.setattr(wire.HTTPWire, "connection_made", counting)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(asking(served.owner))
    straight = await answered(reader)
    monkeypatch.setattr(wire, "_plain_cycle", lambda _: None)
    writer.write(asking(served.owner))
    by_uvicorn = await answered(reader)
    writer.close()
    assert straight == by_uvicorn
    assert [len(data) > 0 for data in made[0].writes] == [True] * 3  # One, then uvicorn's two.


async def test_who_sends_requests_ahead_without_end_is_400(served: Served) -> None:
    answer = await said_to(served, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * (MOST_AHEAD + 10))
    assert b"HTTP/1.1 400 " in answer


async def test_requests_sent_ahead_are_answered_in_their_order(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    keys = [served.owner, served.admin, None, served.booking, served.owner]
    writer.write(b"".join(asking(key) for key in keys))
    told = [await answered(reader) for _ in keys]
    writer.close()
    assert [head[0][9:12] for head, _ in told] == [b"200", b"200", b"401", b"200", b"200"]
    expected = [b"OWNER", b"ADMIN", b"UNAUTHENTICATED", b"BOOKING", b"OWNER"]
    assert all(word in body for (_, body), word in zip(told, expected, strict=True))


async def test_a_connection_speaks_for_no_key_longer_than_the_key_is_good(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    statuses = []
    for key in (served.owner, served.owner, served.booking, None, served.owner):
        writer.write(asking(key))
        statuses.append((await answered(reader))[0][0][9:12])
    await served.world.write("UPDATE api_key SET revoked_at = 1 WHERE role = 'OWNER'")
    served.world.clock.now += 3
    writer.write(asking(served.owner))
    statuses.append((await answered(reader))[0][0][9:12])
    writer.close()
    assert statuses == [b"200", b"200", b"200", b"401", b"200", b"401"]


async def test_a_client_that_ends_its_connection_is_told_so(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(asking(served.owner, b'{"query": "{ viewer { role } }"}', "connection: close"))
    head, body = await answered(reader)
    assert b"connection: close" in head
    assert b"OWNER" in body
    async with asyncio.timeout(60):
        assert await reader.read() == b""
    writer.close()


HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"


class Line:
    """A connection that stays open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, request: bytes = HEALTH) -> bytes:
        """The answer's first line; nothing where the server hung up."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            self.writer.write(request)
            return (await answered(self.reader))[0][0]
        return b""

    async def is_gone(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), 60) == b""


@pytest.fixture
async def lines(served: Served) -> AsyncIterator[Callable[[], Awaitable[Line]]]:
    opened: list[Line] = []

    async def opened_line() -> Line:
        opened.append(Line(*await asyncio.open_connection("127.0.0.1", served.port)))
        return opened[-1]

    yield opened_line
    for line in opened:
        line.writer.close()


OK = b"HTTP/1.1 200 OK"
SLOW = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"


def bounded(served: Served, most: int) -> None:
    config = served.server.config
    assert isinstance(config, room.Config)
    config.room.most = most


async def test_the_connection_that_asks_nothing_for_longest_makes_room_for_another(
    served: Served, lines: Callable[[], Awaitable[Line]], caplog: pytest.LogCaptureFixture
) -> None:
    bounded(served, 3)
    first, second, third = [await lines() for _ in range(3)]
    assert [await line.ask() for line in (second, first, third)] == [OK] * 3
    assert await (await lines()).ask() == OK
    assert await second.is_gone()
    assert [await line.ask() for line in (first, third)] == [OK] * 2
    assert "Over 3 connections" in caplog.text


async def test_a_connection_that_never_asked_anything_makes_room_too(
    served: Served, lines: Callable[[], Awaitable[Line]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEAD_WITHIN", 600)
    bounded(served, 3)
    silent = [await lines() for _ in range(3)]
    assert [await (await lines()).ask() for _ in range(3)] == [OK] * 3
    assert all([await line.is_gone() for line in silent])


async def test_where_all_connections_are_in_use_there_is_none_for_another(
    served: Served, lines: Callable[[], Awaitable[Line]]
) -> None:
    bounded(served, 2)
    async with served.socket(served.owner):
        sending = await lines()
        sending.writer.write(SLOW + b"authorization: Bearer " + served.owner.encode() + b"\r\n\r\n{")
        while served.server.config.room.idle:  # type: ignore[attr-defined]
            await asyncio.sleep(0.01)
        assert await (await lines()).ask() == b""
        assert (await sending.ask(b"}")).startswith(b"HTTP/1.1 400")


EXAMPLES = b"GET /home/examples.json HTTP/1.1\r\nhost: x\r\n\r\n"


@dataclass
class Unread:
    wire: wire.HTTPWire
    client: socket.socket


@pytest.fixture
async def unread(served: Served) -> AsyncIterator[Callable[[bytes], Awaitable[Unread]]]:
    """Sends so many requests that their answers fill what the kernel keeps, and reads none of them."""
    loop, opened = asyncio.get_running_loop(), socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    opened.setblocking(False)
    [listener] = served.server.servers[0].sockets
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    async def sent(requests: bytes) -> Unread:
        await loop.sock_connect(opened, ("127.0.0.1", served.port))
        await loop.sock_sendall(opened, requests)
        async with asyncio.timeout(60):
            while not (made := [each for each in open_wires(served) if waiting(each)]):
                await asyncio.sleep(0.01)
        return Unread(made[0], opened)

    with opened:
        yield sent


def open_wires(served: Served) -> list[wire.HTTPWire]:
    return [each for each in served.server.server_state.connections if isinstance(each, wire.HTTPWire)]


def waiting(opened: wire.HTTPWire) -> int:
    return opened.transport.get_write_buffer_size()


@pytest.mark.parametrize(
    "requests",
    [EXAMPLES * 8, EXAMPLES * 8 + EXAMPLES[:-2] + b"connection: close\r\n\r\n", EXAMPLES * 50],
    ids=["kept for more", "closing", "answered no further"],
)
async def test_an_answer_of_which_nothing_is_taken_keeps_no_connection(
    served: Served,
    unread: Callable[[bytes], Awaitable[Unread]],
    monkeypatch: pytest.MonkeyPatch,
    requests: bytes,
) -> None:
    await unread(requests)
    monkeypatch.setattr(run, "TICKS_TO_A_LOOK", 1)
    async with asyncio.timeout(60):
        while open_wires(served):
            await asyncio.sleep(0.01)


async def test_an_answer_that_is_taken_little_by_little_is_waited_for(
    served: Served, unread: Callable[[bytes], Awaitable[Unread]]
) -> None:
    line = await unread(EXAMPLES * 50)
    for _ in range(2):
        before = waiting(line.wire)
        for _ in range(3):
            line.wire.look()
        assert not line.wire.transport.is_closing()
        async with asyncio.timeout(60):
            while waiting(line.wire) == before:
                with suppress(BlockingIOError):
                    line.client.recv(1000)
                await asyncio.sleep(0.01)
