"""Two subaccounts on one running server: what the tests of bad input get wrong, and what must stay as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from benchmarks.campaigns.connected import connect
from benchmarks.client import Client, Json
from benchmarks.world import World, world
from server.demo_seed import People, seed_in_loop
from tests.e2e import queries as q

PAGE = "intro-call"
GUEST = {"name": "Grace Hopper", "email": "grace@example.com"}
NOBODY = "usr_01m5vj1jg0fjf9tdykgmttpyfb"
STATE = """
query ($user: ID!, $from: DateTime!, $to: DateTime!) {
  users(first: 20) { edges { node { id name email timeZone iCloudAccount { appleId status } } } }
  keys(first: 20) { edges { node { id label role revokedAt } } }
  auditLog(first: 1) { edges { node { id action } } }
  user(id: $user) {
    cursor name email timeZone
    workingHours { weekly { day start end } overrides { date } }
    linkedCalendar { id } conflictCalendars { id busyPolicy { declined } }
    appointmentTypes(includeArchived: true) { id name slug durationMinutes isArchived }
    blockedSlots(from: $from, to: $to, first: 50) { edges { node { id start end } } }
    appointments(from: $from, to: $to, first: 20) { edges { node { id start status } } } } }
"""


@dataclass
class Facts:
    """Two subaccounts. In `ours` Alex is connected and booked once; `theirs` has a user, and nothing of ours."""

    running: World
    ours: Client
    guest: Client
    theirs: Client
    their_owner: Client
    their_guest: Client
    other: People
    calendars: dict[str, str]
    second: str
    open: str
    taken: str
    token: str
    hold: str
    ids: dict[str, str]

    @property
    def user(self) -> str:
        return self.running.people.user_id

    async def state(self) -> list[Json]:
        """All that a change could leave a trace in, of both subaccounts."""
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        within = {"from": text_of(today), "to": text_of(today + timedelta(days=40))}
        return [
            await self.ours.call(STATE, user=self.user, **within),
            await self.theirs.call(STATE, user=self.other.user_id, **within),
        ]


def text_of(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat()


@asynccontextmanager
async def two_subaccounts(folder: Path) -> AsyncIterator[Facts]:
    async with AsyncExitStack() as stack:
        settings = {"SLOTWIRE_POLL_USUAL": "300", "SLOTWIRE_POLL_WATCHED": "300"}
        running = await stack.enter_async_context(
            world(folder, f"sqlite:///{folder / 'slotwire.sqlite3'}", settings=settings)
        )
        other = await seed_in_loop(running.servers[0].environment, name="Otto", zone="Europe/Berlin")
        url = running.graphql_url()
        keys = (running.people.admin_key, running.people.booking_key)
        theirs = (other.admin_key, other.owner_key, other.booking_key)
        ours, guest, their_admin, their_owner, their_guest = [
            await stack.enter_async_context(Client(url, key)) for key in (*keys, *theirs)
        ]
        calendars = await connect(running)
        made = Facts(
            running=running,
            ours=ours,
            guest=guest,
            theirs=their_admin,
            their_owner=their_owner,
            their_guest=their_guest,
            other=other,
            calendars=calendars,
            second="",
            open="",
            taken="",
            token="",
            hold="",
            ids={},
        )
        await _fill(made)
        yield made


async def _fill(made: Facts) -> None:
    answer = await made.ours.mutate(
        "createUser",
        "... on UserCreated { user { id } }",
        "CreateUserInput!",
        {"name": "Second", "timeZone": "UTC"},
    )
    made.second = answer["user"]["id"]
    starts = (await ask(made.guest))["slotStarts"]
    made.taken, held, made.open = starts[10], starts[14], starts[20]
    booked = await made.guest.mutate(
        "bookAppointment", q.BOOKED, "BookAppointmentInput!", booking_at(made.taken)
    )
    made.token = booked["booking"]["manageToken"]
    hold = await made.guest.mutate(
        "holdSlot",
        "... on SlotHeld { hold { token } }",
        "HoldSlotInput!",
        {"bookingPage": PAGE, "start": held},
    )
    made.hold = hold["hold"]["token"]
    slot = await made.ours.mutate(
        "createBlockedSlot",
        "... on BlockedSlotCreated { blockedSlot { id } }",
        "CreateBlockedSlotInput!",
        {"userId": made.user, "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"},
    )
    seen = await made.ours.call(
        "query ($user: ID!, $from: DateTime!, $to: DateTime!) { keys { edges { node { id } } }"
        " viewer { subaccount { id } } auditLog(first: 1) { edges { node { id } } }"
        " user(id: $user) { iCloudAccount { id } appointmentTypes { id }"
        " events(from: $from, to: $to, first: 1) { edges { node { id } } } } }",
        user=made.user,
        **{"from": text_of(datetime.now(UTC)), "to": text_of(datetime.now(UTC) + timedelta(days=60))},
    )
    made.ids = {
        "user": made.user,
        "key": seen["keys"]["edges"][0]["node"]["id"],
        "subaccount": seen["viewer"]["subaccount"]["id"],
        "audit": seen["auditLog"]["edges"][0]["node"]["id"],
        "account": seen["user"]["iCloudAccount"]["id"],
        "type": seen["user"]["appointmentTypes"][0]["id"],
        "event": seen["user"]["events"]["edges"][0]["node"]["id"],
        "calendar": made.calendars["Home"],
        "slot": slot["blockedSlot"]["id"],
        "appointment": booked["booking"]["id"],
    }
    await _until_written(made)


async def _until_written(made: Facts) -> None:
    query = "query ($id: ID!) { node(id: $id) { ... on Appointment { iCloud { state } } } }"
    async with asyncio.timeout(60):
        while True:
            answer = await made.ours.call(query, id=made.ids["appointment"])
            if answer["node"]["iCloud"]["state"] == "WRITTEN":
                break
            await asyncio.sleep(0.1)
    # And seen again in iCloud: from here on nothing moves by itself.
    value = {"userId": made.user}
    answer = await made.ours.mutate(
        "refreshICloud", "... on ICloudRefreshed { isComplete }", "RefreshICloudInput!", value
    )
    assert answer["__typename"] == "ICloudRefreshed", answer


async def ask(client: Client, **given: object) -> Json:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    asked = {
        "bookingPage": PAGE,
        "from": text_of(today),
        "to": text_of(today + timedelta(days=30)),
        **given,
    }
    answer: Json = (await client.call(q.AVAILABILITY, input=asked))["availability"]
    return answer


def booking_at(start: str, **given: object) -> Json:
    return {
        "idempotencyKey": str(uuid4()),
        "bookingPage": PAGE,
        "start": start,
        "guest": GUEST,
        **given,
    }


def later(text: str, **by: float) -> str:
    return text_of(datetime.fromisoformat(text) + timedelta(**by))
