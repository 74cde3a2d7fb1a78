"""A booking page of Anna's, and a guest in a hurry: what the tests of booking have in common."""

from __future__ import annotations

from typing import Any

from domain.actor import Actor, Role, UserRef
from resolvers import booking, events, types
from resolvers.context import Context
from resolvers.outcomes import Refusal
from resolvers.views import AppointmentTypeView, AppointmentView, BookingView, GuestView, HoldView, SlotView
from tests.integration.world import NOW, World

MINUTE = 60
HOUR = 3600
DAY = 86_400
MIDNIGHT = int(NOW) // DAY * DAY
NINE = MIDNIGHT + DAY + 8 * HOUR
"""Tuesday, 09:00 in Paris: Anna's first working hour after today."""
GUEST = GuestView("Ada Lovelace", "ada@example.com", None)
SLUG = "intro-call"


def key_of(world: World, *, role: Role = Role.BOOKING, user: UserRef | None = None) -> Actor:
    return Actor(f"key_{role.lower()}", f"{role} key", role, world.subaccount, user.user if user else None)


async def page(
    world: World, slug: str = SLUG, *, user: UserRef | None = None, **numbers: Any
) -> AppointmentTypeView:
    """Half an hour, every half hour, unless told otherwise."""
    made = await world.admin(
        types.create_type,
        user_id=(user or world.anna).user,
        name="Intro call",
        slug=slug,
        **{"duration_minutes": 30, **numbers},
    )
    assert isinstance(made, AppointmentTypeView), made
    return made


async def try_to_book(
    world: World,
    start: int = NINE,
    *,
    key: str = "a-key-made-anew-1",
    slug: str = SLUG,
    actor: Actor | None = None,
    hold: str | None = None,
    address: str = "192.0.2.1",
    guest: GuestView = GUEST,
) -> BookingView | Refusal:
    context = Context(world.services, actor or key_of(world), address=address)
    try:
        return await booking.book(
            context,
            idempotency_key=key,
            page_slug=slug,
            start=start,
            guest=guest,
            notes=None,
            hold_token=hold,
        )
    finally:
        await context.close()


async def booked(world: World, start: int = NINE, **given: Any) -> BookingView:
    answer = await try_to_book(world, start, **given)
    assert isinstance(answer, BookingView), answer
    return answer


async def try_to_hold(
    world: World,
    start: int = NINE,
    *,
    slug: str = SLUG,
    replaces: str | None = None,
    manage_token: str | None = None,
    actor: Actor | None = None,
    address: str = "192.0.2.1",
) -> HoldView | Refusal:
    context = Context(world.services, actor or key_of(world), address=address)
    try:
        return await booking.hold(
            context, page_slug=slug, start=start, replaces=replaces, manage_token=manage_token
        )
    finally:
        await context.close()


async def held(world: World, start: int = NINE, **given: Any) -> HoldView:
    answer = await try_to_hold(world, start, **given)
    assert isinstance(answer, HoldView), answer
    return answer


async def created(world: World, start: int = NINE, **given: Any) -> AppointmentView:
    """An owner's own appointment of Anna's, an hour long unless told otherwise."""
    asked: dict[str, Any] = {
        "idempotency_key": "an-owners-own-key-1",
        "user_id": world.anna.user,
        "type_id": None,
        "start": start,
        "end": start + HOUR,
        "title": "Lunch",
        "guest": GUEST,
        "notes": None,
    }
    answer = await world.admin(booking.create_appointment, **{**asked, **given})
    assert isinstance(answer, booking.Saved), answer
    return answer.appointment


async def block(world: World, start: int, end: int, *, user: UserRef | None = None) -> SlotView:
    made = await world.admin(
        events.create_blocked_slot, user_id=(user or world.anna).user, start=start, end=end, title="Busy"
    )
    assert isinstance(made, SlotView), made
    return made
