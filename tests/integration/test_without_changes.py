"""Servers that can't tell changes are read by their listing, and one that knows no token at all is too."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from domain.copies import WriteState
from models.bell import Bell
from models.database import Database
from sync.icloud.guard import Guard
from sync.icloud.server import ICloud
from sync.remote import Href
from tests.contracts import radicale_server
from tests.integration.engine import at, event
from tests.integration.test_pull_servers import connected

_TOKENS = re.compile(rb"<(\w+:)?(getctag|sync-token)[^/>]*>[^<]*</(\w+:)?(getctag|sync-token)>")


@dataclass
class Older:
    """In front of a server: refuses sync-collection, and hides every token where `hides_tokens`."""

    behind: int
    hides_tokens: bool
    port: int = 0
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            name = re.search(rb"sync-collection|calendar-multiget", body)
            self.asked.append((name[0] if name else head.split(b" ", 1)[0]).decode())
            writer.write(await self._answer(head, body))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, body: bytes) -> bytes:
        if b"sync-collection" in body:
            return b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.behind)
        asked = re.sub(rb"(?i)\r\n(connection|accept-encoding): [^\r]*", b"", head)
        writer.write(asked.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + body)
        told, _, text = (await reader.read(-1)).partition(b"\r\n\r\n")
        writer.close()
        if self.hides_tokens:
            text = _TOKENS.sub(b"", text)
        kept = re.sub(rb"(?i)\r\n(content-length|connection): [^\r]*", b"", told)
        return kept + b"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(text) + text


@asynccontextmanager
async def older_radicale(folder: Path, *, hides_tokens: bool) -> AsyncIterator[Older]:
    async with radicale_server.plain_radicale(folder) as url:
        older = Older(int(url.rstrip("/").rpartition(":")[2]), hides_tokens)
        server = await asyncio.start_server(older.serve, "127.0.0.1", 0)
        older.port = server.sockets[0].getsockname()[1]
        yield older
        server.close()


@pytest.mark.parametrize("hides_tokens", [False, True])
async def test_it_is_kept_in_step_by_its_listing(
    database: Database, bell: Bell, tmp_path: Path, *, hides_tokens: bool
) -> None:
    async with older_radicale(tmp_path, hides_tokens=hides_tokens) as older:
        server = ICloud(Guard(f"http://127.0.0.1:{older.port}/"))
        plain = await connected(database, bell, server, radicale_server.NAME, radicale_server.PASSWORD)
        engine, account, work = plain.engine, plain.account, plain.listed["Work"]
        await engine.choose("Work", linked="Home")
        context = engine.context()
        first, second = (Href(f"{work}{name}.ics") for name in ("first", "second"))
        await account.create(first, event("first", at(3, 12), at(3, 13)))
        await account.create(second, event("second", at(4, 12), at(4, 13)))
        await engine.poll(context)
        assert await engine.slots() == [(at(3, 12), at(3, 13)), (at(4, 12), at(4, 13))]
        changed = await account.get(first)
        await account.replace(first, event("first", at(3, 15), at(3, 16)), changed.etag)
        await account.remove(second, (await account.get(second)).etag)
        name = await engine.book(at(5, 9), at(5, 10))
        await engine.push(context)
        older.asked.clear()
        engine.now += 60
        await engine.poll(context)
        assert await engine.slots() == [(at(3, 15), at(3, 16))]
        assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
        assert "sync-collection" not in older.asked
        older.asked.clear()
        engine.now += 60
        await engine.poll(context)
        assert Counter(older.asked) == {"PROPFIND": 3 if hides_tokens else 1}
        await engine.change(name, status="CANCELLED")
        await engine.push(context)
        assert (await account.list_resources(plain.listed["Home"])).items == ()
        await server.close()
