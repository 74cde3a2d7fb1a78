"""Availability: who may ask what, what comes out, how old it may be, and why the rest is closed."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from domain.actor import Actor, Role, UserRef
from domain.availability import Match
from domain.changes import ChangeKind
from domain.interval import Span
from models.bell import SYNC
from models.blocked import BlockedSlot
from models.changelog import changing
from resolvers import booking, calendars, events, people, types
from resolvers.availability import AvailabilityQuestion, StalePolicy, availability, closed_spans
from resolvers.context import Context
from resolvers.cursors import read_cursor
from resolvers.outcomes import Forbidden, InvalidInput, NotFound, RateLimited, Refusal, SlotUnavailable
from resolvers.timelines import Timelines
from resolvers.views import AvailabilityView
from sync.service import RefreshOutcome
from tests.integration.pages import (
    DAY,
    HOUR,
    MINUTE,
    NINE,
    SLUG,
    block,
    booked,
    created,
    held,
    key_of,
    page,
    try_to_book,
)
from tests.integration.test_keys import NO_WRITES, read_only
from tests.integration.world import NOW, World

EVENING = NINE + 8 * HOUR


async def ask(
    world: World, *, actor: Actor | None = None, address: str = "192.0.2.1", **given: Any
) -> AvailabilityView | Refusal:
    """Tuesday's working hours of Anna's page, as a guest, unless asked otherwise."""
    asked = {"from_": NINE, "to": EVENING, **given}
    if "booking_page" not in asked and "user_ids" not in asked:
        asked["booking_page"] = SLUG
    context = Context(world.services, actor or key_of(world), address=address)
    try:
        return await availability(context, AvailabilityQuestion(**asked))
    finally:
        await context.close()


async def answered(world: World, **given: Any) -> AvailabilityView:
    view = await ask(world, **given)
    assert isinstance(view, AvailabilityView), view
    return view


def admin(world: World) -> Actor:
    return key_of(world, role=Role.ADMIN)


def starts(view: AvailabilityView) -> list[int]:
    """In minutes after nine."""
    return [(start.start - NINE) // 60 for start in view.starts]


async def connect(world: World, *, read_at: float | None, user: UserRef | None = None) -> None:
    """Home is read, as of a moment or never."""
    user = user or world.anna
    await world.connect(user)
    home = (await world.calendars(user))["Home"]
    await world.admin(calendars.set_conflict, user_id=user.user, calendar_ids=[home.id])
    await read(world, at=read_at, user=user)


async def read(world: World, *, at: float | None, user: UserRef | None = None) -> None:
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


# What comes out


async def test_a_guest_sees_windows_and_starts_and_nobodys_name(world: World) -> None:
    await page(world, duration_minutes=60)
    await block(world, NINE + HOUR, NINE + 90 * MINUTE)
    view = await answered(world)
    assert view.windows == (Span(NINE, NINE + HOUR), Span(NINE + 90 * MINUTE, EVENING))
    assert starts(view) == [0, 120, 180, 240, 300, 360, 420]
    assert {start.user_ids for start in view.starts} == {None}
    assert view.cursors == ()
    assert (view.freshness.as_of, view.freshness.is_fresh, view.freshness.applied) == (None, True, None)


async def test_the_cursor_is_the_logs_position_in_the_answers_own_snapshot(world: World) -> None:
    await block(world, NINE, NINE + HOUR)
    view = await answered(world, actor=admin(world), user_ids=(world.anna.user, world.ben.user))
    cursors = dict(view.cursors)
    assert list(cursors) == [world.anna.user, world.ben.user]
    assert read_cursor(cursors[world.anna.user], epoch="e1", user=world.anna) == await world.position()
    assert view.starts[0].user_ids == (world.anna.user, world.ben.user)


async def test_everyone_must_be_free_or_anyone(world: World) -> None:
    await block(world, NINE, NINE + 4 * HOUR)
    await block(world, NINE + 5 * HOUR, EVENING, user=world.ben)
    both: dict[str, Any] = {"actor": admin(world), "user_ids": (world.anna.user, world.ben.user)}
    everyone = await answered(world, **both)
    assert everyone.windows == (Span(NINE + 4 * HOUR, NINE + 5 * HOUR),)
    anyone = await answered(world, **both, match=Match.ANYONE)
    assert anyone.windows == (Span(NINE, EVENING),)
    assert anyone.starts[0].user_ids == (world.ben.user,)
    assert anyone.starts[-1].user_ids == (world.anna.user,)


async def test_appointments_and_live_holds_close_time_and_ones_own_do_not(world: World) -> None:
    await page(world)
    view = await booked(world)
    hold = await held(world, NINE + HOUR)
    assert starts(await answered(world, first_slots=3)) == [30, 90, 120]
    own = await answered(world, first_slots=3, manage_token=view.manage_token, hold_token=hold.token)
    assert starts(own) == [0, 30, 60]
    by_id = await answered(world, actor=admin(world), first_slots=2, appointment_id=view.id)
    assert starts(by_id) == [0, 30]
    world.clock.now += 300
    assert starts(await answered(world, first_slots=3)) == [30, 60, 90]


async def test_a_reschedule_is_offered_starts_of_its_own_length(world: World) -> None:
    made = await page(world)
    view = await booked(world)
    await world.admin(types.update_type, type_id=made.id, duration_minutes=60, step_minutes=60)
    found = await answered(world, manage_token=view.manage_token)
    assert found.starts[0].end - found.starts[0].start == 30 * MINUTE


async def test_a_type_brings_its_rules_and_the_input_overrides_them(world: World) -> None:
    made = await page(world, duration_minutes=60, step_minutes=30, buffer_after_minutes=30)
    asked: dict[str, Any] = {
        "actor": admin(world),
        "user_ids": (world.anna.user,),
        "appointment_type_id": made.id,
        "first_slots": 3,
    }
    await block(world, NINE + 90 * MINUTE, NINE + 2 * HOUR)
    assert starts(await answered(world, **asked)) == [0, 120, 150]
    assert starts(await answered(world, **asked, buffer_after_minutes=0)) == [0, 30, 120]
    assert starts(await answered(world, **asked, step_minutes=60)) == [0, 120, 180]
    assert starts(await answered(world, **asked, duration_minutes=30)) == [0, 30, 120]


async def test_without_a_type_it_is_half_an_hour_or_the_length_given(world: World) -> None:
    asked: dict[str, Any] = {"actor": admin(world), "user_ids": (world.anna.user,), "first_slots": 2}
    assert starts(await answered(world, **asked)) == [0, 30]
    assert starts(await answered(world, **asked, duration_minutes=45)) == [0, 45]
    assert starts(await answered(world, **asked, grid_time_zone="Asia/Kathmandu")) == [15, 45]


async def test_a_full_day_has_no_starts(world: World) -> None:
    await page(world, maximum_per_day=1)
    await booked(world)
    assert (await answered(world)).windows == ()
    assert starts(await answered(world, from_=NINE + DAY, to=EVENING + DAY, first_slots=1)) == [24 * 60]


async def test_what_changes_is_seen_by_the_next_question(world: World) -> None:
    await page(world)
    assert len((await answered(world)).starts) == 16
    slot = await block(world, NINE, EVENING)
    assert (await answered(world)).starts == ()
    await world.admin(events.delete_blocked_slot, slot_id=slot.slot.id)
    assert len((await answered(world)).starts) == 16


# Who may ask what


@pytest.mark.parametrize(
    "given",
    [
        {"user_ids": ("usr_1",)},
        {"match": Match.ANYONE},
        {"appointment_type_id": "typ_1"},
        {"duration_minutes": 15},
        {"step_minutes": 15},
        {"buffer_before_minutes": 0},
        {"minimum_notice_minutes": 0},
        {"grid_time_zone": "Europe/Paris"},
        {"appointment_id": "apt_1"},
        {"max_staleness_seconds": 60},
        {"on_stale": StalePolicy.SERVE_LAST_KNOWN},
    ],
)
async def test_a_guest_may_ask_nothing_but_the_page(world: World, given: dict[str, Any]) -> None:
    await page(world)
    assert isinstance(await ask(world, **{"booking_page": SLUG, **given}), Forbidden)
    # The defaults of the input are no question of their own.
    await answered(world, match=Match.EVERYONE, on_stale=StalePolicy.CLOSE)


async def test_an_owner_asks_about_itself_and_is_a_guest_on_others_pages(world: World) -> None:
    await page(world, "bens", user=world.ben)
    anna = key_of(world, role=Role.OWNER, user=world.anna)
    assert (await answered(world, actor=anna, user_ids=(world.anna.user,))).cursors
    assert isinstance(await ask(world, actor=anna, user_ids=(world.ben.user,)), NotFound)
    view = await answered(world, actor=anna, booking_page="bens")
    assert (view.cursors, view.starts[0].user_ids) == ((), None)
    assert isinstance(await ask(world, actor=anna, booking_page="bens", duration_minutes=15), Forbidden)


async def test_what_another_subaccount_has_is_not_found(world: World) -> None:
    made = await page(world)
    view = await booked(world)
    other, otto = await world.other_subaccount()
    assert isinstance(await ask(world, actor=other), NotFound)
    assert isinstance(await ask(world, actor=other, user_ids=(world.anna.user,)), NotFound)
    mine: dict[str, Any] = {"actor": other, "user_ids": (otto.user,)}
    assert isinstance(await ask(world, **mine, appointment_type_id=made.id), NotFound)
    assert isinstance(await ask(world, **mine, appointment_id=view.id), NotFound)
    assert isinstance(await ask(world, **mine, manage_token=view.manage_token), NotFound)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"user_ids": None, "booking_page": None}, "bookingPage"),
        ({"booking_page": SLUG}, "bookingPage"),
        ({"user_ids": ()}, "userIds"),
        ({"user_ids": tuple(f"usr_{number}" for number in range(21))}, "userIds"),
        ({"user_ids": ("usr_1", "usr_1")}, "userIds.1"),
        ({"to": NINE}, "to"),
        ({"to": NINE + 92 * DAY + 1}, "to"),
        ({"duration_minutes": 0}, "durationMinutes"),
        ({"step_minutes": 0}, "stepMinutes"),
        ({"buffer_after_minutes": -1}, "bufferAfterMinutes"),
        ({"first_slots": 0}, "firstSlots"),
        ({"first_slots": 1001}, "firstSlots"),
        ({"max_staleness_seconds": 0}, "maxStalenessSeconds"),
        ({"grid_time_zone": "Mars/Olympus"}, "gridTimeZone"),
        ({"appointment_id": "apt_1", "manage_token": "t"}, "appointmentId"),
        ({"user_ids": None, "booking_page": SLUG, "appointment_type_id": "typ_1"}, "appointmentTypeId"),
    ],
)
async def test_what_is_asked_wrong_is_named(world: World, given: dict[str, Any], field: str) -> None:
    asked: dict[str, Any] = {"user_ids": (world.anna.user,), "booking_page": None, **given}
    refused = await ask(world, actor=admin(world), **asked)
    assert isinstance(refused, InvalidInput)
    assert refused.field == field


async def test_a_guests_address_asks_sixty_times_a_minute(world: World) -> None:
    await page(world)
    for _ in range(60):
        await answered(world, first_slots=1)
    refused = await ask(world)
    assert isinstance(refused, RateLimited)
    assert refused.retry_at == pytest.approx(NOW + 1)
    await answered(world, address="192.0.2.2")
    await answered(world, actor=admin(world))


# How old it may be


async def test_the_oldest_calendar_is_what_the_answer_rests_on(world: World) -> None:
    await page(world)
    await connect(world, read_at=NOW - 60)
    view = await answered(world)
    assert (view.freshness.as_of, view.freshness.is_fresh) == (NOW - 60, True)


async def test_a_state_older_than_the_limit_closes_unless_it_is_asked_for(world: World) -> None:
    await page(world)
    await connect(world, read_at=NOW - 31 * 60)
    closed = await answered(world)
    assert (closed.windows, closed.starts) == ((), ())
    assert (closed.freshness.is_fresh, closed.freshness.applied) == (False, "CLOSE")
    served = await answered(world, actor=admin(world), on_stale=StalePolicy.SERVE_LAST_KNOWN)
    assert served.windows
    assert (served.freshness.is_fresh, served.freshness.applied) == (False, "SERVE_LAST_KNOWN")
    allowed = await answered(world, actor=admin(world), max_staleness_seconds=3600)
    assert allowed.windows
    assert allowed.freshness.is_fresh
    strict = await answered(world, actor=admin(world), max_staleness_seconds=1)
    assert not strict.freshness.is_fresh


async def test_a_refresh_polls_where_it_is_too_old_and_answers_from_what_that_brought(world: World) -> None:
    await page(world)
    await connect(world, read_at=NOW - 31 * 60)
    asked: dict[str, Any] = {"actor": admin(world), "on_stale": StalePolicy.REFRESH}
    failed = await answered(world, **asked)
    assert (failed.windows, failed.freshness.applied) == ((), "CLOSE")
    refresh = world.icloud.refresh

    async def bring(user: UserRef, *, wait: float) -> RefreshOutcome:
        await block(world, NINE, NINE + HOUR)
        await read(world, at=NOW)
        return await refresh(user, wait=wait)

    world.icloud.refresh = bring  # type: ignore[method-assign]
    found = await answered(world, **asked, max_staleness_seconds=1)
    assert found.windows[0].start == NINE + HOUR
    assert (found.freshness.as_of, found.freshness.applied) == (NOW, "REFRESH")
    polled = len(world.icloud.polled)
    assert (await answered(world, **asked)).freshness.applied is None
    assert len(world.icloud.polled) == polled


@pytest.mark.parametrize(
    "unread",
    [
        "UPDATE calendar SET last_synced_at = NULL WHERE is_conflict",
        "UPDATE icloud_account SET expanded_zone = 'UTC'",
    ],
)
async def test_a_calendar_never_read_closes_whatever_is_asked_for(world: World, unread: str) -> None:
    await page(world)
    await connect(world, read_at=NOW)
    await world.write(unread)
    view = await answered(world, actor=admin(world), on_stale=StalePolicy.SERVE_LAST_KNOWN)
    assert (view.windows, view.freshness.is_fresh, view.freshness.applied) == ((), False, "CLOSE")


async def test_a_calendar_that_is_gone_closes_nothing(world: World) -> None:
    await page(world)
    await connect(world, read_at=NOW)
    await world.write("UPDATE calendar SET is_gone = $1, last_synced_at = NULL WHERE is_conflict", True)
    assert (await answered(world)).windows


async def test_connected_and_nothing_chosen_is_closed(world: World) -> None:
    await page(world)
    await world.connect()
    view = await answered(world)
    assert (view.windows, view.freshness.as_of, view.freshness.is_fresh) == ((), None, True)


async def test_one_stale_user_of_many_closes_its_own_time_alone(world: World) -> None:
    await connect(world, read_at=NOW - 3600)
    asked: dict[str, Any] = {"actor": admin(world), "user_ids": (world.anna.user, world.ben.user)}
    assert (await answered(world, **asked)).windows == ()
    anyone = await answered(world, **asked, match=Match.ANYONE)
    assert {start.user_ids for start in anyone.starts} == {(world.ben.user,)}
    assert not anyone.freshness.is_fresh


async def test_what_lies_beyond_the_expanded_horizon_is_closed_until_it_is_rolled(world: World) -> None:
    """The roll has no row in the log: the merged timeline in memory must not outlive it."""
    await page(world)
    await connect(world, read_at=NOW)
    await world.write("UPDATE icloud_account SET expanded_until = $1", NINE + HOUR)
    assert (await answered(world)).windows == (Span(NINE, NINE + HOUR),)
    slot = await block(world, NINE + 2 * HOUR, NINE + 3 * HOUR)
    position = await world.position()
    await answered(world)
    await world.write("UPDATE icloud_account SET expanded_until = $1", NINE + 4 * HOUR)
    await world.write("UPDATE blocked_slot SET ends = $1 WHERE id = $2", NINE + 4 * HOUR, slot.slot.id)
    assert await world.position() == position
    assert (await answered(world)).windows == (Span(NINE, NINE + 2 * HOUR),)


# Why it is closed


async def test_closed_spans_cover_all_that_is_not_free(world: World) -> None:
    made = await page(world, buffer_after_minutes=15, minimum_notice_minutes=60, horizon_days=2)
    slot = await block(world, NINE + HOUR, NINE + 2 * HOUR)
    appointment = await created(world, NINE + 3 * HOUR)
    await held(world, NINE + 5 * HOUR)
    asked = {"from_": int(NOW) - HOUR, "to": NINE + 4 * DAY}
    found = await world.owner(closed_spans, world.anna, **asked, type_id=made.id)
    assert isinstance(found, tuple)
    view = await answered(world, **asked)
    pieces = sorted([*view.windows, *(closed.span for closed in found)])
    assert [piece.start for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]
    assert (pieces[0].start, pieces[-1].end) == (asked["from_"], asked["to"])
    reasons = {reason.code: reason for closed in found for reason in closed.reasons}
    assert set(reasons) == {
        "BLOCKED_SLOT",
        "APPOINTMENT",
        "HOLD",
        "BUFFER",
        "OUTSIDE_WORKING_HOURS",
        "MINIMUM_NOTICE",
        "BEYOND_HORIZON",
    }
    assert reasons["BLOCKED_SLOT"].slot == slot
    assert reasons["APPOINTMENT"].appointment == appointment


async def test_a_stale_calendar_is_named_as_the_reason(world: World) -> None:
    await connect(world, read_at=NOW - 3600)
    found = await world.owner(closed_spans, world.anna, from_=NINE, to=EVENING, type_id=None)
    assert isinstance(found, tuple)
    [closed] = found
    [reason] = closed.reasons
    assert reason.code == "STALE_CALENDAR"
    assert reason.calendar is not None
    assert reason.calendar.name == "Home"


@pytest.mark.parametrize(
    ("given", "field"),
    [({"to": NINE}, "to"), ({"to": NINE + 93 * DAY}, "to"), ({"type_id": "typ_1"}, "appointmentTypeId")],
)
async def test_a_range_or_a_type_asked_wrong_is_named(
    world: World, given: dict[str, Any], field: str
) -> None:
    asked: dict[str, Any] = {"from_": NINE, "to": EVENING, "type_id": None, **given}
    refused = await world.owner(closed_spans, world.anna, **asked)
    assert isinstance(refused, InvalidInput)
    assert refused.field == field


# Who is looked at


async def watched(world: World) -> tuple[float | None, float | None]:
    [row] = await world.rows("SELECT watched_until, next_poll_at FROM icloud_account")
    return row["watched_until"], row["next_poll_at"]


async def test_a_question_makes_the_account_a_watched_one_and_its_poll_come_sooner(world: World) -> None:
    await page(world)
    await connect(world, read_at=NOW - 5)
    await world.write(
        "UPDATE icloud_account SET watched_until = NULL, next_poll_at = $1, last_polled_at = $2",
        NOW + 50,
        NOW - 5,
    )
    with world.services.bell.listen(SYNC) as rung:
        await answered(world)
        assert rung.is_set()
    assert await watched(world) == (NOW + 60, NOW + 10)


async def test_it_is_said_again_after_half_a_minute_and_not_before(world: World) -> None:
    await page(world)
    await connect(world, read_at=NOW)
    await answered(world)
    world.clock.now += 29
    await answered(world)
    assert (await watched(world))[0] == NOW + 60
    world.clock.now += 1
    await answered(world)
    assert (await watched(world))[0] == NOW + 90


@pytest.mark.parametrize("error", NO_WRITES, ids=lambda error: type(error).__name__)
async def test_who_looks_is_answered_though_it_cannot_be_noted(world: World, error: Exception) -> None:
    await connect(world, read_at=NOW)
    await world.write("UPDATE icloud_account SET watched_until = NULL")
    services = world.services
    await services.watches.watch(
        [world.anna],
        database=read_only(world, error),
        bell=services.bell,
        settings=services.settings,
        now=NOW,
    )
    assert (await watched(world))[0] is None


async def test_an_account_that_fails_or_is_not_polled_keeps_its_own_pace(world: World) -> None:
    await page(world)
    await connect(world, read_at=NOW)
    await world.write("UPDATE icloud_account SET next_poll_at = $1, failures = 2", NOW + 1800)
    await answered(world)
    assert (await watched(world))[1] == NOW + 1800
    world.clock.now += 120
    await world.write("UPDATE icloud_account SET next_poll_at = NULL, failures = 0")
    await answered(world)
    assert (await watched(world))[1] is None


# What is kept in memory


async def test_timelines_keep_no_more_than_they_may(world: World) -> None:
    timelines = Timelines(most_edges=2)
    await block(world, NINE, NINE + HOUR)
    await block(world, NINE, NINE + HOUR, user=world.ben)
    async with world.services.database.reading() as db:
        for user in (world.anna, world.ben):
            assert list((await timelines.busy(db, user, 1)).edges) == [NINE, NINE + HOUR]
    assert list(timelines._kept) == [world.ben]


async def test_an_older_snapshot_does_not_take_the_place_of_a_newer_one(world: World) -> None:
    timelines = Timelines()
    async with world.services.database.reading() as old:
        assert await world.position() == 0
        await world.rows("SELECT 1")
        assert list((await timelines.busy(old, world.anna, 0)).edges) == []
        await block(world, NINE, NINE + HOUR)
        async with world.services.database.reading() as new:
            assert len((await timelines.busy(new, world.anna, 1)).edges) == 2
        assert list((await timelines.busy(old, world.anna, 0)).edges) == []
    assert timelines._kept[world.anna].position == 1


async def test_after_a_change_only_the_time_that_it_touched_is_read_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    timelines = Timelines()
    await block(world, NINE, NINE + 4 * HOUR)
    gone = await block(world, NINE + 2 * HOUR, NINE + 6 * HOUR)
    async with world.services.database.reading() as db:
        await timelines.busy(db, world.anna, 2)
    await world.admin(events.delete_blocked_slot, slot_id=gone.slot.id)
    await block(world, NINE + 5 * HOUR, NINE + 7 * HOUR)
    async with world.services.database.reading() as db:
        with caplog.at_level(logging.DEBUG, "tortoise.db_client"):
            found = await timelines.busy(db, world.anna, 4)
        anew = await Timelines().busy(db, world.anna, 4)
    assert list(found.edges) == [NINE, NINE + 4 * HOUR, NINE + 5 * HOUR, NINE + 7 * HOUR]
    assert list(anew.edges) == list(found.edges)
    reads = [record.getMessage() for record in caplog.records if "blocked_slot" in record.getMessage()]
    assert reads
    assert all("starts <" in read for read in reads)


@pytest.mark.parametrize("kind", [ChangeKind.SLOTS_RESET, ChangeKind.ACCOUNT, ChangeKind.ERASED])
async def test_after_what_tells_no_slots_all_are_read_again(world: World, kind: ChangeKind) -> None:
    timelines = Timelines()
    await block(world, NINE, NINE + HOUR)
    async with world.services.database.reading() as db:
        await timelines.busy(db, world.anna, 1)
    async with changing(world.services.database, world.services.bell, world.anna, now=NOW) as ledger:
        await BlockedSlot.all().using_db(ledger.db).delete()
        ledger.note(kind)
    async with world.services.database.reading() as db:
        assert not (await timelines.busy(db, world.anna, 2)).edges


async def test_where_the_log_was_cut_all_slots_are_read_again(world: World) -> None:
    timelines = Timelines()
    await block(world, NINE, NINE + HOUR)
    async with world.services.database.reading() as db:
        await timelines.busy(db, world.anna, 1)
    for hour in (2, 4):
        await block(world, NINE + hour * HOUR, NINE + (hour + 1) * HOUR)
    await world.write('DELETE FROM "change" WHERE seq = 2')
    async with world.services.database.reading() as db:
        assert len((await timelines.busy(db, world.anna, 3)).edges) == 6


async def test_a_removed_user_is_not_found(world: World) -> None:
    await world.admin(people.remove_user, user_id=world.anna.user)
    assert isinstance(await ask(world, actor=admin(world), user_ids=(world.anna.user,)), NotFound)


async def test_the_guests_way_and_the_answer_agree(world: World) -> None:
    """Each start that is offered can be booked; none that is not."""
    await page(world, duration_minutes=60, step_minutes=30, buffer_before_minutes=15)
    await block(world, NINE + HOUR, NINE + 2 * HOUR)
    offered = {start.start for start in (await answered(world)).starts}
    for place in range(17):
        start = NINE + place * 30 * MINUTE
        hold = await world.run(
            admin(world), booking.hold, page_slug=SLUG, start=start, replaces=None, manage_token=None
        )
        assert isinstance(hold, Refusal) == (start not in offered), place
        if not isinstance(hold, Refusal):
            await world.run(admin(world), booking.release, token=hold.token)


# Nothing chosen, and an empty choice


@pytest.mark.parametrize("status", ["NEEDS_CALENDARS", "NEEDS_NEW_PASSWORD", "UNREACHABLE"])
async def test_where_nothing_was_chosen_all_is_closed_however_the_account_fares(
    world: World, status: str
) -> None:
    await page(world)
    await world.connect()
    await world.write("UPDATE icloud_account SET status = $1", status)
    view = await answered(world)
    assert (view.windows, view.starts) == ((), ())
    spans = await world.owner(closed_spans, world.anna, from_=NINE, to=NINE + HOUR, type_id=None)
    assert isinstance(spans, tuple)
    assert [[reason.code for reason in span.reasons] for span in spans] == [["NO_CALENDARS_CHOSEN"]]
    assert isinstance(await try_to_book(world), SlotUnavailable)


@pytest.mark.parametrize("status", ["SYNCING", "CONNECTED", "NEEDS_NEW_PASSWORD", "UNREACHABLE"])
async def test_an_empty_choice_opens_time_by_hours_however_the_account_fares(
    world: World, status: str
) -> None:
    await page(world)
    await world.connect()
    await world.admin(calendars.set_conflict, user_id=world.anna.user, calendar_ids=[])
    await world.write("UPDATE icloud_account SET status = $1", status)
    assert (await answered(world)).windows == (Span(NINE, EVENING),)
    await booked(world)
