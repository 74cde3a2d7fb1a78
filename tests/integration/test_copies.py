"""Appointments and their copies in iCloud: what a copy closes follows the appointment at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from domain.changes import ChangeKind
from domain.copies import WriteState
from models.bell import Bell
from models.database import Database
from resolvers import accounts, booking, calendars
from resolvers.views import BookingView
from tests.integration.pages import DAY, HOUR, NINE, block, booked, page
from tests.integration.test_booking import cancel, move
from tests.integration.test_push import spans
from tests.integration.whole import Whole, whole_on


@pytest.fixture
async def whole(database: Database, bell: Bell) -> AsyncIterator[Whole]:
    whole = await whole_on(database, bell)
    await page(whole.world, duration_minutes=60)
    yield whole
    await whole.sync.close()


async def moved_by_its_owner(whole: Whole, start: int) -> BookingView:
    """Booked at nine; its event in iCloud was moved since."""
    view = await booked(whole.world)
    assert await whole.push() == 1
    whole.world.clock.now += 1
    whole.move_copy(start, start + HOUR)
    await whole.poll()
    return view


async def test_a_copy_moved_by_its_owner_closes_both_times(whole: Whole) -> None:
    await moved_by_its_owner(whole, NINE + 3 * HOUR)
    assert await whole.slots() == [(NINE + 3 * HOUR, NINE + 4 * HOUR)]


async def test_a_move_opens_where_the_copy_was_before_it_is_written(whole: Whole) -> None:
    view = await moved_by_its_owner(whole, NINE + 3 * HOUR)
    position = await whole.world.position()
    assert isinstance(await move(whole.world, view.manage_token, NINE + 5 * HOUR), BookingView)
    assert await whole.slots() == []
    kinds = [row.kind for row in await whole.world.log(after=position)]
    assert kinds == [ChangeKind.APPOINTMENT_RESCHEDULED, ChangeKind.SLOT_REMOVED]
    await booked(whole.world, NINE + 3 * HOUR, key="another-key-made-anew")


async def test_a_booking_can_follow_its_own_copy(whole: Whole) -> None:
    view = await moved_by_its_owner(whole, NINE + HOUR // 2)
    assert await whole.slots() == [(NINE + HOUR, NINE + HOUR * 3 // 2)]
    saved = await whole.world.owner(
        booking.reschedule_appointment,
        idempotency_key="a-move-made-anew-1",
        appointment_id=view.id,
        start=NINE + HOUR // 2,
    )
    assert isinstance(saved, booking.Saved)
    assert await whole.slots() == []


async def test_a_cancellation_opens_where_the_copy_is_before_it_is_removed(whole: Whole) -> None:
    view = await moved_by_its_owner(whole, NINE + 3 * HOUR)
    assert isinstance(await cancel(whole.world, view.manage_token), BookingView)
    assert await whole.slots() == []
    await booked(whole.world, NINE + 3 * HOUR, key="another-key-made-anew")


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_series_that_its_owner_made_of_a_copy_closes_its_time_whatever_becomes_of_the_booking(
    whole: Whole, *, is_cancelled: bool
) -> None:
    view = await booked(whole.world)
    await whole.push()
    [(href, (_, body))] = whole.home.texts.items()
    series = body.replace("END:VEVENT", "RRULE:FREQ=DAILY;COUNT=3\r\nEND:VEVENT")
    whole.home.put(href.rpartition("/")[2].removesuffix(".ics"), series)
    await whole.poll()
    dates = [(NINE + day * DAY, NINE + day * DAY + HOUR) for day in range(3)]
    assert await whole.slots() == dates[1:]
    if is_cancelled:
        await cancel(whole.world, view.manage_token)
    else:
        await move(whole.world, view.manage_token, NINE + 3 * HOUR)
    assert await whole.slots() == dates
    await whole.push()
    whole.world.clock.now += HOUR
    await whole.poll()
    assert (whole.home.texts[href][1], await whole.slots()) == (series, dates)


async def test_a_cancellation_resolves_the_conflict_it_stood_in(whole: Whole) -> None:
    view = await booked(whole.world)
    await block(whole.world, NINE, NINE + HOUR)
    position = await whole.world.position()
    await cancel(whole.world, view.manage_token)
    kinds = [row.kind for row in await whole.world.log(after=position)]
    assert kinds == [ChangeKind.APPOINTMENT_CANCELLED, ChangeKind.CONFLICT_RESOLVED]


async def test_a_copy_that_is_left_behind_closes_its_time_from_then_on(whole: Whole) -> None:
    """Its calendar takes no writes any more; what was given up there is written to another calendar."""
    view = await booked(whole.world)
    await whole.push()
    whole.home.can_write = False
    await whole.poll()
    assert isinstance(await move(whole.world, view.manage_token, NINE + 3 * HOUR), BookingView)
    await whole.push()
    assert await whole.slots() == []
    work = (await whole.world.calendars())["Work"]
    await whole.world.owner(calendars.set_linked, user_id=whole.world.anna.user, calendar_id=work.id)
    assert await whole.slots() == [(NINE, NINE + HOUR)]


async def test_a_copy_that_is_found_again_follows_a_move_that_was_made_meanwhile(whole: Whole) -> None:
    """Its owner changed nothing, and is not said to have."""
    view, later = await booked(whole.world), (NINE + 2 * HOUR, NINE + 3 * HOUR)
    await whole.push()
    await whole.world.owner(accounts.disconnect, user_id=whole.world.anna.user)
    assert isinstance(await move(whole.world, view.manage_token, later[0]), BookingView)
    assert await states(whole, view) == [(WriteState.NOT_LINKED, True)]
    whole.world.clock.now += 1
    await whole.connect()
    assert await states(whole, view) == [(WriteState.PENDING, False)]
    assert await whole.push() == 1
    await whole.poll()
    assert (spans(whole.home), await whole.slots()) == ([later], [])
    assert await states(whole, view) == [(WriteState.WRITTEN, False)]


async def test_a_copy_that_its_owner_had_deleted_is_not_said_to_stay_in_icloud(whole: Whole) -> None:
    view = await booked(whole.world)
    await whole.push()
    await whole.poll()
    [href] = whole.home.texts
    whole.home.delete(href)
    whole.world.clock.now += 1
    await whole.poll()
    assert await states(whole, view) == [(WriteState.DELETED_IN_ICLOUD, False)]
    await whole.world.owner(accounts.disconnect, user_id=whole.world.anna.user)
    for hours in (2, 4):
        later = await move(
            whole.world, view.manage_token, NINE + hours * HOUR, key=f"a-move-made-anew-{hours}"
        )
        assert isinstance(later, BookingView)
        assert await states(whole, view) == [(WriteState.NOT_LINKED, False)]


@pytest.mark.parametrize("is_moved_before", [True, False])
async def test_one_that_a_new_connection_does_not_find_is_written_anew_with_its_next_move(
    whole: Whole, *, is_moved_before: bool
) -> None:
    """Its owner deleted it meanwhile, or connected another Apple account."""
    view, later = await booked(whole.world), (NINE + 2 * HOUR, NINE + 3 * HOUR)
    await whole.push()
    await whole.world.owner(accounts.disconnect, user_id=whole.world.anna.user)
    if is_moved_before:
        await move(whole.world, view.manage_token, NINE + 4 * HOUR)
    whole.home.delete(*whole.home.texts)
    whole.world.clock.now += 1
    await whole.connect()
    await move(whole.world, view.manage_token, later[0], key="another-key-made-anew")
    assert await states(whole, view) == [(WriteState.PENDING, False)]
    await whole.push()
    assert (spans(whole.home), await states(whole, view)) == ([later], [(WriteState.WRITTEN, False)])


async def test_one_that_was_written_to_another_account_since_is_brought_up_to_date_where_it_is_found_again(
    whole: Whole,
) -> None:
    """Its owner connected another Apple account and this one again, and changed nothing in it."""
    view, later = await booked(whole.world), (NINE + 2 * HOUR, NINE + 3 * HOUR)
    await whole.push()
    [(href, (_, body))] = whole.home.texts.items()
    await whole.world.owner(accounts.disconnect, user_id=whole.world.anna.user)
    whole.home.delete(href)
    whole.world.clock.now += 1
    await whole.connect()
    await move(whole.world, view.manage_token, later[0])
    await whole.push()
    await whole.world.owner(accounts.disconnect, user_id=whole.world.anna.user)
    whole.home.put(href.rpartition("/")[2].removesuffix(".ics"), body)
    whole.world.clock.now += 1
    await whole.connect()
    assert await states(whole, view) == [(WriteState.PENDING, False)]
    await whole.push()
    assert (spans(whole.home), await states(whole, view)) == ([later], [(WriteState.WRITTEN, False)])


async def test_a_cancellation_of_one_that_a_new_connection_does_not_find_says_that_it_may_stand_there(
    whole: Whole,
) -> None:
    view = await booked(whole.world)
    await whole.push()
    await whole.world.owner(accounts.disconnect, user_id=whole.world.anna.user)
    whole.home.delete(*whole.home.texts)
    whole.world.clock.now += 1
    await whole.connect()
    await cancel(whole.world, view.manage_token)
    assert await states(whole, view) == [(WriteState.NOT_LINKED, True)]


async def states(whole: Whole, view: BookingView) -> list[tuple[str, bool]]:
    rows = await whole.world.rows("SELECT write_state, write_problem FROM appointment WHERE id = $1", view.id)
    return [(row["write_state"], row["write_problem"] is not None) for row in rows]
