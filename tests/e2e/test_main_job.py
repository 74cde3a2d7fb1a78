"""What a person would do, through HTTP and websocket only: connect, choose, block, offer, book, be told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from benchmarks.client import Client, Json
from benchmarks.world import APPLE_ID, PASSWORD, World, world
from standin.owner import Phone
from tests.e2e import queries as q

PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
async def slotwire(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, database_url, settings={"SLOTWIRE_POLL_WATCHED": "5"}) as running:
        yield running


@pytest.mark.slow
async def test_the_main_job_from_connecting_to_a_window_that_opens_again(slotwire: World) -> None:
    user = slotwire.people.user_id
    async with slotwire.owner() as owner, slotwire.guest() as guest:
        # Connect, and see all six calendars with what each can be chosen for.
        connected = await owner.mutate(
            "connectICloud",
            q.CONNECTED,
            "ConnectICloudInput!",
            {
                "userId": user,
                "appleId": APPLE_ID,
                "appSpecificPassword": PASSWORD,
            },
        )
        assert connected["__typename"] == "ICloudConnected", connected
        assert connected["account"]["status"] == "NEEDS_CALENDARS"
        calendars = {calendar["name"]: calendar for calendar in connected["account"]["calendars"]}
        assert len(calendars) == 6
        assert calendars["Home"]["linkable"]["yes"]
        assert {c["linkable"]["reason"] for c in calendars.values()} >= {
            "READ_ONLY",
            "SUBSCRIPTION",
            "HOLDS_NO_EVENTS",
        }
        closed = await _availability(guest, slotwire)
        assert closed["windows"] == []  # Nothing chosen: closed, never free by mistake.

        # Choose, and watch the first sync end.
        async with (
            owner.socket() as socket,
            aclosing(socket.subscribe(q.ACCOUNT_CHANGES, user=user)) as states,
        ):
            linked = await owner.mutate(
                "setLinkedCalendar",
                q.CONFIGURED,
                "SetLinkedCalendarInput!",
                {
                    "userId": user,
                    "calendarId": calendars["Home"]["id"],
                },
            )
            assert linked["user"]["linkedCalendar"]["name"] == "Home", linked
            chosen = [calendars[name]["id"] for name in ("Home", "Work", "Family")]
            conflict = await owner.mutate(
                "setConflictCalendars",
                q.CONFIGURED,
                "SetConflictCalendarsInput!",
                {
                    "userId": user,
                    "calendarIds": chosen,
                },
            )
            assert {c["name"] for c in conflict["user"]["conflictCalendars"]} == {"Family", "Home", "Work"}
            seen = await asyncio.wait_for(_until_connected(states), 60)
        assert seen[-1] == "CONNECTED"
        assert "SYNCING" in seen

        # Read which time is free, and stand by for changes.
        before = await _availability(guest, slotwire)
        assert before["freshness"]["isFresh"]
        assert before["slotStarts"]
        free = _roomy(before)
        cursor = (await owner.call(q.CURSOR, user=user))["user"]["cursor"]
        async with (
            owner.socket() as socket,
            aclosing(socket.subscribe(q.SLOT_CHANGES, user=user, after=cursor)) as changes,
        ):
            # The owner's phone adds an event in the middle of a free window: told, and closed.
            phone = slotwire.phone()
            start = free
            href = await phone.add("Home", title="Dentist", start=start, end=start + timedelta(minutes=30))
            added = (await asyncio.wait_for(anext(changes), 60))["blockedSlotChanges"]
            assert (added["kind"], added["slot"]["title"]) == ("ADDED", "Dentist")
            assert _at(added["slot"]["start"]) == start
            after = await _availability(guest, slotwire)
            assert _iso(start) not in after["slotStarts"]
            assert not any(
                _at(w["start"]) < start + timedelta(minutes=30) and start < _at(w["end"])
                for w in after["windows"]
            )

            # A guest books another start; it is written to the linked calendar.
            other = next(s for s in after["slotStarts"] if abs(_at(s) - start) > timedelta(hours=2))
            booked = await guest.mutate(
                "bookAppointment",
                q.BOOKED,
                "BookAppointmentInput!",
                {
                    "idempotencyKey": str(uuid4()),
                    "bookingPage": slotwire.people.booking_page,
                    "start": other,
                    "guest": {"name": "Ben Okri", "email": "ben@example.org"},
                    "notes": "First talk",
                },
            )
            assert booked["__typename"] == "AppointmentBooked", booked
            written = await asyncio.wait_for(_until_on_phone(phone, _at(other)), 60)
            assert "Ben Okri" in written
            again = await guest.mutate(
                "bookAppointment",
                q.BOOKED,
                "BookAppointmentInput!",
                {
                    "idempotencyKey": str(uuid4()),
                    "bookingPage": slotwire.people.booking_page,
                    "start": other,
                    "guest": {"name": "Cy Twombly", "email": "cy@example.org"},
                },
            )
            assert again["__typename"] == "SlotUnavailable", again
            assert again["nextSlots"]

            # The phone deletes its event: told, and open again.
            await phone.delete(href)
            removed = (await asyncio.wait_for(anext(changes), 60))["blockedSlotChanges"]
            assert (removed["kind"], removed["previous"]["title"]) == ("REMOVED", "Dentist")
            assert removed["slot"] is None
        reopened = await _availability(guest, slotwire)
        assert _iso(start) in reopened["slotStarts"]


async def _availability(guest: Client, running: World) -> Json:
    start = datetime.now(UTC).replace(microsecond=0)
    answer: Json = (
        await guest.call(
            q.AVAILABILITY,
            input={
                "bookingPage": running.people.booking_page,
                "from": _iso(start),
                "to": _iso(start + timedelta(days=14)),
            },
        )
    )["availability"]
    assert answer["__typename"] == "Availability", answer
    return answer


def _roomy(availability: Json) -> datetime:
    """A bookable start with two free hours after it, so that an event there closes just a part.

    Not within the hour: what is about to pass would not be open again at the end.
    """
    soonest = datetime.now(UTC) + timedelta(hours=1)
    for window in availability["windows"]:
        for text in availability["slotStarts"]:
            start = _at(text)
            if max(soonest, _at(window["start"])) <= start <= _at(window["end"]) - timedelta(hours=2):
                return start
    raise AssertionError("The seeded owner has no two free hours in two weeks.")


async def _until_connected(states: AsyncIterator[Json]) -> list[str]:
    seen = []
    async for state in states:
        seen.append(state["iCloudAccountChanges"]["account"]["status"])
        if seen[-1] == "CONNECTED":
            break
    return seen


async def _until_on_phone(phone: Phone, start: datetime) -> str:
    stamp = f"DTSTART:{start:%Y%m%dT%H%M%SZ}"
    while True:
        for event in await phone.events("Home"):
            if stamp in event.text and "slotwire" in event.text:
                return event.text
        await asyncio.sleep(0.2)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
