"""The end of a calendar's reading: what is gone goes, and up to where it was read is remembered."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from models.calendar import Calendar
from models.changelog import Ledger
from models.held import has_given, held_bodies
from models.resources import forget_resources, note_not_given
from models.settle import settle_conflicts
from models.sql import execute
from sync.absence import Removal
from sync.context import Ungiven
from sync.ending import Ending
from sync.own import note_deleted
from sync.plan import FEW_GONE, plan_comparison, plan_look
from sync.poll import is_comparison_due
from sync.record import finish_with
from sync.told import Told

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Closing(Ending):
    """Of a whole calendar's reading."""

    told: Told
    removal: Removal
    listed_token: str | None
    is_half_proved: bool
    "What was told may have been a part."
    ends_poll: bool
    "Nothing else is to be read: the poll's end is put on record with it."
    is_behind: bool = False
    "Something that is listed is not given yet, or has a name that is too long to be kept."
    is_refused: bool = False
    "So much, and for so long, that the calendar can't be said to be read."
    is_recorded: bool = False

    async def close(self, ledger: Ledger, calendar: Calendar) -> None:
        poll = self.poll
        left, again = len((self.lagging | self.removal.doubtful) - self.ungiven), len(self.removal.untold)
        self.is_behind = (bool(left) and not await self._is_given_up(ledger)) or self.told.too_long > 0
        # What is gone may have moved to where something is not given yet, or to a name that is not told of.
        forget = frozenset() if self.is_behind else self.removal.plan.forget
        if forget:
            # What was written anew since it was told as gone stays, and is told of once more.
            anew = await note_deleted(ledger, poll, calendar, sorted(forget))
            again += len(anew)
            forget -= anew
        if gone := self.told.gone_unheld():
            # One whose write was put on record since: it is to be told as gone once more.
            again += len(await held_bodies(ledger.db, calendar, sorted(gone)))
        if not left and not again:
            poll.context.memory.missing_polls.pop(calendar.id, None)
        is_proved = self.removal.is_proved and not self.told.too_long
        self.is_whole = is_proved and not self.is_behind and (not again or self._has_waited())
        if self.is_whole and self.lagging:
            await note_not_given(ledger, calendar, sorted(self.lagging))
        if forget:
            await forget_resources(ledger, calendar, forget)
            await settle_conflicts(ledger)
            poll.has_changed = True
            if poll.reads_beside(calendar):
                poll.hurry(poll.context.settings.arrives_within)
        if self.is_whole:
            self.calendar.compare_at = self._compare_at()
            await execute(
                ledger.db,
                "UPDATE calendar SET sync_token = $1, listed_token = $2, last_synced_at = $3, compare_at = $4"
                " WHERE id = $5",
                self.token,
                self._told_as_read,
                poll.started,
                self.calendar.compare_at,
                calendar.id,
            )
            if self.ends_poll and not is_comparison_due(poll, self.calendar):
                self.is_recorded = await finish_with(ledger, poll, calendar)

    @property
    def _told_as_read(self) -> str | None:
        """With something that is not given it is to be looked at again, changed or not."""
        return None if self.lagging else self.listed_token

    def _has_waited(self) -> bool:
        """What is not as it was told holds the token back, a few polls long: the server may need a moment."""
        poll, calendar, missing = self.poll, self.calendar, self.poll.context.memory.missing_polls
        if calendar.id not in poll.counted or calendar.id not in missing:  # It may be read twice.
            poll.counted.add(calendar.id)
            poll.count_on(missing, calendar)
        missing[calendar.id] = streak = missing[calendar.id].lacking_now(self.lagging - self.ungiven)
        if streak.polls <= poll.context.settings.most_missing_polls:
            poll.hurry(poll.context.settings.watched_every)
            return False
        return True

    async def _is_given_up(self, ledger: Ledger) -> bool:
        """Whether it is gone on without what is not given: not where it is much, or all.

        That is no event that went astray, and its time would be open.
        """
        has_waited = self._has_waited()
        missing, most = self.poll.context.memory.missing_polls, self.poll.context.settings.most_missing_polls
        lagging = len(self.lagging - self.ungiven)
        is_giving = self.calendar.id in self.poll.giving and await has_given(ledger.db, self.calendar)
        if lagging > FEW_GONE or (lagging > 0 and not is_giving):
            missing[self.calendar.id] = missing[self.calendar.id].waiting_for_none(most)
            self.is_refused = has_waited
            return False
        if not has_waited:
            return False
        if not missing[self.calendar.id].has_waited_for_each(most):
            self.poll.hurry(self.poll.context.settings.watched_every)
            return False
        if lagging:
            log.warning(
                "calendar %s: %d resources are listed and not given, going on without",
                self.calendar.id,
                lagging,
            )
        return True

    def remember(self) -> None:
        poll, calendar = self.poll, self.calendar
        calendar.update_from_dict({"sync_token": self.token, "listed_token": self._told_as_read})
        calendar.last_synced_at = poll.started
        self._remember_not_given()
        unexplained = poll.context.memory.unexplained_polls
        before = unexplained.pop(calendar.id, None)
        if before is not None and calendar.id in poll.waited_out:
            unexplained[calendar.id] = before._replace(read_at=poll.started)
        poll.verified.add(calendar.id)
        poll.is_recorded = self.is_recorded

    def _remember_not_given(self) -> None:
        memory, started = self.poll.context.memory.ungiven, self.poll.started
        before = memory.pop(self.calendar.id, None)
        if self.lagging:
            looks = 0 if before is None else before.looks + 1
            until = started + plan_look(looks, self.poll.context.settings)
            memory[self.calendar.id] = Ungiven(self.listed_token, self.token, looks, started, until)

    def _compare_at(self) -> float:
        """A first answer, or one after a refused token, may have been a part: it is held against a second one soon.

        So is what can't be read, which may be a slip of the server's.
        """
        poll, calendar = self.poll, self.calendar
        settings = poll.context.settings
        soon = poll.started + settings.first_comparison_after
        tonight = calendar.compare_at or plan_comparison(poll.started, poll.zone, calendar.id, settings)
        return min(soon, tonight) if self.is_half_proved or self.has_unreadable else tonight
