"""What of an event's time blocks bookings: its facts, the calendar's policy, and the decision."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from domain.interval import Span


class BusyRule(StrEnum):
    BLOCK = "BLOCK"
    IGNORE = "IGNORE"


class ShowAs(StrEnum):
    BUSY = "BUSY"
    FREE = "FREE"


class EventStatus(StrEnum):
    CONFIRMED = "CONFIRMED"
    TENTATIVE = "TENTATIVE"
    CANCELLED = "CANCELLED"


class Participation(StrEnum):
    """The owner's own answer to an invitation."""

    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    TENTATIVE = "TENTATIVE"
    NEEDS_ACTION = "NEEDS_ACTION"


class EventProblemCode(StrEnum):
    """What was wrong with an event that could not be read as it was meant."""

    UNREADABLE = "UNREADABLE"
    BAD_RECURRENCE = "BAD_RECURRENCE"
    UNKNOWN_TIME_ZONE = "UNKNOWN_TIME_ZONE"
    TOO_MANY_OCCURRENCES = "TOO_MANY_OCCURRENCES"


@dataclass(frozen=True, slots=True)
class BusyPolicy:
    """What counts as busy in one calendar. FREE timed events and cancelled ones never do."""

    declined: BusyRule = BusyRule.IGNORE
    unanswered: BusyRule = BusyRule.BLOCK
    tentative: BusyRule = BusyRule.BLOCK
    all_day_busy: BusyRule = BusyRule.BLOCK
    all_day_free: BusyRule = BusyRule.IGNORE
    travel_time: BusyRule = BusyRule.BLOCK


class Occurrence(NamedTuple):
    """One date of an event, with every fact that a policy may ask for. A tuple: hundreds are made of one series."""

    uid: str
    key: str
    """The original start as in RECURRENCE-ID: `20261101`, `20261101T090000Z`, or floating
    `20261101T090000`. Stays when the occurrence is moved and when the owner's zone changes."""
    start: int
    end: int
    busy: Span
    """The widest time that it blocks, before travel. Wider than start to end where the clocks go
    back or the zone is unknown; empty where it blocks nothing."""
    is_all_day: bool
    start_date: str | None
    end_date: str | None
    """ISO dates, for all-day events alone; the end is exclusive."""
    title: str
    is_recurring: bool
    show_as: ShowAs
    status: EventStatus
    participation: Participation | None
    travel_before: int
    travel_after: int


def blocked_span(occurrence: Occurrence, policy: BusyPolicy) -> Span | None:
    """The time that this occurrence closes under this policy, travel included."""
    if not _counts(occurrence, policy):
        return None
    span, before, after = occurrence.busy, occurrence.travel_before, occurrence.travel_after
    if (before or after) and policy.travel_time is BusyRule.BLOCK:
        span = Span(span.start - before, span.end + after)
    return None if span.end <= span.start else span


def _counts(occurrence: Occurrence, policy: BusyPolicy) -> bool:
    """Of all the policy's rules that it falls under, one IGNORE is enough to open it."""
    status, participation = occurrence.status, occurrence.participation
    is_free = occurrence.show_as is ShowAs.FREE
    if occurrence.is_all_day:
        is_opened = (policy.all_day_free if is_free else policy.all_day_busy) is BusyRule.IGNORE
    else:
        is_opened = is_free
    if is_opened or status is EventStatus.CANCELLED:
        return False
    if participation is not None and _answer_rule(participation, policy) is BusyRule.IGNORE:
        return False
    return status is not EventStatus.TENTATIVE or policy.tentative is BusyRule.BLOCK


def _answer_rule(participation: Participation, policy: BusyPolicy) -> BusyRule:
    match participation:
        case Participation.DECLINED:
            return policy.declined
        case Participation.NEEDS_ACTION:
            return policy.unanswered
        case Participation.TENTATIVE:
            return policy.tentative
        case Participation.ACCEPTED:
            return BusyRule.BLOCK
