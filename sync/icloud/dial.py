"""The way to a host that has several addresses: what one of them swallows must not keep from the next (RFC 8305)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest
from typing import NamedTuple

_HEAD_START = 0.25
"""Seconds until the next address is tried beside those that say nothing (RFC 8305 section 5: 250 ms)."""


class Address(NamedTuple):
    family: socket.AddressFamily
    sockaddr: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""A host's addresses for a port, the best first; raises OSError."""


async def dial(host: str, port: int, *, by: Resolve) -> socket.socket:
    """Connected to the first address that takes us. Has no end of its own where none answers; raises OSError."""
    waiting = taking_turns(await by(host, port))
    tried: list[asyncio.Task[socket.socket]] = []
    won: socket.socket | None = None
    failure = OSError("no address")
    try:
        while won is None and (waiting or any(not task.done() for task in tried)):
            if waiting:
                tried.append(asyncio.create_task(_connect(waiting.pop(0))))
            under_way = [task for task in tried if not task.done()]
            head_start = _HEAD_START if waiting else None
            done, _ = await asyncio.wait(under_way, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if isinstance(error := task.exception(), OSError):
                    failure = error
                elif won is None:
                    won = task.result()
    finally:
        await _let_go(tried, but=won)
    if won is None:
        raise failure
    return won


def taking_turns(addresses: Sequence[Address]) -> list[Address]:
    """One of each family in turn, the resolver's first first (RFC 8305 section 4)."""
    families = dict.fromkeys(address.family for address in addresses)
    rows = [[address for address in addresses if address.family == family] for family in families]
    return [address for address in chain.from_iterable(zip_longest(*rows)) if address is not None]


async def _connect(address: Address) -> socket.socket:
    connection = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)  # noqa: FBT003 - its only argument.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connection, address.sockaddr)
    except BaseException:
        connection.close()
        raise
    return connection


async def _let_go(tried: Sequence[asyncio.Task[socket.socket]], *, but: socket.socket | None) -> None:
    for task in tried:
        task.cancel()
    for found in await asyncio.gather(*tried, return_exceptions=True):
        if isinstance(found, socket.socket) and found is not but:
            found.close()
