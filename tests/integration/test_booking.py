"""Booking: no two overlap, each call has one effect, and every refusal says what else there is."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest
from tortoise.exceptions import IntegrityError

from domain.actor import Role
from domain.changes import ChangeKind
from domain.hours import WeeklyHours
from domain.interval import Span
from models.bell import SYNC
from resolvers import appointments, booking, calendars, events, hours, people, reach, types
from resolvers.outcomes import (
    AppointmentNotChangeable,
    AvailabilityUnknown,
    IdempotencyConflict,
    InvalidInput,
    NotFound,
    RateLimited,
    Refusal,
    SlotUnavailable,
)
from resolvers.views import BookingView, GuestView
from sync.remote import Unreachable
from sync.service import RefreshOutcome
from tests.integration.pages import (
    DAY,
    GUEST,
    HOUR,
    MINUTE,
    NINE,
    SLUG,
    block,
    booked,
    created,
    key_of,
    page,
    try_to_book,
)
from tests.integration.world import NOW, World, owner_of


async def move(
    world: World, token: str, start: int, *, key: str = "a-move-made-anew-1"
) -> BookingView | Refusal:
    return await world.run(
        key_of(world),
        booking.reschedule_booking,
        idempotency_key=key,
        manage_token=token,
        start=start,
        hold_token=None,
    )


async def cancel(world: World, token: str, reason: str | None = None) -> BookingView | Refusal:
    return await world.run(key_of(world), booking.cancel_booking, manage_token=token, reason=reason)


async def overlaps(world: World) -> int:
    rows = await world.rows(
        "SELECT COUNT(*) AS count FROM appointment a JOIN appointment b ON a.user_id = b.user_id AND a.id < b.id"
        " WHERE a.status = 'CONFIRMED' AND b.status = 'CONFIRMED' AND a.starts < b.ends AND b.starts < a.ends"
    )
    return int(rows[0]["count"])


async def confirmed(world: World) -> int:
    rows = await world.rows("SELECT COUNT(*) AS count FROM appointment WHERE status = 'CONFIRMED'")
    return int(rows[0]["count"])


async def connect_fresh(world: World) -> None:
    """Connected, Home linked, and everything read just now."""
    await world.connect()
    home = (await world.calendars())["Home"]
    await world.admin(calendars.set_linked, user_id=world.anna.user, calendar_id=home.id)
    await synced(world, at=world.clock.now)


async def synced(world: World, *, at: float | None) -> None:
    await world.write(
        "UPDATE icloud_account SET status = 'CONNECTED', last_synced_at = $1, expanded_zone = 'Europe/Paris',"
        " expanded_until = $2",
        at,
        int(NOW) + 400 * DAY,
    )
    await world.write("UPDATE calendar SET last_synced_at = $1 WHERE is_conflict", at)


# What a booking leaves behind


async def test_a_booking_is_logged_audited_and_shown_to_its_guest(world: World) -> None:
    made = await page(world, buffer_before_minutes=5)
    view = await booked(world)
    assert (view.start, view.end, view.status) == (NINE, NINE + 30 * MINUTE, "CONFIRMED")
    assert view.title == "Intro call: Ada Lovelace"
    assert view.is_changeable
    assert view.page is not None
    assert view.page.slug == SLUG
    log = await world.log()
    assert [row.kind for row in log][1:] == [ChangeKind.APPOINTMENT_BOOKED]
    assert log[-1].subject_id == view.id
    assert await world.audited("appointment.booked") == [view.id]
    stored = await world.admin(appointments.appointment, view.id)
    assert stored is not None
    assert (stored.type_id, stored.written.state) == (made.id, "NOT_LINKED")
    assert await world.rows("SELECT * FROM pending_write") == []


async def test_with_a_linked_calendar_the_write_is_queued_in_the_same_transaction(world: World) -> None:
    await page(world)
    await connect_fresh(world)
    with world.services.bell.listen(SYNC) as rung:
        view = await booked(world)
        assert rung.is_set()
    home = (await world.calendars())["Home"]
    stored = await world.admin(appointments.appointment, view.id)
    assert stored is not None
    assert (stored.written.state, stored.written.calendar_id) == ("PENDING", home.id)
    [write] = await world.rows("SELECT * FROM pending_write")
    assert (write["appointment_id"], write["due_at"]) == (view.id, NOW)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (NINE + 1 * MINUTE, "Nothing starts"),
        (NINE - 30 * MINUTE, "outside working hours"),
        (NINE + 8 * HOUR - 15 * MINUTE, "outside working hours"),
        (NINE - DAY - 30 * MINUTE, "past"),
        (NINE + 70 * DAY, "too far"),
    ],
)
async def test_a_start_that_the_page_does_not_offer_is_refused_with_others(
    world: World, start: int, words: str
) -> None:
    await page(world)
    refused = await try_to_book(world, start)
    assert isinstance(refused, SlotUnavailable)
    assert words in refused.message
    assert len(refused.next_slots) == 5
    assert await confirmed(world) == 0


async def test_a_taken_start_offers_the_nearest_open_ones_soonest_first(world: World) -> None:
    await page(world)
    await booked(world)
    await block(world, NINE + 60 * MINUTE, NINE + 90 * MINUTE)
    refused = await try_to_book(world, key="another-key-made-anew")
    assert isinstance(refused, SlotUnavailable)
    minutes = [(slot.start - NINE) // 60 for slot in refused.next_slots]
    assert minutes == [30, 90, 120, 150, 180]
    assert all(slot.end - slot.start == 30 * MINUTE for slot in refused.next_slots)


async def test_spans_are_half_open(world: World) -> None:
    await page(world)
    await block(world, NINE - HOUR, NINE)
    await block(world, NINE + 30 * MINUTE, NINE + HOUR)
    await booked(world)


async def test_buffers_keep_bookings_and_blocked_slots_apart(world: World) -> None:
    await page(world, buffer_before_minutes=30, buffer_after_minutes=0)
    await block(world, NINE, NINE + 30 * MINUTE)
    assert isinstance(await try_to_book(world, NINE + 30 * MINUTE), SlotUnavailable)
    await booked(world, NINE + HOUR)
    # Its own buffer reaches back to 09:30, and is kept from others' own spans.
    await page(world, "plain")
    refused = await try_to_book(world, NINE + 30 * MINUTE, slug="plain", key="another-key-made-anew")
    assert isinstance(refused, SlotUnavailable)


async def test_the_daily_maximum_counts_what_is_booked_and_not_what_moves(world: World) -> None:
    await page(world, maximum_per_day=1)
    view = await booked(world)
    assert isinstance(await try_to_book(world, NINE + 2 * HOUR, key="another-key-made-anew"), SlotUnavailable)
    moved = await move(world, view.manage_token, NINE + 2 * HOUR)
    assert isinstance(moved, BookingView)
    await booked(world, NINE + DAY, key="a-third-key-made-anew")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"key": "too-short"}, "idempotencyKey"),
        ({"guest": GuestView("", "ada@example.com", None)}, "guest.name"),
        ({"guest": GuestView("Ada", "not an address", None)}, "guest.email"),
        ({"guest": GuestView("Ada", "ada@example.com", "1" * 51)}, "guest.phone"),
    ],
)
async def test_what_a_guest_typed_wrong_is_named(world: World, given: dict[str, Any], field: str) -> None:
    await page(world)
    refused = await try_to_book(world, **given)
    assert isinstance(refused, InvalidInput)
    assert refused.field == field


async def test_an_archived_or_foreign_page_books_nothing(world: World) -> None:
    made = await page(world)
    other, _ = await world.other_subaccount()
    assert isinstance(await try_to_book(world, actor=other), NotFound)
    await world.admin(types.archive_type, type_id=made.id)
    assert isinstance(await try_to_book(world), NotFound)


async def test_an_address_books_ten_times_a_minute_and_a_back_end_as_often_as_it_likes(world: World) -> None:
    await page(world)
    for number in range(10):
        await try_to_book(world, key=f"key-made-anew-{number:04}")
    refused = await try_to_book(world, key="key-made-anew-0011")
    assert isinstance(refused, RateLimited)
    assert refused.retry_at == pytest.approx(NOW + 6)
    admin = key_of(world, role=Role.ADMIN)
    for number in range(12):
        assert not isinstance(
            await try_to_book(world, key=f"key-of-backend-{number}", actor=admin), RateLimited
        )


# Moving and cancelling


async def test_a_reschedule_keeps_length_and_buffers_and_frees_its_own_time(world: World) -> None:
    made = await page(world, step_minutes=15, buffer_after_minutes=15)
    view = await booked(world)
    await world.admin(types.update_type, type_id=made.id, duration_minutes=60, buffer_after_minutes=0)
    moved = await move(world, view.manage_token, NINE + 15 * MINUTE)
    assert isinstance(moved, BookingView)
    assert (moved.id, moved.start, moved.end) == (view.id, NINE + 15 * MINUTE, NINE + 45 * MINUTE)
    [row] = await world.rows("SELECT revision, buffer_after FROM appointment")
    assert (row["revision"], row["buffer_after"]) == (1, 15 * MINUTE)
    assert (await world.log())[-1].kind is ChangeKind.APPOINTMENT_RESCHEDULED


async def test_a_reschedule_to_a_taken_start_leaves_it_where_it_was(world: World) -> None:
    await page(world)
    view = await booked(world)
    await booked(world, NINE + HOUR, key="another-key-made-anew")
    refused = await move(world, view.manage_token, NINE + HOUR)
    assert isinstance(refused, SlotUnavailable)
    # Its own time is among what is offered: to its guest it is free.
    assert refused.next_slots[0].start == NINE + 90 * MINUTE
    again = await world.run(key_of(world), booking.booking, view.manage_token)
    assert again == view


async def test_a_move_to_where_it_is_already_changes_nothing(world: World) -> None:
    await page(world)
    view = await booked(world)
    await world.admin(booking.cancel_appointment, appointment_id=view.id, reason=None)
    stays = await booked(world, key="another-key-made-anew")
    position = await world.position()
    assert await move(world, stays.manage_token, NINE) == stays
    assert await world.position() == position
    assert await world.audited("appointment.rescheduled") == []


async def test_a_booking_of_an_archived_page_moves_by_the_rules_it_was_left_with(world: World) -> None:
    made = await page(world)
    view = await booked(world)
    await world.admin(types.archive_type, type_id=made.id)
    assert isinstance(await move(world, view.manage_token, NINE + 10 * MINUTE), SlotUnavailable)
    moved = await move(world, view.manage_token, NINE + HOUR, key="another-move-made-anew")
    assert isinstance(moved, BookingView)
    assert moved.page is None


async def test_a_booking_without_a_page_moves_to_any_minute_of_working_hours(world: World) -> None:
    made = await created(world, NINE, end=NINE + 20 * MINUTE)
    token = reach.manage_token(world.services.identity_key, made.id)
    assert isinstance(await move(world, token, NINE - HOUR), SlotUnavailable)
    moved = await move(world, token, NINE + 7 * MINUTE, key="another-move-made-anew")
    assert isinstance(moved, BookingView)


async def test_cancelling_twice_answers_twice_alike(world: World) -> None:
    await page(world)
    view = await booked(world)
    first = await cancel(world, view.manage_token, "I am ill")
    world.clock.now += 60
    second = await cancel(world, view.manage_token, "again")
    assert isinstance(first, BookingView)
    assert isinstance(second, BookingView)
    assert replace(first, page=None) == replace(second, page=None)
    assert first.cancellation is not None
    assert (first.cancellation.by, first.cancellation.reason, first.cancellation.at) == (
        "GUEST",
        "I am ill",
        NOW,
    )
    assert not first.is_changeable
    assert await world.audited("appointment.cancelled") == [view.id]
    await booked(world, key="another-key-made-anew")


async def test_what_is_cancelled_or_has_begun_is_not_changed(world: World) -> None:
    await page(world)
    view = await booked(world)
    late = await booked(world, NINE + HOUR, key="another-key-made-anew")
    await cancel(world, late.manage_token)
    assert isinstance(await move(world, late.manage_token, NINE + DAY), AppointmentNotChangeable)
    world.clock.now = NINE
    assert isinstance(await move(world, view.manage_token, NINE + DAY), AppointmentNotChangeable)
    assert isinstance(await cancel(world, view.manage_token), AppointmentNotChangeable)
    owners = await world.owner(booking.cancel_appointment, appointment_id=view.id, reason=None)
    assert isinstance(owners, AppointmentNotChangeable)


async def test_a_change_of_what_is_written_is_queued_again_and_of_what_was_not_linked_is_not(
    world: World,
) -> None:
    await page(world)
    loose = await booked(world)
    await connect_fresh(world)
    linked = await booked(world, NINE + HOUR, key="another-key-made-anew")
    await world.write("DELETE FROM pending_write")
    await world.write(
        "UPDATE appointment SET write_state = 'WRITTEN', written_at = 1.0 WHERE id = $1", linked.id
    )
    await move(world, loose.manage_token, NINE + 2 * HOUR)
    await move(world, linked.manage_token, NINE + 3 * HOUR, key="another-move-made-anew")
    [write] = await world.rows("SELECT appointment_id FROM pending_write")
    assert write["appointment_id"] == linked.id
    await world.write("DELETE FROM pending_write")
    await cancel(world, linked.manage_token)
    stored = await world.admin(appointments.appointment, linked.id)
    assert stored is not None
    assert stored.written.state == "PENDING"
    assert len(await world.rows("SELECT * FROM pending_write")) == 1


async def test_after_a_disconnect_a_cancelled_copy_is_left_and_said_so(world: World) -> None:
    await page(world)
    view = await booked(world)
    await world.write("UPDATE appointment SET write_state = 'WRITTEN', written_at = 1.0")
    await cancel(world, view.manage_token)
    stored = await world.admin(appointments.appointment, view.id)
    assert stored is not None
    assert stored.written.problem is not None
    assert await world.rows("SELECT * FROM pending_write") == []


# The owner's way


async def test_the_owner_is_held_to_the_overlap_and_to_no_rule_of_the_page(world: World) -> None:
    made = await page(world, minimum_notice_minutes=600, maximum_per_day=1, buffer_after_minutes=60)
    await booked(world)
    night = await created(world, NINE - 5 * HOUR + 7, type_id=made.id, end=None)
    assert night.end - night.start == 30 * MINUTE
    next_door = await created(world, NINE + 30 * MINUTE, idempotency_key="an-owners-own-key-2")
    assert next_door.title == "Lunch"
    refused = await world.admin(
        booking.create_appointment,
        idempotency_key="an-owners-own-key-3",
        user_id=world.anna.user,
        type_id=made.id,
        start=NINE + 15 * MINUTE,
        end=None,
        title=None,
        guest=GUEST,
        notes=None,
    )
    assert isinstance(refused, SlotUnavailable)
    assert refused.next_slots


async def test_the_owner_is_held_to_blocked_slots(world: World) -> None:
    await block(world, NINE, NINE + HOUR)
    with pytest.raises(AssertionError, match="SlotUnavailable"):
        await created(world, NINE + 59 * MINUTE)
    await created(world, NINE + 60 * MINUTE)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"end": None}, "end"),
        ({"end": NINE}, "end"),
        ({"end": NINE + 32 * DAY}, "end"),
        ({"title": " "}, "title"),
        ({"notes": "x" * 5001}, "notes"),
    ],
)
async def test_what_an_owner_gave_wrong_is_named(world: World, given: dict[str, Any], field: str) -> None:
    asked: dict[str, Any] = {
        "idempotency_key": "an-owners-own-key-1",
        "user_id": world.anna.user,
        "type_id": None,
        "start": NINE,
        "end": NINE + HOUR,
        "title": None,
        "guest": GUEST,
        "notes": None,
    }
    refused = await world.owner(booking.create_appointment, **{**asked, **given})
    assert isinstance(refused, InvalidInput)
    assert refused.field == field


async def test_another_users_appointment_is_out_of_an_owners_reach(world: World) -> None:
    made = await created(world)
    ben = owner_of(world.ben)
    assert await world.run(ben, appointments.appointment, made.id) is None
    moved = await world.run(
        ben,
        booking.reschedule_appointment,
        idempotency_key="a-move-made-anew-1",
        appointment_id=made.id,
        start=NINE + DAY,
    )
    assert isinstance(moved, NotFound)
    assert isinstance(
        await world.run(ben, booking.cancel_appointment, appointment_id=made.id, reason=None), NotFound
    )


async def test_the_owners_answer_holds_the_token_for_the_guest(world: World) -> None:
    made = await created(world)
    saved = await world.owner(booking.cancel_appointment, appointment_id=made.id, reason="Ill")
    assert isinstance(saved, booking.Saved)
    assert saved.appointment.cancellation is not None
    assert saved.appointment.cancellation.by == "HOST"
    shown = await world.run(key_of(world), booking.booking, saved.booking.manage_token)
    assert shown == saved.booking
    assert shown is not None
    assert shown.page is None


# Tokens and idempotency


async def test_a_manage_token_that_is_not_whole_opens_nothing(world: World) -> None:
    await page(world)
    view = await booked(world)
    bare, _, mac = view.manage_token.partition(".")
    other, _ = await world.other_subaccount()
    for wrong in (
        bare,
        f"{bare}.",
        f"{bare}.{mac[:-1]}",
        f"{bare}.{mac}0",
        f"{bare}.{'0' * 32}",
        "é.\ud800",
        "",
    ):
        assert await world.run(key_of(world), booking.booking, wrong) is None
        assert isinstance(await cancel(world, wrong), NotFound)
    assert await world.run(other, booking.booking, view.manage_token) is None


async def test_the_same_call_again_has_no_effect_and_the_first_answer(world: World) -> None:
    await page(world)
    view = await booked(world)
    position = await world.position()
    assert await booked(world) == view
    assert await world.position() == position
    assert await world.audited("appointment.booked") == [view.id]


async def test_the_same_key_with_another_input_is_a_conflict(world: World) -> None:
    await page(world)
    await booked(world)
    assert isinstance(await try_to_book(world, NINE + HOUR), IdempotencyConflict)
    other = GuestView("Bob", "bob@example.com", None)
    assert isinstance(await try_to_book(world, guest=other), IdempotencyConflict)
    assert await confirmed(world) == 1


async def test_an_idempotency_key_counts_within_the_calling_api_key(world: World) -> None:
    await page(world)
    first = await booked(world)
    second = await booked(world, NINE + HOUR, actor=key_of(world, role=Role.ADMIN))
    assert first.id != second.id


async def test_a_refusal_is_not_remembered(world: World) -> None:
    await page(world)
    slot = await block(world, NINE, NINE + HOUR)
    assert isinstance(await try_to_book(world), SlotUnavailable)
    await world.admin(events.delete_blocked_slot, slot_id=slot.slot.id)
    await booked(world)


async def test_one_idempotency_key_ten_times_at_once_is_one_appointment(world: World) -> None:
    await page(world)
    views = await asyncio.gather(*(booked(world) for _ in range(10)))
    assert len({view.id for view in views}) == 1
    assert await confirmed(world) == 1


async def test_one_key_for_two_users_at_once_is_one_appointment_and_one_conflict(world: World) -> None:
    """Two users have two locks: what holds is the call's own row."""
    await page(world)
    await page(world, "bens", user=world.ben)
    for number in range(8):
        asked: dict[str, Any] = {"key": f"key-made-anew-{number:04}", "address": f"192.0.2.{number}"}
        start = NINE + number * HOUR
        both = await asyncio.gather(
            try_to_book(world, start, **asked), try_to_book(world, start, slug="bens", **asked)
        )
        assert {type(answer) for answer in both} == {BookingView, IdempotencyConflict}
    assert await confirmed(world) == 8


# Many at once


async def test_twenty_bookers_of_random_spans_never_overlap_and_each_is_answered(world: World) -> None:
    lengths = (15, 30, 45, 60)
    for length in lengths:
        await page(world, f"page-{length}", duration_minutes=length, step_minutes=15)
    chance = random.Random(7)

    async def one(number: int) -> BookingView | Refusal:
        length = chance.choice(lengths)
        start = NINE + chance.randrange(0, 8 * 4) * 15 * MINUTE
        return await try_to_book(
            world,
            start,
            slug=f"page-{length}",
            key=f"key-made-anew-{number:06}",
            address=f"192.0.2.{number % 250}",
        )

    for round_ in range(5):
        answers = await asyncio.gather(*(one(round_ * 100 + number) for number in range(20)))
        assert {type(answer) for answer in answers} <= {BookingView, SlotUnavailable}
        assert await overlaps(world) == 0
    assert await confirmed(world) > 5


async def test_moves_cancels_and_bookings_at_once_never_overlap(world: World) -> None:
    await page(world, step_minutes=15)
    chance = random.Random(11)
    views = [
        await booked(world, NINE + number * HOUR, key=f"key-made-anew-{number:04}") for number in range(6)
    ]
    admin = key_of(world, role=Role.ADMIN)

    async def one(number: int) -> object:
        view = views[number % 6]
        start = NINE + chance.randrange(0, 7 * 4) * 15 * MINUTE
        if number % 5 == 0:
            return await world.run(admin, booking.cancel_booking, manage_token=view.manage_token, reason=None)
        if number % 5 < 3:
            return await world.run(
                admin,
                booking.reschedule_booking,
                idempotency_key=f"move-made-anew-{number:04}",
                manage_token=view.manage_token,
                start=start,
                hold_token=None,
            )
        return await try_to_book(world, start, key=f"more-made-anew-{number:04}", actor=admin)

    answers = await asyncio.gather(*(one(number) for number in range(40)))
    assert {type(answer) for answer in answers} <= {BookingView, SlotUnavailable, AppointmentNotChangeable}
    assert await overlaps(world) == 0


async def test_a_booking_and_a_block_at_once_never_leave_a_booking_over_an_earlier_block(
    world: World,
) -> None:
    await page(world)
    for number in range(10):
        start = NINE + (number % 8) * HOUR + (number // 8) * DAY
        answer, slot = await asyncio.gather(
            try_to_book(world, start, key=f"key-made-anew-{number:04}"), block(world, start, start + HOUR)
        )
        if isinstance(answer, BookingView):
            # The booking came first: the block found it, and says so.
            stored = await world.admin(appointments.appointment, answer.id)
            assert stored is not None
            assert stored.has_conflict
        assert slot is not None


async def test_the_database_itself_refuses_an_overlap(world: World) -> None:
    """The backstop, should the lock ever fail."""
    first = await created(world, NINE)
    await world.write("UPDATE appointment SET user_id = 'usr_elsewhere' WHERE id = $1", first.id)
    await created(world, NINE, idempotency_key="an-owners-own-key-2")
    with pytest.raises(IntegrityError):
        await world.write("UPDATE appointment SET user_id = $1 WHERE id = $2", world.anna.user, first.id)


async def test_who_meets_the_databases_own_refusal_is_offered_other_starts(world: World) -> None:
    await page(world)
    unseen = await created(world, NINE)
    await world.write("UPDATE appointment SET subaccount_id = 'sub_elsewhere' WHERE id = $1", unseen.id)
    refused = await try_to_book(world, NINE)
    assert isinstance(refused, SlotUnavailable)
    assert refused.next_slots
    view = await booked(world, NINE + HOUR)
    before = await world.position()
    moved = await move(world, view.manage_token, NINE)
    assert isinstance(moved, SlotUnavailable)
    assert moved.next_slots
    assert await world.position() == before


async def test_after_a_long_absence_the_first_starts_that_follow_are_offered(world: World) -> None:
    await page(world)
    await block(world, int(NOW), NINE + 28 * DAY)
    refused = await try_to_book(world, NINE)
    assert isinstance(refused, SlotUnavailable)
    first = NINE + 28 * DAY
    assert [slot.start for slot in refused.next_slots] == [first + n * 30 * MINUTE for n in range(5)]


async def test_what_is_offered_near_the_horizon_is_open(world: World) -> None:
    """Asked for a time far beyond it."""
    await block(world, NINE + 500 * DAY, NINE + 501 * DAY)
    asked: dict[str, Any] = {
        "user_id": world.anna.user,
        "type_id": None,
        "start": NINE + 500 * DAY,
        "end": NINE + 500 * DAY + HOUR,
        "title": None,
        "guest": GUEST,
        "notes": None,
    }

    async def refusal(number: int) -> SlotUnavailable:
        key = f"an-owners-own-key-{number}"
        answer = await world.admin(booking.create_appointment, idempotency_key=key, **asked)
        assert isinstance(answer, SlotUnavailable)
        return answer

    offered = (await refusal(1)).next_slots
    assert len(offered) == 5
    await created(world, offered[-1].start, end=offered[-1].end, idempotency_key="an-owners-own-key-2")
    assert not any(offered[-1].overlaps(slot) for slot in (await refusal(3)).next_slots)


# Looking first


async def test_a_booking_looks_at_icloud_first_where_the_last_look_is_old(world: World) -> None:
    await page(world)
    await connect_fresh(world)
    await booked(world)
    assert world.icloud.polled == []
    world.clock.now += 61
    await booked(world, NINE + HOUR, key="another-key-made-anew")
    assert world.icloud.polled == [world.anna]


async def test_a_look_that_fails_is_enough_while_the_state_is_young_and_not_when_it_is_old(
    world: World,
) -> None:
    await page(world)
    await connect_fresh(world)
    world.icloud.outcome = RefreshOutcome(is_complete=True, changes=0, error=Unreachable())
    world.clock.now += 29 * 60
    await booked(world)
    world.clock.now += 2 * 60
    refused = await try_to_book(world, NINE + HOUR, key="another-key-made-anew")
    assert isinstance(refused, AvailabilityUnknown)
    owners = await world.owner(
        booking.create_appointment,
        idempotency_key="an-owners-own-key-1",
        user_id=world.anna.user,
        type_id=None,
        start=NINE + HOUR,
        end=NINE + 2 * HOUR,
        title=None,
        guest=GUEST,
        notes=None,
    )
    assert isinstance(owners, AvailabilityUnknown)
    assert await confirmed(world) == 1


@pytest.mark.parametrize(
    "unread", ["UPDATE calendar SET last_synced_at = NULL", "UPDATE icloud_account SET expanded_zone = 'UTC'"]
)
async def test_nothing_is_booked_while_a_calendar_was_never_read(world: World, unread: str) -> None:
    await page(world)
    await connect_fresh(world)
    await world.write(unread)
    assert isinstance(await try_to_book(world), AvailabilityUnknown)


async def test_connected_and_nothing_chosen_is_closed_to_guests_without_a_look(world: World) -> None:
    await page(world)
    await world.connect()
    assert isinstance(await try_to_book(world), SlotUnavailable)
    assert world.icloud.polled == []
    await created(world)


async def test_a_retried_call_is_answered_without_a_look(world: World) -> None:
    await page(world)
    await connect_fresh(world)
    view = await booked(world)
    world.clock.now += 3600
    assert (await booked(world)).id == view.id
    assert world.icloud.polled == []


async def test_a_slot_that_the_look_brought_is_seen(world: World) -> None:
    """The poll commits before it answers; what is decided after it reads what it brought."""
    await page(world)
    await connect_fresh(world)
    world.clock.now += 120
    refresh = world.icloud.refresh

    async def bring(user: Any, *, wait: float) -> RefreshOutcome:
        await block(world, NINE, NINE + HOUR)
        return await refresh(user, wait=wait)

    world.icloud.refresh = bring  # type: ignore[method-assign]
    assert isinstance(await try_to_book(world), SlotUnavailable)


async def test_a_removed_users_page_books_nothing(world: World) -> None:
    await page(world)
    await world.admin(people.remove_user, user_id=world.anna.user)
    assert isinstance(await try_to_book(world), NotFound)


async def test_changed_hours_decide_at_once(world: World) -> None:
    await page(world)
    await world.admin(
        hours.set_working_hours, user_id=world.anna.user, weekly=[WeeklyHours(2, 600, 720)], overrides=[]
    )
    refused = await try_to_book(world)
    assert isinstance(refused, SlotUnavailable)
    assert refused.next_slots[0] == Span(NINE + DAY + HOUR, NINE + DAY + HOUR + 30 * MINUTE)
