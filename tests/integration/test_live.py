"""Subscriptions: nothing missed, nothing twice, and nothing that did not change."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from domain.actor import Actor, Role, UserRef
from domain.availability import Match
from domain.busy import BusyRule
from domain.changes import BlockedSlotSource, Slot
from domain.interval import Span
from models.bell import Bell
from models.changelog import changing, erase_icloud_texts, trim
from models.database import Database
from resolvers import accounts, booking, calendars, events, people, types
from resolvers.availability import AvailabilityQuestion, StalePolicy
from resolvers.context import Context
from resolvers.cursors import read_cursor, write_cursor
from resolvers.feeds import Rings
from resolvers.limits import Limits, Rate, Rule
from resolvers.live import (
    RefusedError,
    account_changes,
    appointment_changes,
    availability_changes,
    blocked_slot_changes,
)
from resolvers.outcomes import InvalidInput, NotFound
from resolvers.settings import ResolverSettings
from resolvers.views import AvailabilityUpdateView, SlotChangeView
from sync.service import RefreshOutcome
from tests.integration.pages import DAY, HOUR, MINUTE, NINE, SLUG, block, booked, created, held, key_of, page
from tests.integration.world import NOW, World, admin_of, world_on

T = TypeVar("T")

LOOK_EVERY = 0.05
SOON = 60.0
EVENING = NINE + 8 * HOUR
QUESTION = AvailabilityQuestion(booking_page=SLUG, from_=NINE, to=EVENING)


@pytest.fixture
async def world(database: Database, bell: Bell) -> World:
    """As ever, but its subscriptions look every 50 ms, so that time can pass by the clock of the test."""
    made = await world_on(database, bell)
    made.services = replace(made.services, settings=ResolverSettings(look_every=LOOK_EVERY))
    return made


@asynccontextmanager
async def following(
    world: World,
    subscription: Callable[..., AsyncGenerator[T, None]],
    *args: Any,
    actor: Actor | None = None,
    address: str = "192.0.2.1",
) -> AsyncIterator[AsyncGenerator[T, None]]:
    """A subscription, closed at the end as a socket's end closes it."""
    context = Context(world.services, actor or admin_of(world.subaccount), address=address)
    frames = subscription(context, *args)
    try:
        yield frames
    finally:
        await frames.aclose()
        await context.close()


async def first(frames: AsyncGenerator[T, None], number: int = 1) -> list[T]:
    return [await asyncio.wait_for(anext(frames), SOON) for _ in range(number)]


def slot(number: int, *, source: BlockedSlotSource = BlockedSlotSource.MANUAL) -> Slot:
    return Slot(f"blk_{number}", number, number + 1, False, source, f"Title {number}")


async def note(world: World, *slots: Slot, user: UserRef | None = None, bell: Bell | None = None) -> None:
    rung = bell or world.services.bell
    async with changing(world.services.database, rung, user or world.anna, now=world.clock.now) as ledger:
        for each in slots:
            ledger.slot_added(each)


def numbers(frames: list[SlotChangeView]) -> list[int]:
    return [frame.slot.start if frame.slot else -1 for frame in frames]


def cursor(world: World, position: int, *, epoch: str = "e1") -> str:
    return write_cursor(epoch, world.anna, position)


# Blocked slots


async def test_each_change_is_shown_as_it_left_the_slot(world: World) -> None:
    async with following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as frames:
        made = await block(world, NINE, NINE + HOUR)
        await world.admin(events.delete_blocked_slot, slot_id=made.slot.id)
        added, removed = await first(frames, 2)
        assert (added.kind, added.slot, added.previous) == ("ADDED", made.slot, None)
        assert (removed.kind, removed.slot, removed.previous) == ("REMOVED", None, made.slot)
        assert read_cursor(removed.cursor, epoch="e1", user=world.anna) == await world.position()


async def test_without_a_cursor_it_begins_now(world: World) -> None:
    await note(world, slot(1))
    async with following(world, blocked_slot_changes, world.anna.user, None) as frames:
        waiting = asyncio.ensure_future(first(frames))
        await world.followed()
        await note(world, slot(2))
        assert numbers(await waiting) == [2]


async def test_a_client_that_comes_back_goes_on_where_it_was(world: World) -> None:
    await note(world, *(slot(number) for number in range(1, 6)))
    async with following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as frames:
        seen = await first(frames, 3)
    async with following(world, blocked_slot_changes, world.anna.user, seen[-1].cursor) as frames:
        await note(world, slot(6))
        assert numbers(seen + await first(frames, 3)) == [1, 2, 3, 4, 5, 6]


async def test_other_kinds_of_changes_are_skipped_and_advance_the_cursor(world: World) -> None:
    made = await page(world)
    async with following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as frames:
        await world.admin(types.update_type, type_id=made.id, name="Other")
        await note(world, slot(1))
        [frame] = await first(frames)
        assert read_cursor(frame.cursor, epoch="e1", user=world.anna) == 3


@pytest.mark.parametrize(("position", "epoch"), [(3, "before the restore"), (99, "e1"), (1, "e1")])
async def test_a_cursor_that_the_log_does_not_know_is_one_reset_at_the_newest_position(
    world: World, position: int, epoch: str
) -> None:
    for number in range(1, 6):
        await note(world, slot(number))
    await trim(world.services.database, before=0.0, most_rows=3)
    async with following(
        world, blocked_slot_changes, world.anna.user, cursor(world, position, epoch=epoch)
    ) as frames:
        [reset] = await first(frames)
        assert (reset.kind, reset.slot, reset.previous) == ("RESET", None, None)
        assert read_cursor(reset.cursor, epoch="e1", user=world.anna) == 5
        await note(world, slot(6))
        assert numbers(await first(frames)) == [6]


async def test_the_position_just_before_the_oldest_kept_row_is_still_known(world: World) -> None:
    for number in range(1, 6):
        await note(world, slot(number))
    await trim(world.services.database, before=0.0, most_rows=3)
    async with following(world, blocked_slot_changes, world.anna.user, cursor(world, 2)) as frames:
        assert numbers(await first(frames, 3)) == [3, 4, 5]


@pytest.mark.parametrize("wrong", ["not a cursor", ""])
async def test_what_is_no_cursor_of_this_user_is_refused(world: World, wrong: str) -> None:
    foreign = write_cursor("e1", world.ben, 0)
    for after in (wrong, foreign):
        async with following(world, blocked_slot_changes, world.anna.user, after) as frames:
            with pytest.raises(RefusedError) as refused:
                await first(frames)
            assert isinstance(refused.value.refusal, InvalidInput)
            assert refused.value.refusal.field == "after"


async def test_another_users_changes_are_not_found(world: World) -> None:
    other, _ = await world.other_subaccount()
    owner_of_ben = key_of(world, role=Role.OWNER, user=world.ben)
    for actor in (other, owner_of_ben, key_of(world)):
        async with following(world, blocked_slot_changes, world.anna.user, None, actor=actor) as frames:
            with pytest.raises(RefusedError) as refused:
                await first(frames)
            assert isinstance(refused.value.refusal, NotFound)


async def test_many_changes_at_once_and_a_new_choice_are_one_reset(world: World) -> None:
    async with following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as frames:
        await note(world, *(slot(number) for number in range(501)))
        await note(world, slot(7))
        assert [frame.kind for frame in await first(frames, 2)] == ["RESET", "ADDED"]


async def test_after_a_disconnect_nothing_of_icloud_is_shown_to_who_comes_later(world: World) -> None:
    async with following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as early:
        await note(world, slot(1), slot(2, source=BlockedSlotSource.ICLOUD), slot(3))
        assert numbers(await first(early, 3)) == [1, 2, 3]
        async with changing(world.services.database, world.services.bell, world.anna, now=NOW) as ledger:
            await erase_icloud_texts(ledger.db, world.anna)
            ledger.reset_slots()
        assert [frame.kind for frame in await first(early)] == ["RESET"]
        async with following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as late:
            shown = await first(late, 3)
            assert [frame.kind for frame in shown] == ["ADDED", "ADDED", "RESET"]
            assert numbers(shown[:2]) == [1, 3]


async def test_a_slow_follower_is_not_shown_from_memory_what_was_erased_meanwhile(world: World) -> None:
    async with (
        following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as fast,
        following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as slow,
    ):
        for number in (0, 1):
            await note(world, slot(number))
            await asyncio.gather(first(fast), first(slow))
        await note(world, slot(2, source=BlockedSlotSource.ICLOUD))
        assert numbers(await first(fast)) == [2]
        async with changing(world.services.database, world.services.bell, world.anna, now=NOW) as ledger:
            await erase_icloud_texts(ledger.db, world.anna)
            ledger.reset_slots()
        assert [frame.kind for frame in await first(fast)] == ["RESET"]
        assert [frame.kind for frame in await first(slow)] == ["RESET"]


async def test_a_ring_during_a_read_that_failed_is_not_lost() -> None:
    bell = Bell()
    rings = Rings(bell, ("usr_1",), every=3600)
    with pytest.raises(RuntimeError), rings.heard():
        raise RuntimeError
    await asyncio.wait_for(rings.wait(), SOON)
    with rings.heard():
        await bell.ring("usr_1")
    await asyncio.wait_for(rings.wait(), SOON)
    rings.close()


async def test_a_lost_ring_is_found_by_looking(world: World) -> None:
    async with following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as frames:
        waiting = asyncio.ensure_future(first(frames))
        await world.followed()
        await note(world, slot(1), bell=Bell())
        assert numbers(await waiting) == [1]


async def test_one_that_leaves_takes_nothing_with_it(world: World) -> None:
    """Whoever looks for all may be the one whose socket drops."""
    async with following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as frames:
        leaving = []
        for _ in range(3):
            context = Context(world.services, admin_of(world.subaccount), address="192.0.2.1")
            leaving.append(
                asyncio.ensure_future(anext(blocked_slot_changes(context, world.anna.user, cursor(world, 0))))
            )
        await world.followed(by=3)
        waiting = asyncio.ensure_future(first(frames))
        await world.followed(by=4)
        await asyncio.sleep(LOOK_EVERY)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        await note(world, slot(1))
        assert numbers(await waiting) == [1]


async def test_followers_of_one_user_share_one_reader_and_leave_nothing_behind(world: World) -> None:
    async with (
        following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as one,
        following(world, appointment_changes, world.anna.user, cursor(world, 0)) as two,
    ):
        await note(world, slot(1))
        await created(world)
        await asyncio.gather(first(one), first(two))
        assert len(world.services.feeds) == 1
    assert len(world.services.feeds) == 0
    assert world.services.bell._listeners == {}


async def test_the_end_of_the_user_ends_the_subscription(world: World) -> None:
    async with following(world, blocked_slot_changes, world.anna.user, None) as frames:
        waiting = asyncio.ensure_future(first(frames))
        await world.followed()
        await world.admin(people.remove_user, user_id=world.anna.user)
        with pytest.raises(RefusedError):
            await waiting


async def test_a_slow_follower_that_fell_behind_the_ring_still_sees_each_change_once(world: World) -> None:
    async with (
        following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as fast,
        following(world, blocked_slot_changes, world.anna.user, cursor(world, 0)) as slow,
    ):
        await note(world, slot(1))
        assert numbers(await first(slow)) == [1]
        assert numbers(await first(fast)) == [1]
        for batch in range(5):
            numbered = [2 + batch * 400 + number for number in range(400)]
            await note(world, *(slot(number) for number in numbered))
            assert numbers(await first(fast, 400)) == numbered
        assert numbers(await first(slow, 2000)) == list(range(2, 2002))


async def test_sockets_that_drop_and_resume_while_others_write_miss_nothing_and_see_nothing_twice(
    world: World,
) -> None:
    chance = random.Random(5)
    total = 120

    async def write(writer: int) -> None:
        for number in range(total // 3):
            await note(world, slot(1000 * writer + number))
            await asyncio.sleep(chance.random() * 0.003)

    async def read() -> list[int]:
        seen: list[SlotChangeView] = []
        while len(seen) < total:
            after = seen[-1].cursor if seen else cursor(world, 0)
            async with following(world, blocked_slot_changes, world.anna.user, after) as frames:
                seen += await first(frames, min(chance.randrange(1, 30), total - len(seen)))
        return numbers(seen)

    results = await asyncio.gather(*(read() for _ in range(8)), *(write(writer) for writer in range(3)))
    logged = [row.slot.start for row in await world.log() if row.slot]
    assert len(logged) == total
    assert all(seen == logged for seen in results[:8])


# Appointments


async def test_each_kind_of_an_appointments_change_is_told_with_the_appointment_as_it_is(
    world: World,
) -> None:
    await page(world)
    async with following(world, appointment_changes, world.anna.user, cursor(world, 0)) as frames:
        view = await booked(world)
        [frame] = await first(frames)
        assert (frame.kind, frame.appointment and frame.appointment.status) == ("BOOKED", "CONFIRMED")
        slot_view = await block(world, NINE, NINE + HOUR)
        await world.admin(events.delete_blocked_slot, slot_id=slot_view.slot.id)
        await world.run(
            key_of(world),
            booking.reschedule_booking,
            idempotency_key="a-move-made-anew-1",
            manage_token=view.manage_token,
            start=NINE + HOUR,
            hold_token=None,
        )
        await world.run(key_of(world), booking.cancel_booking, manage_token=view.manage_token, reason=None)
        later = await first(frames, 4)
        assert [each.kind for each in later] == [
            "CONFLICT_DETECTED",
            "CONFLICT_RESOLVED",
            "RESCHEDULED",
            "CANCELLED",
        ]
        assert {each.appointment.status for each in later if each.appointment} == {"CANCELLED"}


async def test_a_cursor_of_before_a_restore_is_one_reset_of_appointments_too(world: World) -> None:
    async with following(
        world, appointment_changes, world.anna.user, cursor(world, 0, epoch="old")
    ) as frames:
        [reset] = await first(frames)
        assert (reset.kind, reset.appointment) == ("RESET", None)


# The account


async def test_the_account_is_shown_now_and_at_each_change_of_it(world: World) -> None:
    async with following(world, account_changes, world.anna.user) as frames:
        assert await first(frames) == [None]
        connected = await world.connect()
        [shown] = await first(frames)
        assert shown == connected
        await note(world, slot(1))
        await page(world)
        await world.admin(accounts.disconnect, user_id=world.anna.user)
        assert await first(frames) == [None]


async def test_what_changes_of_its_calendars_alone_is_told(world: World) -> None:
    await world.connect()
    home = (await world.calendars())["Home"]
    async with following(world, account_changes, world.anna.user) as frames:
        [shown] = await first(frames)
        for rule in (BusyRule.BLOCK, BusyRule.IGNORE):
            await world.admin(calendars.set_policy, calendar_id=home.id, declined=rule)
            assert await first(frames) == [shown]
        told = asyncio.ensure_future(first(frames))
        await world.admin(calendars.set_conflict, user_id=world.anna.user, calendar_ids=[home.id])
        await told
        await world.admin(accounts.disconnect, user_id=world.anna.user)
        assert await first(frames) == [None]


# Availability


async def update(frames: AsyncGenerator[AvailabilityUpdateView, None]) -> AvailabilityUpdateView:
    [frame] = await first(frames)
    return frame


async def test_it_begins_with_all_and_goes_on_with_what_opened_and_closed(world: World) -> None:
    await page(world)
    async with following(world, availability_changes, QUESTION, actor=key_of(world)) as frames:
        snapshot = await update(frames)
        assert (snapshot.is_snapshot, snapshot.opened, snapshot.closed) == (True, (), ())
        assert snapshot.availability.windows == (Span(NINE, EVENING),)
        made = await block(world, NINE + HOUR, NINE + 2 * HOUR)
        closed = await update(frames)
        assert (closed.is_snapshot, closed.opened) == (False, ())
        assert closed.closed == (Span(NINE + HOUR, NINE + 2 * HOUR),)
        assert closed.availability.windows == (Span(NINE, NINE + HOUR), Span(NINE + 2 * HOUR, EVENING))
        await world.admin(events.delete_blocked_slot, slot_id=made.slot.id)
        opened = await update(frames)
        assert (opened.opened, opened.closed) == ((Span(NINE + HOUR, NINE + 2 * HOUR),), ())


async def test_bookings_holds_settings_and_the_end_of_a_hold_are_told(world: World) -> None:
    made = await page(world)
    async with following(world, availability_changes, QUESTION, actor=key_of(world)) as frames:
        await update(frames)
        await booked(world)
        assert (await update(frames)).closed == (Span(NINE, NINE + 30 * MINUTE),)
        await held(world, NINE + HOUR)
        assert (await update(frames)).closed == (Span(NINE + HOUR, NINE + 90 * MINUTE),)
        await world.admin(types.update_type, type_id=made.id, step_minutes=60)
        changed = await update(frames)
        assert (changed.opened, changed.closed) == ((), ())
        told = asyncio.ensure_future(update(frames))
        world.clock.now += 301
        await asyncio.sleep(LOOK_EVERY * 3)
        # Now is taken at the whole minute, and that one began before the hold ended.
        assert not told.done()
        world.clock.now += 60
        assert (await told).opened == (Span(NINE + HOUR, NINE + 90 * MINUTE),)


async def test_a_change_of_rules_that_another_user_lends_is_told(world: World) -> None:
    bens = await page(world, "bens", user=world.ben, duration_minutes=60)
    asked = AvailabilityQuestion(
        user_ids=(world.anna.user,), appointment_type_id=bens.id, from_=NINE, to=EVENING
    )
    async with following(world, availability_changes, asked) as frames:
        assert len((await update(frames)).availability.starts) == 8
        await world.admin(types.update_type, type_id=bens.id, duration_minutes=120, step_minutes=120)
        assert len((await update(frames)).availability.starts) == 3
        await world.admin(people.remove_user, user_id=world.ben.user)
        with pytest.raises(RefusedError, match="appointment type"):
            await first(frames)


async def test_what_changes_nothing_is_not_told(world: World) -> None:
    await page(world)
    async with following(world, availability_changes, QUESTION, actor=key_of(world)) as frames:
        await update(frames)
        await block(world, EVENING + HOUR, EVENING + 2 * HOUR)
        await page(world, "another")
        await note(world, slot(1))
        await block(world, NINE, NINE + HOUR)
        assert (await update(frames)).closed == (Span(NINE, NINE + HOUR),)


async def test_time_alone_is_told_only_when_a_start_goes(world: World) -> None:
    await page(world)
    world.clock.now = float(NINE - 5 * MINUTE)
    async with following(world, availability_changes, QUESTION, actor=key_of(world)) as frames:
        assert (await update(frames)).availability.starts[0].start == NINE
        told = asyncio.ensure_future(update(frames))
        world.clock.now = float(NINE)
        await asyncio.sleep(LOOK_EVERY * 3)
        assert not told.done()
        world.clock.now = float(NINE + MINUTE)
        gone = await told
        assert gone.availability.starts[0].start == NINE + 30 * MINUTE
        told = asyncio.ensure_future(update(frames))
        for minute in range(2, 30):
            world.clock.now = float(NINE + minute * MINUTE)
            await asyncio.sleep(LOOK_EVERY / 4)
        assert not told.done()
        world.clock.now = float(NINE + 31 * MINUTE)
        assert (await told).availability.starts[0].start == NINE + HOUR


async def test_starts_that_had_gone_come_back_with_a_clock_that_is_set_back(world: World) -> None:
    await page(world)
    world.clock.now = float(NINE + 5 * MINUTE)
    async with following(world, availability_changes, QUESTION, actor=key_of(world)) as frames:
        assert (await update(frames)).availability.starts[0].start == NINE + 30 * MINUTE
        world.clock.now = float(NINE - 5 * MINUTE)
        assert (await update(frames)).availability.starts[0].start == NINE


async def test_time_that_opens_no_start_is_not_told(world: World) -> None:
    await page(world)
    await page(world, "long", duration_minutes=60)
    await block(world, NINE + 30 * MINUTE, NINE + HOUR)
    await held(world)
    question = replace(QUESTION, booking_page="long")
    async with following(world, availability_changes, question, actor=key_of(world)) as frames:
        snapshot = await update(frames)
        assert snapshot.availability.windows == (Span(NINE + HOUR, EVENING),)
        told = asyncio.ensure_future(update(frames))
        world.clock.now += 3600
        await asyncio.sleep(LOOK_EVERY * 3)
        assert not told.done()
        await block(world, EVENING - HOUR, EVENING)
        assert (await told).opened == (Span(NINE, NINE + 30 * MINUTE),)


async def connect(world: World, user: UserRef | None = None, *, read_at: float) -> None:
    user = user or world.anna
    await world.connect(user)
    home = (await world.calendars(user))["Home"]
    await world.admin(calendars.set_conflict, user_id=user.user, calendar_ids=[home.id])
    await read(world, user, at=read_at)


async def read(world: World, user: UserRef | None = None, *, at: float) -> None:
    user = user or world.anna
    await world.write(
        "UPDATE icloud_account SET status = 'CONNECTED', last_synced_at = $1, expanded_zone = 'Europe/Paris',"
        " expanded_until = $2 WHERE user_id = $3",
        at,
        int(NOW) + 400 * DAY,
        user.user,
    )
    await world.write(
        "UPDATE calendar SET last_synced_at = $1 WHERE is_conflict AND user_id = $2", at, user.user
    )


async def test_growing_stale_and_fresh_again_is_told_and_a_poll_between_is_not(world: World) -> None:
    await page(world)
    await connect(world, read_at=NOW)
    async with following(world, availability_changes, QUESTION, actor=key_of(world)) as frames:
        assert (await update(frames)).availability.freshness.is_fresh
        world.clock.now += 20 * 60
        await read(world, at=NOW + 19 * 60)
        told = asyncio.ensure_future(update(frames))
        world.clock.now = NOW + 31 * 60
        await asyncio.sleep(LOOK_EVERY * 3)
        assert not told.done()
        world.clock.now = NOW + 50 * 60
        stale = await told
        assert not stale.availability.freshness.is_fresh
        assert stale.closed == (Span(NINE, EVENING),)
        await read(world, at=NOW + 50 * 60)
        fresh = await update(frames)
        assert fresh.availability.freshness.is_fresh
        assert fresh.opened == (Span(NINE, EVENING),)


async def test_one_calendar_that_is_read_again_is_told_while_another_stays_too_old(world: World) -> None:
    for user in (world.anna, world.ben):
        await connect(world, user, read_at=NOW - 3600)
    both = (world.anna.user, world.ben.user)
    question = AvailabilityQuestion(user_ids=both, from_=NINE, to=EVENING, match=Match.ANYONE)
    async with following(world, availability_changes, question) as frames:
        assert (await update(frames)).availability.windows == ()
        await read(world, world.ben, at=NOW)
        opened = await update(frames)
        assert not opened.availability.freshness.is_fresh
        assert opened.opened == (Span(NINE, EVENING),)
        world.clock.now += 31 * 60
        assert (await update(frames)).closed == (Span(NINE, EVENING),)


async def test_what_is_expanded_for_the_zone_again_is_told_though_it_stays_too_old(world: World) -> None:
    await connect(world, read_at=NOW - 3600)
    await world.write("UPDATE icloud_account SET expanded_zone = ''")
    serve = StalePolicy.SERVE_LAST_KNOWN
    question = AvailabilityQuestion(user_ids=(world.anna.user,), from_=NINE, to=EVENING, on_stale=serve)
    async with following(world, availability_changes, question) as frames:
        assert (await update(frames)).availability.windows == ()
        await read(world, at=NOW - 3600)
        assert (await update(frames)).opened == (Span(NINE, EVENING),)


async def test_the_roll_of_the_horizon_is_seen_though_nothing_rings(world: World) -> None:
    await page(world)
    await connect(world, read_at=NOW)
    await world.write("UPDATE icloud_account SET expanded_until = $1", NINE + HOUR)
    async with following(world, availability_changes, QUESTION, actor=key_of(world)) as frames:
        assert (await update(frames)).availability.windows == (Span(NINE, NINE + HOUR),)
        await world.write("UPDATE icloud_account SET expanded_until = $1", NINE + 2 * HOUR)
        assert (await update(frames)).opened == (Span(NINE + HOUR, NINE + 2 * HOUR),)


async def test_with_refresh_it_polls_once_each_time_it_grew_too_old(world: World) -> None:
    await page(world)
    await connect(world, read_at=NOW - 3600)
    question = replace(QUESTION, on_stale=StalePolicy.REFRESH)
    async with following(world, availability_changes, question) as frames:
        assert not (await update(frames)).availability.freshness.is_fresh
        told = asyncio.ensure_future(update(frames))
        async with asyncio.timeout(SOON):
            while not world.icloud.polled:
                await asyncio.sleep(LOOK_EVERY)
        await asyncio.sleep(LOOK_EVERY * 4)
        assert len(world.icloud.polled) == 1
        await read(world, at=NOW)
        assert (await told).availability.freshness.is_fresh
    assert world.icloud.outcome == RefreshOutcome(True, 0, None)


async def test_who_asks_the_same_shares_one_computation_and_sees_the_same(world: World) -> None:
    await page(world)
    guest, admin = key_of(world), key_of(world, role=Role.ADMIN)
    async with (
        following(world, availability_changes, QUESTION, actor=guest) as one,
        following(world, availability_changes, QUESTION, actor=guest) as two,
        following(world, availability_changes, QUESTION, actor=admin) as three,
    ):
        await asyncio.gather(update(one), update(two), update(three))
        assert len(world.services.sources) == 2
        waiting = [asyncio.ensure_future(update(frames)) for frames in (one, two, three)]
        await asyncio.sleep(LOOK_EVERY)
        await block(world, NINE, NINE + HOUR)
        first_, second, third = await asyncio.gather(*waiting)
        assert first_ is second
        assert first_.availability.cursors == ()
        assert third.availability.cursors
    assert len(world.services.sources) == 0
    assert world.services.bell._listeners == {}


async def test_one_that_joins_later_begins_with_how_it_is_then(world: World) -> None:
    await page(world)
    async with following(world, availability_changes, QUESTION, actor=key_of(world)) as early:
        await update(early)
        await block(world, NINE, NINE + HOUR)
        async with following(world, availability_changes, QUESTION, actor=key_of(world)) as late:
            snapshot = await update(late)
            assert snapshot.is_snapshot
            assert snapshot.availability.windows == (Span(NINE + HOUR, EVENING),)
            assert (await update(early)).closed == (Span(NINE, NINE + HOUR),)
            await block(world, NINE + 2 * HOUR, NINE + 3 * HOUR)
            both = await asyncio.gather(update(early), update(late))
            assert {each.closed for each in both} == {(Span(NINE + 2 * HOUR, NINE + 3 * HOUR),)}


async def test_applying_each_update_gives_the_availability_itself(world: World) -> None:
    """However fast it changes, and however slow its reader is."""
    await page(world)
    chance = random.Random(3)
    async with following(world, availability_changes, QUESTION, actor=key_of(world)) as frames:
        free = _minutes((await update(frames)).availability.windows)
        told = asyncio.ensure_future(update(frames))
        for _ in range(12):
            for _ in range(chance.randrange(1, 4)):
                start = NINE + chance.randrange(0, 30) * 15 * MINUTE
                made = await block(world, start, start + chance.randrange(1, 8) * 15 * MINUTE)
                if chance.random() < 0.6:
                    await world.admin(events.delete_blocked_slot, slot_id=made.slot.id)
            await asyncio.wait({told}, timeout=LOOK_EVERY * chance.random())
            if told.done():
                frame = told.result()
                free = (free | _minutes(frame.opened)) - _minutes(frame.closed)
                assert free == _minutes(frame.availability.windows)
                told = asyncio.ensure_future(update(frames))
        await block(world, NINE, EVENING)
        while free:
            frame = await told
            free = (free | _minutes(frame.opened)) - _minutes(frame.closed)
            assert free == _minutes(frame.availability.windows)
            told = asyncio.ensure_future(update(frames))
        told.cancel()
        await asyncio.gather(told, return_exceptions=True)


def _minutes(spans: tuple[Span, ...]) -> set[int]:
    return {minute for span in spans for minute in range(span.start, span.end, MINUTE)}


async def test_what_a_question_is_refused_for_a_subscription_is_too(world: World) -> None:
    made = await page(world)
    wrong = replace(QUESTION, to=NINE)
    async with following(world, availability_changes, wrong, actor=key_of(world)) as frames:
        with pytest.raises(RefusedError) as refused:
            await update(frames)
        assert isinstance(refused.value.refusal, InvalidInput)
    async with following(world, availability_changes, QUESTION, actor=key_of(world)) as frames:
        await update(frames)
        await world.admin(types.archive_type, type_id=made.id)
        with pytest.raises(RefusedError) as ended:
            await update(frames)
        assert isinstance(ended.value.refusal, NotFound)
    assert len(world.services.sources) == 0


async def test_guests_of_one_address_who_come_at_once_are_all_shown_what_is_free(world: World) -> None:
    await page(world)
    world.services = replace(world.services, limits=Limits(world.clock, {Rule.FOLLOWING: Rate(2, 0.02)}))
    for _ in range(4):
        async with following(world, availability_changes, QUESTION, actor=key_of(world)) as frames:
            assert (await update(frames)).is_snapshot


async def test_a_guest_who_leaves_before_its_turn_leaves_it_to_others(world: World) -> None:
    limits = Limits(world.clock, {Rule.FOLLOWING: Rate(1, 3600)})
    world.services = replace(world.services, limits=limits)
    limits.queue(Rule.FOLLOWING, f"{world.subaccount} 192.0.2.1")
    async with following(world, availability_changes, QUESTION, actor=key_of(world)) as frames:
        waiting = asyncio.ensure_future(update(frames))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert limits.queue(Rule.FOLLOWING, f"{world.subaccount} 192.0.2.1") == 3600


async def test_whoever_is_followed_is_watched(world: World) -> None:
    await world.connect()

    async def watched(until: float) -> None:
        async with asyncio.timeout(SOON):
            while (await world.rows("SELECT watched_until FROM icloud_account"))[0]["watched_until"] != until:
                await asyncio.sleep(LOOK_EVERY)

    async with following(world, blocked_slot_changes, world.anna.user, None) as frames:
        waiting = asyncio.ensure_future(first(frames))
        await watched(NOW + 60)
        world.clock.now += 45
        await watched(NOW + 105)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
