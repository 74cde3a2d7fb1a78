"""The light way to a server: how answers are framed, kept connections, and what ends one."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from models.seal import Secret
from sync.icloud import wire
from sync.icloud.answers import Answer
from sync.icloud.coding import inflate
from sync.icloud.dial import Address, Resolve, dial, taking_turns
from sync.icloud.guard import Admitted, Guard
from sync.icloud.names import Resolver
from sync.icloud.server import ICloud
from sync.icloud.settings import TransportSettings
from sync.icloud.wire import Asked, Pool
from sync.remote import ForeignHost, PasswordRefused, UnexpectedAnswer, Unreachable
from tests.contracts.test_remote_transport import Asked as Received
from tests.contracts.test_remote_transport import Liar, http

MOST = 100_000


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    liar = Liar()
    server = await asyncio.start_server(liar.serve, "127.0.0.1", 0)
    liar.port = server.sockets[0].getsockname()[1]
    yield liar
    server.close()


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(connections=2, most_bytes=MOST, user_agent="Test/1")
    yield pool
    await pool.close()


async def ask(pool: Pool, liar: Liar, *, anew: bool = False) -> Answer:
    where = Admitted(f"http://127.0.0.1:{liar.port}/1/?a=b", "Basic x")
    async with asyncio.timeout(60):
        return await pool.ask(Asked(where, "REPORT", {"Depth": "1"}, b"body"), anew=anew)


def head(*lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 207 X", *lines, "", ""]).encode()


async def test_what_is_sent_is_what_was_asked(pool: Pool, liar: Liar) -> None:
    liar.answers = [http(207, b"<a/>", ETag='"1"')]
    answer = await ask(pool, liar)
    assert (answer.status_code, answer.body, answer.headers["ETag"]) == (207, b"<a/>", '"1"')
    [received] = liar.asked
    assert (received.method, received.path, received.body) == ("REPORT", "/1/?a=b", b"body")
    assert received.headers["host"] == f"127.0.0.1:{liar.port}"
    assert received.headers["authorization"] == "Basic x"
    assert received.headers["depth"] == "1"


CHUNKED = head("Transfer-Encoding: chunked") + b"2\r\n<a\r\n2;x=y\r\n/>\r\n0\r\n\r\n"


@pytest.mark.parametrize("answer", [http(207, b"<a/>"), CHUNKED])
async def test_an_answer_may_come_in_any_pieces(pool: Pool, liar: Liar, answer: bytes) -> None:
    async def drip(_: Received, writer: asyncio.StreamWriter) -> None:
        for at in range(len(answer)):
            writer.write(answer[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0)

    liar.answers = [drip]
    assert (await ask(pool, liar)).body == b"<a/>"


async def test_an_answer_without_a_length_ends_with_its_connection(pool: Pool, liar: Liar) -> None:
    async def until_closed(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(head("Connection: close") + b"<a/>")
        writer.close()

    liar.answers = [until_closed]
    assert (await ask(pool, liar)).body == b"<a/>"


@pytest.mark.parametrize("answer", [head("Content-Length: 10") + b"<a/>", CHUNKED[:-5], b"HTTP/1.1 2"])
async def test_an_answer_that_breaks_off_is_none(pool: Pool, liar: Liar, answer: bytes) -> None:
    async def cut(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    liar.answers = [cut]
    with pytest.raises(Unreachable):
        await ask(pool, liar)


async def test_a_word_before_the_answer_is_no_answer(pool: Pool, liar: Liar) -> None:
    liar.answers = [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + http(207, b"<a/>")]
    assert (await ask(pool, liar)).status_code == 207


async def test_a_trailer_counts_as_no_header(pool: Pool, liar: Liar) -> None:
    liar.answers = [CHUNKED[:-2] + b'ETag: "2"\r\nContent-Encoding: gzip\r\n\r\n']
    answer = await ask(pool, liar)
    assert (answer.body, dict(answer.headers)) == (b"<a/>", {})


async def test_trailers_without_end_are_refused(pool: Pool, liar: Liar) -> None:
    liar.answers = [CHUNKED[:-2] + f"X: {'x' * 1000}\r\n".encode() * 70 + b"\r\n"]
    with pytest.raises(UnexpectedAnswer):
        await ask(pool, liar)


IN_CHUNKS = head("Transfer-Encoding: chunked")
WITHOUT_END = {
    "words before it": (b"", b"HTTP/1.1 102 X\r\n\r\n"),
    "lines before it": (b"", b"\r\n"),
    "a reason": (b"HTTP/1.1 207 ", b"x"),
    "a header's name": (b"HTTP/1.1 207 X\r\n", b"x"),
    "a header": (b"HTTP/1.1 207 X\r\nX: ", b"x"),
    "a chunk's extension": (IN_CHUNKS + b"5;", b"x"),
    "a trailer": (IN_CHUNKS + b"0\r\nX: ", b"x"),
    "chunks of a byte": (IN_CHUNKS, b"1\r\n \r\n"),
}


@pytest.mark.parametrize(("begin", "more"), WITHOUT_END.values(), ids=WITHOUT_END)
async def test_what_never_ends_is_cut_off_whatever_it_is(
    pool: Pool, liar: Liar, begin: bytes, more: bytes
) -> None:
    """All of it counts that comes over the wire, and not what is told of it alone."""
    sent = 0

    async def flood(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(begin)
        while sent < 40_000_000:
            writer.write(more * (10_000 // len(more)))
            sent += 10_000
            await writer.drain()
            await asyncio.sleep(0)

    liar.answers = [flood]
    with pytest.raises(UnexpectedAnswer):
        await ask(pool, liar)
    assert sent < 40_000_000


NO_ANSWERS = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 X\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "no status": b"HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n",
    "a status of 99": b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",
    "two lengths": head("Content-Length: 4", "Content-Length: 5") + b"<a/>",
    "70 KB of headers": head(*(f"X-{number}: {'x' * 1000}" for number in range(70))),
    "too long": http(207, b"<a/>" + b" " * MOST),
    "too long in chunks": head("Transfer-Encoding: chunked") + b"fffff\r\n" + b" " * (MOST + 1),
    "brotli": http(207, b"<a/>", Content_Encoding="br"),
    "gzip that is none": http(207, b"<a/>", Content_Encoding="gzip"),
    "gzip cut short": http(207, gzip.compress(b"<a/>" * 100)[:-9], Content_Encoding="gzip"),
    "gzip and more": http(207, gzip.compress(b"<a/>") + b" ", Content_Encoding="gzip"),
    "two gzips": http(207, gzip.compress(b"<a>") + gzip.compress(b"</a>"), Content_Encoding="gzip"),
    "gzip of a byte too many": http(207, gzip.compress(b"a" * (MOST + 1)), Content_Encoding="gzip"),
    "a bomb": http(207, gzip.compress(b"a" * 50_000_000), Content_Encoding="gzip"),
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_what_is_not_http_or_too_much_is_refused(pool: Pool, liar: Liar, answer: bytes) -> None:
    liar.answers = [answer]
    with pytest.raises(UnexpectedAnswer):
        await ask(pool, liar)


def test_no_more_of_a_bomb_is_made_than_is_allowed() -> None:
    assert inflate(gzip.compress(b"a" * MOST), MOST) == b"a" * MOST
    bomb = gzip.compress(b"a" * 100 * MOST)
    tracemalloc.start()
    with pytest.raises(UnexpectedAnswer):
        inflate(bomb, MOST)
    _, made = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made < 10 * MOST
    assert inflate(b"", MOST) == b""


async def test_a_connection_is_kept_for_the_next(pool: Pool, liar: Liar) -> None:
    liar.answers = [http(207, b"<a/>")]
    for _ in range(5):
        await ask(pool, liar)
    assert liar.connections == 1


async def test_one_that_was_idle_for_long_is_trusted_no_more(
    pool: Pool, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "_KEPT", -1.0)
    liar.answers = [http(207, b"<a/>")]
    await ask(pool, liar)
    await ask(pool, liar)
    assert liar.connections == 2


async def test_one_that_asks_to_be_closed_is_not_kept(pool: Pool, liar: Liar) -> None:
    liar.answers = [http(207, b"<a/>", Connection="close")]
    await ask(pool, liar)
    await ask(pool, liar)
    assert liar.connections == 2


async def test_one_that_leads_to_the_wrong_server_is_not_kept(pool: Pool, liar: Liar) -> None:
    liar.answers = [http(421), http(207, b"<a/>")]
    await ask(pool, liar)
    await ask(pool, liar)
    assert liar.connections == 2


async def test_what_is_to_be_anew_takes_no_kept_one(pool: Pool, liar: Liar) -> None:
    liar.answers = [http(207, b"<a/>")]
    await ask(pool, liar)
    await ask(pool, liar, anew=True)
    assert liar.connections == 2


@pytest.mark.parametrize("size", [1, 30, None])
async def test_a_second_answer_to_one_question_is_nobodys(pool: Pool, liar: Liar, size: int | None) -> None:
    """Else it would be taken for the answer to the next account's question."""
    liar.answers = [http(207, b"<mine/>") + http(207, b"<smuggled/>")[:size], http(207, b"<yours/>")]
    assert (await ask(pool, liar)).body == b"<mine/>"
    assert (await ask(pool, liar)).body == b"<yours/>"
    assert liar.connections == 2


async def test_one_who_gave_up_leaves_no_half_answer_to_the_next(pool: Pool, liar: Liar) -> None:
    begun = asyncio.Event()

    async def slowly(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(head("Content-Length: 4") + b"<m")
        await writer.drain()
        begun.set()
        await asyncio.sleep(0.05)
        writer.write(b"e/")

    liar.answers = [slowly, http(207, b"<b/>")]
    first = asyncio.create_task(ask(pool, liar))
    await begun.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert not any(connection.is_open for connection in pool._open)
    assert (await ask(pool, liar)).body == b"<b/>"


async def test_no_more_connections_are_open_than_are_allowed(pool: Pool, liar: Liar) -> None:
    at_once = most = 0

    async def count(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        writer.write(http(207, b"<a/>"))

    liar.answers = [count]
    await asyncio.gather(*(ask(pool, liar) for _ in range(10)))
    assert most == liar.connections == 2


@pytest.mark.parametrize("hangs", [True, False], ids=["polls", "all else"])
async def test_what_hangs_of_one_kind_holds_up_none_of_the_other(
    pool: Pool, liar: Liar, *, hangs: bool
) -> None:
    """Nor does it take more than its share of the connections."""

    async def hang(asked: Received, writer: asyncio.StreamWriter) -> None:
        if asked.method == "HANG":
            await asyncio.Event().wait()
        writer.write(http(207, b"<a/>"))

    liar.answers = [hang]
    where = Admitted(f"http://127.0.0.1:{liar.port}/1/", "Basic x")
    hanging = [asyncio.create_task(pool.ask(Asked(where, "HANG", {}, b""), is_poll=hangs)) for _ in range(9)]
    for _ in range(5):
        async with asyncio.timeout(60):
            await pool.ask(Asked(where, "REPORT", {}, b""), is_poll=not hangs)
    assert liar.connections == 3
    for each in hanging:
        each.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_one_who_gives_up_just_as_a_connection_is_made_leaves_none_behind(
    run: Callable[[Coroutine[Any, Any, list[int]]], list[int]],
    scheme: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it counts as open for ever, or its socket's number is no other one's any more."""
    certificate, key = _self_signed(tmp_path)
    asking: list[asyncio.Task[Answer]] = []

    class Made(wire._Connection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            if asking:
                asking.pop().cancel()

    async def asked() -> list[int]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        liar, left = Liar(answers=[http(207, b"<a/>")]), []
        server = await asyncio.start_server(
            liar.serve, "127.0.0.1", 0, ssl=context if scheme == "https" else None
        )
        where = Admitted(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/1/", "Basic x")
        pool = Pool(connections=2, most_bytes=MOST, user_agent="Test/1", ca_file=certificate)
        for _ in range(3):
            asking.append(
                given_up := asyncio.create_task(pool.ask(Asked(where, "REPORT", {}, b""), anew=True))
            )
            await asyncio.wait([given_up])
            left.append(len(pool._open))
            await pool.ask(Asked(where, "REPORT", {}, b""), anew=True)
            await pool.close()
        server.close()
        assert len(liar.asked) == 3
        return left

    monkeypatch.setattr(wire, "_Connection", Made)
    assert run(asked()) == [0, 0, 0]


async def test_an_idle_connection_to_one_host_gives_way_to_another(pool: Pool) -> None:
    liars = [Liar(answers=[http(207, b"<a/>")]) for _ in range(6)]
    for liar in liars:
        server = await asyncio.start_server(liar.serve, "127.0.0.1", 0)
        liar.port = server.sockets[0].getsockname()[1]
        await ask(pool, liar)
        assert len(pool._open) <= 4
        server.close()


async def test_a_certificate_that_is_nobodys_ends_it_before_a_byte_is_sent(
    pool: Pool, tmp_path: Path
) -> None:
    received: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(10))
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*_self_signed(tmp_path))
    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    where = Admitted(f"https://127.0.0.1:{port}/", "Basic x")
    with pytest.raises(Unreachable):
        await pool.ask(Asked(where, "REPORT", {}, b""))
    server.close()
    assert received == []


def _self_signed(folder: Path) -> tuple[Path, Path]:
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    made = made.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    plain = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    private.write_bytes(key.private_bytes(*plain))
    return certificate, private


def test_credentials_are_put_to_an_address_only_after_it_was_checked() -> None:
    guard = Guard("https://caldav.icloud.com/")
    admitted = guard.admit("https://p12-caldav.icloud.com:443/1/", "ä@icloud.com", Secret("pass"))
    assert admitted.url == "https://p12-caldav.icloud.com/1/"
    assert admitted.authorization == "Basic w6RAaWNsb3VkLmNvbTpwYXNz"
    assert "w6RA" not in repr(admitted)
    with pytest.raises(ForeignHost):
        guard.admit("https://evil.test/", "a", Secret("pass"))


class Hole:
    """An address that takes nothing and refuses nothing: a listener whose queue is full, as where a route is broken."""

    def __init__(self, host: str) -> None:
        self._listener = socket.socket()
        self._listener.bind((host, 0))
        self._listener.listen(0)
        self.host, self.port = self._listener.getsockname()
        self._waiting = [socket.socket() for _ in range(4)]
        for each in self._waiting:
            each.setblocking(False)
            with suppress(BlockingIOError):
                each.connect((self.host, self.port))

    def close(self) -> None:
        for each in (*self._waiting, self._listener):
            each.close()


def addresses(port: int, *hosts: str) -> Resolve:
    async def found(_: str, __: int) -> list[Address]:
        return [Address(socket.AF_INET, (host, port)) for host in hosts]

    return found


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize(
    "hosts", [("127.0.0.2", "127.0.0.1"), ("127.0.0.3", "127.0.0.1"), ("127.0.0.1", "127.0.0.2")]
)
def test_an_address_that_swallows_or_refuses_does_not_hide_the_next(
    run: Callable[[Coroutine[Any, Any, Answer]], Answer], hosts: tuple[str, ...]
) -> None:
    """Nobody listens at 127.0.0.3; 127.0.0.2 says nothing."""

    async def asked() -> Answer:
        hole, liar = Hole("127.0.0.2"), Liar(answers=[http(207, b"<a/>")])
        server = await asyncio.start_server(liar.serve, "127.0.0.1", hole.port)
        liar.port = hole.port
        pool = Pool(connections=2, most_bytes=MOST, user_agent="Test/1", by=addresses(hole.port, *hosts))
        try:
            where = Admitted(f"http://localhost:{hole.port}/1/", "Basic x")
            async with asyncio.timeout(60):
                return await pool.ask(Asked(where, "REPORT", {}, b""))
        finally:
            await pool.close()
            server.close()
            hole.close()

    assert run(asked()).body == b"<a/>"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_where_no_address_answers_the_host_is_unreachable(
    run: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    async def asked() -> None:
        pool = Pool(
            connections=2, most_bytes=MOST, user_agent="Test/1", by=addresses(1, "127.0.0.3", "127.0.0.4")
        )
        with pytest.raises(Unreachable, match="ConnectionRefusedError"):
            await pool.ask(Asked(Admitted("http://localhost:1/1/", "Basic x"), "REPORT", {}, b""))

    run(asked())


def test_families_take_turns_and_the_resolvers_first_is_first() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    listed = [
        Address(family, (name, 1)) for family, name in ((six, "a"), (six, "b"), (six, "c"), (four, "d"))
    ]
    assert [address.sockaddr[0] for address in taking_turns(listed)] == ["a", "d", "b", "c"]


async def test_a_wait_for_addresses_that_say_nothing_ends_with_who_waits() -> None:
    hole = Hole("127.0.0.2")
    waiting = asyncio.create_task(
        dial("localhost", hole.port, by=addresses(hole.port, "127.0.0.2", "127.0.0.2"))
    )
    await asyncio.wait([waiting], timeout=0.5)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    hole.close()


def _two_addresses(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
    """The system's resolver, for `localhost`: the first address says nothing."""
    hosts = ("127.0.0.2", "127.0.0.1") if host == "localhost" else (host,)
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in hosts]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_what_is_asked_by_the_library_is_not_hidden_either(
    monkeypatch: pytest.MonkeyPatch, run: Callable[[Coroutine[Any, Any, list[str]]], list[str]]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _two_addresses)

    async def asked() -> list[str]:
        hole, liar = Hole("127.0.0.2"), Liar(answers=[http(401)])
        server = await asyncio.start_server(liar.serve, "127.0.0.1", hole.port)
        entry = f"http://localhost:{hole.port}/"
        cloud = ICloud(Guard(entry), TransportSettings(request_seconds=20))
        try:
            with pytest.raises(PasswordRefused):
                await cloud.sign_in("a@b", Secret("x")).discover()
            with pytest.raises(PasswordRefused):
                await cloud.sign_in("a@b", Secret("x"), home_url=entry).glance(entry)
        finally:
            await cloud.close()
            server.close()
            hole.close()
        return [each.method for each in liar.asked]

    assert run(asked()) == ["PROPFIND", "PROPFIND"]


# --- Names


class Silence:
    """A resolver that says nothing of any name but this machine's until it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.over = threading.Event()

    def getaddrinfo(self, host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.asked.append(host)
        if host != "localhost":
            assert self.over.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


@pytest.fixture
def silence() -> Iterator[Silence]:
    silence = Silence()
    yield silence
    silence.over.set()


async def test_names_that_nobody_answers_for_keep_no_thread_from_others(
    monkeypatch: pytest.MonkeyPatch, silence: Silence
) -> None:
    """The database is looked up by the loop's own threads, and texts are read in them."""
    monkeypatch.setattr(socket, "getaddrinfo", silence.getaddrinfo)
    pool = Pool(connections=100, most_bytes=MOST, user_agent="Test/1")
    hosts = [f"p{number}-caldav.icloud.com" for number in range(50)]
    asking = [
        asyncio.create_task(pool.ask(Asked(Admitted(f"http://{host}/1/", "Basic x"), "REPORT", {}, b"")))
        for host in hosts
    ]
    while not silence.asked:
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await asyncio.gather(*(asyncio.to_thread(int) for _ in range(100)))
        assert await asyncio.get_running_loop().getaddrinfo("localhost", 1)
    assert not any(task.done() for task in asking)
    silence.over.set()
    ended = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in ended] == [Unreachable] * len(hosts)
    assert sorted(silence.asked) == sorted([*hosts, "localhost"])
    await pool.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_name_is_looked_up_once_for_all_who_ask_meanwhile(
    silence: Silence, run: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    async def asked() -> None:
        resolver = Resolver(silence.getaddrinfo)
        given_up = asyncio.create_task(resolver("a.test", 443))
        asking = [asyncio.create_task(resolver("a.test", 443)) for _ in range(20)]
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        silence.over.set()
        ended = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(each) for each in ended] == [socket.gaierror] * 20
        assert silence.asked == ["a.test"]
        with pytest.raises(socket.gaierror):
            await resolver("a.test", 443)
        assert silence.asked == ["a.test", "a.test"]

    run(asked())


_ENDS = """
import asyncio, time, uvloop
from contextlib import suppress
from sync.icloud.names import Resolver

async def ask() -> None:
    resolver = Resolver(lambda *_, **__: time.sleep(600))
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*(resolver(f"{number}.test", 1) for number in range(20))), 0.1)

asyncio.run(ask())
uvloop.run(ask())
"""


def test_a_process_ends_whatever_names_it_waits_for() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", _ENDS], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
