"""Holds: a start kept for one guest, never longer than promised, and never sold twice."""

from __future__ import annotations

import asyncio
import itertools

from domain.actor import Role
from domain.changes import ChangeKind
from resolvers import booking, types
from resolvers.outcomes import InvalidInput, NotFound, RateLimited, SlotUnavailable
from resolvers.views import BookingView, HoldView
from tests.integration.pages import (
    DAY,
    HOUR,
    MINUTE,
    NINE,
    booked,
    created,
    held,
    key_of,
    page,
    try_to_book,
    try_to_hold,
)
from tests.integration.world import NOW, World


async def live_holds(world: World) -> int:
    rows = await world.rows("SELECT COUNT(*) AS count FROM hold WHERE expires_at > $1", world.clock.now)
    return int(rows[0]["count"])


async def test_a_held_start_is_closed_to_others_and_open_to_its_holder(world: World) -> None:
    await page(world)
    hold = await held(world)
    assert (hold.start, hold.end, hold.expires_at) == (NINE, NINE + 30 * MINUTE, NOW + 300)
    assert isinstance(await try_to_book(world), SlotUnavailable)
    assert isinstance(await try_to_hold(world), SlotUnavailable)
    await booked(world, hold=hold.token)


async def test_a_hold_ends_by_itself_and_is_then_ignored(world: World) -> None:
    await page(world)
    hold = await held(world)
    world.clock.now += 299
    assert isinstance(await try_to_hold(world, address="192.0.2.9"), SlotUnavailable)
    world.clock.now += 1
    await booked(world, key="another-key-made-anew")
    refused = await try_to_book(world, hold=hold.token)
    assert isinstance(refused, SlotUnavailable)


async def test_an_expired_or_foreign_hold_does_not_keep_an_open_start_from_being_booked(world: World) -> None:
    await page(world)
    await page(world, "bens", user=world.ben)
    bens = await held(world, slug="bens")
    await booked(world, hold=bens.token)
    await booked(world, NINE + HOUR, hold="never-handed-out", key="another-key-made-anew")
    assert await live_holds(world) == 1


async def test_a_booking_uses_its_hold_up_in_the_same_transaction(world: World) -> None:
    await page(world)
    hold = await held(world)
    await booked(world, hold=hold.token)
    assert await live_holds(world) == 0
    kinds = [row.kind for row in await world.log()][1:]
    assert kinds == [ChangeKind.HOLD_MADE, ChangeKind.HOLD_ENDED, ChangeKind.APPOINTMENT_BOOKED]


async def test_a_refused_booking_keeps_its_hold(world: World) -> None:
    await page(world)
    hold = await held(world)
    assert isinstance(await try_to_book(world, NINE + 7 * MINUTE, hold=hold.token), SlotUnavailable)
    assert await live_holds(world) == 1


async def test_one_that_replaces_another_frees_its_time_and_may_overlap_it(world: World) -> None:
    await page(world, step_minutes=15)
    first = await held(world)
    second = await held(world, NINE + 15 * MINUTE, replaces=first.token)
    assert await live_holds(world) == 1
    third = await held(world, NINE - 0, replaces=second.token)
    assert third.token != first.token


async def test_a_refused_replacement_leaves_the_first_hold(world: World) -> None:
    await page(world)
    await created(world, NINE + HOUR)
    first = await held(world)
    assert isinstance(await try_to_hold(world, NINE + HOUR, replaces=first.token), SlotUnavailable)
    await booked(world, hold=first.token)


async def test_a_hold_on_another_hosts_page_is_replaced_too(world: World) -> None:
    await page(world)
    await page(world, "bens", user=world.ben)
    first = await held(world)
    await held(world, slug="bens", replaces=first.token)
    assert await live_holds(world) == 1
    await booked(world)


async def test_an_address_keeps_three_starts_of_a_page_and_a_back_end_as_many_as_it_likes(
    world: World,
) -> None:
    await page(world)
    await page(world, "other")
    holds = [await held(world, NINE + number * HOUR) for number in range(3)]
    refused = await try_to_hold(world, NINE + 3 * HOUR)
    assert isinstance(refused, RateLimited)
    assert refused.retry_at == holds[0].expires_at
    await held(world, NINE + 3 * HOUR, address="192.0.2.2")
    await held(world, NINE + 4 * HOUR, slug="other")
    await held(world, NINE + 5 * HOUR, replaces=holds[0].token)
    for number in range(4):
        await held(world, NINE + DAY + number * HOUR, actor=key_of(world, role=Role.ADMIN))


async def test_addresses_are_not_stored(world: World) -> None:
    await page(world)
    await held(world, address="192.0.2.77")
    [row] = await world.rows("SELECT address FROM hold")
    assert len(row["address"]) == 64
    assert "192" not in row["address"][:3]


async def test_releasing_frees_the_start_at_once_and_releasing_again_is_no_error(world: World) -> None:
    await page(world)
    hold = await held(world)
    for _ in range(2):
        assert await world.run(key_of(world), booking.release, token=hold.token) == hold.token
    kinds = [row.kind for row in await world.log()][1:]
    assert kinds == [ChangeKind.HOLD_MADE, ChangeKind.HOLD_ENDED]
    await booked(world)


async def test_another_subaccount_releases_nothing(world: World) -> None:
    await page(world)
    hold = await held(world)
    other, _ = await world.other_subaccount()
    await world.run(other, booking.release, token=hold.token)
    assert await live_holds(world) == 1


async def test_a_hold_keeps_what_was_soon_enough_when_it_was_made(world: World) -> None:
    await page(world, minimum_notice_minutes=60)
    world.clock.now = float(NINE - HOUR)
    hold = await held(world)
    world.clock.now += 4 * MINUTE
    assert isinstance(await try_to_book(world, key="another-key-made-anew"), SlotUnavailable)
    await booked(world, hold=hold.token)


async def test_holds_count_towards_the_daily_maximum_but_not_ones_own(world: World) -> None:
    await page(world, maximum_per_day=1)
    hold = await held(world)
    assert isinstance(await try_to_book(world, NINE + HOUR), SlotUnavailable)
    await booked(world, key="another-key-made-anew", hold=hold.token)


async def test_for_a_reschedule_the_bookings_own_time_is_free_and_its_length_is_kept(world: World) -> None:
    made = await page(world, step_minutes=15)
    view = await booked(world)
    await world.admin(types.update_type, type_id=made.id, duration_minutes=60)
    hold = await held(world, NINE + 15 * MINUTE, manage_token=view.manage_token)
    assert hold.end - hold.start == 30 * MINUTE
    moved = await world.run(
        key_of(world),
        booking.reschedule_booking,
        idempotency_key="a-move-made-anew-1",
        manage_token=view.manage_token,
        start=NINE + 15 * MINUTE,
        hold_token=hold.token,
    )
    assert isinstance(moved, BookingView)
    assert moved.start == NINE + 15 * MINUTE
    assert await live_holds(world) == 0


async def test_a_hold_for_a_booking_that_cannot_move_there_says_why(world: World) -> None:
    await page(world)
    await page(world, "bens", user=world.ben)
    view = await booked(world)
    elsewhere = await try_to_hold(world, slug="bens", manage_token=view.manage_token)
    assert isinstance(elsewhere, InvalidInput)
    assert elsewhere.field == "manageToken"
    assert isinstance(await try_to_hold(world, manage_token="wrong"), NotFound)
    await world.run(key_of(world), booking.cancel_booking, manage_token=view.manage_token, reason=None)
    assert isinstance(await try_to_hold(world, manage_token=view.manage_token), InvalidInput)


async def test_one_of_many_who_hold_a_start_at_once_gets_it(world: World) -> None:
    await page(world, step_minutes=15)
    starts = [NINE + (number % 3) * 15 * MINUTE for number in range(12)]
    answers = await asyncio.gather(
        *(try_to_hold(world, start, address=f"192.0.2.{number}") for number, start in enumerate(starts))
    )
    kept = sorted(answer.start for answer in answers if isinstance(answer, HoldView))
    assert all(later - earlier >= 30 * MINUTE for earlier, later in itertools.pairwise(kept))
    assert kept
    assert {type(answer) for answer in answers} == {HoldView, SlotUnavailable}


async def test_a_hold_and_a_booking_at_once_never_both_have_the_start(world: World) -> None:
    await page(world)
    for number in range(8):
        start = NINE + number * HOUR
        hold, view = await asyncio.gather(
            try_to_hold(world, start, address=f"192.0.2.{number}"),
            try_to_book(world, start, key=f"key-made-anew-{number:04}", address=f"192.0.2.{number}"),
        )
        assert isinstance(hold, HoldView) != isinstance(view, BookingView)
