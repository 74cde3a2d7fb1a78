"""A calendar as iCloud lists it, and what it can be chosen for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CalendarKind(StrEnum):
    EVENTS = "EVENTS"
    SUBSCRIPTION = "SUBSCRIPTION"
    REMINDERS = "REMINDERS"


class NotSelectableReason(StrEnum):
    READ_ONLY = "READ_ONLY"
    SUBSCRIPTION = "SUBSCRIPTION"
    HOLDS_NO_EVENTS = "HOLDS_NO_EVENTS"
    GONE = "GONE"


@dataclass(frozen=True, slots=True)
class ListedCalendar:
    """One calendar of the home listing. `path` is its identity, as received; `token` changes with its content."""

    path: str
    name: str
    color: str | None
    kind: CalendarKind
    can_write: bool
    token: str | None


def why_not_conflict(kind: CalendarKind, *, is_gone: bool) -> NotSelectableReason | None:
    """Why it can't be a conflict calendar; None where it can."""
    if is_gone:
        return NotSelectableReason.GONE
    match kind:
        case CalendarKind.SUBSCRIPTION:
            return NotSelectableReason.SUBSCRIPTION
        case CalendarKind.REMINDERS:
            return NotSelectableReason.HOLDS_NO_EVENTS
        case CalendarKind.EVENTS:
            return None


def why_not_linked(kind: CalendarKind, *, can_write: bool, is_gone: bool) -> NotSelectableReason | None:
    """Why it can't be the linked calendar; None where it can."""
    reason = why_not_conflict(kind, is_gone=is_gone)
    return reason or (None if can_write else NotSelectableReason.READ_ONLY)
