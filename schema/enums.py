"""The enums: those that the domain decides by, described, and those that only answers speak of."""

from enum import Enum, StrEnum

import strawberry

from domain.accounts import AccountStatus, ICloudProblemCode
from domain.actor import Role
from domain.availability import Match
from domain.booking import CancelledBy
from domain.busy import BusyRule, EventProblemCode, EventStatus, Participation, ShowAs
from domain.calendars import CalendarKind, NotSelectableReason
from domain.changes import BlockedSlotSource
from domain.closed import ReasonCode
from domain.copies import WriteState
from resolvers.question import StalePolicy

__all__ = [
    "AccountStatus",
    "AppointmentChangeKind",
    "AppointmentStatus",
    "BlockedSlotChangeKind",
    "BlockedSlotSource",
    "BusyRule",
    "CalendarKind",
    "CancelledBy",
    "EventProblemCode",
    "EventStatus",
    "ICloudProblemCode",
    "Match",
    "NotSelectableReason",
    "Participation",
    "ReasonCode",
    "Role",
    "ShowAs",
    "StalePolicy",
    "Weekday",
    "WriteState",
]


def _describe(enum: type[Enum], name: str, description: str, values: dict[str, str]) -> None:
    """Makes it a GraphQL enum; raises where a value has no description, or a description no value."""
    strawberry.enum(enum, name=name, description=description)
    definition = enum.__strawberry_definition__  # type: ignore[attr-defined]
    if values.keys() != {value.name for value in definition.values}:
        raise TypeError(f"The descriptions of {name} are not those of its values.")
    for value in definition.values:
        value.description = values[value.name]


class Weekday(StrEnum):
    MONDAY = "MONDAY"
    TUESDAY = "TUESDAY"
    WEDNESDAY = "WEDNESDAY"
    THURSDAY = "THURSDAY"
    FRIDAY = "FRIDAY"
    SATURDAY = "SATURDAY"
    SUNDAY = "SUNDAY"


class BlockedSlotChangeKind(StrEnum):
    ADDED = "ADDED"
    CHANGED = "CHANGED"
    REMOVED = "REMOVED"
    RESET = "RESET"


class AppointmentStatus(StrEnum):
    CONFIRMED = "CONFIRMED"
    CANCELLED = "CANCELLED"


class AppointmentChangeKind(StrEnum):
    BOOKED = "BOOKED"
    RESCHEDULED = "RESCHEDULED"
    CANCELLED = "CANCELLED"
    ICLOUD_STATE_CHANGED = "ICLOUD_STATE_CHANGED"
    CONFLICT_DETECTED = "CONFLICT_DETECTED"
    CONFLICT_RESOLVED = "CONFLICT_RESOLVED"
    RESET = "RESET"


_describe(
    Role,
    "KeyRole",
    "What a key may do.",
    {
        "ADMIN": "A subaccount's own back end: everything in that subaccount.",
        "OWNER": "One user: that user's account, calendars, blocked slots and appointments.",
        "BOOKING": "Publishable, for a booking page: pages, holds and bookings, and nothing about what"
        " blocks a time.",
    },
)
_describe(
    AccountStatus,
    "ICloudAccountStatus",
    "How the connection to iCloud fares.",
    {
        "NEEDS_CALENDARS": "Connected; no calendar was chosen yet: nothing is read, and availability is"
        " closed.",
        "SYNCING": "A chosen calendar is read for the first time: availability is closed until it ends.",
        "CONNECTED": "All is read, and read again at each poll.",
        "NEEDS_NEW_PASSWORD": "Apple refused the password three times: it was revoked, or the Apple ID's own password"
        " was changed. Or the server can't open what it stored, as `problem` says.",
        "UNREACHABLE": "iCloud can't be reached, asks to wait, or gives no good answer; retried by itself.",
    },
)
_describe(
    ICloudProblemCode,
    "ICloudProblemCode",
    "What is wrong with an account, or with its choice of calendars.",
    {
        "PASSWORD_REFUSED": "Apple refused the password, or the server can't open the stored one. Renew it where the"
        " status is NEEDS_NEW_PASSWORD; before that it is tried again.",
        "THROTTLED": "Apple asked to wait.",
        "UNREACHABLE": "Apple's servers could not be reached, or failed.",
        "UNEXPECTED_ANSWER": "Apple's servers answered with what makes no sense; tried again by itself.",
        "LINKED_CALENDAR_UNUSABLE": "The linked calendar is gone, takes no events or takes no writes now.",
        "CONFLICT_CALENDAR_UNREADABLE": "A conflict calendar is subscribed by URL now: until it is taken out, its"
        " state grows old.",
    },
)
_describe(
    CalendarKind,
    "CalendarKind",
    "What a calendar holds.",
    {
        "EVENTS": "Events: what can be linked, and checked for conflicts.",
        "SUBSCRIPTION": "Subscribed by URL: shown, never usable.",
        "REMINDERS": "Reminders, and no events.",
    },
)
_describe(
    NotSelectableReason,
    "NotSelectableReason",
    "Why a calendar can't be chosen.",
    {
        "READ_ONLY": "Its owner shared it for reading only.",
        "SUBSCRIPTION": "It is subscribed by URL, and iCloud does not give its events.",
        "HOLDS_NO_EVENTS": "It holds reminders.",
        "GONE": "It is no longer in iCloud.",
    },
)
_describe(
    EventProblemCode,
    "EventProblemCode",
    "What was wrong with an event.",
    {
        "UNREADABLE": "It could not be read whole.",
        "BAD_RECURRENCE": "Its recurrence rule is against the standard.",
        "UNKNOWN_TIME_ZONE": "It names a zone that no one knows: it blocks every hour that it could mean.",
        "TOO_MANY_OCCURRENCES": "It repeats too often to list each time.",
    },
)
_describe(
    BusyRule,
    "BusyRule",
    "Whether a kind of event closes time.",
    {"BLOCK": "It closes its time.", "IGNORE": "It leaves its time open."},
)
_describe(
    ShowAs,
    "ShowAs",
    "How the owner marked an event.",
    {
        "BUSY": "Marked Busy: blocks, as the busy policy says.",
        "FREE": "Marked Free: blocks nothing, unless it is for whole days and the busy policy says so.",
    },
)
_describe(
    EventStatus,
    "EventStatus",
    "An event's own status.",
    {
        "CONFIRMED": "It takes place.",
        "TENTATIVE": "It may take place.",
        "CANCELLED": "It was called off, and blocks nothing.",
    },
)
_describe(
    Participation,
    "Participation",
    "The owner's own answer to an invitation.",
    {
        "ACCEPTED": "Yes.",
        "DECLINED": "No.",
        "TENTATIVE": "Maybe.",
        "NEEDS_ACTION": "Not answered yet.",
    },
)
_describe(
    BlockedSlotSource,
    "BlockedSlotSource",
    "Where a blocked slot comes from.",
    {"ICLOUD": "A busy event in a conflict calendar.", "MANUAL": "Closed by hand; never written to iCloud."},
)
_describe(
    BlockedSlotChangeKind,
    "BlockedSlotChangeKind",
    "What happened to a blocked slot.",
    {
        "ADDED": "Time was closed.",
        "CHANGED": "It was moved, or edited.",
        "REMOVED": "The time is open again.",
        "RESET": "Read blockedSlots anew, go on from this cursor: the log no longer reaches back to the one"
        " given, or over 500 slots changed at once (a first sync, a calendar chosen or left, a disconnect, a"
        " policy).",
    },
)
_describe(
    Match,
    "AvailabilityMatch",
    "How the time of many users is put together.",
    {"EVERYONE": "Free when all are.", "ANYONE": "Free when at least one is."},
)
_describe(
    StalePolicy,
    "StalePolicy",
    "What to do when the calendars' state is older than allowed.",
    {
        "CLOSE": "Time that an over-old calendar could block is closed.",
        "SERVE_LAST_KNOWN": "Answer from what was last known, and say so.",
        "REFRESH": "Poll iCloud first, and answer from that, later than the rest of the query; CLOSE if it can't be"
        " reached.",
    },
)
_describe(
    ReasonCode,
    "ClosedReasonCode",
    "Why a time is closed.",
    {
        "BLOCKED_SLOT": "A blocked slot lies there.",
        "APPOINTMENT": "An appointment lies there.",
        "HOLD": "A guest is about to book it.",
        "BUFFER": "It lies in a buffer before or after something.",
        "OUTSIDE_WORKING_HOURS": "It lies outside working hours.",
        "MINIMUM_NOTICE": "It is too soon.",
        "BEYOND_HORIZON": "It is too far ahead.",
        "STALE_CALENDAR": "The linked or a conflict calendar is older than allowed, or was never read.",
        "NO_CALENDARS_CHOSEN": "An iCloud account is connected, and no calendar chosen.",
        "MAXIMUM_PER_DAY": "The day has its maximum of appointments.",
    },
)
_describe(
    Weekday,
    "Weekday",
    "A day of the week.",
    {day.name: f"Every {day.value.capitalize()}." for day in Weekday},
)
_describe(
    AppointmentStatus,
    "AppointmentStatus",
    "Whether an appointment stands.",
    {"CONFIRMED": "It stands, and closes its time.", "CANCELLED": "It was cancelled, and closes no time."},
)
_describe(
    CancelledBy,
    "CancelledBy",
    "Who cancelled an appointment.",
    {"GUEST": "Who booked, by the booking's token.", "HOST": "The user, or an administrator."},
)
_describe(
    WriteState,
    "WriteState",
    "How an appointment's copy in iCloud fares.",
    {
        "NOT_LINKED": "No calendar was linked when it was booked; or that choice was taken back, or iCloud"
        " disconnected, before all was written.",
        "PENDING": "To be written, changed or removed; retried until it is.",
        "WRITTEN": "It stands in iCloud as booked, in `calendar` where that is known.",
        "FAILED": "The owner has to act, as `problem` says: the calendar is gone or takes no writes, say, or"
        " the event is no longer the appointment's alone. Tried again once an hour all the same.",
        "CHANGED_IN_ICLOUD": "The owner moved or edited it in iCloud; the appointment stands as booked.",
        "DELETED_IN_ICLOUD": "The owner deleted it in iCloud; the appointment stands as booked.",
        "REMOVED": "Cancelled, and its event removed from iCloud.",
    },
)
_describe(
    AppointmentChangeKind,
    "AppointmentChangeKind",
    "What happened to an appointment.",
    {
        "BOOKED": "A guest or the host took the time.",
        "RESCHEDULED": "It begins at another time.",
        "CANCELLED": "It no longer stands, and its time is open.",
        "ICLOUD_STATE_CHANGED": "Its copy in iCloud was written, failed, or was changed there.",
        "CONFLICT_DETECTED": "A blocked slot came to overlap it.",
        "CONFLICT_RESOLVED": "No blocked slot overlaps it any more.",
        "RESET": "Read appointments anew, go on from this cursor.",
    },
)
