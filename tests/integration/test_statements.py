"""A list whose items each lead to something asks the database once for all of them, however long it is."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from domain.actor import Role, UserRef
from domain.ids import Kind
from models.bell import Bell
from models.blocked import BlockedSlot
from models.booking import Appointment
from models.calendar import Event, Resource
from models.database import Database
from resolvers import types
from resolvers.views import AppointmentTypeView
from tests.e2e.serving import Served, issue, serving
from tests.integration.query_plans import LOGGER, steps
from tests.integration.world import NOW, World, world_on

RANGE = 'from: "2026-10-26T00:00:00Z", to: "2026-12-31T00:00:00Z", first: 100'
CALENDARS = "calendars { name eventCount problems(first: 5) { uid } }"
DASHBOARD = {
    "a user with its calendars": (
        f"iCloudAccount {{ status {CALENDARS} }} linkedCalendar {{ name }} cursor"
        " conflictCalendars { name eventCount problems(first: 5) { uid message } }"
        " appointmentTypes { name user { name } }"
    ),
    "events": f"events({RANGE}) {{ edges {{ node {{"
    " title calendar { name } appointment { title type { name } } } } }",
    "appointments": f"appointments({RANGE}) {{ edges {{ node {{"
    " title user { name } type { name } conflicts { title event { uid } } iCloud { state calendar { name } } } } }",
    "blocked slots": f"blockedSlots({RANGE}) {{ edges {{ node {{"
    " title event { title calendar { name } appointment { title } } } } }",
}
FEW = RANGE.replace("100", "5")
EVERY_USER = {
    "people": "name email cursor workingHours { weekly { day } } iCloudAccount { status calendars { name eventCount } }"
    " linkedCalendar { name } conflictCalendars { name problems(first: 5) { uid } } appointmentTypes { name }",
    "their events": f"name events({FEW}) {{ edges {{ node {{ title calendar {{ name }}"
    " appointment { title type { name } } } } pageInfo { hasNextPage } }",
    "their blocked slots": f"name blockedSlots({FEW}) {{ edges {{ node {{ title event {{ title calendar {{ name }}"
    " appointment { title } } } } pageInfo { hasNextPage } }",
    "their appointments": f"name appointments({FEW}, status: CONFIRMED) {{ edges {{ node {{ title user {{ name }}"
    " type { name } conflicts { title event { uid } } iCloud { state calendar { name } } } } }",
    "why their time is closed": f"name closedSpans({RANGE.partition(', first')[0]}) {{ start reasons {{ code }} }}",
}
KEYS = "{ keys(first: 30) { edges { node { label user { name cursor } } } } }"
"""With DASHBOARD's four and these, the ten that a dashboard makes."""


async def fill(world: World, *, count: int, user: UserRef | None = None) -> None:
    """A user's time, Anna's unless told otherwise: `count` appointments, each with its event in iCloud, a slot in
    conflict with it, and a problem.
    """
    user = user or world.anna
    home = (await world.calendars(user))["Home"].id
    kind = await world.admin(
        types.create_type,
        user_id=user.user,
        name="Talk",
        slug=f"talk-{count}-{user.user[-6:]}",
        duration_minutes=30,
    )
    assert isinstance(kind, AppointmentTypeView)
    of: dict[str, Any] = {"subaccount_id": world.subaccount, "user_id": user.user}
    new_id = world.services.new_id
    async with world.services.database.writing() as db:
        for number in range(count):
            start = int(NOW) + (number + count) * 3600
            span = {"starts": start, "ends": start + 1800}
            own, event, resource = new_id(Kind.APPOINTMENT), new_id(Kind.EVENT), new_id(Kind.RESOURCE)
            await Appointment.create(
                using_db=db, id=own, **of, **span, type_id=kind.id, title="Talk", status="CONFIRMED",
                guest_name="G", guest_email="g@example.org", created_at=NOW, modified_at=NOW, calendar_id=home,
                write_state="WRITTEN", has_conflict=True,
            )  # fmt: skip
            await Resource.create(
                using_db=db, id=resource, **of, calendar_id=home, href=f"/{own}", etag="1", uid=own, body="",
                problems=[{"uid": own, "code": "UNREADABLE", "message": "Broken.", "blocked": None}],
                has_problems=True,
            )  # fmt: skip
            await Event.create(
                using_db=db, id=event, **of, **span, calendar_id=home, resource_id=resource, uid=own,
                key=own, title="Talk", busy_starts=start, busy_ends=start + 1800, is_all_day=False, is_recurring=False,
                show_as="BUSY", status="CONFIRMED", blocks=True, appointment_id=own,
            )  # fmt: skip
            await BlockedSlot.create(
                using_db=db, id=new_id(Kind.BLOCKED_SLOT), **of, **span, source="ICLOUD", title="Clash",
                event_id=event, calendar_id=home, resource_id=resource,
            )  # fmt: skip


async def statements(
    served: Served, caplog: pytest.LogCaptureFixture, query: str, *, key: str | None = None
) -> tuple[list[str], dict[str, Any]]:
    key = key or served.admin
    await served.ask(key, query)  # Once before: keys and documents are known from then on.
    with caplog.at_level(logging.DEBUG, LOGGER):
        caplog.clear()
        shown = await served.ask(key, query)
        found = [str(record.args) for record in caplog.records if record.name == LOGGER]
    assert "errors" not in shown, shown
    return found, shown["data"]


@pytest.mark.parametrize("name", DASHBOARD)
async def test_a_list_asks_as_often_for_100_items_as_for_one(
    database: Database, bell: Bell, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    world = await world_on(database, bell)
    await world.connect()
    async with serving(world) as served:
        query = f'{{ user(id: "{world.anna.user}") {{ {DASHBOARD[name]} }} }}'
        await fill(world, count=1)
        few, _ = await statements(served, caplog, query)
        await fill(world, count=100)
        many, data = await statements(served, caplog, query)
    assert len(many) == len(few) <= 9, "\n".join(many)
    edges = [it["edges"] for it in data["user"].values() if isinstance(it, dict) and "edges" in it]
    assert all(len(found) == 100 for found in edges)
    assert all(edge["node"].get("conflicts", True) for found in edges for edge in found)


_MORE_THAN_NAMED = re.compile(
    r'.*\bid"? IN \(\?.*: '
    r"(?:SCAN (?!\(|(?:found|placed)$)|SEARCH \w+ .*\((?:subaccount_id|user_id)=\?\)"
    r"|SEARCH b (?!.*blocked_slot_long).*\(user_id=\? AND starts<\?\))"
)
"""All of a subaccount's rows, all of a user's, or all of its slots up to an appointment's end."""


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_named_is_found_by_its_name(
    database: Database, bell: Bell, caplog: pytest.LogCaptureFixture
) -> None:
    """Of two, SQLite takes the ids' own index by itself; of three, and of ten users, another one."""
    world = await world_on(database, bell)
    await world.connect()
    for number in range(10):
        await world.add_user(world.subaccount, f"User {number}")
    found: list[str] = []
    async with serving(world) as served:
        await fill(world, count=3)
        of_anna = [f'{{ user(id: "{world.anna.user}") {{ {query} }} }}' for query in DASHBOARD.values()]
        of_all = (
            f"{{ users(first: 30) {{ edges {{ node {{ {query} }} }} }} }}" for query in EVERY_USER.values()
        )
        asked = [(served.admin, query) for query in (*of_anna, *of_all, KEYS)]
        for key, query in (*asked, *((served.owner, query) for query in of_anna)):
            await statements(served, caplog, query, key=key)
            found += [each for each in await steps(database, caplog) if _MORE_THAN_NAMED.match(each)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", [*EVERY_USER, "keys"])
async def test_a_list_of_users_asks_as_often_for_20_as_for_two(
    database: Database, bell: Bell, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    world = await world_on(database, bell)
    queries = EVERY_USER | {"keys": KEYS}
    query = queries[name]
    if query != KEYS:
        query = f"{{ users(first: 30) {{ edges {{ node {{ {query} }} }} }} }}"
    async with serving(world) as served:
        await world.connect()
        world.icloud.people["ben@icloud.com"] = "/2/principal/"
        await world.connect(world.ben, apple_id="ben@icloud.com")
        await fill(world, count=1)
        await fill(world, count=1, user=world.ben)
        few, _ = await statements(served, caplog, query)
        for number in range(20):
            user = await world.add_user(world.subaccount, f"User {number}")
            apple_id = f"{number}@icloud.com"
            world.icloud.people[apple_id] = f"/{number + 10}/principal/"
            await world.connect(user, apple_id=apple_id)
            await fill(world, count=2, user=user)
            await issue(world, Role.OWNER, user=user.user)
        many, data = await statements(served, caplog, query)
    assert len(many) == len(few) <= 12, "\n".join(many)
    edges = data["users" if query != KEYS else "keys"]["edges"]
    assert len(edges) >= 22
    for edge in edges:
        for found in edge["node"].values():
            if isinstance(found, dict) and "edges" in found:
                assert len(found["edges"]) >= 1, "what was counted is there"
