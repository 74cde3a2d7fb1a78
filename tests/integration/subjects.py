"""Whose things are asked for: a key's own user, one beside it, one of another subaccount, one that was removed."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal

from domain.actor import Actor, Role, UserRef
from domain.hours import DateOverride, HoursSpan, WeeklyHours
from domain.ids import Kind
from models.blocked import BlockedSlot
from models.booking import Appointment
from models.calendar import Event, Resource
from resolvers import batches, booking, calendars, events, hours, keys, people, types
from resolvers.booking import Saved
from resolvers.views import AppointmentTypeView, GuestView, HoldView, SlotView
from tests.integration.pages import DAY, MIDNIGHT, MINUTE
from tests.integration.world import NOW, World, admin_of

Relation = Literal["own", "same", "other", "removed"]
RELATIONS: tuple[Relation, ...] = ("own", "same", "other", "removed")
Subject = Mapping[str, str]
"""Ids, tokens and the like by the name that documents have for them."""

_GUEST = GuestView("Grace", "grace@example.org", "+33 1")


class Subjects:
    """Anna (the OWNER key's user), Ben beside her, Otto in another subaccount: each with one of everything."""

    def __init__(self, world: World, otto: UserRef, cursors: Mapping[UserRef, str]) -> None:
        self._world = world
        self._removed: Subject = {}
        self._users = {"own": world.anna, "same": world.ben, "other": otto}
        self._cursors = cursors
        self._nights = itertools.count()
        self._open = _open_starts()

    async def make(self, relation: Relation) -> Subject:
        """Nothing made here meets anything that was made before."""
        fresh = {
            "fresh": secrets.token_hex(16),
            "slug": f"t-{secrets.token_hex(4)}",
            "open": (at := next(self._open)),
            "soon": text_of(seconds_of(at) + MINUTE),
            "next": next(self._open),
        }
        if relation == "removed":
            return {**self._removed, **fresh}
        return await self._filled(self._users[relation], fresh["slug"], fresh["open"]) | fresh

    async def remove(self, user: UserRef) -> None:
        """From here on this is the user that was removed, with all that was the user's."""
        made = await self._filled(user, "removed", next(self._open))
        await self._world.run(
            admin_of(user.subaccount), people.remove_user, user_id=user.user, cancel_upcoming=True
        )
        # The subaccount stands, and its audit log keeps what was done: these are names that there are not.
        new_id = self._world.services.new_id
        self._removed = {**made, "subaccount": new_id(Kind.SUBACCOUNT), "audit": new_id(Kind.AUDIT)}

    async def _filled(self, user: UserRef, slug: str, at: str) -> dict[str, str]:
        world, admin = self._world, admin_of(user.subaccount)
        if not await world.calendars(user):
            await self._connect(user)
        night = MIDNIGHT + 2 * DAY + MINUTE * 2 * next(self._nights)
        made = await world.run(
            admin, types.create_type, user_id=user.user, name="T", slug=slug, duration_minutes=5
        )
        assert isinstance(made, AppointmentTypeView), made
        saved, cancelled = [await self._appointment(user, made.id, at) for at in (night, night + MINUTE)]
        await world.run(
            admin, booking.cancel_appointment, appointment_id=cancelled.appointment.id, reason="Ill."
        )
        slot = await world.run(
            admin, events.create_blocked_slot, user_id=user.user, start=night, end=night + 30, title="Busy"
        )
        assert isinstance(slot, SlotView), slot
        hold = await world.run(
            Actor("key_x", "x", Role.BOOKING, user.subaccount),
            booking.hold,
            page_slug=slug,
            start=seconds_of(at),
            replaces=None,
            manage_token=None,
        )
        assert isinstance(hold, HoldView), hold
        key = await keys.issue_key(
            world.services, subaccount=user.subaccount, label="k", role=Role.OWNER, user_id=user.user
        )
        assert isinstance(key, tuple)
        shown = await world.calendars(user)
        event = await self._event(user, shown["Home"].id, saved.appointment.id, night)
        [account] = await world.rows("SELECT id FROM icloud_account WHERE user_id = $1", user.user)
        [entry] = await world.rows("SELECT id FROM audit_entry WHERE subject_id = $1", key[0].id)
        return {
            "subaccount": user.subaccount,
            "user": user.user,
            "account": account["id"],
            "calendar": shown["Home"].id,
            "readonly": shown["Team"].id,
            "event": event,
            "slot": slot.slot.id,
            "type": made.id,
            "appointment": saved.appointment.id,
            "key": key[0].id,
            "audit": entry["id"],
            "token": saved.booking.manage_token,
            "cancelled": cancelled.booking.manage_token,
            "hold": hold.token,
            "taken": text_of(night),
            "cursor": self._cursors[user],
        }

    async def _appointment(self, user: UserRef, type_id: str, start: int) -> Saved:
        saved = await self._world.run(
            admin_of(user.subaccount),
            booking.create_appointment,
            idempotency_key=secrets.token_hex(16),
            user_id=user.user,
            type_id=type_id,
            start=start,
            end=start + MINUTE,
            title="Talk",
            guest=_GUEST,
            notes="Notes",
        )
        assert isinstance(saved, Saved), saved
        return saved

    async def _connect(self, user: UserRef) -> None:
        """As after a first sync, with a word of complaint."""
        world = self._world
        await world.connect(user, apple_id=f"{user.user}@icloud.com")
        home = (await world.calendars(user))["Home"]
        await world.run(
            admin_of(user.subaccount), calendars.set_linked, user_id=user.user, calendar_id=home.id
        )
        await world.run(
            admin_of(user.subaccount),
            hours.set_working_hours,
            user_id=user.user,
            weekly=[WeeklyHours(day, 0, 1440) for day in range(7)],
            overrides=[DateOverride(date(2026, 11, 1), (HoursSpan(600, 660),))],
        )
        await world.write(
            "UPDATE icloud_account SET status = 'CONNECTED', last_synced_at = $1, expanded_zone = 'Europe/Paris',"
            " expanded_until = $2, problem_code = 'THROTTLED', problem_message = 'Wait.', problem_since = $1,"
            " retry_at = $1",
            NOW,
            int(NOW) + 400 * DAY,
        )
        await world.write("UPDATE calendar SET last_synced_at = $1 WHERE is_conflict", NOW)

    async def _event(self, user: UserRef, calendar: str, appointment: str, at: int) -> str:
        """As the loop would leave it: our own copy, unreadable in part, and a slot that came to overlap."""
        of: dict[str, Any] = {"subaccount_id": user.subaccount, "user_id": user.user, "calendar_id": calendar}
        span = {"starts": at, "ends": at + MINUTE}
        new_id = self._world.services.new_id
        event, resource = new_id(Kind.EVENT), new_id(Kind.RESOURCE)
        async with self._world.services.database.writing() as db:
            await Resource.create(
                using_db=db, id=resource, **of, href=f"/{appointment}", etag="1", uid=appointment, body="",
                problems=[
                    {"uid": appointment, "code": "UNREADABLE", "message": "Broken.", "blocked": [at, at + 60]}
                ],
                has_problems=True,
            )  # fmt: skip
            await Event.create(
                using_db=db, id=event, **of, **span, resource_id=resource, uid=appointment, key=appointment,
                title="Talk", busy_starts=at, busy_ends=at + MINUTE, is_all_day=True, start_date="2026-10-27",
                end_date="2026-10-28", is_recurring=False, show_as="BUSY", status="CONFIRMED",
                participation="ACCEPTED", blocks=True, appointment_id=appointment,
            )  # fmt: skip
            await BlockedSlot.create(
                using_db=db, id=new_id(Kind.BLOCKED_SLOT), **of, **span, source="ICLOUD", title="Clash",
                event_id=event, resource_id=resource,
            )  # fmt: skip
            await Appointment.filter(id=appointment).using_db(db).update(
                has_conflict=True, calendar_id=calendar, written_at=NOW, write_problem="Late.",
            )  # fmt: skip
        return event


async def subjects_of(world: World) -> Subjects:
    _, otto = await world.other_subaccount()
    carl = await world.add_user(world.subaccount, "Carl")
    users = (world.anna, world.ben, otto, carl)
    for user in users:
        world.icloud.people[f"{user.user}@icloud.com"] = f"/{user.user}/principal/"
    subjects = Subjects(world, otto, {user: await _cursor(world, user) for user in users})
    await subjects.remove(carl)
    return subjects


async def _cursor(world: World, user: UserRef) -> str:
    found = await world.run(admin_of(user.subaccount), batches.positions_by_user, [user])
    return found[user]


def _open_starts() -> Iterator[str]:
    """Every five minutes of working days to come."""
    for day in itertools.count(7):
        at = MIDNIGHT + day * DAY + 9 * 3600
        if datetime.fromtimestamp(at, UTC).weekday() < 5:
            yield from (text_of(at + 5 * MINUTE * number) for number in range(60))


def text_of(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}Z"


def seconds_of(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
