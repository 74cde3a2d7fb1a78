"""What can happen to a user's time: the kinds of the change log's rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ChangeKind(StrEnum):
    SLOT_ADDED = "slot.added"
    SLOT_CHANGED = "slot.changed"
    SLOT_REMOVED = "slot.removed"
    SLOTS_RESET = "slots.reset"
    APPOINTMENT_BOOKED = "appointment.booked"
    APPOINTMENT_RESCHEDULED = "appointment.rescheduled"
    APPOINTMENT_CANCELLED = "appointment.cancelled"
    APPOINTMENT_WRITTEN = "appointment.written"
    CONFLICT_DETECTED = "appointment.conflict"
    CONFLICT_RESOLVED = "appointment.resolved"
    HOLD_MADE = "hold.made"
    HOLD_ENDED = "hold.ended"
    HOURS = "hours"
    USER = "user"
    TYPES = "types"
    CALENDARS = "calendars"
    ACCOUNT = "account"
    ERASED = "erased"  # Its text went with a disconnect; its number stays, so that positions have no gaps.


SLOT_KINDS = frozenset(
    {ChangeKind.SLOT_ADDED, ChangeKind.SLOT_CHANGED, ChangeKind.SLOT_REMOVED, ChangeKind.SLOTS_RESET}
)
APPOINTMENT_KINDS = frozenset(
    {
        ChangeKind.APPOINTMENT_BOOKED,
        ChangeKind.APPOINTMENT_RESCHEDULED,
        ChangeKind.APPOINTMENT_CANCELLED,
        ChangeKind.APPOINTMENT_WRITTEN,
        ChangeKind.CONFLICT_DETECTED,
        ChangeKind.CONFLICT_RESOLVED,
    }
)

MOST_SLOTS_AT_ONCE = 500
"""Past this many changed slots in one transaction, the log has one SLOTS_RESET in their place."""


class BlockedSlotSource(StrEnum):
    ICLOUD = "ICLOUD"
    MANUAL = "MANUAL"


@dataclass(frozen=True, slots=True)
class Slot:
    """A blocked slot's facts, as a row, a change and a subscriber hold them."""

    id: str
    start: int
    end: int
    is_all_day: bool
    source: BlockedSlotSource
    title: str | None
    event_id: str | None = None
    calendar_id: str | None = None
