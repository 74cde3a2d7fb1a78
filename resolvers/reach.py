"""What any key of a subaccount reaches by knowing its name or token: booking pages, bookings and holds."""

from __future__ import annotations

import hmac
import re

from domain.actor import Actor
from domain.ids import Kind, is_id
from domain.validate import Invalid, check_slug
from models.booking import Appointment, AppointmentType, Hold
from models.seal import derive
from models.sql import Db

_HOLD_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAC = 32
"""128 bits in hex: nobody guesses one, and an id alone opens nothing."""


async def page_type(db: Db, actor: Actor, slug: str) -> AppointmentType | None:
    """The appointment type behind a booking page; an archived one has none."""
    if isinstance(check_slug(slug), Invalid):
        return None
    return (
        await AppointmentType.filter(subaccount_id=actor.subaccount, slug=slug, is_archived=False)
        .using_db(db)
        .first()
    )


async def booked(db: Db, actor: Actor, token: str, *, identity_key: bytes) -> Appointment | None:
    """The appointment that a manage token was handed out for."""
    appointment_id = read_manage_token(identity_key, token)
    if appointment_id is None:
        return None
    return await Appointment.filter(id=appointment_id, subaccount_id=actor.subaccount).using_db(db).first()


async def held(db: Db, actor: Actor, token: str | None, *, now: float) -> Hold | None:
    """The hold of this token, while it lives."""
    if token is None or not _HOLD_TOKEN.fullmatch(token):
        return None
    return (
        await Hold.filter(token=token, subaccount_id=actor.subaccount, expires_at__gt=now)
        .using_db(db)
        .first()
    )


def manage_token(identity_key: bytes, appointment_id: str) -> str:
    """Derived, never stored: who has read the database can change no booking with it."""
    _, _, bare = appointment_id.partition("_")
    return f"{bare}.{derive(identity_key, 'manage', appointment_id)[:_MAC]}"


def read_manage_token(identity_key: bytes, token: str) -> str | None:
    """The appointment's id; None where the token is not one of ours."""
    bare, _, _ = token.partition(".")
    appointment_id = f"{Kind.APPOINTMENT}_{bare}"
    if not is_id(appointment_id, Kind.APPOINTMENT):
        return None
    genuine = manage_token(identity_key, appointment_id)
    return appointment_id if hmac.compare_digest(genuine.encode(), token.encode(errors="replace")) else None
