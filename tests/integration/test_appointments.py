"""Appointments as their owner lists them."""

from __future__ import annotations

from typing import Any

import pytest

from resolvers import appointments, batches, booking
from resolvers.outcomes import InvalidInput
from resolvers.views import AppointmentView, Page
from tests.integration.pages import DAY, HOUR, MINUTE, NINE, block, created
from tests.integration.world import World, booking_of, owner_of


async def listed(world: World, **given: Any) -> Page[AppointmentView]:
    asked: dict[str, Any] = {
        "from_": NINE,
        "to": NINE + DAY,
        "status": None,
        "first": 100,
        "after": None,
        **given,
    }
    found = await world.owner(appointments.appointments, world.anna, **asked)
    assert isinstance(found, Page), found
    return found


async def made(world: World, number: int, **given: Any) -> AppointmentView:
    return await created(world, NINE + number * HOUR, idempotency_key=f"key-made-anew-{number:04}", **given)


async def test_what_meets_the_range_is_listed_by_start_a_page_at_a_time(world: World) -> None:
    ids = [(await made(world, number)).id for number in (3, 1, 2, 0)]
    first = await listed(world, first=3)
    assert [view.id for view in first.items] == [ids[3], ids[1], ids[2]]
    assert (first.has_next, first.has_previous) == (True, False)
    second = await listed(world, first=3, after=first.cursors[-1])
    assert [view.id for view in second.items] == [ids[0]]
    assert (second.has_next, second.has_previous) == (False, True)


async def test_a_range_is_half_open_and_holds_what_only_overlaps_it(world: World) -> None:
    inside = await made(world, 1)
    await made(world, 2)
    found = await listed(world, from_=NINE + 90 * MINUTE, to=NINE + 2 * HOUR)
    assert found.items == (inside,)


async def test_cancelled_ones_are_listed_too_unless_a_status_is_asked_for(world: World) -> None:
    kept, gone = await made(world, 0), await made(world, 1)
    await world.owner(booking.cancel_appointment, appointment_id=gone.id, reason=None)
    assert [view.id for view in (await listed(world)).items] == [kept.id, gone.id]
    assert [view.id for view in (await listed(world, status="CONFIRMED")).items] == [kept.id]
    assert [view.id for view in (await listed(world, status="CANCELLED")).items] == [gone.id]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"first": 0}, "first"),
        ({"after": "x"}, "after"),
        ({"to": NINE}, "to"),
        ({"to": NINE + 401 * DAY}, "to"),
    ],
)
async def test_what_is_asked_wrong_is_named(world: World, given: dict[str, Any], field: str) -> None:
    asked: dict[str, Any] = {
        "from_": NINE,
        "to": NINE + DAY,
        "status": None,
        "first": 100,
        "after": None,
        **given,
    }
    refused = await world.owner(appointments.appointments, world.anna, **asked)
    assert isinstance(refused, InvalidInput)
    assert refused.field == field


async def test_nobody_lists_another_users(world: World) -> None:
    await made(world, 0)
    other, _ = await world.other_subaccount()
    asked: dict[str, Any] = {"from_": NINE, "to": NINE + DAY, "status": None, "first": 100, "after": None}
    for actor in (owner_of(world.ben), other):
        found = await world.run(actor, appointments.appointments, world.anna, **asked)
        assert isinstance(found, Page)
        assert found.items == ()


async def test_conflicts_are_the_blocked_slots_that_came_to_overlap_it(world: World) -> None:
    view = await made(world, 1)
    late = await block(world, NINE + 90 * MINUTE, NINE + 3 * HOUR)
    early = await block(world, NINE, NINE + 61 * MINUTE)
    await block(world, NINE + 2 * HOUR, NINE + 3 * HOUR)
    assert await world.owner(batches.conflicts, [view.id, "apt_none"]) == {view.id: (early, late)}
    for actor in (owner_of(world.ben), booking_of(world.subaccount), (await world.other_subaccount())[0]):
        assert await world.run(actor, batches.conflicts, [view.id]) == {}


@pytest.mark.parametrize("hours", [25, 26, 100])
async def test_a_conflict_that_began_long_before_is_shown_once(world: World, hours: int) -> None:
    view = await made(world, 1)
    around = await block(world, NINE + 90 * MINUTE - hours * HOUR, NINE + 90 * MINUTE)
    assert await world.owner(batches.conflicts, [view.id]) == {view.id: (around,)}


async def test_a_move_out_of_the_way_resolves_the_conflict(world: World) -> None:
    view = await made(world, 1)
    await block(world, NINE + HOUR, NINE + 2 * HOUR)
    saved = await world.owner(
        booking.reschedule_appointment,
        idempotency_key="a-move-made-anew-1",
        appointment_id=view.id,
        start=NINE + 3 * HOUR,
    )
    assert isinstance(saved, booking.Saved)
    assert not saved.appointment.has_conflict
    assert await world.owner(batches.conflicts, [view.id]) == {}
