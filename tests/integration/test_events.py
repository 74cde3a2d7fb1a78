"""Events and blocked slots: listed by what they overlap, made and deleted by hand."""

from __future__ import annotations

import pytest

from domain.changes import BlockedSlotSource, ChangeKind, Slot
from domain.ids import Kind
from models.blocked import BlockedSlot
from models.booking import Appointment
from models.calendar import Event
from resolvers import events
from resolvers.outcomes import InvalidInput, NotFound, Refusal
from resolvers.views import EventView, Page, SlotView
from tests.integration.world import NOW, World, booking_of, owner_of


async def add_event(world: World, start: int, end: int, **facts: object) -> str:
    event_id = world.services.new_id(Kind.EVENT)
    async with world.services.database.writing() as db:
        await Event.create(
            using_db=db,
            **{
                "id": event_id,
                "subaccount_id": world.anna.subaccount,
                "user_id": world.anna.user,
                "calendar_id": "cal_1",
                "resource_id": "res_1",
                "uid": "u",
                "key": "k",
                "starts": start,
                "ends": end,
                "busy_starts": start,
                "busy_ends": end,
                "is_all_day": False,
                "is_recurring": False,
                "show_as": "FREE",
                "status": "CONFIRMED",
                "blocks": False,
                **facts,
            },
        )
    return event_id


async def block(world: World, start: int, end: int, title: str | None = None) -> SlotView:
    made = await world.owner(
        events.create_blocked_slot, user_id=world.anna.user, start=start, end=end, title=title
    )
    assert isinstance(made, SlotView), made
    return made


async def spans(world: World, from_: int, to: int) -> list[tuple[int, int]]:
    page = await world.owner(events.events, world.anna, from_, to, 200, None)
    assert isinstance(page, Page)
    return [(view.start, view.end) for view in page.items]


async def test_events_are_those_that_overlap_the_half_open_range(world: World) -> None:
    for start, end in [(0, 10), (5, 15), (10, 10), (15, 20), (20, 30), (20, 20), (0, 40)]:
        await add_event(world, start, end)
    assert await spans(world, 10, 20) == [(0, 40), (5, 15), (10, 10), (15, 20)]


@pytest.mark.parametrize("first", [1, 2, 3, 200])
async def test_pages_of_events_hold_each_once_by_start_then_id(world: World, first: int) -> None:
    ids = [await add_event(world, start, 100) for start in (30, 10, 10, 10, 20)]
    found: list[str] = []
    after: str | None = None
    while True:
        page = await world.owner(events.events, world.anna, 0, 50, first, after)
        assert isinstance(page, Page)
        found += [view.id for view in page.items]
        if not page.has_next:
            break
        after = page.cursors[-1]
    assert found == [*sorted(ids[1:4]), ids[4], ids[0]]


async def test_an_event_has_all_its_facts(world: World) -> None:
    event_id = await add_event(
        world,
        10,
        20,
        title="Offsite",
        is_all_day=True,
        start_date="2026-11-01",
        end_date="2026-11-02",
        participation="DECLINED",
        appointment_id="apt_1",
        blocks=True,
    )
    view = await world.owner(events.event, event_id)
    assert isinstance(view, EventView)
    assert (view.title, view.start_date, view.end_date) == ("Offsite", "2026-11-01", "2026-11-02")
    assert (view.is_all_day, view.blocks, view.is_recurring) == (True, True, False)
    assert (view.show_as, view.status, view.participation) == ("FREE", "CONFIRMED", "DECLINED")
    assert await world.owner(events.events_by_id, [event_id, "evt_none"]) == {event_id: view}


@pytest.mark.parametrize(
    ("field", "from_", "to", "first", "after"),
    [
        ("to", 5, 5, 1, None),
        ("to", 0, 401 * 86_400, 1, None),
        ("first", 0, 1, 201, None),
        ("after", 0, 1, 1, "x"),
    ],
)
async def test_a_range_or_page_out_of_bounds_is_refused(
    world: World, field: str, from_: int, to: int, first: int, after: str | None
) -> None:
    of_events = await world.owner(events.events, world.anna, from_, to, first, after)
    of_slots = await world.owner(events.blocked_slots, world.anna, from_, to, first, after)
    assert isinstance(of_events, InvalidInput)
    assert isinstance(of_slots, InvalidInput)
    assert of_events.field == of_slots.field == field


async def test_a_slot_made_by_hand_closes_time_and_is_logged_whole(world: World) -> None:
    made = await block(world, 100, 200, "  Lunch\nwith Zoë ")
    assert made == SlotView(
        world.anna, Slot(made.slot.id, 100, 200, False, BlockedSlotSource.MANUAL, "Lunch with Zoë")
    )
    assert await world.owner(events.blocked_slot, made.slot.id) == made
    page = await world.owner(events.blocked_slots, world.anna, 0, 150, 10, None)
    assert isinstance(page, Page)
    assert page.items == (made,)
    [row] = await world.log()
    assert (row.kind, row.slot, row.previous) == (ChangeKind.SLOT_ADDED, made.slot, None)
    assert await world.audited("slot.created") == [made.slot.id]


async def test_a_slot_deleted_opens_time_and_is_gone_the_second_time(world: World) -> None:
    made = await block(world, 100, 200)
    assert made.slot.title is None
    assert await world.owner(events.delete_blocked_slot, slot_id=made.slot.id) == made.slot.id
    assert isinstance(await world.owner(events.delete_blocked_slot, slot_id=made.slot.id), NotFound)
    _, row = await world.log()
    assert (row.kind, row.slot, row.previous) == (ChangeKind.SLOT_REMOVED, None, made.slot)


@pytest.mark.parametrize(
    ("field", "end", "title"), [("end", 100, None), ("end", 99, None), ("title", 200, "x" * 201)]
)
async def test_a_slot_that_makes_no_sense_is_refused(
    world: World, field: str, end: int, title: str | None
) -> None:
    refused = await world.owner(
        events.create_blocked_slot, user_id=world.anna.user, start=100, end=end, title=title
    )
    assert isinstance(refused, InvalidInput)
    assert refused.field == field
    assert await world.log() == []


async def test_a_slot_that_an_event_makes_is_not_deleted_by_hand(world: World) -> None:
    slot_id = world.services.new_id(Kind.BLOCKED_SLOT)
    async with world.services.database.writing() as db:
        await BlockedSlot.create(
            using_db=db,
            id=slot_id,
            subaccount_id=world.anna.subaccount,
            user_id=world.anna.user,
            starts=1,
            ends=2,
            source="ICLOUD",
        )
    refused = await world.owner(events.delete_blocked_slot, slot_id=slot_id)
    assert isinstance(refused, InvalidInput)
    assert refused.field == "blockedSlotId"
    assert await world.owner(events.blocked_slot, slot_id) is not None


async def test_a_slot_over_an_appointment_is_a_conflict_until_it_goes(world: World) -> None:
    starts = int(NOW) + 3600
    appointment_id = world.services.new_id(Kind.APPOINTMENT)
    async with world.services.database.writing() as db:
        await Appointment.create(
            using_db=db,
            id=appointment_id,
            subaccount_id=world.anna.subaccount,
            user_id=world.anna.user,
            title="Talk",
            starts=starts,
            ends=starts + 1800,
            status="CONFIRMED",
            guest_name="Gus",
            guest_email="gus@example.com",
            created_at=NOW,
            modified_at=NOW,
            write_state="NOT_LINKED",
        )
    made = await block(world, starts + 600, starts + 1200)
    await world.owner(events.delete_blocked_slot, slot_id=made.slot.id)
    assert [(row.kind, row.subject_id) for row in await world.log()] == [
        (ChangeKind.SLOT_ADDED, made.slot.id),
        (ChangeKind.CONFLICT_DETECTED, appointment_id),
        (ChangeKind.SLOT_REMOVED, made.slot.id),
        (ChangeKind.CONFLICT_RESOLVED, appointment_id),
    ]


async def test_slots_and_events_of_others_are_not_there(world: World) -> None:
    other_admin, _ = await world.other_subaccount()
    slot = await block(world, 100, 200)
    event_id = await add_event(world, 100, 200)
    for actor in (owner_of(world.ben), other_admin, booking_of(world.subaccount)):
        assert await world.run(actor, events.blocked_slot, slot.slot.id) is None
        assert await world.run(actor, events.event, event_id) is None
        assert await world.run(actor, events.events_by_id, [event_id]) == {}
        assert isinstance(await world.run(actor, events.delete_blocked_slot, slot_id=slot.slot.id), Refusal)
        for listing in (events.events, events.blocked_slots):
            page = await world.run(actor, listing, world.anna, 0, 1000, 10, None)
            assert isinstance(page, Page)
            assert page.items == ()
    assert await world.admin(events.blocked_slot, slot.slot.id) == slot
