"""The connections that stay open, websockets and streams: how many there may be, and how a revoked key's are closed."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto

from resolvers.context import Services
from resolvers.keys import no_longer_good
from resolvers.limits import network_of
from sync.faults import Faults

LOOK_EVERY = 2.0
"""Seconds. With what a key is trusted for between two looks, a revoked one is out within 5 s."""


class Ending(Enum):
    """Why a connection is to end, though its client did nothing."""

    REVOKED = auto()
    RESTART = auto()


End = Callable[[Ending], None]


@dataclass(frozen=True, slots=True)
class Caps:
    """How many connections may be open at once: in this process, from one address, with one key."""

    process: int
    address: int
    key: int


class TooManyError(Exception):
    """One connection more than a cap; the message can be shown. `is_ours` where the cap is the whole process's."""

    def __init__(self, message: str, *, is_ours: bool = False) -> None:
        super().__init__(message)
        self.is_ours = is_ours


class Sockets:
    def __init__(self, services: Services, caps: Caps) -> None:
        self._services = services
        self._caps = caps
        self._count = 0
        self._by_address: Counter[str] = Counter()
        self._by_secret: defaultdict[str, set[End]] = defaultdict(set)
        self.waiting = 0
        """Bytes that wait for slow readers, on all websockets."""

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """While a connection is open. Raises TooManyError."""
        network = network_of(address)
        if self._count >= self._caps.process:
            raise TooManyError("This server holds all the connections it can: try again later.", is_ours=True)
        if self._by_address[network] >= self._caps.address:
            raise TooManyError("Too many connections from this address: close some.")
        self._count += 1
        self._by_address[network] += 1
        try:
            yield
        finally:
            self._count -= 1
            self._by_address[network] -= 1
            if not self._by_address[network]:
                del self._by_address[network]

    @contextmanager
    def holding(self, secret: str, end: End) -> Iterator[None]:
        """While the key is used; `end` is called once it is revoked, or the process is to end. Raises TooManyError."""
        held = self._by_secret[secret]
        if len(held) >= self._caps.key:
            raise TooManyError("Too many connections with this key: close some.")
        held.add(end)
        try:
            yield
        finally:
            held.discard(end)
            if not held:
                del self._by_secret[secret]

    async def watch(self) -> None:
        """Until it is cancelled. One look at all keys, however many connections they have."""
        faults = Faults()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if not self._by_secret:
                continue
            try:
                gone = await no_longer_good(self._services, list(self._by_secret))
            except Exception as error:  # noqa: BLE001 - a database that can't be asked revokes nothing.
                faults.tell(error, "keys can't be looked at right now, and connections stay open")
                continue
            for secret in gone:
                self._end_all(secret, Ending.REVOKED)

    def stop(self) -> None:
        """Ends what would stay open: the process is told to end."""
        for secret in list(self._by_secret):
            self._end_all(secret, Ending.RESTART)

    def _end_all(self, secret: str, ending: Ending) -> None:
        for end in list(self._by_secret.get(secret, ())):
            end(ending)
