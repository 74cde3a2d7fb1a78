"""A list whose items each lead to something asks the database once for all of them, however long it is."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from domain.ids import Kind
from models.bell import Bell
from models.blocked import BlockedSlot
from models.booking import Appointment
from models.calendar import Event, Resource
from models.database import Database
from resolvers import types
from resolvers.views import AppointmentTypeView
from tests.e2e.serving import Served, serving
from tests.integration.world import NOW, World, admin_of, world_on

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
EVERY_USER = (
    "{ users(first: 30) { edges { node { name cursor iCloudAccount { status calendars { name eventCount } }"
    " linkedCalendar { name } conflictCalendars { name problems(first: 5) { uid } } appointmentTypes { name } } } }"
    " keys(first: 30) { edges { node { label user { name } } } } }"
)


async def fill(world: World, *, count: int) -> None:
    """Anna's time: `count` appointments, each with its event in iCloud, a slot in conflict with it, and a problem."""
    home = (await world.calendars())["Home"].id
    kind = await world.admin(
        types.create_type, user_id=world.anna.user, name="Talk", slug=f"talk-{count}", duration_minutes=30
    )
    assert isinstance(kind, AppointmentTypeView)
    of: dict[str, Any] = {"subaccount_id": world.subaccount, "user_id": world.anna.user}
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
    served: Served, caplog: pytest.LogCaptureFixture, query: str
) -> tuple[list[str], dict[str, Any]]:
    await served.ask(served.admin, query)  # Once before: keys and documents are known from then on.
    with caplog.at_level(logging.DEBUG, "tortoise.db_client"):
        caplog.clear()
        shown = await served.ask(served.admin, query)
        found = [str(record.args) for record in caplog.records if record.name == "tortoise.db_client"]
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


async def test_a_list_of_users_asks_as_often_for_20_as_for_two(
    database: Database, bell: Bell, caplog: pytest.LogCaptureFixture
) -> None:
    world = await world_on(database, bell)
    async with serving(world) as served:
        few, _ = await statements(served, caplog, EVERY_USER)
        for number in range(20):
            user = await world.add_user(world.subaccount, f"User {number}")
            apple_id = f"{number}@icloud.com"
            world.icloud.people[apple_id] = f"/{number + 10}/principal/"
            await world.connect(user, apple_id=apple_id)
            made = await world.run(
                admin_of(world.subaccount), types.create_type, user_id=user.user, name="T", slug=f"t-{number}",
                duration_minutes=5,
            )  # fmt: skip
            assert isinstance(made, AppointmentTypeView)
        many, data = await statements(served, caplog, EVERY_USER)
    # What no one has is not asked for at all: counts and problems of calendars.
    assert len(many) <= len(few) + 3 <= 12, "\n".join(many)
    nodes = [edge["node"] for edge in data["users"]["edges"]]
    assert [len(node["appointmentTypes"]) for node in nodes] == [0, 0] + [1] * 20
    assert all(node["iCloudAccount"]["calendars"] for node in nodes[2:])
