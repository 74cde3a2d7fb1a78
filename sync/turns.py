"""The calendars' turns in one poll: what is gone from one closes its time until all that it may have moved to is read.

One poll asks one question after the other, and its owner goes on: what is told as gone from the calendar that is asked
last may have moved to one that was read before, or that the home listed as unchanged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial

from models.calendar import Calendar, is_readable
from sync.in_step import is_as_read, keep_in_step
from sync.listing import list_again
from sync.poll import Poll
from sync.remote import (
    Forbidden,
    ForeignHost,
    Href,
    NotThere,
    PasswordRefused,
    RemoteError,
    ServerFailed,
    TokenRefused,
    UnexpectedAnswer,
)

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Turns:
    """`due`: the calendars to be read, in order. The last that one of them met is kept, and the others go on."""

    poll: Poll
    due: Sequence[Calendar]
    tokens: Mapping[str, str | None]
    "By path, as the home listed them last."
    may_end_poll: bool
    "Whether nothing is left to do once the last is read."
    met: RemoteError | None = None
    spared: dict[str, AbstractSet[Href]] = field(default_factory=dict)
    "By calendar: told as gone, and to be removed once the others are read."
    changed: Sequence[Calendar] | None = None
    "Since they were read, by the home's last word; None: it was not asked."
    listed_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.listed_at = self.poll.started

    async def read_all(self) -> RemoteError | None:
        """Each, and once more those that are spared, after what they may have moved to."""
        for calendar in self.due:
            has_others = calendar is not self.due[-1]
            await self._take(calendar, has_others=has_others, is_last=not (has_others or self.spared))
        if self.spared:
            await self._read_spared()
        return self.met

    async def _read_spared(self) -> None:
        spared = [calendar for calendar in self.due if calendar.id in self.spared]
        if self.changed is None and any(self._may_have_missed(calendar) for calendar in spared):
            await self._look_again()
        for calendar in self.changed or ():
            if calendar.id not in self.spared and await self._take(calendar, has_others=True, is_last=False):
                self._hurry()
        for calendar in spared:
            if await self._take(calendar, has_others=False, is_last=calendar is spared[-1]):
                self._hurry()

    @property
    def is_stale(self) -> bool:
        """Whether the home was listed so long ago that its owner may have done something meanwhile."""
        context = self.poll.context
        # Below zero where the clock was set back meanwhile.
        return not 0 <= context.clock() - self.listed_at < context.settings.listing_lasts

    async def _take(self, calendar: Calendar, *, has_others: bool, is_last: bool) -> bool:
        """Whether something is gone that was spared. `has_others`: they are read after it."""
        poll, failing = self.poll, self.poll.context.memory.failing
        has_others = has_others or bool(poll.behind - {calendar.id})
        poll.behind.add(calendar.id)
        failing.add(calendar.id)
        try:
            is_spared = await keep_in_step(
                poll,
                calendar,
                self.tokens.get(calendar.path),
                spares=partial(self._spares, calendar, has_others),
                ends_poll=is_last and self.may_end_poll and self.met is None,
            )
        except (UnexpectedAnswer, NotThere, Forbidden, TokenRefused, ForeignHost, ServerFailed) as error:
            log.warning("calendar %s could not be read: %s", calendar.id, error)
            self.met = error
        except PasswordRefused:
            # The home took it in this poll; whether it does still tells a password revoked meanwhile from one calendar.
            await poll.remote.glance(poll.account.home_url)
            log.warning("calendar %s refuses whom the home lets in", calendar.id)
            self.met = UnexpectedAnswer("a calendar refuses whom the home lets in")
        else:
            failing.discard(calendar.id)
            return is_spared
        return False

    # --- What is gone

    async def _spares(self, calendar: Calendar, has_others: bool, gone: AbstractSet[Href]) -> bool:  # noqa: FBT001
        """Whether these may have moved to where it is not read yet."""
        if calendar.id in self.spared:
            # What the others were read after: they have it if it moved there. Of the rest nobody knows.
            return has_others or not gone <= self.spared[calendar.id]
        if not has_others and self._may_have_missed(calendar):
            has_others = await self._look_again()
        if has_others:
            self.spared[calendar.id] = gone
        return has_others

    def _may_have_missed(self, calendar: Calendar) -> bool:
        """Whether others were read before it, or listed as unchanged so long ago that they may have changed since."""
        return self.poll.reads_beside(calendar) and (calendar is not self.due[0] or self.is_stale)

    async def _look_again(self) -> bool:
        """Whether another changed since it was read: the home is asked once more, one request for all of them."""
        poll = self.poll
        self.listed_at = poll.context.clock()
        self.tokens = {calendar.path: calendar.token for calendar in await list_again(poll)}
        self.changed = [
            calendar
            for calendar in poll.chosen
            if is_readable(calendar)
            and calendar.id not in poll.behind
            and not is_as_read(poll, calendar, self.tokens.get(calendar.path))
        ]
        return bool(self.changed)

    def _hurry(self) -> None:
        self.poll.hurry(self.poll.context.settings.watched_every)
