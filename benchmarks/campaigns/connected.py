"""What campaigns need before they start: iCloud connected, Home linked, the first sync done."""

from __future__ import annotations

import asyncio

from benchmarks.world import APPLE_ID, PASSWORD, World
from tests.e2e import queries as q


async def connect(running: World, *, calendars: tuple[str, ...] = ("Home", "Work")) -> dict[str, str]:
    """Calendars' ids by name; the first of `calendars` is the linked one."""
    user = running.people.user_id
    async with running.owner() as owner:
        value = {"userId": user, "appleId": APPLE_ID, "appSpecificPassword": PASSWORD}
        answer = await owner.mutate("connectICloud", q.CONNECTED, "ConnectICloudInput!", value)
        ids = {calendar["name"]: calendar["id"] for calendar in answer["account"]["calendars"]}
        value = {"userId": user, "calendarId": ids[calendars[0]]}
        await owner.mutate("setLinkedCalendar", q.CONFIGURED, "SetLinkedCalendarInput!", value)
        chosen = {"userId": user, "calendarIds": [ids[name] for name in calendars]}
        await owner.mutate("setConflictCalendars", q.CONFIGURED, "SetConflictCalendarsInput!", chosen)
        async with asyncio.timeout(90):
            while await _status(running) != "CONNECTED":
                await asyncio.sleep(0.1)
    return ids


async def _status(running: World) -> str:
    async with running.owner() as owner:
        query = "query ($user: ID!) { user(id: $user) { iCloudAccount { status } } }"
        answer = await owner.call(query, user=running.people.user_id)
    return str(answer["user"]["iCloudAccount"]["status"])
