"""What a use case gets: the process's services, who is calling, and one snapshot to read from."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from domain.actor import Actor, Role, UserRef
from domain.ids import Kind, new_id
from models.bell import Bell
from models.changelog import Ledger, changing
from models.database import Database
from models.seal import Sealer, Secret
from models.sql import Db
from models.transactions import Snapshot
from resolvers.feeds import Closing, Feed, Shares
from resolvers.kept import Kept, KnownType
from resolvers.keyring import Keyring
from resolvers.limits import Limits, network_of
from resolvers.settings import ResolverSettings
from resolvers.standings import Standings
from resolvers.timelines import Timelines
from resolvers.watches import Watches
from sync.service import Discovered, RefreshOutcome

MOST_INSTANTS = 500_000
"""In all answers that are kept: some 40 bytes each, and at most four times that again as text (`server.plan`)."""

MOST_TYPES = 10_000


class ICloud(Protocol):
    """The ways from here to the calendar server, and what is remembered of it."""

    async def connect(self, apple_id: str, password: Secret) -> Discovered: ...

    async def refresh(self, user: UserRef, *, wait: float) -> RefreshOutcome: ...

    def forget(self, account_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    """One a process."""

    database: Database
    bell: Bell
    sealer: Sealer
    # HMAC key of principals, manage tokens and guests' addresses; not rotated with the sealing keys.
    identity_key: bytes
    epoch: str
    icloud: ICloud
    limits: Limits
    timelines: Timelines
    settings: ResolverSettings
    clock: Callable[[], float]
    keyring: Keyring = field(default_factory=Keyring)
    watches: Watches = field(default_factory=Watches)
    standings: Standings = field(default_factory=Standings)
    answers: Kept[object] = field(default_factory=lambda: Kept(most=MOST_INSTANTS))
    types: Kept[KnownType] = field(default_factory=lambda: Kept(most=MOST_TYPES))
    # What this process's subscriptions share: logs by user, availability by question.
    feeds: Shares[Feed] = field(default_factory=Shares)
    sources: Shares[Closing] = field(default_factory=Shares)

    def new_id(self, kind: Kind) -> str:
        return new_id(kind, now=self.clock(), entropy=os.urandom(10))

    async def watch(self, users: Iterable[UserRef]) -> None:
        """Someone looks at their time now: poll them more often. It writes: hold no snapshot meanwhile."""
        await self.watches.watch(
            users, database=self.database, bell=self.bell, settings=self.settings, now=self.clock()
        )


class Context:
    """One operation: every read comes from one snapshot, opened at the first read; `renew` after a commit."""

    def __init__(self, services: Services, actor: Actor, *, address: str) -> None:
        self.services = services
        self.actor = actor
        self.address = address
        # The whole operation is one question, so that what answers it need not come from a snapshot that others share.
        self.asks_once = False
        self._snapshot: Snapshot | None = None
        self._looked_at: set[UserRef] = set()
        self._opening = asyncio.Lock()

    @property
    def now(self) -> float:
        return self.services.clock()

    async def db(self) -> Db:
        async with self._opening:
            if self._snapshot is None:
                self._snapshot = await self.services.database.open_snapshot()
            return self._snapshot.db

    async def renew(self) -> None:
        """Lets the snapshot go: the next read sees what was committed since."""
        if self._snapshot is None and not self._opening.locked():
            return
        async with self._opening:
            snapshot, self._snapshot = self._snapshot, None
            if snapshot is not None:
                await snapshot.close()

    def looks_at(self, users: Sequence[UserRef]) -> None:
        """Their accounts are watched from when the operation ends and its snapshot is let go."""
        services = self.services
        if due := services.watches.due(users, settings=services.settings, now=self.now):
            self._looked_at.update(due)

    @property
    def holds_nothing(self) -> bool:
        """Whether there is nothing to close."""
        return self._snapshot is None and not self._looked_at and not self._opening.locked()

    async def close(self) -> None:
        await self.renew()
        looked_at, self._looked_at = self._looked_at, set()
        if looked_at:
            await self.services.watch(looked_at)

    def changing(self, user: UserRef) -> AbstractAsyncContextManager[Ledger]:
        """The transaction in which this user's time may change. Let the snapshot go before and after."""
        return changing(self.services.database, self.services.bell, user, now=self.now)

    @property
    def counted_as(self) -> str:
        """Whose a guest's calls are: its address's, within the subaccount, so that none tells another's."""
        return f"{self.actor.subaccount} {network_of(self.address)}"

    @property
    def is_booking(self) -> bool:
        return self.actor.role is Role.BOOKING
