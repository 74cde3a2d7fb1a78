"""The end of a calendar's reading: what is gone goes, and up to where it was read is remembered."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from models.calendar import Calendar
from models.changelog import Ledger
from models.database import execute
from models.resources import forget_resources, held_bodies, note_not_given
from models.rows import ReadResource
from models.settle import settle_conflicts
from sync.own import note_deleted
from sync.plan import PullPlan, plan_comparison
from sync.poll import Poll, is_comparison_due
from sync.record import finish_with
from sync.remote import Href, SyncToken

log = logging.getLogger(__name__)


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


@dataclass(slots=True, kw_only=True)
class Closing(Ending):
    """Of a whole calendar's reading."""

    plan: PullPlan
    listed_token: str | None
    doubtful: AbstractSet[Href]
    gone_unheld: AbstractSet[Href]
    "Told as gone, and not held by then."
    is_proved: bool
    is_half_proved: bool
    ends_poll: bool
    "Nothing else is to be read: the poll's end is put on record with it."
    is_recorded: bool = False

    async def close(self, ledger: Ledger, calendar: Calendar) -> None:
        poll = self.poll
        left = len((self.lagging | self.doubtful) - self.ungiven)
        forget = self.plan.forget
        if forget:
            # What was written anew since it was told as gone stays, and is told of once more.
            anew = await note_deleted(ledger, poll, calendar, sorted(forget))
            left += len(anew)
            forget -= anew
        if self.gone_unheld:
            # One whose write was put on record since: it is to be told as gone once more.
            left += len(await held_bodies(ledger.db, calendar, sorted(self.gone_unheld)))
        self.is_whole = self.is_proved and _is_whole(poll, calendar, left)
        if self.is_whole and self.lagging:
            await note_not_given(ledger, calendar, sorted(self.lagging))
            self.listed_token = None  # To be looked at again, changed or not.
        if forget:
            await forget_resources(ledger, calendar, forget)
            await settle_conflicts(ledger)
            poll.has_changed = True
        if self.is_whole:
            self.calendar.compare_at = self._compare_at()
            await execute(
                ledger.db,
                "UPDATE calendar SET sync_token = $1, listed_token = $2, last_synced_at = $3, compare_at = $4"
                " WHERE id = $5",
                self.token,
                self.listed_token,
                poll.started,
                self.calendar.compare_at,
                calendar.id,
            )
            if self.ends_poll and not is_comparison_due(poll, self.calendar):
                self.is_recorded = await finish_with(ledger, poll, calendar)

    def remember(self) -> None:
        poll, calendar = self.poll, self.calendar
        calendar.update_from_dict({"sync_token": self.token, "listed_token": self.listed_token})
        calendar.last_synced_at = poll.started
        poll.context.memory.unexplained_polls.pop(calendar.id, None)
        poll.verified.add(calendar.id)
        poll.is_recorded = self.is_recorded

    def _compare_at(self) -> float:
        """A first answer, or one after a refused token, may have been a part: it is held against a second one soon."""
        poll, calendar = self.poll, self.calendar
        settings = poll.context.settings
        soon = poll.started + settings.first_comparison_after
        tonight = calendar.compare_at or plan_comparison(poll.started, poll.zone, calendar.id, settings)
        return min(soon, tonight) if self.is_half_proved else tonight


def _is_whole(poll: Poll, calendar: Calendar, lagging: int) -> bool:
    """What is listed and not given holds the token back, a few polls long: the server may need a moment."""
    missing = poll.context.memory.missing_polls
    if not lagging:
        missing.pop(calendar.id, None)
        return True
    missing[calendar.id] = missing.get(calendar.id, 0) + 1
    if missing[calendar.id] <= poll.context.settings.most_missing_polls:
        poll.hurry(poll.context.settings.watched_every)
        return False
    log.warning("calendar %s: %d resources are listed and not given, going on without", calendar.id, lagging)
    missing.pop(calendar.id)
    return True
