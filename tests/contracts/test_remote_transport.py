"""The way to a server: what it does with redirects, bombs, drips, refusals and lies."""

from __future__ import annotations

import asyncio
import gzip
import logging
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import ModuleType

import pytest

from models.seal import Secret
from sync.icloud import coding
from sync.icloud import server as icloud_server
from sync.icloud.budget import Budgets
from sync.icloud.guard import Guard
from sync.icloud.server import Account, ICloud
from sync.icloud.settings import TransportSettings
from sync.remote import (
    ETag,
    Forbidden,
    ForeignHost,
    Href,
    Listed,
    NameTooLong,
    NotThere,
    PasswordRefused,
    RemoteError,
    StaleWrite,
    SyncToken,
    Throttled,
    TokenRefused,
    TooLong,
    UnexpectedAnswer,
    Unreachable,
)

CANARY = "cana-ryca-nary-cana"
HREF = Href("/1/calendars/home/a.ics")
TEXT = b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n" * 20
PACKED = gzip.compress(TEXT)
CALENDAR = "/1/calendars/home/"
NAMED = '<error xmlns="DAV:"><{} xmlns="urn:ietf:params:xml:ns:caldav"/></error>'
ALONE = (
    '<multistatus xmlns="DAV:"><response><href>/</href><propstat><prop>{}</prop></propstat></response>'
    "</multistatus>"
)
MEMBER = (
    "<response><href>{}</href><propstat><prop><getetag>{}</getetag></prop><status>HTTP/1.1 200 OK</status></propstat>"
    "</response>"
)
PRINCIPAL = "<current-user-principal><href>{}</href></current-user-principal>"
HOME = '<calendar-home-set xmlns="urn:ietf:params:xml:ns:caldav"><href xmlns="DAV:">{}</href></calendar-home-set>'
CHANGES = b'<multistatus xmlns="DAV:"><sync-token>t</sync-token></multistatus>'


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answering = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Liar:
    """A server that answers as it is told, byte by byte."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    answers: list[bytes | Answering] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                asked = await _read(reader)
                self.asked.append(asked)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(asked, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, path, _ = first.split(" ")
    return Asked(method, path, headers, body)


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    liar = Liar()
    server = await asyncio.start_server(liar.serve, "127.0.0.1", 0)
    liar.port = server.sockets[0].getsockname()[1]
    yield liar
    server.close()


@pytest.fixture
async def account(liar: Liar, request: pytest.FixtureRequest) -> AsyncIterator[Account]:
    """Whose requests may last a minute, or as long as the parameter says."""
    url = f"http://127.0.0.1:{liar.port}/"
    seconds = getattr(request, "param", 60.0)
    server = ICloud(Guard(url), TransportSettings(request_seconds=seconds, most_bytes=1_000_000))
    account = server.sign_in("a@icloud.com", Secret(CANARY))
    account.home_url = f"{url}1/calendars/"
    yield account
    await server.close()


async def test_credentials_go_along_at_once_and_in_utf_8(liar: Liar, account: Account) -> None:
    account.apple_id, account.password = "jürgen@example.test", Secret("pässwort-€")
    liar.answers = [http(207, CHANGES), http(200, TEXT, ETag='"1"')]
    await account.list_changes(CALENDAR, None)
    await account.get(HREF)
    asked, got = liar.asked
    signed = b64encode("jürgen@example.test:pässwort-€".encode()).decode()
    assert asked.headers["authorization"] == got.headers["authorization"] == f"Basic {signed}"
    assert asked.headers["user-agent"] == got.headers["user-agent"]
    assert asked.headers["user-agent"].startswith("Slotwire/")
    assert (asked.method, asked.path, asked.headers["depth"]) == ("REPORT", CALENDAR, "1")
    assert asked.body.startswith(b"<?xml")


async def test_a_refused_password_is_tried_once(liar: Liar, account: Account) -> None:
    challenge = b'WWW-Authenticate: X-MobileMe-AuthToken realm="a"\r\nWWW-Authenticate: Basic realm="b"\r\n'
    liar.answers = [b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n" + challenge + b"\r\n"]
    for number, way in enumerate((account.list_changes(CALENDAR, None), account.get(HREF)), 1):
        with pytest.raises(PasswordRefused):
            await way
        assert len(liar.asked) == number


@pytest.mark.parametrize("body", [PACKED[:9], b"no gzip"], ids=["cut", "none"])
@pytest.mark.parametrize(
    ("status", "met"),
    [(401, PasswordRefused), (429, Throttled), (503, Throttled), (500, Unreachable), (403, UnexpectedAnswer)],
)
async def test_a_status_that_says_all_needs_no_body(
    liar: Liar, account: Account, status: int, met: type[RemoteError], body: bytes
) -> None:
    """By either way: a poll's own, and that of what is asked seldom. A 403 can be a sync-token's or a UID's."""
    liar.answers = [http(status, body, Content_Encoding="gzip")] * 2
    with pytest.raises(met):
        await account.list_changes(CALENDAR, None)
    with pytest.raises(met):
        await account.get(HREF)


@pytest.mark.parametrize("status", [200, 204])
async def test_what_was_to_be_created_is_so_where_that_is_said(
    liar: Liar, account: Account, status: int
) -> None:
    liar.answers = [http(status), http(status, ETag='"1"'), http(201)]
    with pytest.raises(UnexpectedAnswer):
        await account.create(HREF, "BODY")
    assert await account.create(HREF, "BODY") == '"1"'
    assert await account.create(HREF, "BODY") is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_keeps_method_body_and_condition(liar: Liar, account: Account, status: int) -> None:
    liar.answers = [http(status, Location="/elsewhere/a.ics"), http(201, ETag='"1"')]
    assert await account.create(HREF, "BODY") == '"1"'
    first, second = liar.asked
    assert (second.method, second.path, second.body) == ("PUT", "/elsewhere/a.ics", b"BODY")
    assert second.headers["if-none-match"] == first.headers["if-none-match"] == "*"


async def test_a_redirect_to_another_host_is_not_followed(liar: Liar, account: Account) -> None:
    other = Liar(answers=[http(207, CHANGES)])
    server = await asyncio.start_server(other.serve, "127.0.0.2", 0)
    port = server.sockets[0].getsockname()[1]
    liar.answers = [http(307, Location=f"http://127.0.0.2:{port}/")]
    with pytest.raises(ForeignHost):
        await account.create(HREF, "BODY")
    server.close()
    assert other.asked == []


async def test_redirects_without_end_end(liar: Liar, account: Account) -> None:
    liar.answers = [http(302, Location=CALENDAR)]
    with pytest.raises(UnexpectedAnswer):
        await account.list_changes(CALENDAR, None)
    assert len(liar.asked) == 6


@pytest.mark.parametrize("answer", [http(302), http(302, Location="")], ids=["no address", "an empty one"])
async def test_a_redirect_that_leads_nowhere_is_not_asked_again(
    liar: Liar, account: Account, answer: bytes
) -> None:
    liar.answers = [answer]
    for number, way in enumerate((account.list_changes(CALENDAR, None), account.create(HREF, "BODY")), 1):
        with pytest.raises(UnexpectedAnswer):
            await way
        assert len(liar.asked) == number


@pytest.mark.parametrize("foreign", [0, 1])
async def test_a_principal_or_a_home_on_a_foreign_host_is_none(
    liar: Liar, account: Account, foreign: int
) -> None:
    hrefs = ["/1/", "/1/"]
    hrefs[foreign] = "https://evil.test/1/"
    told = [PRINCIPAL.format(hrefs[0]), HOME.format(hrefs[1])]
    liar.answers = [http(207, ALONE.format(each).encode()) for each in told]
    with pytest.raises(ForeignHost):
        await account.discover()
    assert len(liar.asked) == 1 + foreign


async def test_a_home_whose_address_is_too_long_to_be_kept_is_told(liar: Liar, account: Account) -> None:
    told = [PRINCIPAL.format("/1/"), HOME.format(f"/{'h' * 1000}/")]
    liar.answers = [http(207, ALONE.format(each).encode()) for each in told]
    with pytest.raises(NameTooLong):
        await account.discover()


@pytest.mark.parametrize(
    "href", ["/u%40v/principal/", "/u@v/principal", "http://127.0.0.1:{}/u%40v/principal/"]
)
async def test_a_principal_is_one_in_any_spelling(liar: Liar, account: Account, href: str) -> None:
    """By it an Apple account is kept from being in two subaccounts."""
    told = [PRINCIPAL.format(href.format(liar.port)), HOME.format("/1/")]
    liar.answers = [http(207, ALONE.format(each).encode()) for each in told]
    assert (await account.discover()).principal_path == "/u%40v/principal/"


async def test_a_bomb_of_gzip_is_cut_off(liar: Liar, account: Account) -> None:
    liar.answers = [http(207, gzip.compress(b"a" * 200_000_000), Content_Encoding="gzip")]
    with pytest.raises(UnexpectedAnswer):
        await account.list_changes(CALENDAR, None)


async def test_an_honest_gzip_is_read(liar: Liar, account: Account) -> None:
    liar.answers = [http(207, gzip.compress(CHANGES), Content_Encoding="gzip")]
    assert (await account.list_changes(CALENDAR, None)).token == "t"


async def test_what_is_big_is_unpacked_and_read_apart_from_the_event_loop(
    liar: Liar, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, apart = threading.get_ident(), list[bool]()

    def noting(module: ModuleType, name: str) -> None:
        real = getattr(module, name)

        def noted(*given: object) -> object:
            apart.append(threading.get_ident() != here)
            return real(*given)

        monkeypatch.setattr(module, name, noted)

    noting(coding, "inflate")
    noting(icloud_server, "read_members")
    members = "".join(MEMBER.format(f"{CALENDAR}{number}.ics", f'"{number}"') for number in range(4000))
    big = CHANGES.replace(b"<sync-token>", f"{members}<sync-token>".encode())
    liar.answers = [http(207, gzip.compress(each), Content_Encoding="gzip") for each in (CHANGES, big)]
    await account.list_changes(CALENDAR, None)
    assert apart == [False, False]
    await account.list_changes(CALENDAR, None)
    assert apart == [False, False, True, True]


@pytest.mark.parametrize(
    "answer",
    [
        http(200, PACKED[: len(PACKED) // 2], ETag='"1"', Content_Encoding="gzip"),
        http(200, PACKED[:-1], ETag='"1"', Content_Encoding="gzip"),
        http(200, PACKED + PACKED, ETag='"1"', Content_Encoding="gzip"),
        http(200, b"\n<!DOCTYPE html><html>Sign in</html>", ETag='"1"'),
        http(206, TEXT[:100], ETag='"1"', Content_Range="bytes 0-99/640"),
        b'HTTP/1.1 304 X\r\nETag: "1"\r\n\r\n',
        http(200, b"<p>Sign in</p>"),
    ],
    ids=["half", "its end missing", "two", "a page", "a range", "as you have it", "a page without an ETag"],
)
async def test_what_is_no_whole_object_is_none(liar: Liar, account: Account, answer: bytes) -> None:
    """Else half a text would be kept under the ETag of the whole, and not be asked for again."""
    liar.answers = [answer]
    with pytest.raises(UnexpectedAnswer):
        await account.get(HREF)


@pytest.mark.parametrize(
    "answer",
    [
        http(200, PACKED, ETag='"1"', Content_Encoding="gzip"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + http(200, TEXT, ETag='"1"'),
        http(200, TEXT, ETag='"1"').replace(b"HTTP/1.1", b"HTTP/1.0"),
        b'HTTP/1.1 200 X\r\nETag: "1"\r\nTransfer-Encoding: chunked\r\n\r\n280\r\n'
        + TEXT
        + b'\r\n0\r\nETag: "2"\r\n\r\n',
    ],
    ids=["packed", "after a word", "of 1996", "with a trailer"],
)
async def test_an_object_may_come_in_any_frame(liar: Liar, account: Account, answer: bytes) -> None:
    liar.answers = [answer]
    assert await account.get(HREF) == (HREF, '"1"', TEXT.decode())


@pytest.mark.parametrize("spelled", ['"1"', 'W/"1"', "1"], ids=["as made", "weak", "bare"])
async def test_an_etag_is_one_in_any_spelling_and_sent_as_it_was_made(
    liar: Liar, account: Account, spelled: str
) -> None:
    listing = (
        f'<multistatus xmlns="DAV:">{MEMBER.format(CALENDAR, "")}{MEMBER.format(HREF, spelled)}</multistatus>'
    )
    liar.answers = [http(200, TEXT, ETag=spelled), http(207, listing.encode()), http(204)]
    given = (await account.get(HREF)).etag
    [listed] = (await account.list_resources(CALENDAR)).items
    await account.replace(HREF, "text", given)
    assert listed == Listed(HREF, given)
    assert liar.asked[-1].headers["if-match"] == '"1"'


END = "&#13;&#10;"
UNSENDABLE = [
    f'"a{END}X-Evil: 1{END}{END}DELETE /x HTTP/1.1"',
    '"a&#10;b"',
    '"&#127;"',
    '"\u00e9"',
    '"\u2003x"',
]


@pytest.mark.parametrize("told", UNSENDABLE)
async def test_an_etag_that_no_header_can_carry_is_none(liar: Liar, account: Account, told: str) -> None:
    """It would be sent back with a write: as headers, or a request, that the server made up."""
    listing = (
        f'<multistatus xmlns="DAV:">{MEMBER.format(CALENDAR, "")}{MEMBER.format(HREF, told)}</multistatus>'
    )
    liar.answers = [http(207, listing.encode()), http(200, TEXT, ETag="\u00e9")]
    assert (await account.list_resources(CALENDAR)).items == (Listed(HREF, None),)
    assert (await account.get(HREF)).etag == ""


@pytest.mark.parametrize("etag", ['"a\r\nX-Evil: 1"', '"\u00e9"'])
async def test_a_header_that_cant_be_sent_is_not(liar: Liar, account: Account, etag: str) -> None:
    """Such as an ETag that was stored before; and what is said of it shows none of the others."""
    liar.answers = [http(204)]
    for way in (account.replace(HREF, "BODY", ETag(etag)), account.remove(HREF, ETag(etag))):
        with pytest.raises(UnexpectedAnswer, match="can't be sent"):
            await way
    assert liar.asked == []


async def test_a_name_that_is_not_taken_back_as_it_was_told_is_asked_for_as_it_reads(
    liar: Liar, account: Account
) -> None:
    liar.answers = [http(404), http(200, TEXT, ETag='"1"')]
    told = Href("/1/calendars/home/a%40b.ics")
    assert (await account.get(told)).href == told
    assert [asked.path for asked in liar.asked] == [told, "/1/calendars/home/a@b.ics"]


TWO = TEXT + TEXT


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n" % len(TWO),
        b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n280\r\n",
        b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n",
        b"HTTP/1.0 200 X\r\n\r\n",
    ],
    ids=["of a length", "in chunks", "up to the end", "of 1996"],
)
async def test_an_object_that_may_have_been_cut_off_is_none(
    liar: Liar, account: Account, head: bytes
) -> None:
    """Between two calendars the text itself does not tell."""

    async def cut(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(head + TEXT)
        await writer.drain()
        writer.close()

    liar.answers = [cut]
    with pytest.raises((Unreachable, UnexpectedAnswer)):
        await account.get(HREF)


SAID_AFTER = {
    "a whole answer": http(401),
    "half of one": b"HTTP/1.1 401 X\r\nX: ",
    "no answer": b"<html>",
}


@pytest.mark.parametrize("is_late", [False, True], ids=["at once", "late"])
@pytest.mark.parametrize("said", SAID_AFTER.values(), ids=SAID_AFTER)
async def test_what_is_said_after_ones_answer_is_not_the_next_ones(
    liar: Liar, account: Account, said: bytes, *, is_late: bool
) -> None:
    """By caldav too: another account's password was told as refused, or its question failed for no fault of its own."""
    more_came = asyncio.Event()

    async def say(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(http(200, TEXT, ETag='"1"') + (b"" if is_late else said))
        if is_late:
            await asyncio.sleep(0.05)
            writer.write(said)
        await writer.drain()
        more_came.set()

    liar.answers = [say, http(200, TEXT, ETag='"2"')]
    other = account.server.sign_in("o@icloud.com", Secret(CANARY), home_url=account.home_url)
    assert (await account.get(HREF)).etag == '"1"'
    await more_came.wait()
    await asyncio.sleep(0.05)
    assert (await other.get(HREF)).etag == '"2"'


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http(307, b"a" * 1_000_001, Location=CALENDAR), UnexpectedAnswer),
        (http(307, gzip.compress(b"a" * 1_000_001), Location=CALENDAR, Content_Encoding="gzip"), UnexpectedAnswer),
        (b"HTTP/1.1 102 X\r\n\r\n" * 100_000, UnexpectedAnswer),
        (http(307, Location="http://[::1"), ForeignHost),
    ],
    ids=["a long body", "a bomb", "words without end", "no address"],
)  # fmt: skip
async def test_a_redirect_and_a_word_before_the_answer_are_held_to_the_same_caps(
    liar: Liar, account: Account, answer: bytes, error: type[RemoteError]
) -> None:
    """By either way."""
    liar.answers = [answer]
    for number, way in enumerate((account.list_changes(CALENDAR, None), account.get(HREF)), 1):
        with pytest.raises(error):
            await way
        assert len(liar.asked) == number


async def test_too_long_an_answer_is_cut_off(liar: Liar, account: Account) -> None:
    """By either way: a poll's own, and that of what is asked seldom."""
    liar.answers = [http(207, CHANGES + b" " * 1_000_001), http(200, TEXT + b" " * 1_000_001, ETag='"1"')]
    with pytest.raises(UnexpectedAnswer):
        await account.list_changes(CALENDAR, None)
    with pytest.raises(UnexpectedAnswer):
        await account.get(HREF)


@pytest.mark.parametrize("account", [1.0], indirect=True)
async def test_a_drip_ends_at_the_deadline_of_the_whole_request(liar: Liar, account: Account) -> None:
    async def drip(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 207 X\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.1)

    liar.answers = [drip]
    async with asyncio.timeout(60):
        with pytest.raises(Unreachable):
            await account.list_changes(CALENDAR, None)


@pytest.mark.parametrize("account", [1.0], indirect=True)
async def test_a_redirect_gets_no_deadline_of_its_own(liar: Liar, account: Account) -> None:
    async def send_on(_: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.4)
        writer.write(http(307, Location=CALENDAR))

    liar.answers = [send_on]
    with pytest.raises(Unreachable):
        await account.list_changes(CALENDAR, None)


async def test_a_kept_connection_that_was_closed_is_opened_anew(liar: Liar, account: Account) -> None:
    async def close(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await asyncio.sleep(0)

    liar.answers = [http(207, CHANGES), close, http(207, CHANGES)]
    await account.list_changes(CALENDAR, None)
    assert (await account.list_changes(CALENDAR, None)).token == "t"


async def test_a_write_without_an_answer_is_not_sent_twice(liar: Liar, account: Account) -> None:
    async def close(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await asyncio.sleep(0)

    liar.answers = [close]
    writes = (
        account.create(HREF, "BODY"),
        account.replace(HREF, "BODY", ETag('"1"')),
        account.remove(HREF, ETag('"1"')),
    )
    for number, write in enumerate(writes, 1):
        with pytest.raises(Unreachable):
            await write
        assert len(liar.asked) == number


@pytest.mark.parametrize("etag", ["*", "", " * "])
async def test_nothing_is_changed_or_removed_in_whatever_state_it_is(
    liar: Liar, account: Account, etag: str
) -> None:
    """ICloud takes `If-Match: *` backwards, and without one the owner's edit of a moment ago would go."""
    liar.answers = [http(204)]
    with pytest.raises(AssertionError):
        await account.replace(HREF, "BODY", ETag(etag))
    with pytest.raises(AssertionError):
        await account.remove(HREF, ETag(etag))
    assert liar.asked == []


async def test_what_came_to_the_wrong_server_is_asked_once_more_elsewhere(
    liar: Liar, account: Account
) -> None:
    liar.answers = [http(421), http(207, CHANGES)]
    assert (await account.list_changes(CALENDAR, None)).token == "t"
    assert liar.connections == 2
    liar.answers = [http(421), http(201, ETag='"1"')]
    assert await account.create(HREF, "BODY") == '"1"'  # Nothing was done by the first.
    liar.answers = [http(421)]
    with pytest.raises(UnexpectedAnswer):
        await account.list_changes(CALENDAR, None)


async def test_accounts_share_what_connections_there_are(liar: Liar, account: Account) -> None:
    other = account.server.sign_in("o@icloud.com", Secret(CANARY), home_url=account.home_url)
    liar.answers = [http(207, CHANGES)]
    for each in (account, other):
        await each.list_changes(CALENDAR, None)
        await each.glance(account.home_url or "")
    assert liar.connections == 1
    liar.answers = [http(200, TEXT, ETag='"1"'), http(200, TEXT, ETag='"1"'), http(201)]
    await account.get(HREF)
    await other.get(HREF)
    await account.create(HREF, "BODY")
    assert liar.connections == 1


async def test_a_cookie_of_one_account_goes_with_none(liar: Liar, account: Account) -> None:
    other = account.server.sign_in("o@icloud.com", Secret(CANARY), home_url=account.home_url)
    liar.answers = [http(207, CHANGES, Set_Cookie="session=1; Path=/")]
    await account.list_changes(CALENDAR, None)
    await other.list_changes(CALENDAR, None)
    liar.answers = [http(200, TEXT, ETag='"1"', Set_Cookie="session=1; Path=/")]
    await account.get(HREF)
    await other.get(HREF)
    assert all("cookie" not in asked.headers for asked in liar.asked)


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        (http(503, Retry_After="7"), 7.0),
        (http(429, Retry_After="1"), 1.0),
        (http(503), None),
        (http(429), None),
        (http(503, Retry_After="soon"), None),
        (http(503, Retry_After="9" * 400), 999_999_999.0),
        (http(503, Retry_After="-1"), None),
        (
            http(429, Date="Fri, 20 Nov 2026 10:00:00 GMT", Retry_After="Fri, 20 Nov 2026 10:01:00 GMT"),
            60.0,
        ),
    ],
)
async def test_a_call_to_wait_is_told(
    liar: Liar, account: Account, answer: bytes, waits: float | None
) -> None:
    """By either way: a library that waits by itself, and asks again, would have a write end at its deadline."""
    liar.answers = [answer]
    for number, way in enumerate((account.list_changes(CALENDAR, None), account.get(HREF)), 1):
        with pytest.raises(Throttled) as told:
            await way
        assert (told.value.retry_after, len(liar.asked)) == (waits, number)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http(500), Unreachable),
        (http(502, b"<html>"), Unreachable),
        (http(200, b"<html>Welcome</html>"), UnexpectedAnswer),
        (http(200), UnexpectedAnswer),
        (http(204), UnexpectedAnswer),
        (http(207), UnexpectedAnswer),
        (http(207, b"<html/>"), UnexpectedAnswer),
        (http(207, CHANGES[:40]), UnexpectedAnswer),
        (http(207, CHANGES, Content_Encoding="br"), UnexpectedAnswer),
        (http(207, CHANGES, Content_Encoding="gzip"), UnexpectedAnswer),
        (http(403, b"<error xmlns='DAV:'><valid-sync-token/></error>"), TokenRefused),
        # A server that has no sync-collection says so by any of these, and is read by its listing.
        *((http(status), TokenRefused) for status in (400, 405, 409, 410, 412, 415, 501, 507)),
        (http(404), NotThere),
    ],
)
async def test_what_is_no_answer_is_told_apart(
    liar: Liar, account: Account, answer: bytes, error: type[RemoteError]
) -> None:
    liar.answers = [answer]
    with pytest.raises(error):
        await account.list_changes(CALENDAR, SyncToken("t1"))


@pytest.mark.parametrize("status", [404, 410])
async def test_what_is_gone_is_so_for_now_or_for_good(liar: Liar, account: Account, status: int) -> None:
    liar.answers = [http(status)]
    for way in (account.get(HREF), account.check_calendar(CALENDAR), account.list_resources(CALENDAR)):
        with pytest.raises(NotThere):
            await way


async def test_a_bare_403_is_the_tokens_where_the_calendar_answers(liar: Liar, account: Account) -> None:
    there = b'<multistatus xmlns="DAV:"><response><href>/1/calendars/home/</href></response></multistatus>'
    liar.answers = [http(403), http(207, there)]
    with pytest.raises(TokenRefused):
        await account.list_changes(CALENDAR, SyncToken("t1"))
    liar.answers = [http(403)]
    with pytest.raises(Forbidden):
        await account.list_changes(CALENDAR, SyncToken("t1"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (http(412), StaleWrite),
        *(
            (http(status, NAMED.format(name).encode()), StaleWrite)
            for status in (403, 409)
            for name in ("no-uid-conflict", "unique-scheduling-object-resource")
        ),
        (http(403), Forbidden),
        (http(413), TooLong),
        (http(403, NAMED.format("max-resource-size").encode()), TooLong),
        (http(507), Forbidden),
        *((http(status), NotThere) for status in (404, 409, 410)),
        (http(400), UnexpectedAnswer),
        (http(500), Unreachable),
        (http(200, b"<html>Sign in</html>"), UnexpectedAnswer),
        (http(202), UnexpectedAnswer),
        (http(207, CHANGES), UnexpectedAnswer),
    ],
)
async def test_a_refused_write_says_why(
    liar: Liar, account: Account, answer: bytes, error: type[RemoteError]
) -> None:
    liar.answers = [answer]
    with pytest.raises(error):
        await account.replace(HREF, "BODY", ETag('"1"'))


async def test_a_refusal_tells_what_it_names(liar: Liar, account: Account) -> None:
    liar.answers = [http(403, NAMED.format("supported-calendar-data").encode())]
    with pytest.raises(Forbidden, match=r"\(403, supported-calendar-data\)"):
        await account.replace(HREF, "BODY", ETag('"1"'))


async def test_the_password_shows_nowhere(
    liar: Liar, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for answer in (http(207, CHANGES), http(401), http(500), http(302, Location="https://evil.test/")):
        liar.answers = [answer]
        met = (await asyncio.gather(account.list_changes(CALENDAR, None), return_exceptions=True))[0]
        assert CANARY not in repr(met) + str(met)
    encoded = b64encode(f"a@icloud.com:{CANARY}".encode()).decode()
    assert CANARY not in caplog.text
    assert encoded not in caplog.text
    assert CANARY not in repr(account)


async def test_nothing_listens_is_unreachable() -> None:
    server = ICloud(Guard("http://127.0.0.1:9/"))
    with pytest.raises(Unreachable):
        await server.sign_in("a", Secret("b")).discover()
    await server.close()


async def test_past_its_budget_an_account_waits_and_does_not_fail(liar: Liar) -> None:
    server = ICloud(
        Guard(f"http://127.0.0.1:{liar.port}/"),
        TransportSettings(request_seconds=0.5, requests_per_minute=60),
    )
    budgets = server.budgets = Budgets(60, lambda: 0.0)
    liar.answers = [http(207, CHANGES)]
    anna = server.sign_in("a@icloud.com", Secret(CANARY))
    otto = server.sign_in("o@icloud.com", Secret(CANARY))
    for _ in range(60):
        await anna.list_changes(CALENDAR, None)
    waiting = asyncio.create_task(anna.list_changes(CALENDAR, None))
    await otto.list_changes(CALENDAR, None)
    assert (
        budgets.of("a@icloud.com").reserve() == 2.0
    )  # It has a minute's requests at once, and one a second then.
    assert (await waiting).token == "t"  # Longer than a request may take, and none the worse for it.
    await server.close()
