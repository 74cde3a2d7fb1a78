"""An appointment before it is stored: what its guest typed, checked, and the row that comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from domain.ids import Kind
from domain.validate import Guest, Invalid, check_guest, check_idempotency_key, check_notes
from models.booking import Appointment, AppointmentType
from resolvers.appointments import CONFIRMED
from resolvers.context import Context
from resolvers.placing import Place
from resolvers.views import GuestView

_TITLE_LENGTH = 400


@dataclass(frozen=True, slots=True)
class Texts:
    guest: Guest
    notes: str | None


def check_texts(key: str, guest: GuestView, notes: str | None) -> Texts | Invalid:
    checked_key = check_idempotency_key(key)
    if isinstance(checked_key, Invalid):
        return checked_key
    checked_guest = check_guest(guest.name, guest.email, guest.phone)
    if isinstance(checked_guest, Invalid):
        return checked_guest
    checked_notes = check_notes(notes)
    if isinstance(checked_notes, Invalid):
        return checked_notes
    return Texts(checked_guest, checked_notes)


def row_of(
    ctx: Context, place: Place, texts: Texts, *, title: str | None, type_: AppointmentType | None
) -> Appointment:
    now, user, guest = ctx.now, place.person.ref, texts.guest
    usual = guest.name if type_ is None else f"{type_.name}: {guest.name}"
    return Appointment(
        id=ctx.services.new_id(Kind.APPOINTMENT),
        subaccount_id=user.subaccount,
        user_id=user.user,
        type_id=place.type_id,
        title=(title or usual)[:_TITLE_LENGTH],
        starts=place.span.start,
        ends=place.span.end,
        buffer_before=place.rules.buffer_before,
        buffer_after=place.rules.buffer_after,
        status=CONFIRMED,
        guest_name=guest.name,
        guest_email=guest.email,
        guest_phone=guest.phone,
        notes=texts.notes,
        created_at=now,
        modified_at=now,
    )
