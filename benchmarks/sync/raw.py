"""The floors: a plain socket, expat, and nothing kept. And two words with the replaying server itself."""

from __future__ import annotations

import ast
import socket
from typing import Self
from urllib.parse import urlsplit
from xml.parsers import expat

from sync.icloud import queries
from sync.remote import Href, SyncToken

BATCH = 50
_WANTED = ("DAV: href", "DAV: getetag", "DAV: sync-token", "urn:ietf:params:xml:ns:caldav calendar-data")
_CALENDAR = "/a00000/calendars/cal0/"


class Socket:
    """One connection, one request at a time, an answer with a length."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, method: str, path: str, body: str = "") -> list[bytes]:
        sent = body.encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\nDepth: 1\r\n"
        self._socket.sendall(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
        got = self._socket.recv(1 << 18)
        while (end := got.find(b"\r\n\r\n")) < 0:
            got += self._socket.recv(1 << 18)
        length = int(got[:end].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        parts = [got[end + 4 :]]
        while (missing := length - sum(map(len, parts))) > 0:
            parts.append(self._socket.recv(min(missing, 1 << 18)))
        return parts


class _Texts:
    """The texts of the elements that count, in order."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._parts: list[str] | None = None
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def feed(self, parts: list[bytes]) -> list[str]:
        for part in parts:
            self._parser.Parse(part)
        return self.found

    def _start(self, name: str, _: dict[str, str]) -> None:
        self._parts = [] if name in _WANTED else None

    def _text(self, text: str) -> None:
        if self._parts is not None:
            self._parts.append(text)

    def _end(self, _: str) -> None:
        if self._parts is not None:
            self.found.append("".join(self._parts))
            self._parts = None


def read_all(asked: Socket) -> int:
    """How many texts came."""
    listed = _Texts().feed(asked.ask("REPORT", _CALENDAR, queries.changes_query(None)))
    return _read_texts(asked, [text for text in listed if text.endswith(".ics")])


def read_changes(asked: Socket, token: str) -> str:
    """The home, what changed, and its texts; the token after it."""
    _Texts().feed([home(asked, "a00000")])
    told = _Texts().feed(asked.ask("REPORT", _CALENDAR, queries.changes_query(SyncToken(token))))
    _read_texts(asked, [text for text in told if text.endswith(".ics")])
    return told[-1]


def token_now(asked: Socket) -> str:
    return _Texts().feed(asked.ask("REPORT", _CALENDAR, queries.changes_query(None)))[-1]


def _read_texts(asked: Socket, hrefs: list[str]) -> int:
    texts = 0
    for start in range(0, len(hrefs), BATCH):
        part = [Href(href) for href in hrefs[start : start + BATCH]]
        texts += len(_Texts().feed(asked.ask("REPORT", _CALENDAR, queries.texts_query(part)))) // 3
    assert texts == len(hrefs)
    return texts


def home(asked: Socket, account: str) -> bytes:
    return b"".join(asked.ask("PROPFIND", f"/{account}/calendars/", queries.LISTING_QUERY))


def admin(url: str, path: str) -> bytes:
    with Socket(url) as socket:
        return b"".join(socket.ask("GET", f"/{path}"))


def asked(url: str) -> dict[str, int]:
    """What was asked since it was last asked for, by kind."""
    found: dict[str, int] = ast.literal_eval(admin(url, "asked").decode())
    return found
