"""Where an iCloud account stands."""

from __future__ import annotations

from enum import StrEnum

LONGEST_RETRY = 3600.0
"""Seconds: however long iCloud asks to wait, it is looked at again after them; dates far ahead are none at all."""


class AccountStatus(StrEnum):
    NEEDS_CALENDARS = "NEEDS_CALENDARS"
    SYNCING = "SYNCING"
    CONNECTED = "CONNECTED"
    NEEDS_NEW_PASSWORD = "NEEDS_NEW_PASSWORD"  # noqa: S105
    UNREACHABLE = "UNREACHABLE"


class ICloudProblemCode(StrEnum):
    """Why an account is not read, or not all that was chosen of it."""

    PASSWORD_REFUSED = "PASSWORD_REFUSED"  # noqa: S105
    THROTTLED = "THROTTLED"
    UNREACHABLE = "UNREACHABLE"
    UNEXPECTED_ANSWER = "UNEXPECTED_ANSWER"
    LINKED_CALENDAR_UNUSABLE = "LINKED_CALENDAR_UNUSABLE"
    CONFLICT_CALENDAR_UNREADABLE = "CONFLICT_CALENDAR_UNREADABLE"


APPLES_WAITS = frozenset({ICloudProblemCode.PASSWORD_REFUSED, ICloudProblemCode.THROTTLED})
"""Problems after which Apple is not asked sooner than planned, whoever asks us to."""
CHOICE_PROBLEMS = {
    ICloudProblemCode.LINKED_CALENDAR_UNUSABLE: (
        "The linked calendar is gone from iCloud, is read-only or takes no events now: choose another one."
    ),
    ICloudProblemCode.CONFLICT_CALENDAR_UNREADABLE: (
        "A conflict calendar is a subscription now, whose events iCloud does not give: take it out of the conflict "
        "calendars, or its state grows too old and all time is closed."
    ),
}
"""What is wrong with a choice of calendars, each with a sentence that its owner can act on."""


def standing(*, has_chosen: bool, is_read: bool) -> AccountStatus:
    """Where its calendars put an account that Apple answers. An empty choice is one, and read at once."""
    if not has_chosen:
        return AccountStatus.NEEDS_CALENDARS
    return AccountStatus.CONNECTED if is_read else AccountStatus.SYNCING
