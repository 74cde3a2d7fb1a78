"""What happens beside us, at any time: the owner edits on a phone, and iCloud forgets, moves, lags and forbids."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from benchmarks.faults.account import Account
from models.booking import Appointment
from models.calendar import calendars_of
from models.changelog import changing
from models.icloud import ICloudAccount
from resolvers.choosing import Choice, choice_of, choose
from standin.catalog import CalendarFacts
from standin.owner import PhoneError
from standin.partitions import OLD_HOSTS
from tests.fakes.calendar_server import APPLE_ID

_STEPS = {"FREQ=DAILY;COUNT=5": timedelta(days=1), "FREQ=WEEKLY;COUNT=8": timedelta(days=7)}
"""From one occurrence to the next, by the rule."""
_LONGER = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Series:
    start: datetime
    end: datetime
    step: timedelta


@dataclass(slots=True)
class Life:
    """An account, the owner's series by their paths, and what happened in this run."""

    known: Account
    series: dict[str, Series] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    "Appointments whose copies the owner changed, until they are as they should be again."
    is_vague: bool = False
    "Whether a GET may not know what was written in this run: then a write is told twice that it is not there."

    @property
    def chance(self) -> Random:
        return self.known.chance

    async def happen(self, what: Happening) -> None:
        self.told.append(what.__name__)
        await what(self)

    async def happen_beside(self, what: Happening) -> None:
        """The phone may find gone, or left out already, what it knew of."""
        with suppress(PhoneError, LookupError):
            await self.happen(what)


Happening = Callable[[Life], Awaitable[object]]

# --- The owner


async def add(life: Life) -> None:
    known, rule = life.known, life.chance.choice(["", "", *_STEPS])
    start, end = known.span()
    path = await known.phone.add(life.chance.choice(known.calendars), "Busy", start, end, rule=rule)
    known.events.append(path)
    if rule:
        life.series[path] = Series(start, end, _STEPS[rule])


async def move(life: Life) -> None:
    if life.known.events:
        await life.known.phone.move(life.chance.choice(life.known.events), *life.known.span())


async def switch(life: Life) -> None:
    """Busy becomes free, or free busy."""
    if life.known.events:
        is_free = life.chance.random() < 0.5
        await life.known.phone.free(life.chance.choice(life.known.events), free=is_free)


async def delete(life: Life) -> None:
    if life.known.events:
        path = life.known.events.pop(life.chance.randrange(len(life.known.events)))
        life.series.pop(path, None)
        await life.known.phone.delete(path)


async def split(life: Life) -> None:
    """This occurrence and all future ones move."""
    if life.series:
        path, series = life.chance.choice(list(life.series.items()))
        by = series.step * life.chance.randint(1, 3)
        start, end = series.start + by + _LONGER, series.end + by + _LONGER
        life.known.events.append(await life.known.phone.this_and_future(path, series.start + by, start, end))
        del life.series[path]


async def change_one(life: Life) -> None:
    """One occurrence moves, or is left out."""
    if life.series:
        path, series = life.chance.choice(list(life.series.items()))
        by = series.step * life.chance.randint(0, 3)
        start, end = series.start + by + _LONGER, series.end + by + _LONGER
        if life.chance.random() < 0.5:
            await life.known.phone.override(path, series.start + by, start, end)
        else:
            await life.known.phone.leave_out(path, series.start + by)


async def change_ours(life: Life) -> None:
    """The event of an appointment is moved, or deleted."""
    if life.known.booked:
        await change_copy(life, life.chance.choice(life.known.booked))


async def change_copy(life: Life, name: str) -> None:
    own = await life.known.engine.appointment(name)
    if own.href:
        life.touched.add(own.id)
        if life.chance.random() < 0.5:
            await life.known.phone.move(own.href, *life.known.span())
        else:
            await life.known.phone.delete(own.href)


async def carry_ours(life: Life) -> None:
    """The event of an appointment is moved to another calendar."""
    known = life.known
    if known.booked:
        own = await known.engine.appointment(life.chance.choice(known.booked))
        if own.href:
            life.touched.add(own.id)
            await known.phone.carry(own.href, life.chance.choice(known.calendars))


async def relink(life: Life) -> None:
    """Another calendar is linked: what is booked from now on goes there."""
    engine = life.known.engine
    async with changing(engine.database, engine.bell, engine.user, now=engine.now) as ledger:
        account = await ICloudAccount.filter(id=engine.account_id).using_db(ledger.db).get()
        calendars = await calendars_of(ledger.db, account)
        others = [each for each in calendars if each.is_conflict and not each.is_linked and not each.is_gone]
        if others:
            linked = life.chance.choice(others).id
            await choose(ledger, account, calendars, Choice(linked, choice_of(calendars).conflict))


async def recreate(life: Life) -> None:
    """A calendar is deleted, and made anew in the same place."""
    async with without_one(life):
        pass


@asynccontextmanager
async def without_one(life: Life) -> AsyncIterator[None]:
    facts = await lose(life, life.chance.choice(life.known.calendars))
    yield
    life.known.icloud.add_calendar(APPLE_ID, facts)


async def lose(life: Life, name: str) -> CalendarFacts:
    """A calendar, with all that stands in it; what it was."""
    calendar = life.known.icloud.cloud.member(APPLE_ID).calendar(name)
    facts = calendar.facts
    async with life.known.engine.database.reading() as db:
        ours = await Appointment.filter(href__startswith=calendar.path).using_db(db)
    life.touched |= {own.id for own in ours}
    await life.known.faults.delete_calendar(name)
    return facts


async def forbid(life: Life) -> None:
    """Or allow again."""
    name = life.chance.choice(life.known.calendars)
    life.known.faults.read_only(name, read_only=life.chance.random() < 0.5)


# --- iCloud


async def touch(life: Life) -> None:
    life.known.faults.touch(life.chance.choice(life.known.calendars))


async def housekeep(life: Life) -> None:
    await life.known.faults.housekeep(life.chance.choice(life.known.calendars))


async def purge(life: Life) -> None:
    life.known.faults.purge_tokens(life.chance.choice(life.known.calendars))


async def move_host(life: Life) -> None:
    life.known.faults.move_partition(old_host=life.chance.choice(OLD_HOSTS))


async def lag(life: Life) -> None:
    on_get = life.chance.random() < 0.3
    life.is_vague = life.is_vague or on_get
    polls, shows_old = life.chance.randint(1, 3), life.chance.random() < 0.5
    life.known.faults.lag(polls=polls, shows_old=shows_old, on_get=on_get)


BESIDE: tuple[Happening, ...] = (
    *(
        add,
        add,
        move,
        switch,
        delete,
        split,
        change_one,
        change_ours,
        carry_ours,
        relink,
        recreate,
        forbid,
        forbid,
    ),
    *(touch, housekeep, purge, move_host, lag),
)
