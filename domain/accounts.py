"""Where an iCloud account stands."""

from __future__ import annotations

from enum import StrEnum


class AccountStatus(StrEnum):
    NEEDS_CALENDARS = "NEEDS_CALENDARS"
    SYNCING = "SYNCING"
    CONNECTED = "CONNECTED"
    NEEDS_NEW_PASSWORD = "NEEDS_NEW_PASSWORD"  # noqa: S105
    UNREACHABLE = "UNREACHABLE"


def standing(*, has_chosen: bool, is_read: bool) -> AccountStatus:
    """Where its calendars put an account that Apple answers. An empty choice is one, and read at once."""
    if not has_chosen:
        return AccountStatus.NEEDS_CALENDARS
    return AccountStatus.CONNECTED if is_read else AccountStatus.SYNCING
