"""Why time is closed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from domain.availability import Booked, NothingChosen, Rules, Stale, UserTime
from domain.closed import (
    BlockedTime,
    ClosedSpan,
    Reason,
    ReasonCode,
    Subject,
    SubjectKind,
    why_closed,
)
from domain.hours import DEFAULT_HOURS
from domain.interval import Span
from tests.unit.availability_oracle import ALWAYS, DAY, HOUR, USER, at

MONDAY = at("2026-06-01T00:00Z")
WITHIN = Span(MONDAY, MONDAY + DAY)
FREE = UserTime(user=USER, zone="UTC", hours=ALWAYS)
RULES = Rules(duration=HOUR, step=HOUR)

Told = tuple[float, float, list[str]]


def _span(start: float, end: float) -> Span:
    return Span(MONDAY + int(start * HOUR), MONDAY + int(end * HOUR))


def _text(reason: Reason) -> str:
    return reason.code if reason.subject is None else f"{reason.code} {reason.subject.id}"


def _told(
    user: UserTime,
    *blocked: BlockedTime,
    rules: Rules | None = RULES,
    within: Span = WITHIN,
    now: int = MONDAY,
) -> list[Told]:
    closed = why_closed(user, rules, blocked, within=within, now=now)
    return [
        ((one.span.start - MONDAY) / HOUR, (one.span.end - MONDAY) / HOUR, [_text(r) for r in one.reasons])
        for one in closed
    ]


def test_a_blocked_slot_is_told_with_its_id() -> None:
    slot = BlockedTime(_span(9, 10), "slot")
    reason = Reason(ReasonCode.BLOCKED_SLOT, Subject(SubjectKind.BLOCKED_SLOT, "slot"))
    assert why_closed(FREE, RULES, [slot], within=WITHIN, now=MONDAY) == [ClosedSpan(slot.span, (reason,))]


def test_free_time_is_not_told() -> None:
    assert _told(FREE) == []


def test_slots_that_overlap_are_told_apart_and_together() -> None:
    assert _told(FREE, BlockedTime(_span(9, 11), "A"), BlockedTime(_span(10, 12), "B")) == [
        (9, 10, ["BLOCKED_SLOT A"]),
        (10, 11, ["BLOCKED_SLOT A", "BLOCKED_SLOT B"]),
        (11, 12, ["BLOCKED_SLOT B"]),
    ]


def test_touching_slots_stay_two_spans() -> None:
    told = _told(FREE, BlockedTime(_span(9, 10), "A"), BlockedTime(_span(10, 11), "B"))
    assert told == [(9, 10, ["BLOCKED_SLOT A"]), (10, 11, ["BLOCKED_SLOT B"])]


def test_a_buffer_names_what_it_is_kept_from() -> None:
    rules = replace(RULES, buffer_before=HOUR, buffer_after=2 * HOUR)
    assert _told(FREE, BlockedTime(_span(9, 10), "A"), rules=rules) == [
        (7, 9, ["BUFFER A"]),
        (9, 10, ["BLOCKED_SLOT A"]),
        (10, 11, ["BUFFER A"]),
    ]


def test_an_appointment_keeps_the_buffers_it_was_booked_with() -> None:
    user = replace(FREE, appointments=(Booked(_span(9, 10), HOUR, 2 * HOUR, "A"),))
    assert _told(user, rules=None) == [
        (8, 9, ["BUFFER A"]),
        (9, 10, ["APPOINTMENT A"]),
        (10, 12, ["BUFFER A"]),
    ]


def test_a_hold_is_told_without_its_id_and_two_that_touch_are_one() -> None:
    held = (Booked(_span(9, 10), id="A", until=MONDAY + 1), Booked(_span(10, 11), id="B", until=MONDAY + 1))
    user = replace(FREE, holds=held)
    assert _told(user) == [(9, 11, ["HOLD"])]
    assert _told(user, now=MONDAY + 1, within=_span(8, 12)) == []


def test_hours_are_told_beside_what_blocks() -> None:
    user = replace(FREE, hours=DEFAULT_HOURS)
    assert _told(user, BlockedTime(_span(16, 18), "A")) == [
        (0, 9, ["OUTSIDE_WORKING_HOURS"]),
        (16, 17, ["BLOCKED_SLOT A"]),
        (17, 18, ["BLOCKED_SLOT A", "OUTSIDE_WORKING_HOURS"]),
        (18, 24, ["OUTSIDE_WORKING_HOURS"]),
    ]


def test_notice_and_horizon_close_the_ends() -> None:
    rules = replace(RULES, notice=HOUR, last_start=MONDAY + 20 * HOUR - 1)
    assert _told(FREE, rules=rules) == [(0, 1, ["MINIMUM_NOTICE"]), (20, 24, ["BEYOND_HORIZON"])]


def test_the_past_is_closed_without_any_rules() -> None:
    assert _told(FREE, rules=None, now=MONDAY + HOUR) == [(0, 1, ["MINIMUM_NOTICE"])]


def test_what_is_not_known_yet_is_beyond_the_horizon_once() -> None:
    user = replace(FREE, known_until=MONDAY + 22 * HOUR)
    rules = replace(RULES, last_start=MONDAY + 23 * HOUR - 1, buffer_after=HOUR)
    assert _told(user, rules=rules) == [(21, 24, ["BEYOND_HORIZON"])]


def test_a_full_day_is_told_by_the_users_zone() -> None:
    user = replace(FREE, zone="Asia/Tokyo", counts={date(2026, 6, 1).toordinal(): 1})
    assert _told(user, rules=replace(RULES, maximum_per_day=1)) == [(0, 15, ["MAXIMUM_PER_DAY"])]
    assert _told(user, rules=None) == []


def test_stale_calendars_are_named_over_all_that_is_asked() -> None:
    told = _told(replace(FREE, closed=Stale(("work", "home"))), BlockedTime(_span(9, 10), "A"))
    stale = ["STALE_CALENDAR work", "STALE_CALENDAR home"]
    assert told == [(0, 9, stale), (9, 10, ["BLOCKED_SLOT A", *stale]), (10, 24, stale)]


def test_a_user_closed_without_a_named_calendar_is_still_told() -> None:
    assert _told(replace(FREE, closed=Stale())) == [(0, 24, ["STALE_CALENDAR"])]
    assert _told(replace(FREE, closed=NothingChosen())) == [(0, 24, ["NO_CALENDARS_CHOSEN"])]


def test_spans_are_clipped_to_what_is_asked() -> None:
    told = _told(FREE, BlockedTime(_span(-5, 30), "A"), BlockedTime(_span(24, 30), "B"))
    assert told == [(0, 24, ["BLOCKED_SLOT A"])]
