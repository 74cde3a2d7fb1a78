"""How a reading ends: in the transaction that stores the last of it, which also remembers how far it came."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from models.calendar import Calendar
from models.changelog import Ledger
from models.resources import note_not_given
from models.rows import ReadResource
from models.sql import execute
from sync.poll import Poll
from sync.remote import Href, SyncToken


@dataclass(slots=True, kw_only=True)
class Ending(ABC):
    """Of a reading: in the transaction that stores the last of what was fetched; where none was, in one of its own."""

    poll: Poll
    calendar: Calendar
    token: SyncToken | None
    ungiven: AbstractSet[Href] = frozenset()
    "Listed and not given, as is on record."
    lagging: set[Href] = field(default_factory=set)
    "What was not given, or in another state than the listing told, or was left as it is."
    has_unreadable: bool = False
    "Of what was stored."
    is_whole: bool | None = None
    "Whether nothing is left to fetch; None until closed."

    async def mark(self, ledger: Ledger, calendar: Calendar, stored: Iterable[ReadResource]) -> None:
        """Of what was stored just now, what is still not given as it is listed: no later delta tells of it again.

        With the page, of which the poll may be the last to be heard.
        """
        still = {each.href for each in stored} & self.lagging & self.ungiven
        if still:
            await note_not_given(ledger, calendar, sorted(still))

    async def finish(self) -> None:
        """After the last page, if there was one."""
        if self.is_whole is None:
            async with self.poll.changing(self.calendar) as (ledger, fresh):
                assert fresh is not None
                await self.close(ledger, fresh)
        self.poll.context.at("token saved")
        if self.is_whole:
            self.remember()

    @abstractmethod
    async def close(self, ledger: Ledger, calendar: Calendar) -> None:
        """`calendar`: as it is under the lock."""

    @abstractmethod
    def remember(self) -> None:
        """That it is whole: once it is committed."""


class PartEnding(Ending):
    """One of the parts in which a calendar is told that was never read.

    Its token is kept with it, and a first reading that is interrupted goes on from there (RFC 6578 section 3.6).
    """

    async def close(self, ledger: Ledger, calendar: Calendar) -> None:
        self.is_whole = not self.lagging
        if self.is_whole:
            await execute(
                ledger.db, "UPDATE calendar SET sync_token = $1 WHERE id = $2", self.token, calendar.id
            )

    def remember(self) -> None:
        self.calendar.update_from_dict({"sync_token": self.token})
