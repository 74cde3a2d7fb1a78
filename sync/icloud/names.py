"""Hosts' names into addresses, by the system's resolver, in threads of our own.

An event loop has few threads for names, uvloop two, and a process waits for them as it ends: while a resolver says
nothing of iCloud's hosts, ten seconds and more a name, the database's would not be looked up either.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Any

from sync.icloud.dial import Address

_AT_ONCE = 8
"""Names; more wait for these, as long as who asks does."""
_Look = Callable[..., Sequence[tuple[Any, ...]]]
_Told = asyncio.Future[Sequence[Address]]


class Resolver:
    """A name is looked up once for all who ask for it meanwhile, and nothing is kept of it: that is the system's."""

    def __init__(self, look: _Look | None = None) -> None:
        """`look`: as `socket.getaddrinfo`, which it is else."""
        self._look = look or socket.getaddrinfo
        self._asked: dict[tuple[str, int], _Told] = {}
        self._waiting: deque[tuple[str, int, _Told]] = deque()
        self._threads = 0
        self._lock = threading.Lock()

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """In the order of the resolver. Raises OSError."""
        with suppress(ValueError):
            version = ip_address(host).version  # No thread for what needs no resolver.
            return [Address(socket.AF_INET6 if version == 6 else socket.AF_INET, (host, port))]
        told = self._asked.get((host, port))
        if told is None:
            told = self._asked[host, port] = asyncio.get_running_loop().create_future()
            told.add_done_callback(partial(self._forget, (host, port)))
            self._look_up(host, port, told)
        return await asyncio.shield(told)

    def _forget(self, asked: tuple[str, int], told: _Told) -> None:
        del self._asked[asked]
        if not told.cancelled():
            told.exception()  # Whether anybody waited for it or not.

    def _look_up(self, host: str, port: int, told: _Told) -> None:
        with self._lock:
            self._waiting.append((host, port, told))
            if self._threads == _AT_ONCE:
                return
            self._threads += 1
        threading.Thread(target=self._work, name="names", daemon=True).start()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                host, port, told = self._waiting.popleft()
            try:
                found = self._look(host, port, type=socket.SOCK_STREAM)
                end = partial(told.set_result, [Address(each[0], each[4]) for each in found])
            except Exception as error:  # noqa: BLE001 - it is the asker's.
                end = partial(told.set_exception, error)
            with suppress(RuntimeError):  # Where the loop was closed meanwhile, nobody waits.
                told.get_loop().call_soon_threadsafe(end)
