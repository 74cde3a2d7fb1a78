"""Whether one start can be booked: the one function that every way in goes through, and what to offer instead."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from domain import edges as sweep
from domain.availability import Rules, UserTime, find_starts
from domain.grid import on_grid
from domain.hours import open_hours
from domain.interval import Span
from domain.zones import DAY, day_at

SEARCHES = (14 * DAY, 92 * DAY, 400 * DAY)
"""How far around an asked start others are looked for: further only where nothing is open nearer."""
MOST_OFFERED = 5


class Refusal(StrEnum):
    """Why a start is not open, in the order in which a person should hear of it."""

    UNKNOWN = "UNKNOWN"  # A calendar is stale, was never read, or none was chosen yet.
    TOO_SOON = "TOO_SOON"
    BEYOND_HORIZON = "BEYOND_HORIZON"
    TAKEN = "TAKEN"
    OUTSIDE_WORKING_HOURS = "OUTSIDE_WORKING_HOURS"
    DAY_FULL = "DAY_FULL"
    OFF_GRID = "OFF_GRID"


class CancelledBy(StrEnum):
    GUEST = "GUEST"
    HOST = "HOST"


# Fit for a guest: none tells what takes the time.
_SENTENCES = {
    Refusal.UNKNOWN: "The calendar could not be checked: try again in a few minutes.",
    Refusal.TOO_SOON: "This start is past or too soon: choose a later one.",
    Refusal.BEYOND_HORIZON: "This start is too far ahead to be booked yet: choose an earlier one.",
    Refusal.TAKEN: "This time is taken: choose another start.",
    Refusal.OUTSIDE_WORKING_HOURS: "This time is outside working hours: choose another start.",
    Refusal.DAY_FULL: "No more can be booked on this day: choose another day.",
    Refusal.OFF_GRID: "Nothing starts at this time: choose one of the starts that are offered.",
}


@dataclass(frozen=True, slots=True)
class Open:
    """The start can be booked, over this span."""

    span: Span


@dataclass(frozen=True, slots=True)
class NotOpen:
    refusals: tuple[Refusal, ...]

    @property
    def message(self) -> str:
        return _SENTENCES[self.refusals[0]]


def decide(
    start: int, *, user: UserTime, rules: Rules, now: int, ignore_page_rules: bool = False
) -> Open | NotOpen:
    """The owner's way ignores the page's rules, never the overlap of the span itself with what takes time.

    It does not ask whether the calendars are fresh either: who calls it has looked.
    """
    span = Span(start, start + rules.duration)
    if ignore_page_rules:
        refused = {Refusal.TAKEN} if _is_taken(span, user, now) else set[Refusal]()
    else:
        refused = _refusals(span, user, rules, now)
    return NotOpen(tuple(code for code in Refusal if code in refused)) if refused else Open(span)


def nearest_starts(
    user: UserTime, rules: Rules, *, around: int, now: int, search: int = SEARCHES[0]
) -> list[int]:
    """Open starts near the asked one, soonest first: those at or after it; where none follow, the last before."""
    earliest, latest = now + rules.notice, rules.last_start
    around = max(around, earliest)
    if latest is not None:
        around = min(around, latest + 1)
    after = Span(around, around + search)
    if starts := find_starts([user], rules, within=after, now=now, first=MOST_OFFERED).at:
        return starts
    before = Span(max(around - search, earliest), around)
    return find_starts([user], rules, within=before, now=now).at[-MOST_OFFERED:]


def _refusals(span: Span, user: UserTime, rules: Rules, now: int) -> set[Refusal]:
    widened = Span(span.start - rules.buffer_before, span.end + rules.buffer_after)
    known_until = user.known_until
    beyond_horizon = rules.last_start is not None and span.start > rules.last_start
    beyond_known = known_until is not None and widened.end > known_until
    checks = {
        Refusal.UNKNOWN: user.closed is not None,
        Refusal.TOO_SOON: span.start < now + rules.notice,
        Refusal.BEYOND_HORIZON: beyond_horizon or beyond_known,
        Refusal.TAKEN: _is_taken(widened, user, now) or _is_in_a_buffer(span, user, now),
        Refusal.OUTSIDE_WORKING_HOURS: open_hours(user.hours, user.zone, *span) != [*span],
        Refusal.DAY_FULL: _is_full(span.start, user, rules),
        Refusal.OFF_GRID: not on_grid(span.start, zone=rules.grid_zone, step=rules.step),
    }
    return {code for code, refused in checks.items() if refused}


def _is_taken(span: Span, user: UserTime, now: int) -> bool:
    """Whether it meets a blocked slot, or the own span of an appointment or a hold."""
    if sweep.meets(user.busy.edges, *span):
        return True
    return any(span.overlaps(booked.span) for booked in user.booked(now))


def _is_in_a_buffer(span: Span, user: UserTime, now: int) -> bool:
    return any(span.overlaps(booked.widened(0, 0)) for booked in user.booked(now))


def _is_full(start: int, user: UserTime, rules: Rules) -> bool:
    return (
        rules.maximum_per_day is not None
        and user.counts.get(day_at(start, user.zone), 0) >= rules.maximum_per_day
    )
