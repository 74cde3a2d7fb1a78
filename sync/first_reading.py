"""A calendar that was never read: what is told of it in parts is stored part by part, and how far it is, is told."""

from __future__ import annotations

from dataclasses import dataclass

from models.calendar import Calendar
from models.held import count_resources
from sync.ending import PartEnding
from sync.pages import note_progress, read_pages
from sync.plan import plan_pull
from sync.poll import Poll
from sync.remote import Changes, Gone
from sync.told import beside_held


@dataclass(slots=True)
class FirstReading:
    poll: Poll
    calendar: Calendar
    is_counting: bool = False
    "Whether what was stored before is counted already."

    async def store(self, part: Changes) -> bool:
        """Whether all that it told of is stored, and its token too: else those of later parts must not be."""
        poll, calendar = self.poll, self.calendar
        told = await beside_held(poll, calendar, part, is_full=False)
        if told.too_long or any(isinstance(item, Gone) for item in told.items):
            return False  # To be told once more, when the calendar is closed.
        wanted = plan_pull(told.known, told.items, full_listing=False).fetch
        await self.count(len(wanted))
        ending = PartEnding(poll=poll, calendar=calendar, token=part.token)
        await read_pages(poll, calendar, wanted, ending, held={}, is_first_read=True)
        return bool(ending.is_whole)

    async def count(self, left: int) -> None:
        """`left`: resources that are to be fetched now."""
        database = self.poll.context.database
        stored = None if self.is_counting else await count_resources(database, self.calendar)
        self.is_counting = True
        await note_progress(self.poll, self.calendar, stored=stored, left=left)
