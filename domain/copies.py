"""An appointment's event in iCloud: how far it is, and its name, from which whoever sees it anew knows whose it is."""

from __future__ import annotations

import re
from enum import StrEnum

from domain.ids import Kind, is_id

_UID = re.compile(r"slotwire-([0-9a-z]{26})(?:-\d{1,9})?", re.ASCII)


class WriteState(StrEnum):
    """How far an appointment's copy in iCloud is; the contract tells each."""

    NOT_LINKED = "NOT_LINKED"
    PENDING = "PENDING"
    WRITTEN = "WRITTEN"
    FAILED = "FAILED"
    CHANGED_IN_ICLOUD = "CHANGED_IN_ICLOUD"
    DELETED_IN_ICLOUD = "DELETED_IN_ICLOUD"
    REMOVED = "REMOVED"


def uid_of(appointment_id: str, *, attempt: int = 0) -> str:
    """A second try after a crash names the same event. Another attempt is another event's name."""
    name = f"slotwire-{appointment_id.rpartition('_')[2]}"
    return name if attempt == 0 else f"{name}-{attempt}"


def next_uid(uid: str, appointment_id: str) -> str:
    """The next name, after the server said that this one is taken somewhere else in the account."""
    base = uid_of(appointment_id)
    number = uid.removeprefix(base).removeprefix("-")
    return uid_of(appointment_id, attempt=(int(number) if number.isdecimal() else 0) + 1)


def appointment_of(uid: str) -> str | None:
    """The appointment that an event of this UID is a copy of, by whichever attempt; None for others' events."""
    found = _UID.fullmatch(uid)
    if found is None:
        return None
    name = f"{Kind.APPOINTMENT}_{found[1]}"
    return name if is_id(name, Kind.APPOINTMENT) else None
