"""The main job against a plain CalDAV server that is not iCloud, as people who run their own have."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest

from benchmarks.world import world
from tests.contracts.radicale_server import NAME, PASSWORD, plain_radicale
from tests.e2e import queries as q

AUTHORIZATION = f"Basic {b64encode(f'{NAME}:{PASSWORD}'.encode()).decode()}"
EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Phone//EN
BEGIN:VEVENT
UID:{uid}
DTSTAMP:20260101T000000Z
DTSTART:{start:%Y%m%dT%H%M%SZ}
DTEND:{end:%Y%m%dT%H%M%SZ}
SUMMARY:Dentist
END:VEVENT
END:VCALENDAR
"""


@pytest.mark.slow
async def test_an_ordinary_server_is_connected_read_and_written(database_url: str, tmp_path: Path) -> None:
    async with (
        plain_radicale(tmp_path) as caldav,
        world(
            tmp_path,
            database_url,
            settings={
                "SLOTWIRE_CALDAV_URL": caldav,
                "SLOTWIRE_CALDAV_IS_ICLOUD": "auto",
                "SLOTWIRE_POLL_WATCHED": "5",
            },
        ) as run,
        run.owner() as owner,
        run.guest() as guest,
        httpx2.AsyncClient(headers={"Authorization": AUTHORIZATION}, trust_env=False) as phone,
    ):
        user = run.people.user_id
        value = {"userId": user, "appleId": NAME, "appSpecificPassword": "wrong"}
        refused = await owner.mutate("connectICloud", q.CONNECTED, "ConnectICloudInput!", value)
        assert refused["__typename"] == "ICloudPasswordRefused"
        value["appSpecificPassword"] = PASSWORD  # Not of an app-specific password's form: not asked for here.
        connected = await owner.mutate("connectICloud", q.CONNECTED, "ConnectICloudInput!", value)
        calendars = {c["name"]: c for c in connected["account"]["calendars"]}
        assert calendars["Tasks"]["conflictSelectable"] == {"yes": False, "reason": "HOLDS_NO_EVENTS"}

        async with (
            owner.socket() as socket,
            aclosing(socket.subscribe(q.ACCOUNT_CHANGES, user=user)) as states,
        ):
            chosen = {"userId": user, "calendarId": calendars["Home"]["id"]}
            await owner.mutate("setLinkedCalendar", q.CONFIGURED, "SetLinkedCalendarInput!", chosen)
            async for state in states:
                if state["iCloudAccountChanges"]["account"]["status"] == "CONNECTED":
                    break
        cursor = (await owner.call(q.CURSOR, user=user))["user"]["cursor"]
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
        href = f"{caldav}{NAME}/home/{uuid4()}.ics"
        text = EVENT.format(uid=uuid4(), start=start, end=start + timedelta(hours=1))
        async with owner.socket() as socket:
            frames = socket.subscribe(q.SLOT_CHANGES, user=user, after=cursor)
            async with aclosing(frames):
                assert (
                    await phone.put(href, content=text, headers={"Content-Type": "text/calendar"})
                ).status_code == 201
                added = (await asyncio.wait_for(anext(frames), 60))["blockedSlotChanges"]
                assert (added["kind"], added["slot"]["title"]) == ("ADDED", "Dentist")
                await phone.delete(href)
                removed = (await asyncio.wait_for(anext(frames), 60))["blockedSlotChanges"]
                assert removed["kind"] == "REMOVED"

        span = {"from": _iso(start), "to": _iso(start + timedelta(days=9))}
        page = {"bookingPage": run.people.booking_page, **span}
        starts = (await guest.call(q.AVAILABILITY, input=page))["availability"]["slotStarts"]
        booked = await guest.mutate(
            "bookAppointment",
            q.BOOKED,
            "BookAppointmentInput!",
            {
                "idempotencyKey": str(uuid4()),
                "bookingPage": run.people.booking_page,
                "start": starts[0],
                "guest": {"name": "Ben Okri", "email": "ben@example.org"},
            },
        )
        assert booked["__typename"] == "AppointmentBooked", booked
        async with asyncio.timeout(60):
            while True:
                node = (await owner.call(q.APPOINTMENTS, user=user, **span))["user"]["appointments"]["edges"][
                    0
                ]["node"]
                if node["iCloud"]["state"] == "WRITTEN":
                    break
                await asyncio.sleep(0.2)
        listing = await phone.request("PROPFIND", f"{caldav}{NAME}/home/", headers={"Depth": "1"})
        assert listing.text.count("slotwire-") >= 1


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
