"""Every field, every role, every relation: who reaches what, and that another tenant's id is no id at all."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from domain.actor import Role, UserRef
from domain.ids import Kind
from models.bell import Bell
from models.database import Database
from resolvers import booking, events, keys, people, types
from resolvers.booking import Saved
from resolvers.views import AppointmentTypeView, GuestView, SlotView
from schema import rules
from tests.e2e.serving import Served, issue, serving, settings_with
from tests.integration.world import NOW, admin_of, world_on

RANGE = 'from: "2026-10-26T00:00:00Z", to: "2026-10-31T00:00:00Z"'
LATER = '"2026-10-29T09:00:00Z"'
GUEST = '{name: "Ben", email: "ben@example.org"}'
KEY = "idempotencyKey: $fresh"

# $user and the like are the subject's ids; each document asks for no more than it takes to tell who answered.
BY_USER = {
    "Query.user": "user(id: $user) { id }",
    "Query.node": "node(id: $user) { id }",
    "Mutation.connectICloud": (
        'connectICloud(input: {userId: $user, appleId: "x@icloud.com", appSpecificPassword: "y"})'
    ),
    "Mutation.renewICloudPassword": 'renewICloudPassword(input: {userId: $user, appSpecificPassword: "y"})',
    "Mutation.refreshICloud": "refreshICloud(input: {userId: $user})",
    "Mutation.setLinkedCalendar": "setLinkedCalendar(input: {userId: $user, calendarId: null})",
    "Mutation.setConflictCalendars": "setConflictCalendars(input: {userId: $user, calendarIds: []})",
    "Mutation.setBusyPolicy": "setBusyPolicy(input: {calendarId: $calendar, declined: BLOCK})",
    "Mutation.setWorkingHours": "setWorkingHours(input: {userId: $user, weekly: []})",
    "Mutation.createBlockedSlot": f"createBlockedSlot(input: {{userId: $user, start: {LATER}, end: {LATER}}})",
    "Mutation.deleteBlockedSlot": "deleteBlockedSlot(input: {blockedSlotId: $slot})",
    "Mutation.createAppointmentType": (
        'createAppointmentType(input: {userId: $user, name: "", slug: "x", durationMinutes: 5})'
    ),
    "Mutation.updateAppointmentType": 'updateAppointmentType(input: {appointmentTypeId: $type, name: "New"})',
    "Mutation.archiveAppointmentType": "archiveAppointmentType(input: {appointmentTypeId: $type})",
    "Mutation.createAppointment": (
        f"createAppointment(input: {{{KEY}, userId: $user, start: {LATER}, end: {LATER}, guest: {GUEST}}})"
    ),
    "Mutation.rescheduleAppointment": (
        f"rescheduleAppointment(input: {{{KEY}, appointmentId: $appointment, start: {LATER}}})"
    ),
    "Mutation.cancelAppointment": "cancelAppointment(input: {appointmentId: $appointment})",
    "Mutation.updateUser": 'updateUser(input: {userId: $user, name: "New"})',
    "Mutation.removeUser": "removeUser(input: {userId: $user})",
    "Mutation.revokeKey": "revokeKey(input: {keyId: $key})",
    # The last: with the account its calendars go.
    "Mutation.disconnectICloud": "disconnectICloud(input: {userId: $user})",
}
NODES = ("user", "calendar", "slot", "type", "appointment", "key")
AVAILABILITY = f"availability(input: {{userIds: [$user], {RANGE}}})"
ANYONES = {
    "Query.viewer": "viewer { role }",
    "Query.bookingPage": 'bookingPage(slug: "none") { slug }',
    "Query.booking": 'booking(manageToken: "none") { id }',
    "Mutation.holdSlot": f'holdSlot(input: {{bookingPage: "none", start: {LATER}}}) {{ __typename }}',
    "Mutation.releaseHold": 'releaseHold(input: {token: "none"}) { __typename }',
    "Mutation.bookAppointment": (
        f'bookAppointment(input: {{{KEY}, bookingPage: "none", start: {LATER}, guest: {GUEST}}}) {{ __typename }}'
    ),
    "Mutation.rescheduleBooking": (
        f'rescheduleBooking(input: {{{KEY}, manageToken: "none", start: {LATER}}}) {{ __typename }}'
    ),
    "Mutation.cancelBooking": 'cancelBooking(input: {manageToken: "none"}) { __typename }',
}
ADMINISTRATORS = {
    "Query.users": "users { edges { node { id } } }",
    "Query.auditLog": "auditLog { edges { node { id } } }",
    "Query.keys": "keys { edges { node { id } } }",
    "Query.syncHealth": "syncHealth { accounts }",
    "Mutation.createUser": 'createUser(input: {name: "", timeZone: "Europe/Paris"}) { __typename }',
    "Mutation.createKey": 'createKey(input: {label: "", role: ADMIN}) { __typename }',
}
ELSEWHERE = {"Query.availability", *(path for path in rules.ROOT_FIELDS if path.startswith("Subscription."))}
"""Asked below, or over websockets (tests/e2e/test_websocket.py)."""


@dataclass(frozen=True)
class Subject:
    """One user's ids of every kind."""

    user: str
    calendar: str
    slot: str
    type: str
    appointment: str
    key: str

    def variables(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in NODES} | {"fresh": secrets.token_hex(16)}


@pytest.fixture
async def served(database: Database, bell: Bell) -> AsyncIterator[Served]:
    async with serving(await world_on(database, bell)) as running:
        yield running


class Subjects:
    """Anna (the OWNER key's user), Ben beside her, Otto in another subaccount, and ids of no one."""

    def __init__(self, served: Served, otto: UserRef) -> None:
        self._served = served
        world = served.world
        self.users = {"own": world.anna, "same": world.ben, "other": otto}
        self._hours = itertools.count()

    async def make(self, relation: str) -> Subject:
        world = self._served.world
        if relation == "gone":
            kinds = (
                Kind.USER,
                Kind.CALENDAR,
                Kind.BLOCKED_SLOT,
                Kind.APPOINTMENT_TYPE,
                Kind.APPOINTMENT,
                Kind.KEY,
            )
            return Subject(*(world.services.new_id(kind) for kind in kinds))
        user = self.users[relation]
        admin = admin_of(user.subaccount)
        at = int(NOW) + 7 * 86_400 + 3600 * next(self._hours)  # An hour of its own: nothing made here meets.
        slot = await world.run(
            admin,
            events.create_blocked_slot,
            user_id=user.user,
            start=at + 90 * 86_400,
            end=at + 90 * 86_400 + 60,
        )
        kind = await world.run(
            admin,
            types.create_type,
            user_id=user.user,
            name="T",
            slug=f"t-{secrets.token_hex(4)}",
            duration_minutes=5,
        )
        saved = await world.run(
            admin,
            booking.create_appointment,
            idempotency_key=secrets.token_hex(16),
            user_id=user.user,
            type_id=None,
            start=at,
            end=at + 60,
            title=None,
            guest=GuestView("G", "g@example.org", None),
            notes=None,
        )
        made = await keys.issue_key(
            world.services, subaccount=user.subaccount, label="k", role=Role.OWNER, user_id=user.user
        )
        assert isinstance(slot, SlotView)
        assert isinstance(kind, AppointmentTypeView)
        assert isinstance(saved, Saved), saved
        assert isinstance(made, tuple)
        calendar = (await world.calendars(user))["Home"].id
        return Subject(user.user, calendar, slot.slot.id, kind.id, saved.appointment.id, made[0].id)


@pytest.fixture
async def subjects(served: Served) -> Subjects:
    world = served.world
    _, otto = await world.other_subaccount()
    for number, user in enumerate((world.anna, world.ben, otto)):
        apple_id = f"{number}@icloud.com"
        world.icloud.people[apple_id] = f"/{number}/principal/"
        await world.connect(user, apple_id=apple_id)
    return Subjects(served, otto)


def outcome(shown: dict[str, Any], field: str) -> str:
    """FORBIDDEN, NOTHING (null or NotFound), or REACHED."""
    codes = {error["extensions"]["code"] for error in shown.get("errors", ())}
    if codes:
        assert codes == {"FORBIDDEN"}, shown
        return "FORBIDDEN"
    found = shown["data"][field]
    if found is None or found.get("__typename") == "NotFound":
        return "NOTHING"
    return "FORBIDDEN" if found.get("__typename") == "Forbidden" else "REACHED"


async def ask(served: Served, role: Role, path: str, selection: str, subject: Subject) -> dict[str, Any]:
    root, _, _ = path.partition(".")
    if "{ " not in selection.rpartition(")")[2]:
        selection += " { __typename ... on UserError { message } }"
    used = {name: value for name, value in subject.variables().items() if f"${name}" in selection}
    declared = ", ".join(f"${name}: {'String!' if name == 'fresh' else 'ID!'}" for name in used)
    query = f"{root.lower()}{f'({declared})' if declared else ''} {{ {selection} }}"
    key = {Role.ADMIN: served.admin, Role.OWNER: served.owner, Role.BOOKING: served.booking}[role]
    return await served.ask(key, query, **used)


def test_every_root_field_is_asked() -> None:
    assert {*BY_USER, *ANYONES, *ADMINISTRATORS, *ELSEWHERE} == set(rules.ROOT_FIELDS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("role", "reached"),
    [(Role.ADMIN, {"own", "same"}), (Role.OWNER, {"own"}), (Role.BOOKING, set[str]())],
    ids=["ADMIN", "OWNER", "BOOKING"],
)
async def test_what_is_a_users_is_reached_by_its_admin_and_its_owner_alone(
    served: Served, subjects: Subjects, role: Role, reached: set[str]
) -> None:
    for path, selection in BY_USER.items():
        field = path.partition(".")[2]
        may_ask = role in rules.ROOT_FIELDS[path]
        answers = {}
        for relation in ("gone", "other", "same", "own"):
            answers[relation] = await ask(served, role, path, selection, await subjects.make(relation))
            expected = ("REACHED" if relation in reached else "NOTHING") if may_ask else "FORBIDDEN"
            assert outcome(answers[relation], field) == expected, (path, relation, answers[relation])
        assert answers["gone"] == answers["other"], path


async def test_a_node_of_any_kind_is_found_by_who_may_see_it(served: Served, subjects: Subjects) -> None:
    for relation, roles in (
        ("own", {Role.ADMIN, Role.OWNER}),
        ("same", {Role.ADMIN}),
        ("other", set()),
        ("gone", set()),
    ):
        subject = await subjects.make(relation)
        for kind in NODES:
            for role in Role:
                shown = await ask(served, role, "Query.node", f"node(id: ${kind}) {{ id }}", subject)
                may_see = role in roles - ({Role.OWNER} if kind == "key" else set())
                assert outcome(shown, "node") == ("REACHED" if may_see else "NOTHING"), (relation, kind, role)


async def test_a_booking_key_finds_its_subaccount_as_a_node_and_nothing_else(served: Served) -> None:
    query = "query($id: ID!) { node(id: $id) { id __typename } }"
    shown = await served.ask(served.booking, query, id=served.world.subaccount)
    assert shown["data"]["node"]["__typename"] == "Subaccount"


async def test_anyone_may_ask_for_pages_and_bookings(served: Served, subjects: Subjects) -> None:
    subject = await subjects.make("gone")
    for path, selection in ANYONES.items():
        for role in Role:
            shown = await ask(served, role, path, selection, subject)
            assert outcome(shown, path.partition(".")[2]) != "FORBIDDEN", (path, role)


async def test_only_an_administrator_administers(served: Served, subjects: Subjects) -> None:
    subject = await subjects.make("gone")
    for path, selection in ADMINISTRATORS.items():
        for role in Role:
            shown = await ask(served, role, path, selection, subject)
            expected = "REACHED" if role is Role.ADMIN else "FORBIDDEN"
            assert outcome(shown, path.partition(".")[2]) == expected, (path, role)


async def test_availability_by_users_is_for_their_admin_and_their_owner(
    served: Served, subjects: Subjects
) -> None:
    for relation, roles in (
        ("own", {Role.ADMIN, Role.OWNER}),
        ("same", {Role.ADMIN}),
        ("other", set()),
        ("gone", set()),
    ):
        subject = await subjects.make(relation)
        for role in Role:
            shown = await ask(served, role, "Query.availability", AVAILABILITY, subject)
            refused = "FORBIDDEN" if role is Role.BOOKING else "NOTHING"
            expected = "REACHED" if role in roles else refused
            assert outcome(shown, "availability") == expected, (relation, role, shown)


async def test_a_removed_users_key_opens_nothing(served: Served) -> None:
    world = served.world
    assert (
        await world.admin(people.remove_user, user_id=world.anna.user, cancel_upcoming=True)
        == world.anna.user
    )
    answer = await served.post(served.owner, {"query": "{ viewer { role } }"})
    assert answer.status_code == 401


async def test_a_key_revoked_elsewhere_is_refused_within_5_s(served: Served) -> None:
    assert (await served.post(served.owner, {"query": "{ viewer { role } }"})).status_code == 200
    await served.world.write("UPDATE api_key SET revoked_at = 1 WHERE role = 'OWNER'")
    served.world.clock.now += 5
    assert (await served.post(served.owner, {"query": "{ viewer { role } }"})).status_code == 401


PAGE = "https://book.example.com"
ASK = {"query": "{ viewer { role } }"}


async def test_pages_use_a_booking_key_from_its_origins_alone(served: Served) -> None:
    key = await issue(served.world, Role.BOOKING, origins=[PAGE])
    good = await served.post(key, ASK, origin=PAGE)
    assert (good.status_code, good.headers["access-control-allow-origin"]) == (200, PAGE)
    for origin in (
        "https://evil.example.com",
        "null",
        "http://book.example.com",
        f"{PAGE}.evil.com",
        f"{PAGE}:8443",
    ):
        bad = await served.post(key, ASK, origin=origin)
        assert (bad.status_code, bad.json()["errors"][0]["extensions"]["code"]) == (403, "FORBIDDEN")
        assert "access-control-allow-origin" not in bad.headers
    assert (await served.post(key, ASK)).status_code == 200  # No browser: no page.
    assert (await served.post(key, ASK, origin=served.url)).status_code == 200  # Our own pages.


async def test_a_preflight_is_answered_for_any_page_without_a_key(served: Served) -> None:
    async with served.client() as client:
        answer = await client.options(
            "/graphql", headers={"origin": PAGE, "access-control-request-method": "POST"}
        )
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


async def test_pages_use_an_owners_key_from_the_origins_that_are_set(database: Database, bell: Bell) -> None:
    world = await world_on(database, bell)
    async with serving(world, settings_with(ALLOWED_ORIGINS=f"{PAGE}, https://two.example")) as served:
        assert (await served.post(served.owner, ASK, origin="https://two.example")).status_code == 200
        assert (await served.post(served.owner, ASK, origin="https://three.example")).status_code == 403


async def _addresses(served: Served, forwarded: str) -> int:
    """How many wrong keys it takes until the address behind the header is told to wait."""
    for count in range(1, 40):
        answer = await served.post("sw_admin_" + "x" * 43, ASK, x_forwarded_for=forwarded)
        if answer.status_code == 429:
            return count
    return 0


async def test_a_forwarded_address_is_believed_from_a_trusted_proxy_alone(
    database: Database, bell: Bell
) -> None:
    world = await world_on(database, bell)
    async with serving(world, settings_with(TRUSTED_PROXIES="127.0.0.0/8, 10.0.0.0/8")) as served:
        assert await _addresses(served, "203.0.113.7") == 31
        assert (
            await _addresses(served, "198.51.100.9, 203.0.113.7, 10.1.2.3") == 1
        )  # The same caller, two proxies.
        assert await _addresses(served, "203.0.113.8") == 31
        assert await _addresses(served, "2001:db8::1") == 31
        assert await _addresses(served, "2001:db8::ffff") == 1  # One household has the whole /64.
    async with serving(world) as served:
        assert await _addresses(served, "203.0.113.9") == 31
        assert await _addresses(served, "203.0.113.10") == 1  # Anyone can write that.
