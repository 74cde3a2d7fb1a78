"""What iCloud is to hold of an appointment, and under which name."""

from __future__ import annotations

from models.booking import Appointment
from sync.ical import AppointmentText


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
