"""A calendar server that costs next to nothing: iCloud's shapes, answered from bytes made beforehand.

Run in a process of its own (`python -m benchmarks.sync.replay --events 10000`), so that what is measured is the client.
It knows one owner's calendars under any account: `/NAME/calendars/cal0/` has the events, `cal1/` and on are empty.
`POST /change/COUNT` changes so many events, and `/change/COUNT/N` shows it to each Nth of the accounts `/aNUMBER/`
alone. `GET /asked` counts what was asked, by method, and starts anew. From `POST /spoil/N/KIND` on each Nth account
gets no whole answer any more: `failing` has one in turn of SPOILT to whatever is asked; `late` hangs once changes are
asked for, `trickle` answers then a byte a second, and `writes` is silent to PUT alone.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.calendars import make_calendar
from benchmarks.sync.fast import run

_HREF = re.compile(rb"<(?:\w+:)?href[^>]*>([^<]+)</")
_TOKEN = re.compile(rb"<(?:\w+:)?sync-token[^>]*>([^<]*)</")
_PROLOG = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<multistatus xmlns="DAV:">'
_ACCOUNT = b"ACCOUNT"
SPOILT = ("silence", "half an answer", "503", "429")


def _propstat(props: str, status: str = "200 OK") -> str:
    return f"<propstat>\n<prop>{props}</prop>\n<status>HTTP/1.1 {status}</status>\n</propstat>"


def _response(href: str, *propstats: str) -> str:
    return f'\n<response xmlns="DAV:">\n<href>{href}</href>\n{"".join(propstats)}\n</response>'


_PRIVILEGES = "".join(
    f"<privilege><{name}/></privilege>"
    for name in (
        "read",
        'read-free-busy xmlns="urn:ietf:params:xml:ns:caldav"',
        "read-current-user-privilege-set",
        "write",
        "write-properties",
        "write-content",
        "bind",
        "unbind",
    )
)

_KIND = (
    '<resourcetype xmlns="DAV:"><collection/><calendar xmlns="urn:ietf:params:xml:ns:caldav"/></resourcetype>'
)
_OWN_ETAG = '<getetag xmlns="DAV:">"own"</getetag>'


def _calendar(number: int, token: str) -> str:
    props = (
        f'<displayname xmlns="DAV:">Calendar {number}</displayname>'
        f"{_KIND}"
        '<supported-calendar-component-set xmlns="urn:ietf:params:xml:ns:caldav">'
        "<comp name='VEVENT' xmlns='urn:ietf:params:xml:ns:caldav'/></supported-calendar-component-set>"
        f'<getctag xmlns="http://calendarserver.org/ns/">{token}</getctag>'
        f'<sync-token xmlns="DAV:">{token}</sync-token>'
        '<calendar-color xmlns="http://apple.com/ns/ical/">#1E4C63FF</calendar-color>'
        f'<current-user-privilege-set xmlns="DAV:">{_PRIVILEGES}</current-user-privilege-set>'
    )
    return _response(f"/ACCOUNT/calendars/cal{number}/", _propstat(props))


def token_of(version: int) -> str:
    return f"HwoQEgwAADqWpb9lNQABAAAYAhgAIhUIxJ-8t9KqjqYqEJWdwv2r4KyVkQEoAEgAv{version}"


@dataclass
class Replay:
    """One owner's calendars. `calendars` beside the one with the events are empty, and never change."""

    texts: list[str]
    calendars: int
    version: int = 1
    asked: Counter[str] = field(default_factory=Counter)
    changed: list[tuple[int, int]] = field(default_factory=list)
    "The version at which an event changed, in order."
    shown: int = 1
    "To each account of whose number it is a divisor, what changed last."
    spoilt: int = 0
    "Likewise; 0: none."
    kind: str = "failing"

    def __post_init__(self) -> None:
        self.all_changes: bytes | None = None
        self.whole: bytes | None = None
        self.etags = [f'"e{number:07x}"' for number in range(len(self.texts))]
        self.members = [self._member(number) for number in range(len(self.texts))]
        self.places = {f"event{number}.ics".encode(): number for number in range(len(self.texts))}
        self._build()

    def spoils(self, method: bytes, path: bytes) -> str | None:
        """What this account gets in place of answers."""
        number = path[2:].partition(b"/")[0]
        if not self.spoilt or not path.startswith(b"/a") or int(number) % self.spoilt:
            return None
        match self.kind, method:
            case "failing", _:
                return SPOILT[int(number) // self.spoilt % len(SPOILT)]
            case ("late", b"REPORT") | ("writes", b"PUT"):
                return "silence"
            case "trickle", b"REPORT":
                return "a byte a second"
        return None

    def change(self, count: int, shown: int = 1) -> None:
        """Titles, spread over the calendar: as a device changes an event."""
        self.version, self.shown = self.version + 1, shown
        step = max(len(self.texts) // max(count, 1), 1)
        for number in range(self.version % step, len(self.texts), step)[:count]:
            self.etags[number] = f'"v{self.version:x}n{number:x}"'
            text = self.texts[number]
            self.texts[number] = re.sub(r"SUMMARY:[^\r]*", f"SUMMARY:Changed {self.version}", text)
            self.members[number] = self._member(number)
            self.changed.append((self.version, number))
        self._build()

    def answer(self, method: str, path: bytes, depth: bytes, body: bytes) -> tuple[int, bytes]:
        account, _, rest = path.removeprefix(b"/").partition(b"/")
        match method, rest:
            case "PROPFIND", b"calendars/":
                self.asked["home"] += 1
                home = self.home if self.shown == 1 or not int(account[1:]) % self.shown else self.before
                return 207, home.replace(_ACCOUNT, account)
            case "PROPFIND", b"":
                self.asked["principal"] += 1
                return 207, self.principal
            case "PROPFIND", b"principal/":
                self.asked["home-set"] += 1
                return 207, self.home_set.replace(_ACCOUNT, account)
            case "PROPFIND", _ if rest.startswith(b"calendars/cal0/"):
                self.asked["listing"] += 1
                whole = self.listing() if depth == b"1" else self.alone
                return 207, whole.replace(_ACCOUNT, account)
            case "PROPFIND", _:
                self.asked["listing"] += 1
                return 207, self.empty(rest).replace(_ACCOUNT, account)
            case "REPORT", _:
                return 207, self._report(rest, body).replace(_ACCOUNT, account)
            case "GET", _ if (number := self.places.get(rest.rpartition(b"/")[2])) is not None:
                self.asked["get"] += 1
                return 200, self.texts[number].encode()
            case "PUT", _:
                self.asked["put"] += 1
                return 201, b""
        self.asked["unknown"] += 1
        return 404, b""

    def _report(self, rest: bytes, body: bytes) -> bytes:
        if b"multiget" in body[:300]:
            self.asked["multiget"] += 1
            numbers = (self.places.get(href.rpartition(b"/")[2]) for href in _HREF.findall(body))
            return b"".join(
                [_PROLOG, *(self.members[at] for at in numbers if at is not None), b"</multistatus>"]
            )
        if b"sync-collection" in body[:300]:
            self.asked["changes"] += 1
            return self._changes(rest, body)
        self.asked["query"] += 1
        return b"".join([_PROLOG, *self.members, b"</multistatus>"])

    def _changes(self, rest: bytes, body: bytes) -> bytes:
        found = _TOKEN.search(body)
        token = found[1].decode() if found else ""
        if not rest.startswith(b"calendars/cal0/"):
            return (
                _PROLOG
                + self._own(rest, _OWN_ETAG)
                + f"<sync-token>{token_of(0)}</sync-token></multistatus>".encode()
            )
        if token == "":
            if self.all_changes is None:
                self.all_changes = self._told(range(len(self.texts)))
            return self.all_changes
        since = int(token.rpartition("v")[2])
        return self._told(list(dict.fromkeys(number for version, number in self.changed if version > since)))

    def _told(self, numbers: range | list[int]) -> bytes:
        told = [self._own(b"calendars/cal0/", _OWN_ETAG), *(self._short(number) for number in numbers)]
        return b"".join(
            [_PROLOG, *told, f"<sync-token>{token_of(self.version)}</sync-token></multistatus>".encode()]
        )

    def listing(self) -> bytes:
        if self.whole is None:
            short = [self._short(number) for number in range(len(self.texts))]
            self.whole = b"".join(
                [_PROLOG, self._own(b"calendars/cal0/", _KIND + _OWN_ETAG), *short, b"</multistatus>"]
            )
        return self.whole

    def empty(self, rest: bytes) -> bytes:
        return b"".join([_PROLOG, self._own(rest, _KIND + _OWN_ETAG), b"</multistatus>"])

    def _own(self, rest: bytes, props: str) -> bytes:
        return _response(f"/ACCOUNT/{rest.decode()}", _propstat(props)).encode()

    def _short(self, number: int) -> bytes:
        etag = f'<getetag xmlns="DAV:">{self.etags[number]}</getetag>'
        return _response(f"/ACCOUNT/calendars/cal0/event{number}.ics", _propstat(etag)).encode()

    def _member(self, number: int) -> bytes:
        props = (
            f'<getetag xmlns="DAV:">{self.etags[number]}</getetag>'
            f'<calendar-data xmlns="urn:ietf:params:xml:ns:caldav"><![CDATA[{self.texts[number]}]]></calendar-data>'
        )
        return _response(f"/ACCOUNT/calendars/cal0/event{number}.ics", _propstat(props)).encode()

    def _build(self) -> None:
        self.all_changes = self.whole = None
        token = token_of(self.version)
        calendars = [
            _calendar(number, token if number == 0 else token_of(0)) for number in range(self.calendars)
        ]
        own = _response(
            "/ACCOUNT/calendars/",
            _propstat('<resourcetype xmlns="DAV:"><collection/></resourcetype>'),
            _propstat('<calendar-color xmlns="http://apple.com/ns/ical/"/>', "404 Not Found"),
        )
        self.home = _PROLOG + "".join([own, *calendars]).encode() + b"</multistatus>"
        "As those see it to whom no change is shown."
        self.before = self.home.replace(token.encode(), token_of(1).encode())
        self.alone = self.empty(b"calendars/cal0/")
        principal = "<current-user-principal><href>/one/principal/</href></current-user-principal>"
        self.principal = _PROLOG + _response("/", _propstat(principal)).encode() + b"</multistatus>"
        href = '<href xmlns="DAV:">/ACCOUNT/calendars/</href>'
        spot = f'<calendar-home-set xmlns="urn:ietf:params:xml:ns:caldav">{href}</calendar-home-set>'
        self.home_set = (
            _PROLOG + _response("/ACCOUNT/principal/", _propstat(spot)).encode() + b"</multistatus>"
        )


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as a calendar client speaks it: a length, or no body."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.waiting = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # uvloop's is none of asyncio's classes.

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (end := self.waiting.find(b"\r\n\r\n")) >= 0:
            head = self.waiting[:end]
            lower = head.lower()
            length = int(_value(lower, b"content-length") or b"0")
            if len(self.waiting) < end + 4 + length:
                return
            body = self.waiting[end + 4 : end + 4 + length]
            self.waiting = self.waiting[end + 4 + length :]
            self._serve(head, lower, body)

    def _serve(self, head: bytes, lower: bytes, body: bytes) -> None:
        method, path, _ = head.partition(b"\r\n")[0].split(b" ", 2)
        if path.startswith(b"/change/"):
            self.replay.change(*map(int, path.split(b"/")[2:]))
            status, answer = 200, b""
        elif path.startswith(b"/spoil/"):
            _, _, each, kind = path.split(b"/")
            self.replay.spoilt, self.replay.kind = int(each), kind.decode()
            status, answer = 200, b""
        elif path == b"/asked":
            status, answer = 200, repr(dict(self.replay.asked)).encode()
            self.replay.asked.clear()
        elif b"authorization" not in lower:
            self._send(401, b"", b'WWW-Authenticate: Basic realm="MMCalDav"\r\n')
            return
        elif (spoilt := self.replay.spoils(method, path)) is not None:
            self._spoil(spoilt)
            return
        else:
            depth = _value(lower, b"depth") or b"0"
            status, answer = self.replay.answer(method.decode(), path, depth, body)
        self._send(status, answer)

    def _spoil(self, kind: str) -> None:
        assert self.transport is not None
        if kind == "half an answer":
            self.transport.write(b"HTTP/1.1 207 X\r\nContent-Length: 1000\r\n\r\n<?xml")
        elif kind == "a byte a second":
            self.transport.write(b"HTTP/1.1 207 X\r\nContent-Length: 1000\r\n\r\n")
            self._trickle(_PROLOG)
        elif kind != "silence":
            self._send(int(kind), b"", b"Retry-After: 30\r\n" if kind == "429" else b"")

    def _trickle(self, left: bytes) -> None:
        assert self.transport is not None
        if left and not self.transport.is_closing():
            self.transport.write(left[:1])
            asyncio.get_running_loop().call_later(1, self._trickle, left[1:])

    def _send(self, status: int, body: bytes, extra: bytes = b"") -> None:
        assert self.transport is not None
        head = (
            b"HTTP/1.1 %d X\r\nServer: AppleHttpServer/68565d4f92ea\r\n"
            b"Content-Type: text/xml;charset=UTF-8\r\n%sContent-Length: %d\r\n\r\n"
        )
        self.transport.write(head % (status, extra, len(body)) + body)


def _value(head: bytes, name: bytes) -> bytes | None:
    at = head.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    end = head.find(b"\r\n", at + 2)
    return head[at + len(name) + 3 : end if end >= 0 else None].strip()


@contextmanager
def a_replay(events: int) -> Iterator[str]:
    """Its URL, as long as it is wanted."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sync.replay", "--events", str(events)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/"
    finally:
        server.terminate()
        server.communicate()


async def serve(replay: Replay, tell: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(replay), "127.0.0.1", 0, backlog=4096)
    tell(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sync.replay", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--calendars", type=int, default=13)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    replay = Replay(make_calendar(given.events, seed=given.seed), given.calendars)
    run(serve(replay, lambda port: print(port, flush=True)))


if __name__ == "__main__":
    main()
