"""Random walks through all that can happen to a user's time: after each step what is promised holds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from domain.actor import Role
from domain.busy import BusyRule
from domain.changes import ChangeKind
from domain.hours import WeeklyHours
from domain.interval import Span
from models.bell import Bell
from models.changelog import slots_of
from models.database import Database
from resolvers import accounts, booking, calendars, events, hours, people, types
from resolvers.availability import AvailabilityQuestion, availability, closed_spans
from resolvers.context import Context
from resolvers.live import availability_changes
from resolvers.outcomes import SlotUnavailable
from resolvers.settings import ResolverSettings
from resolvers.views import (
    AppointmentTypeView,
    AvailabilityUpdateView,
    AvailabilityView,
    BookingView,
    HoldView,
)
from tests.integration.pages import DAY, GUEST, HOUR, MIDNIGHT, MINUTE, key_of, page, try_to_book, try_to_hold
from tests.integration.whole import Whole, whole_on

STEPS = 60
ZONES = ("Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")


@dataclass
class Walk:
    """What a walk knows: the tokens it was handed, and the slots that a subscriber would hold."""

    whole: Whole
    chance: random.Random
    within: Span
    pages: list[AppointmentTypeView] = field(default_factory=list)
    bookings: dict[str, BookingView] = field(default_factory=dict)
    holds: list[HoldView] = field(default_factory=list)
    manual: list[str] = field(default_factory=list)
    phone: int = 0
    calls: int = 0
    seen: int = 0
    replica: dict[str, object] = field(default_factory=dict)

    def key(self) -> str:
        self.calls += 1
        return f"a-key-of-a-walk-{self.calls:08}"

    def address(self) -> str:
        return ".".join(str(self.chance.randrange(1, 255)) for _ in range(4))

    def length(self) -> int:
        return self.chance.choice((10, 30, 45, 90, 240)) * MINUTE

    def instant(self) -> int:
        return self.within.start + self.chance.randrange(0, 4 * 24 * 12) * 5 * MINUTE

    # --- Steps

    async def book(self) -> None:
        asked = self.chance.choice(self.pages)
        hold = self.chance.choice(self.holds).token if self.holds and self.chance.random() < 0.3 else None
        start = await self.a_start(asked, hold=hold)
        await self.try_booking(asked, start, hold=hold)

    async def move(self) -> None:
        if not self.bookings:
            return
        view = self.chance.choice(list(self.bookings.values()))
        world = self.whole.world
        answer = await world.run(
            replace(key_of(world), role=Role.ADMIN),
            booking.reschedule_booking,
            idempotency_key=self.key(),
            manage_token=view.manage_token,
            start=self.instant(),
            hold_token=None,
        )
        if isinstance(answer, BookingView):
            self.bookings[view.id] = answer

    async def move_as_owner(self) -> None:
        if not self.bookings:
            return
        view = self.chance.choice(list(self.bookings.values()))
        await self.whole.world.owner(
            booking.reschedule_appointment,
            idempotency_key=self.key(),
            appointment_id=view.id,
            start=self.instant(),
        )

    async def cancel(self) -> None:
        if not self.bookings:
            return
        view = self.bookings.pop(self.chance.choice(list(self.bookings)))
        world = self.whole.world
        await world.admin(booking.cancel_booking, manage_token=view.manage_token, reason=None)

    async def create_as_owner(self) -> None:
        start = self.instant()
        answer = await self.whole.world.owner(
            booking.create_appointment,
            idempotency_key=self.key(),
            user_id=self.whole.world.anna.user,
            type_id=self.chance.choice([None, *(each.id for each in self.pages)]),
            start=start,
            end=start + self.length(),
            title=None,
            guest=GUEST,
            notes=None,
        )
        if isinstance(answer, booking.Saved):
            self.bookings[answer.booking.id] = answer.booking

    async def hold(self) -> None:
        asked = self.chance.choice(self.pages)
        replaced = self.chance.choice(self.holds).token if self.holds and self.chance.random() < 0.5 else None
        start = await self.a_start(asked, hold=replaced)
        answer = await try_to_hold(
            self.whole.world, start, slug=asked.slug, replaces=replaced, address=self.address()
        )
        if isinstance(answer, HoldView):
            self.holds.append(answer)

    async def release(self) -> None:
        if self.holds:
            held = self.holds.pop(self.chance.randrange(len(self.holds)))
            await self.whole.world.run(key_of(self.whole.world), booking.release, token=held.token)

    async def block(self) -> None:
        start, anna = self.instant(), self.whole.world.anna.user
        made = await self.whole.world.owner(
            events.create_blocked_slot, user_id=anna, start=start, end=start + self.length()
        )
        self.manual.append(made.slot.id)  # type: ignore[union-attr]

    async def unblock(self) -> None:
        if self.manual:
            slot_id = self.manual.pop(self.chance.randrange(len(self.manual)))
            await self.whole.world.owner(events.delete_blocked_slot, slot_id=slot_id)

    async def phone_adds(self) -> None:
        self.phone += 1
        start = self.instant()
        calendar = self.chance.choice((self.whole.home, self.whole.work))
        self.whole.put(calendar, f"phone-{self.phone}", start, start + self.length())
        await self.whole.poll()

    async def phone_moves_or_deletes(self) -> None:
        """Any event, our copies too."""
        found = [(each, href) for each in (self.whole.home, self.whole.work) for href in each.texts]
        if not found:
            return
        calendar, href = self.chance.choice(found)
        if self.chance.random() < 0.4:
            calendar.delete(href)
        else:
            start = self.instant()
            self.whole.move(calendar, href, start, start + self.length())
        await self.whole.poll()

    async def push(self) -> None:
        await self.whole.push()

    async def tick(self) -> None:
        self.whole.world.clock.now += self.chance.choice((20, 61, 290, 3 * HOUR))
        await self.whole.poll()

    async def choose(self) -> None:
        named = await self.whole.world.calendars()
        chosen = self.chance.choice(([], ["Work"], ["Home", "Work"]))
        await self.whole.world.owner(
            calendars.set_conflict,
            user_id=self.whole.world.anna.user,
            calendar_ids=[named[name].id for name in chosen],
        )
        if self.chance.random() < 0.7:
            await self.whole.poll()

    async def link(self) -> None:
        named = await self.whole.world.calendars()
        chosen = self.chance.choice((None, "Work", "Home", "Home"))
        await self.whole.world.owner(
            calendars.set_linked,
            user_id=self.whole.world.anna.user,
            calendar_id=named[chosen].id if chosen else None,
        )

    async def lock_or_unlock(self) -> None:
        """The calendar can be written to no longer, or again."""
        calendar = self.chance.choice((self.whole.home, self.whole.work))
        calendar.can_write = not calendar.can_write
        await self.whole.poll()

    async def change_policy(self) -> None:
        named = await self.whole.world.calendars()
        await self.whole.world.owner(
            calendars.set_policy,
            calendar_id=named["Work"].id,
            tentative=self.chance.choice(list(BusyRule)),
            all_day_busy=self.chance.choice(list(BusyRule)),
        )

    async def change_hours(self) -> None:
        start = self.chance.choice((0, 7 * 60, 9 * 60))
        weekly = [
            WeeklyHours(day, start, self.chance.choice((13 * 60, 18 * 60, 24 * 60))) for day in range(7)
        ]
        await self.whole.world.owner(
            hours.set_working_hours, user_id=self.whole.world.anna.user, weekly=weekly, overrides=[]
        )

    async def change_zone(self) -> None:
        await self.whole.world.owner(
            people.update_user,
            user_id=self.whole.world.anna.user,
            time_zone=self.chance.choice(ZONES),
        )

    async def change_type(self) -> None:
        await self.whole.world.owner(
            types.update_type,
            type_id=self.chance.choice(self.pages).id,
            duration_minutes=self.chance.choice((20, 30, 60)),
            buffer_after_minutes=self.chance.choice((0, 15)),
        )

    # --- What is promised

    async def ask(
        self, asked: AppointmentTypeView, *, hold_token: str | None = None, manage_token: str | None = None
    ) -> AvailabilityView:
        return await self.answered(
            AvailabilityQuestion(
                booking_page=asked.slug,
                from_=self.within.start,
                to=self.within.end,
                hold_token=hold_token,
                manage_token=manage_token,
            )
        )

    async def answered(self, question: AvailabilityQuestion) -> AvailabilityView:
        answer = await self.whole.world.run(key_of(self.whole.world, role=Role.ADMIN), availability, question)
        assert isinstance(answer, AvailabilityView), answer
        return answer

    async def near_misses(self, asked: AppointmentTypeView, offered: list[int]) -> list[int]:
        """Moments that are free, yet not offered: by a buffer, the grid, a full day, notice, horizon or length."""
        anna = self.whole.world.anna.user
        free = await self.answered(
            AvailabilityQuestion(
                user_ids=(anna,),
                from_=self.within.start,
                to=self.within.end,
                duration_minutes=self.chance.choice((1, asked.duration_minutes)),
                step_minutes=self.chance.choice((5, asked.step_minutes)),
            )
        )
        return [each.start for each in free.starts if each.start not in offered]

    async def a_start(self, asked: AppointmentTypeView, *, hold: str | None = None) -> int:
        """One that is offered, mostly."""
        offered = (await self.ask(asked, hold_token=hold)).starts
        if offered and self.chance.random() < 0.8:
            return self.chance.choice(offered).start
        return self.instant()

    async def try_booking(self, asked: AppointmentTypeView, start: int, *, hold: str | None = None) -> None:
        """It is booked exactly where it is offered; elsewhere only what is offered is named instead."""
        await self.look()
        offered = {each.start for each in (await self.ask(asked, hold_token=hold)).starts}
        open_now = {each.start for each in (await self.ask(asked)).starts}
        answer = await try_to_book(
            self.whole.world, start, key=self.key(), slug=asked.slug, hold=hold, address=self.address()
        )
        if isinstance(answer, BookingView):
            assert start in offered, start
            self.bookings[answer.id] = answer
        else:
            assert isinstance(answer, SlotUnavailable), answer
            assert start not in offered, start
            named = {each.start for each in answer.next_slots if each.start < self.within.end}
            assert named <= offered | open_now, "what is offered instead is open"

    async def look(self) -> None:
        """A booking looks first where a calendar was never read: what it then finds is what is to be compared."""
        view = await self.ask(self.pages[0])
        if not view.freshness.is_fresh:
            assert (view.windows, view.starts) == ((), ()), "what was never read closes all"
            await self.whole.poll()

    async def check(self) -> None:
        asked = self.chance.choice(self.pages)
        await self.check_table()
        await self.check_log()
        await self.check_closed(asked)
        await self.check_offers(asked)
        await self.check_moves(asked)

    async def check_table(self) -> None:
        overlaps = await self.whole.world.rows(
            "SELECT a.id FROM appointment a JOIN appointment b ON a.user_id = b.user_id AND a.id < b.id"
            " WHERE a.status = 'CONFIRMED' AND b.status = 'CONFIRMED' AND a.starts < b.ends AND b.starts < a.ends"
        )
        assert overlaps == []
        conflicts = await self.whole.world.rows(
            "SELECT a.id FROM appointment a WHERE a.status = 'CONFIRMED' AND a.ends > $1 AND a.has_conflict <>"
            " EXISTS (SELECT 1 FROM blocked_slot b WHERE b.user_id = a.user_id AND b.starts < a.ends"
            " AND b.ends > a.starts)",
            int(self.whole.world.clock.now),
        )
        assert conflicts == []

    async def check_log(self) -> None:
        """Without gaps, and enough to follow the blocked slots by."""
        world = self.whole.world
        rows = await world.log(after=self.seen)
        assert [row.seq for row in rows] == list(range(self.seen + 1, await world.position() + 1))
        stored = {slot.id: slot for slot in slots_of(await world.rows("SELECT * FROM blocked_slot"))}
        for row in rows:
            match row.kind:
                case ChangeKind.SLOT_ADDED | ChangeKind.SLOT_CHANGED:
                    assert row.slot is not None
                    was = self.replica.get(row.slot.id)
                    assert was == row.previous, "each change begins where the one before ended"
                    self.replica[row.slot.id] = row.slot
                case ChangeKind.SLOT_REMOVED:
                    assert row.previous is not None
                    assert self.replica.pop(row.previous.id) == row.previous
                case ChangeKind.SLOTS_RESET:
                    self.replica = dict(stored)
        assert self.replica == stored
        self.seen = rows[-1].seq if rows else self.seen

    async def check_closed(self, asked: AppointmentTypeView) -> None:
        """What is free and what is closed make up all of the range."""
        view = await self.ask(asked)
        closed = await self.whole.world.owner(
            closed_spans, self.whole.world.anna, from_=self.within.start, to=self.within.end, type_id=asked.id
        )
        assert isinstance(closed, tuple)
        parts = sorted([*view.windows, *(each.span for each in closed)])
        assert [part.start for part in parts] == [self.within.start, *(part.end for part in parts[:-1])]
        assert parts[-1].end == self.within.end
        assert all(each.reasons for each in closed)

    async def check_offers(self, asked: AppointmentTypeView) -> None:
        """A start is offered exactly when it can be booked: tried by booking, and cancelled again."""
        await self.look()
        offered = [each.start for each in (await self.ask(asked)).starts]
        others = [*(await self.near_misses(asked, offered)), self.instant(), self.instant()]
        sample = [*self.chance.sample(offered, min(2, len(offered))), *self.chance.sample(others, 2)]
        for start in sample:
            answer = await try_to_book(
                self.whole.world, start, key=self.key(), slug=asked.slug, address=self.address()
            )
            assert isinstance(answer, BookingView) == (start in offered), (start, answer)
            if isinstance(answer, BookingView):
                await self.whole.world.admin(
                    booking.cancel_booking, manage_token=answer.manage_token, reason=None
                )
                after = [each.start for each in (await self.ask(asked)).starts]
                assert after == offered, "a cancelled booking leaves things as they were"

    async def check_moves(self, asked: AppointmentTypeView) -> None:
        """The same for a booking of this page that moves."""
        world = self.whole.world
        mine = [
            view for view in self.bookings.values() if view.page is not None and view.page.slug == asked.slug
        ]
        if not mine:
            return
        view = self.chance.choice(mine)
        current = await world.run(key_of(world), booking.booking, view.manage_token)
        assert current is not None
        if not current.is_changeable:
            return
        await self.look()
        offered = {each.start for each in (await self.ask(asked, manage_token=view.manage_token)).starts}
        start = self.chance.choice([self.instant(), *offered])
        answer = await world.admin(
            booking.reschedule_booking,
            idempotency_key=self.key(),
            manage_token=view.manage_token,
            start=start,
            hold_token=None,
        )
        assert isinstance(answer, BookingView) == (start in offered or start == current.start), (
            start,
            answer,
        )
        if isinstance(answer, BookingView):
            self.bookings[view.id] = answer

    async def check_recovery(self) -> None:
        """All written and read again, the blocked slots are those that a new connection finds."""
        for calendar in (self.whole.home, self.whole.work):
            calendar.can_write = True
        await self.whole.poll()
        while await self.whole.push():
            self.whole.world.clock.now += 1
            await self.whole.poll()
        before = await self.whole.slots()
        await self.whole.world.owner(accounts.disconnect, user_id=self.whole.world.anna.user)
        await self.whole.connect()
        assert await self.whole.slots() == before


STEPS_OF_A_WALK = (
    *(Walk.book, Walk.book, Walk.move, Walk.move_as_owner, Walk.cancel, Walk.create_as_owner, Walk.hold),
    *(
        Walk.hold,
        Walk.release,
        Walk.block,
        Walk.unblock,
        Walk.phone_adds,
        Walk.phone_adds,
        Walk.push,
        Walk.push,
    ),
    *(Walk.phone_moves_or_deletes, Walk.phone_moves_or_deletes, Walk.tick, Walk.choose, Walk.change_policy),
    *(Walk.link, Walk.lock_or_unlock, Walk.change_hours, Walk.change_zone, Walk.change_type),
)


@asynccontextmanager
async def walking(database: Database, bell: Bell, seed: int, *, later: int = 0) -> AsyncIterator[Walk]:
    """Four days from some days after the usual moment on."""
    whole = await whole_on(database, bell, later=later * DAY)
    world = whole.world
    world.services = replace(world.services, settings=ResolverSettings(look_every=0.05))
    start = MIDNIGHT + later * DAY
    walk = Walk(whole, random.Random(seed), Span(start, start + 4 * DAY))
    walk.pages = [
        await page(world, "short", step_minutes=15, buffer_before_minutes=10, buffer_after_minutes=15),
        await page(world, "few", duration_minutes=45, step_minutes=30, maximum_per_day=2),
        await page(
            world, "late", duration_minutes=50, step_minutes=25, minimum_notice_minutes=600, horizon_days=2
        ),
    ]
    walk.replica = {slot.id: slot for slot in slots_of(await world.rows("SELECT * FROM blocked_slot"))}
    walk.seen = await world.position()
    try:
        yield walk
    finally:
        await whole.sync.close()


# The clocks go back in New York on the seventh day, and forward in Paris on the 153rd.
@pytest.mark.parametrize(("seed", "later"), [(0, 0), (1, 4), (2, 151)])
async def test_a_walk_keeps_every_promise(database: Database, bell: Bell, seed: int, later: int) -> None:
    async with walking(database, bell, seed, later=later) as walk:
        for _ in range(STEPS):
            await walk.chance.choice(STEPS_OF_A_WALK)(walk)
            await walk.check()


async def test_after_a_walk_a_new_connection_finds_the_same_slots(database: Database, bell: Bell) -> None:
    async with walking(database, bell, 11) as walk:
        for _ in range(STEPS):
            await walk.chance.choice(STEPS_OF_A_WALK)(walk)
        walk.whole.world.clock.now += 1
        named = await walk.whole.world.calendars()
        await walk.whole.world.owner(
            calendars.set_conflict,
            user_id=walk.whole.world.anna.user,
            calendar_ids=[named["Home"].id, named["Work"].id],
        )
        await walk.whole.poll()
        await walk.check_recovery()


async def test_a_subscriber_always_comes_to_see_what_a_query_does(database: Database, bell: Bell) -> None:
    async with walking(database, bell, 5) as walk:
        world, asked = walk.whole.world, walk.pages[0]
        context = Context(world.services, key_of(world), address="192.0.2.1")
        question = AvailabilityQuestion(booking_page=asked.slug, from_=walk.within.start, to=walk.within.end)
        frames = availability_changes(context, question)
        try:
            seen = await anext(frames)
            for _ in range(STEPS):
                await walk.chance.choice(STEPS_OF_A_WALK)(walk)
                world.clock.now = float(int(world.clock.now) // 60 * 60)  # Frames take now at the minute.
                seen = await _until_equal(walk, frames, seen)
        finally:
            await frames.aclose()
            await context.close()


async def _until_equal(
    walk: Walk, frames: AsyncGenerator[AvailabilityUpdateView, None], seen: AvailabilityUpdateView
) -> AvailabilityUpdateView:
    wanted = await walk.ask(walk.pages[0])
    starts = [each.start for each in wanted.starts]
    async with asyncio.timeout(60):
        while [each.start for each in seen.availability.starts] != starts:
            seen = await anext(frames)
    return seen
