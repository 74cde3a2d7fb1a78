"""A wire that can be cut: TCP passed on to a server, until it is told to drop what is open, or to pass nothing on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Wire:
    def __init__(self, port: int) -> None:
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()
        self.is_cut = False
        self.flows = asyncio.Event()
        self.flows.set()

    def hold(self) -> None:
        """What is sent from now on gets nowhere, and nobody is told."""
        self.flows.clear()

    def freeze(self) -> None:
        """What is open now carries nothing any more, and nobody is told; what is opened from now on does."""
        for writer in self._open:
            assert isinstance(writer.transport, asyncio.Transport)
            writer.transport.pause_reading()

    def cut(self) -> None:
        self.is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        self.is_cut = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._open |= {writer, back}
        try:
            await asyncio.gather(self._pass_on(reader, back), self._pass_on(there, writer))
        finally:
            self._open -= {writer, back}

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(65_536):
                await self.flows.wait()
                writer.write(part)
                await writer.drain()
            await self.flows.wait()
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[tuple[Wire, str]]:
    """The wire, and the address of its near end."""
    wire = Wire(port)
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    try:
        yield wire, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        wire.flows.set()
        wire.cut()
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def wire_to_database(url: str) -> AsyncIterator[tuple[Wire, str]]:
    """The wire to a PostgreSQL, and the URL of the database at its near end."""
    far = urlsplit(url)
    async with wire_to(far.port or 5432) as (wire, near):
        yield wire, far._replace(netloc=f"{far.username}@{urlsplit(near).netloc}").geturl()
