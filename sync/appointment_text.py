"""What iCloud is to hold of an appointment, and under which name."""

from __future__ import annotations

from enum import Enum

from domain.busy import EventStatus
from domain.copies import appointment_of
from models.booking import Appointment
from sync.ical.patch import has_more
from sync.ical.resource import AppointmentText, Written, patch_written, read_written, write_appointment


class Whose(Enum):
    """Of a text that stands where an appointment's event is to stand."""

    OURS = "ours"
    NOT_OURS_ALONE = "not ours alone"
    "Its owner made a series of it, or put others beside it."
    ANOTHERS = "another's"
    NOT_TO_BE_READ = "not to be read"


def whose(body: str, uid: str) -> Whose:
    seen = read_written(body)
    if seen is None:
        return Whose.NOT_TO_BE_READ
    if seen.uid != uid:
        return Whose.ANOTHERS
    return Whose.OURS if seen.is_alone else Whose.NOT_OURS_ALONE


def text_of(own: Appointment) -> AppointmentText:
    assert own.uid is not None
    return AppointmentText(
        uid=own.uid,
        sequence=own.revision,
        start=own.starts,
        end=own.ends,
        title=own.title,
        description=_description(own),
        created_at=own.created_at,
        modified_at=own.modified_at,
    )


def _description(own: Appointment) -> str:
    """The guest stands in the text, not as an attendee: iCloud would mail an invitation."""
    lines = [own.guest_name, own.guest_email, own.guest_phone, "", own.notes]
    return "\n".join(line for line in lines if line is not None).rstrip()


def href_of(calendar_path: str, uid: str) -> str:
    """Letters, digits and hyphens alone: iCloud once did not take back an escaped name."""
    return f"{calendar_path}{uid}.ics"


def is_as_written(own: Appointment, body: str) -> bool:
    """By the fields that we own, never by bytes: servers rewrite what they store."""
    seen, wanted = read_written(body), text_of(own)
    return (
        seen is not None
        and seen.is_fixed
        and seen.status is not EventStatus.CANCELLED
        and (seen.start, seen.end) == (wanted.start, wanted.end)
        and _says_the_same(seen, wanted)
    )


def is_in_its_time(own: Appointment, body: str) -> bool:
    """Nothing is left to be written: the rest of it is its owner's."""
    seen = read_written(body)
    return (
        seen is not None
        and seen.is_alone
        and seen.is_fixed
        and seen.status is EventStatus.CONFIRMED
        and (seen.start, seen.end) == (own.starts, own.ends)
    )


def is_older(own: Appointment, body: str) -> bool:
    """A state before the one that we wrote last: its time is another, and it was counted no further."""
    seen = read_written(body)
    return (
        seen is not None
        and seen.uid == own.uid
        and (seen.start, seen.end) != (own.starts, own.ends)
        and seen.sequence < own.revision
    )


def patched(own: Appointment, body: str) -> str | None:
    """What stands there, brought to where the appointment is; None where that is not its event alone."""
    return patch_written(body, text_of(own))


def is_left_behind(own: Appointment, calendar_path: str, href: str, body: str) -> bool:
    """Whether a second copy is of our own writing: by its name, which no device gives, and its words, and no others.

    Its time can be one that the appointment had before.
    """
    seen = read_written(body)
    return (
        seen is not None
        and appointment_of(seen.uid) == own.id
        and href == href_of(calendar_path, seen.uid)
        and _says_the_same(seen, text_of(own))
        and not has_more(body, write_appointment(text_of(own)))
    )


def _says_the_same(seen: Written, wanted: AppointmentText) -> bool:
    return (
        not seen.is_recurring
        and seen.title.split() == wanted.title.split()
        and seen.description.split() == wanted.description.split()
    )
