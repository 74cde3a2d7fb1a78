"""The owner's phone does to the stand-in what a person does on theirs; the seed is a life to look at."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from standin.backend import Backend
from standin.catalog import Account, Kind
from standin.cloud import Cloud
from standin.faults import KINDS
from standin.manners import HOSTILE, Manners, manners
from standin.messages import OWNERS_DEVICE, Request
from standin.owner import Phone, PhoneError
from standin.seed import Owner, seed_owner
from standin.server import StandIn
from tests.contracts.standin_http import APPLE_ID, PASSWORD, Reply, event, served

BERLIN = ZoneInfo("Europe/Berlin")
TEN = datetime(2026, 11, 23, 10, tzinfo=BERLIN)
HOUR = timedelta(hours=1)
TODAY = date(2026, 11, 20)


async def test_an_event_from_the_phone_has_its_zone_its_alarm_and_a_foreign_name() -> None:
    async with served() as dav:
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        path = await phone.add(
            "Home", "Dentist, early; urgent", TEN, TEN + HOUR, travel=timedelta(minutes=20)
        )
        (seen,) = await phone.events("Home")
    assert seen.path == path
    assert seen.start == "20261123T100000"
    for line in (
        "DTSTART;TZID=Europe/Berlin:20261123T100000",
        "BEGIN:VTIMEZONE",
        "BEGIN:VALARM",
        "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT20M",
        "X-APPLE-TRAVEL-START;ROUTING=CAR;VALUE=URI",
        "X-APPLE-TRAVEL-ADVISORY-BEHAVIOR:AUTOMATIC",
    ):
        assert line in seen.text
    uid = next(line for line in seen.text.splitlines() if line.startswith("UID:"))
    assert uid.removeprefix("UID:") not in path


@pytest.mark.parametrize(
    ("start", "end", "line"),
    [
        (date(2026, 11, 23), date(2026, 11, 25), "DTSTART;VALUE=DATE:20261123"),
        (TEN.replace(tzinfo=None), (TEN + HOUR).replace(tzinfo=None), "DTSTART:20261123T100000"),
        (TEN.astimezone(UTC), (TEN + HOUR).astimezone(UTC), "DTSTART:20261123T090000Z"),
    ],
    ids=["all-day", "floating", "utc"],
)
async def test_the_phone_writes_every_kind_of_moment(start: date, end: date, line: str) -> None:
    async with served() as dav:
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        text, _ = await phone.read(await phone.add("Home", "x", start, end))
    assert line in text.splitlines()


async def test_many_things_done_at_once_on_a_phone_are_all_done() -> None:
    async with served() as dav:
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        # More than asyncio has threads for, each of which waits for the stand-in in the same process.
        paths = await asyncio.gather(*(phone.add("Home", "x", TEN, TEN + HOUR) for _ in range(40)))
        assert {seen.path for seen in await phone.events("Home")} == set(paths)


async def test_what_is_deleted_while_it_is_listed_is_not_in_the_list(tmp_path: Path) -> None:
    async with served(storage=tmp_path) as dav:
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        kept, deleted = [await phone.add("Home", "x", TEN, TEN + HOUR) for _ in range(2)]
        (tmp_path / f"collection-root{deleted.replace('/calendars/', '/')}").unlink()
        assert [seen.path for seen in await phone.events("Home")] == [kept]


async def test_what_holds_no_event_is_not_in_the_list_and_can_t_be_changed() -> None:
    async with served() as dav:
        calendar = dav.icloud.cloud.member(APPLE_ID).calendar("Home")
        dav.icloud.cloud.load(calendar, {"odd.ics": "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"})
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        assert await phone.events("Home") == []
        with pytest.raises(ValueError, match="no event in it"):
            await phone.free(f"{dav.home}home/odd.ics")


async def test_what_a_calendar_does_not_take_stays_where_it_was() -> None:
    async with served() as dav:
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        path = await phone.add("Home", "x", TEN, TEN + HOUR)
        text, _ = await phone.read(path)
        with pytest.raises(PhoneError, match="403"):
            await phone.carry(path, "Team")
        assert (await phone.read(path))[0] == text


async def test_what_is_made_of_a_series_has_its_title() -> None:
    title = "C:\\new, or\nlate; \\,"
    async with served() as dav:
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        path = await phone.add("Home", title, TEN, TEN + HOUR, rule="FREQ=DAILY;COUNT=9")
        (series,) = await phone.events("Home")
        await phone.override(path, TEN + 24 * HOUR, TEN + 26 * HOUR, TEN + 27 * HOUR)
        await phone.this_and_future(path, TEN + 48 * HOUR, TEN + 50 * HOUR, TEN + 51 * HOUR)
        first, second = await phone.events("Home")
    assert [each.text.count(f"SUMMARY:{series.title}\n") for each in (first, second)] == [2, 1]


async def test_the_phone_changes_what_is_there() -> None:
    async with served() as dav:
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        path = await phone.add("Home", "x", TEN, TEN + HOUR)
        await phone.move(path, TEN + HOUR, TEN + 2 * HOUR)
        await phone.free(path)
        await phone.travel(path, 30)
        await phone.rename(path, "y")
        await phone.cancel(path)
        text, _ = await phone.read(path)
        await phone.delete(path)
        left = await phone.events("Home")
    lines = text.splitlines()
    for line in (
        "DTSTART;TZID=Europe/Berlin:20261123T110000",
        "DTEND;TZID=Europe/Berlin:20261123T120000",
        "TRANSP:TRANSPARENT",
        "SUMMARY:y",
        "STATUS:CANCELLED",
    ):
        assert lines.count(line) == 1
    assert "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT30M" in lines
    assert left == []


async def test_an_event_may_be_free_and_tentative_from_the_start_and_lose_its_travel_time() -> None:
    async with served() as dav:
        phone = dav.icloud.phone(APPLE_ID)
        path = await phone.add("Home", "x", TEN, TEN + HOUR, free=True, status="TENTATIVE", travel=HOUR)
        first, _ = await phone.read(path)
        await phone.travel(path, 0)
        without, _ = await phone.read(path)
        await phone.free(path, free=False)
        then, _ = await phone.read(path)
    assert "\r\n\r\n" not in without
    assert {"TRANSP:TRANSPARENT", "STATUS:TENTATIVE"} <= set(first.splitlines())
    assert "X-APPLE-TRAVEL-DURATION" not in then
    assert "TRANSP:OPAQUE" in then.splitlines()


async def test_a_move_puts_an_end_in_place_of_a_duration() -> None:
    async with served() as dav:
        path = f"{dav.home}home/a.ics"
        await dav.put("home/a.ics", event("one", "DURATION:PT3H", end=None))
        await dav.icloud.phone(APPLE_ID).move(path, TEN, TEN + HOUR)
        text, _ = await dav.icloud.phone(APPLE_ID).read(path)
    assert "DURATION" not in text
    assert text.count("DTEND") == 1


async def test_the_phone_changes_nothing_that_changed_since_it_looked() -> None:
    async with served() as dav:
        phone, later = dav.icloud.phone(APPLE_ID), TEN + timedelta(days=7)
        path = await phone.add("Home", "x", TEN, TEN + HOUR, rule="FREQ=WEEKLY;BYDAY=MO")

        async def somebody_else_was_quicker(request: Request) -> None:
            if request.method in {"PUT", "DELETE"}:
                dav.icloud.faults(APPLE_ID).touch("home")

        dav.icloud.front.asked = somebody_else_was_quicker
        for late in (
            phone.rename(path, "y"),
            phone.delete(path),
            phone.carry(path, "Work"),
            phone.this_and_future(path, later, later, later + HOUR),
        ):
            with pytest.raises(PhoneError, match="412"):
                await late
        [left] = await phone.events("Home")
        assert (left.title, await phone.events("Work")) == ("x", [])


async def test_the_phone_carries_an_event_to_another_calendar() -> None:
    async with served() as dav:
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        path = await phone.add("Home", "x", TEN, TEN + HOUR)
        text, _ = await phone.read(path)
        carried = await phone.carry(path, "Work")
        [event] = await phone.events("Work")
        assert (event.path, await phone.events("Home")) == (carried, [])
        assert event.text.split("UID:")[1].split()[0] == text.split("UID:")[1].split()[0]


async def test_the_phone_moves_and_leaves_out_occurrences() -> None:
    async with served() as dav:
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        path = await phone.add("Home", "Gym; early, long", TEN, TEN + HOUR, rule="FREQ=WEEKLY;BYDAY=MO")
        second, third = TEN + timedelta(days=7), TEN + timedelta(days=14)
        await phone.override(path, second, second + HOUR, second + 2 * HOUR)
        await phone.leave_out(path, third)
        text, _ = await phone.read(path)
    assert text.count("BEGIN:VEVENT") == 2
    assert text.count("UID:") >= 2
    assert text.splitlines().count("SUMMARY:Gym\\; early\\, long") == 2
    assert "RECURRENCE-ID;TZID=Europe/Berlin:20261130T100000" in text
    assert "EXDATE;TZID=Europe/Berlin:20261207T100000" in text


async def test_an_occurrence_moved_is_as_free_and_as_far_away_as_its_series() -> None:
    async with served() as dav:
        phone = dav.icloud.phone(APPLE_ID)
        journey = timedelta(minutes=20)
        path = await phone.add(
            "Home", "Open house", TEN, TEN + HOUR, rule="FREQ=WEEKLY;BYDAY=MO", free=True, travel=journey
        )
        second = TEN + timedelta(days=7)
        await phone.override(path, second, second + HOUR, second + 2 * HOUR)
        text, _ = await phone.read(path)
    assert [text.count(line) for line in ("TRANSP:TRANSPARENT", "TRANSP:OPAQUE")] == [2, 0]
    assert text.count("X-APPLE-TRAVEL-DURATION") == 2


async def test_an_occurrence_moved_twice_stands_once_and_a_deleted_one_not_at_all() -> None:
    async with served() as dav:
        phone = dav.icloud.phone(APPLE_ID)
        path = await phone.add("Home", "Gym", TEN, TEN + HOUR, rule="FREQ=WEEKLY;BYDAY=MO")
        second = TEN + timedelta(days=7)
        await phone.override(path, second, second + HOUR, second + 2 * HOUR)
        await phone.override(path, second, second + 3 * HOUR, second + 4 * HOUR)
        twice, _ = await phone.read(path)
        await phone.leave_out(path, second)
        text, _ = await phone.read(path)
    assert twice.count("RECURRENCE-ID") == 1
    assert "DTSTART;TZID=Europe/Berlin:20261130T130000" in twice
    assert (text.count("RECURRENCE-ID"), text.count("EXDATE")) == (0, 1)


@pytest.mark.parametrize(
    ("rule", "ended", "goes_on"),
    [
        ("FREQ=WEEKLY;BYDAY=MO", "UNTIL=20261207T085959Z", "RRULE:FREQ=WEEKLY;BYDAY=MO"),
        ("FREQ=WEEKLY;BYDAY=MO;COUNT=5", "UNTIL=20261207T085959Z", "RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=3"),
        (
            "FREQ=WEEKLY;BYDAY=MO;UNTIL=20270201T090000Z",
            "UNTIL=20261207T085959Z",
            "RRULE:FREQ=WEEKLY;BYDAY=MO;UNTIL=20270201T090000Z",
        ),
    ],
    ids=["for-ever", "count", "until"],
)
async def test_this_and_future_is_two_series_that_know_each_other(
    rule: str, ended: str, goes_on: str
) -> None:
    third = TEN + timedelta(days=14)
    async with served() as dav:
        phone = dav.icloud.phone(APPLE_ID)
        path = await phone.add("Home", "Gym, early", TEN, TEN + HOUR, rule=rule, travel=timedelta(minutes=9))
        early, late = third - timedelta(days=7), third + timedelta(days=7)
        for occurrence in (early, late):
            await phone.override(path, occurrence, occurrence + HOUR, occurrence + 2 * HOUR)
        new_path = await phone.this_and_future(path, third, third + HOUR, third + 2 * HOUR)
        (old, _), (new, _) = await phone.read(path), await phone.read(new_path)
    lines = new.replace("\r\n ", "").splitlines()
    assert f"RRULE:FREQ=WEEKLY;BYDAY=MO;{ended}" in old
    found = [line for line in old.splitlines() if line.startswith("RECURRENCE-ID")]
    assert found == ["RECURRENCE-ID;TZID=Europe/Berlin:20261130T100000"]
    assert "DTSTART;TZID=Europe/Berlin:20261207T110000" in lines
    assert {goes_on, "SUMMARY:Gym\\, early", "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT9M"} <= set(lines)
    whole = (old + new).replace("\r\n ", "").splitlines()
    sets = [line for line in whole if "RECURRENCE-SET" in line]
    assert len(sets) == 2
    assert len(set(sets)) == 1


async def test_this_and_future_keeps_how_the_series_is_shown_and_at_least_one_date_of_it() -> None:
    """Of a floating one the end floats too."""
    begins = TEN.replace(tzinfo=None)
    third = begins + timedelta(days=14)
    async with served() as dav:
        phone = dav.icloud.phone(APPLE_ID)
        path = await phone.add(
            "Home", "x", begins, begins + HOUR, rule="FREQ=WEEKLY;COUNT=2", free=True, status="TENTATIVE"
        )
        new_path = await phone.this_and_future(path, third, third, third + HOUR)
        (old, _), (new, _) = await phone.read(path), await phone.read(new_path)
    assert "RRULE:FREQ=WEEKLY;UNTIL=20261207T095959" in old.splitlines()
    assert {"RRULE:FREQ=WEEKLY;COUNT=1", "TRANSP:TRANSPARENT", "STATUS:TENTATIVE"} <= set(new.splitlines())


async def test_this_and_future_of_an_all_day_series_ends_the_day_before() -> None:
    async with served() as dav:
        phone = dav.icloud.phone(APPLE_ID)
        day, one = date(2026, 11, 23), timedelta(days=1)
        path = await phone.add("Home", "Bin", day, day + one, rule="FREQ=DAILY;COUNT=10")
        new_path = await phone.this_and_future(path, day + 4 * one, day + 5 * one, day + 6 * one)
        (old, _), (new, _) = await phone.read(path), await phone.read(new_path)
        with pytest.raises(ValueError, match="recur"):
            await phone.this_and_future(await phone.add("Home", "x", TEN, TEN + HOUR), TEN, TEN, TEN + HOUR)
    assert "RRULE:FREQ=DAILY;UNTIL=20261126" in old.splitlines()
    assert "RRULE:FREQ=DAILY;COUNT=6" in new.splitlines()


async def test_the_phone_makes_changes_and_deletes_calendars() -> None:
    async with served() as dav:
        phone = dav.icloud.phone(APPLE_ID)
        path = await phone.make_calendar("Trips & more", color="#FF0000FF")
        await phone.rename_calendar("Trips & more", "Travel")
        await phone.recolour("Travel", "#00FF00FF")
        await phone.share("Travel", "b@x.example")
        listed = await dav.listing()
        kinds = listed.prop(path, "d:resourcetype")
        color = listed.prop(path, "i:calendar-color")
        await phone.unshare("Travel", "b@x.example")
        member = dav.icloud.cloud.member(APPLE_ID)
        unshared = member.calendar("Travel").facts.kind
        with pytest.raises(PhoneError, match="403"):
            await phone.rename_calendar("Team", "Mine")
        await phone.delete_calendar("Travel")
        assert "Travel" not in await phone.calendars()
    assert kinds is not None
    assert color is not None
    assert color.text == "#00FF00FF"
    assert "shared-owner" in "".join(each.tag for each in kinds)
    assert unshared is Kind.OWN


async def test_the_phone_meets_no_fault_and_counts_for_nothing() -> None:
    async with served(manners=HOSTILE) as dav:
        faults = dav.icloud.faults(APPLE_ID)
        faults.throttle()
        faults.revoke()
        phone = dav.icloud.phone(APPLE_ID)
        path = await phone.add("Home", "x", TEN, TEN + HOUR, rule="FREQ=WEEKLY")
        text, _ = await phone.read(path)
        log = dav.icloud.log
    assert "RRULE" in text
    assert list(log.of(dav.account.dsid)) == []
    assert {seen.by_owner for seen in log} == {True}
    assert faults.mails == 0


async def test_what_the_phone_changes_of_an_invitation_is_no_mail() -> None:
    async with served() as dav:
        path = f"{dav.home}home/a.ics"
        await dav.put(
            "home/a.ics", event("one", "ATTENDEE:mailto:b@x.example", "ATTENDEE:mailto:c@x.example")
        )
        faults = dav.icloud.faults(APPLE_ID)
        assert faults.mails == 2
        await dav.icloud.phone(APPLE_ID).rename(path, "y")
        assert faults.mails == 2


async def test_what_the_phone_writes_lags_for_others_alone() -> None:
    async with served() as dav:
        dav.icloud.faults(APPLE_ID).lag(polls=1, on_get=True)
        phone = dav.icloud.phone(APPLE_ID)
        path = await phone.add("Home", "x", TEN, TEN + HOUR)
        assert (await phone.read(path))[0]
        assert (await dav.multiget("home", path)).gone == [path]


async def test_the_admin_api_takes_what_the_phone_can_do() -> None:
    async def act(action: str, **said: object) -> Reply:
        at = f"/-/accounts/{APPLE_ID}/phone/{action}"
        return await dav.call("POST", at, json.dumps(said), password=None)

    async with served() as dav:
        times = {"start": "2026-11-23T10:00", "end": "2026-11-23T11:00"}
        added = await act("add", title="Gym", rule="FREQ=WEEKLY;BYDAY=MO", **times)
        path = json.loads(added.text)["said"]
        moved = await act("move-one", path=path, occurrence="2026-11-30T10:00", **times)
        listed = await act("list", calendar="Home")
        odd = await act("list", colour="red")
        unknown = await act("explode")
        missing = await act("delete", path=f"{dav.home}home/none.ics")
    assert [each.status for each in (added, moved, listed, odd, unknown, missing)] == [
        200,
        200,
        200,
        400,
        404,
        409,
    ]
    assert "20261123T100000  20261123T110000  Gym" in json.loads(listed.text)["said"]


@pytest.mark.parametrize(
    ("start", "end", "zone", "why"),
    [
        ("2026-11-23T10:00", "2026-11-23T09:59", "Europe/Berlin", "before start"),
        ("2026-11-23", "2026-11-23", "Europe/Berlin", "before start"),
        ("2026-11-23", "2026-11-24T10:00", "Europe/Berlin", "both days"),
        ("2026-11-23T10:00", "2026-11-24T10:00Z", "floating", "both float"),
    ],
)
async def test_the_phone_makes_no_event_that_a_device_would_not(
    start: str, end: str, zone: str, why: str
) -> None:
    async with served() as dav:
        said = {"title": "Gym", "start": start, "end": end, "zone": zone}
        at = f"/-/accounts/{APPLE_ID}/phone/add"
        refused = await dav.call("POST", at, json.dumps(said), password=None)
        assert (refused.status, why in json.loads(refused.text)["error"]) == (400, True)
        assert await dav.icloud.phone(APPLE_ID).events("Home") == []


async def test_the_phone_does_all_that_it_can_over_http() -> None:
    async def act(action: str, **said: object) -> str:
        at = f"/-/accounts/{APPLE_ID}/phone/{action}"
        done = await dav.call("POST", at, json.dumps(said), password=None)
        assert done.status == 200, done.text
        return str(json.loads(done.text)["said"])

    async def lines(path: str) -> list[str]:
        return (await dav.call("GET", path)).text.replace("\r\n ", "").splitlines()

    def at(day: int, hour: int = 10) -> str:
        return f"2026-11-{day}T{hour:02}:00"

    async with served() as dav:
        weekly = {"title": "Gym", "rule": "FREQ=DAILY", "free": True, "travel": 20}
        path = await act("add", start=at(23), end=at(23, 11), **weekly)
        assert {"TRANSP:TRANSPARENT", "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT20M"} <= {*await lines(path)}
        future = await act("move-future", path=path, occurrence=at(26), start=at(26, 12), end=at(26, 13))
        assert "DTSTART;TZID=Europe/Berlin:20261126T120000" in await lines(future)
        await act("move-one", path=path, occurrence=at(24), start=at(24, 15), end=at(24, 16))
        await act("delete-one", path=path, occurrence=at(25))
        await act("move", path=path, start=at(23, 8), end=at(23, 9))
        await act("retitle", path=path, title="Swim")
        await act("travel", path=path, travel=35)
        await act("free", path=path, free=False)
        await act("cancel", path=path)
        assert {
            *(
                "RECURRENCE-ID;TZID=Europe/Berlin:20261124T100000",
                "EXDATE;TZID=Europe/Berlin:20261125T100000",
            ),
            *(
                "DTSTART;TZID=Europe/Berlin:20261123T080000",
                "SUMMARY:Swim",
                "TRANSP:OPAQUE",
                "STATUS:CANCELLED",
            ),
            "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT35M",
        } <= {*await lines(path)}
        await act("delete", path=path)
        assert (await dav.call("GET", path)).status == 404
        trips = await act("make-calendar", name="Trips", color="#FF0000FF")
        await act("rename-calendar", calendar="Trips", name="Travel")
        await act("share-calendar", calendar="Travel", email="b@x.example")
        facts = dav.icloud.cloud.member(APPLE_ID).calendar("Travel").facts
        assert (facts.color, facts.kind, facts.id in trips) == ("#FF0000FF", Kind.SHARED_OUT, True)
        await act("recolour-calendar", calendar="Travel", color="#00FF00FF")
        await act("unshare-calendar", calendar="Travel", email="b@x.example")
        facts = dav.icloud.cloud.member(APPLE_ID).calendar("Travel").facts
        assert (facts.color, facts.kind) == ("#00FF00FF", Kind.OWN)
        await act("delete-calendar", calendar="Travel")
        assert trips not in (await dav.listing()).hrefs


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"start": "2026-11-23", "end": "2026-11-24"}, "DTSTART;VALUE=DATE:20261123"),
        (
            {"start": "2026-11-23T10:00", "end": "2026-11-23T11:00", "zone": "floating"},
            "DTSTART:20261123T100000",
        ),
        (
            {"start": "2026-11-23T10:00+02:00", "end": "2026-11-23T11:00+02:00"},
            "DTSTART:20261123T080000Z",
        ),
        (
            {"start": "2026-11-23T10:00", "end": "2026-11-23T11:00", "zone": "Asia/Tokyo"},
            "DTSTART;TZID=Asia/Tokyo:20261123T100000",
        ),
        ({"start": "2026-11-23T10:00", "end": "2026-11-23T11:00", "zone": "Mars"}, "zone is a time zone"),
        ({"start": "2026-11-23", "end": "2026-11-24", "free": "perhaps"}, "free is yes or no"),
        ({"start": "0900-11-23", "end": "0900-11-24"}, "start is in a year from 1000 to 9998"),
        ({"start": "9998-12-31", "end": "9999-01-01"}, "end is in a year from 1000 to 9998"),
        (
            {"start": "9999-12-31T23:00", "end": "9999-12-31T23:30", "zone": "America/New_York"},
            "start is in a year from 1000 to 9998",
        ),
        (
            {"start": "9998-12-31T23:00", "end": "9998-12-31T23:30", "zone": "America/New_York"},
            "DTSTART;TZID=America/New_York:99981231T230000",
        ),
    ],
)
async def test_a_moment_is_said_as_people_say_it(said: dict[str, str], line: str) -> None:
    async with served() as dav:
        body = json.dumps({"title": "x", **said})
        done = await dav.call("POST", f"/-/accounts/{APPLE_ID}/phone/add", body, password=None)
        answer = json.loads(done.text)
        told = answer["error"] if "error" in answer else (await dav.call("GET", answer["said"])).text
    assert line in told


@pytest.mark.parametrize("answer", ["", ";PARTSTAT=NEEDS-ACTION"])
async def test_the_owner_declines_for_nobody_else_and_as_a_guest(answer: str) -> None:
    other = "ATTENDEE;PARTSTAT=ACCEPTED:mailto:b@x.example"
    own = [f"ORGANIZER;PARTSTAT=ACCEPTED:mailto:{APPLE_ID}", f"ATTENDEE{answer}:mailto:{APPLE_ID}"]
    async with served() as dav:
        path = f"{dav.home}home/a.ics"
        await dav.put("home/a.ics", event("one", other, *own))
        said = json.dumps({"path": path, "email": APPLE_ID.upper()})
        await dav.call("POST", f"/-/accounts/{APPLE_ID}/phone/decline", said, password=None)
        lines = (await dav.call("GET", path)).text.replace("\r\n ", "").splitlines()
        me = f"EMAIL={APPLE_ID}:{dav.account.principal}"
    assert {other, f"ORGANIZER;PARTSTAT=ACCEPTED;{me}", f"ATTENDEE;PARTSTAT=DECLINED;{me}"} <= set(lines)


@pytest.mark.parametrize(
    "other",
    [f"ATTENDEE:mailto:x{APPLE_ID}", f'ATTENDEE;DELEGATED-FROM="mailto:{APPLE_ID}":mailto:b@x.example'],
)
async def test_the_phone_answers_no_invitation_and_leaves_out_no_date_that_is_not_there(other: str) -> None:
    async def act(action: str, **said: str) -> str:
        body = json.dumps({"path": path, **said})
        done = await dav.call("POST", f"/-/accounts/{APPLE_ID}/phone/{action}", body, password=None)
        assert done.status == 400
        return str(json.loads(done.text)["error"])

    async with served() as dav:
        path = f"{dav.home}home/a.ics"
        await dav.put("home/a.ics", event("one", other))
        before = (await dav.call("GET", path)).text
        assert "not invited" in await act("decline", email=APPLE_ID)
        assert "does not recur" in await act("delete-one", occurrence="2026-11-23T10:00")
        assert (await dav.call("GET", path)).text == before


@pytest.mark.parametrize("action", ["delete-one", "move-one", "move-future"])
async def test_a_date_of_a_series_is_named_as_the_series_has_it(action: str) -> None:
    async def act(path: str, **said: str) -> Reply:
        body = json.dumps({"path": path, "occurrence": "2026-11-24T10:00", **said})
        return await dav.call("POST", f"/-/accounts/{APPLE_ID}/phone/{action}", body, password=None)

    span = {} if action == "delete-one" else {"start": "2026-11-24T12:00", "end": "2026-11-24T13:00"}
    async with served() as dav:
        phone = dav.icloud.phone(APPLE_ID)
        tokyo = TEN.replace(tzinfo=ZoneInfo("Asia/Tokyo"))
        path = await phone.add("Home", "x", tokyo, tokyo + HOUR, rule="FREQ=DAILY;COUNT=3")
        before = await phone.read(path)
        refused = [await act(path, **span, zone=zone) for zone in ("Europe/Berlin", "UTC", "floating")]
        assert [(each.status, "TZID=Asia/Tokyo" in each.text) for each in refused] == [(400, True)] * 3
        assert await phone.read(path) == before
        assert (await act(path, **span, zone="Asia/Tokyo")).status == 200


async def test_what_the_phone_sets_stands_before_the_alarm_and_is_spelt_as_the_rfc_has_it() -> None:
    async with served() as dav:
        phone = dav.icloud.phone(APPLE_ID)
        path = await phone.add("Home", "x", TEN, TEN + HOUR, travel=HOUR)
        await phone.travel(path, 0)
        await phone.rename(path, "Zoë; Ben, me")
        await phone.rename_calendar("Home", "A & B <C>")
        text, _ = await phone.read(path)
        assert "A & B <C>" in await phone.calendars()
    assert "\r\n\r\n" not in text
    text = text.replace("\r\n ", "")
    assert text.index("SUMMARY:Zoë\\; Ben\\, me\r\n") < text.index("BEGIN:VALARM")


async def test_the_phone_knows_its_calendars_as_they_are() -> None:
    async with served() as dav:
        phone = dav.icloud.phone(APPLE_ID)
        assert "Holidays" in await phone.calendars()
        await phone.make_calendar("Trips")
        assert await phone.add("Trips", "x", TEN, TEN + HOUR)
        with pytest.raises(ValueError, match="over plain http"):
            Phone("https://caldav.icloud.com", APPLE_ID, PASSWORD)


async def test_nobody_without_a_password_of_their_own_signs_in_with_none() -> None:
    async with served() as dav:
        dav.icloud.cloud.add_account(Account(apple_id="new@x.example", dsid="7"), [])
        headers = {OWNERS_DEVICE: "yes", "Depth": "0"}
        reply = await dav.call("PROPFIND", "/", headers=headers, user="new@x.example", password="")
        phone = await dav.call("POST", "/-/accounts/new@x.example/phone/list", "{}", password=None)
    assert reply.status == 401
    assert (phone.status, "no password of its own" in phone.text) == (400, True)


async def test_the_phone_s_own_requests_meet_no_manner_in_dispute() -> None:
    async with served(manners=Manners(weekly_needs_byday=True, etag_on_put=False, end_required=False)) as dav:
        phone = dav.icloud.phone(APPLE_ID)
        path = await phone.add("Home", "x", TEN, TEN + HOUR, rule="FREQ=WEEKLY")
        assert "RRULE:FREQ=WEEKLY" in (await phone.read(path))[0]


async def test_the_admin_api_takes_yes_and_no_as_json_has_them_too() -> None:
    async with served() as dav:
        path = await dav.icloud.phone(APPLE_ID).add("Home", "x", TEN, TEN + HOUR)
        for free, shown in ((True, "TRANSPARENT"), (False, "OPAQUE"), ("yes", "TRANSPARENT")):
            said = json.dumps({"path": path, "free": free})
            await dav.call("POST", f"/-/accounts/{APPLE_ID}/phone/free", said, password=None)
            assert f"TRANSP:{shown}" in (await dav.call("GET", path)).text


async def test_the_phone_says_what_was_refused() -> None:
    async with served() as dav:
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        with pytest.raises(PhoneError, match="403"):
            await phone.add("Team", "x", TEN, TEN + HOUR)
        with pytest.raises(LookupError, match="Home, Work"):
            await phone.add("Nope", "x", TEN, TEN + HOUR)
        with pytest.raises(PhoneError, match="answered 401: the Apple ID or the password is wrong"):
            await Phone(dav.icloud.entry_url, APPLE_ID, "that-is-nota-pass").calendars()
    with pytest.raises(ConnectionError, match="1:1 can't be reached: "):
        await Phone("http://127.0.0.1:1", APPLE_ID, PASSWORD).calendars()


async def test_the_phone_declines_a_seeded_invitation() -> None:
    owner = Owner()
    async with StandIn() as icloud:
        seed_owner(icloud.cloud, today=TODAY, zone="Europe/Berlin")
        phone = Phone(icloud.entry_url, owner.apple_id, owner.app_specific)
        own = f"EMAIL={owner.apple_id}"
        invited = next(
            seen
            for seen in await phone.events("Work")
            if own in seen.text.replace("\n ", "") and "ACCEPTED" in seen.text
        )
        await phone.decline(invited.path, owner.apple_id)
        text, _ = await phone.read(invited.path)
    answers = [
        line for line in text.replace("\r\n ", "").splitlines() if own in line and line.startswith("ATTENDEE")
    ]
    assert len(answers) == 1
    assert "PARTSTAT=DECLINED" in answers[0]
    assert "/principal/" in answers[0]


async def test_the_seed_is_a_life_and_is_told_once(tmp_path: Path) -> None:
    async with StandIn(storage=tmp_path) as icloud:
        assert seed_owner(icloud.cloud, today=TODAY, zone="Europe/Berlin")
        assert not seed_owner(icloud.cloud, today=TODAY, zone="Europe/Berlin")
        member = icloud.cloud.member(Owner().alias)
        count = sum(len(calendar.present()) for calendar in member.calendars.values())
        names = [calendar.facts.name for calendar in member.calendars.values()]
    async with StandIn(storage=tmp_path) as icloud:
        assert not seed_owner(icloud.cloud, today=TODAY, zone="Europe/Berlin")
    assert names == ["Home", "Work", "Family", "Team", "Public Holidays", "Reminders"]
    assert 250 <= count <= 400


async def test_the_seed_has_the_shapes_people_have() -> None:
    owner = Owner()
    async with StandIn() as icloud:
        seed_owner(icloud.cloud, today=TODAY, zone="Europe/Berlin")
        phone = Phone(icloud.entry_url, owner.apple_id, owner.app_specific)
        text = "".join(
            [seen.text for name in ("Home", "Work", "Family") for seen in await phone.events(name)]
        )
    text = text.replace("\n ", "")
    shapes = (
        *("EXDATE;TZID=", "RECURRENCE-ID;TZID=", "FREQ=YEARLY", "INTERVAL=2", "UNTIL=", "BYDAY=1WE"),
        *("DTSTART;VALUE=DATE:", "DTSTART:", "TRANSP:TRANSPARENT", "STATUS:CANCELLED", "STATUS:TENTATIVE"),
        *("PARTSTAT=DECLINED", "PARTSTAT=TENTATIVE", "PARTSTAT=NEEDS-ACTION", "X-APPLE-TRAVEL-DURATION"),
        *("TZID=W. Europe Standard Time", "TZID=/freeassociation.sourceforge.net/Europe/Berlin"),
        *("UID:040000008200E000", "X-APPLE-TRAVEL-RETURN-DURATION", "X-CALENDARSERVER-RECURRENCE-SET"),
    )
    assert [shape for shape in shapes if shape not in text] == []


def test_the_same_seed_tells_the_same_story(tmp_path: Path) -> None:
    tellings = []
    for folder in ("one", "two"):
        cloud = Cloud.open(tmp_path / folder)
        seed_owner(cloud, today=TODAY, zone="America/New_York", seed=4)
        stored = cloud.backend.stored(Owner().dsid, "work")
        tellings.append({(one.name, one.etag) for one in stored})
        cloud.close()
    assert tellings[0] == tellings[1]
    assert tellings[0]


def test_it_serves_by_itself_and_ends_when_told(tmp_path: Path) -> None:
    radicales = (
        "ignore:'importlib.abc.Traversable' is deprecated:DeprecationWarning"  # Under Python 3.12 alone.
    )
    strictly = [sys.executable, "-W", "error", "-W", radicales]
    command = [*strictly, "-m", "standin", "serve", "--storage", str(tmp_path), "--json"]
    ports = ["--entry-port", "0", "--partition-port", "0"]
    with subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=60)
    assert '"entryUrl": "http://127.0.0.1:' in ready
    assert code == 0


async def test_the_command_line_names_a_taken_port_and_a_missing_password() -> None:
    async with StandIn() as icloud:
        port = icloud.entry_url.rpartition(":")[2]
        environment = {name: value for name, value in os.environ.items() if name != "STANDIN_PASSWORD"}
        serve = ["serve", "--storage", "unused", "--entry-port", port]
        for arguments, sentence in ((serve, f"port {port}"), (["phone", "list"], "STANDIN_PASSWORD")):
            done = subprocess.run(
                [sys.executable, "-m", "standin", *arguments],
                check=False,
                capture_output=True,
                text=True,
                env=environment,
            )
            assert (done.returncode, sentence in done.stderr, "Traceback" in done.stderr) == (2, True, False)


async def test_the_command_line_is_the_phone_too() -> None:
    async with StandIn() as icloud:
        icloud.add_account(APPLE_ID, PASSWORD)
        environment = {**os.environ, "STANDIN_PASSWORD": PASSWORD}

        async def phone(*arguments: str) -> str:
            signed = ["--url", icloud.entry_url, "--apple-id", APPLE_ID]
            command = [sys.executable, "-m", "standin", "phone", arguments[0], *signed, *arguments[1:]]
            done = await asyncio.create_subprocess_exec(
                *command, env=environment, stdout=asyncio.subprocess.PIPE
            )
            out, _ = await done.communicate()
            assert done.returncode == 0
            return out.decode().strip()

        times = ("--start", "2026-11-23T10:00", "--end", "2026-11-23T11:00")
        path = await phone("add", "--title", "Dentist", *times, "--travel", "20", "--free")
        for day in ("2026-11-25", "2026-11-21", "2026-11-24"):
            await phone("add", "--title", "Gym", "--start", f"{day}T08:00", "--end", f"{day}T09:00")
        await phone("rename-calendar", "--calendar", "Home", "--name", "House")
        listed = await phone("list", "--calendar", "House")
    days = [line.partition("  ")[0] for line in listed.splitlines()]
    assert days == ["20261121T080000", "20261123T100000", "20261124T080000", "20261125T080000"]
    assert path in listed
    assert "Dentist" in listed


def test_where_nobody_is_named_the_phone_is_that_of_whom_it_serves() -> None:
    standin = [sys.executable, "-m", "standin"]
    any_ports = ["--port", "0", "--partition-port", "0", "--json"]
    with subprocess.Popen([*standin, *any_ports], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        phone = [*standin, "phone", "add", "--url", ready["entryUrl"], "--title", "Dentist"]
        added = subprocess.run(
            [*phone, "--start", "2026-11-21T10:00", "--end", "2026-11-21T11:00"],
            env={**os.environ, "STANDIN_PASSWORD": ready["appSpecificPassword"]},
            check=False,
            capture_output=True,
            text=True,
        )
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    assert (added.returncode, added.stderr) == (0, "")


def test_it_serves_whom_it_is_told_and_logs_what_it_is_asked(tmp_path: Path) -> None:
    (tmp_path / "passwords").write_text("abcd-efgh-ijkl-mnop\nqrst-uvwx-yzab-cdef\n")
    accounts = [
        "--account",
        "a@x.example",
        "--account",
        "b@x.example",
        "--password-file",
        str(tmp_path / "passwords"),
    ]
    # A schedule's seed may be 0, as any other number.
    ways = ["--mode", "hostile", "--flag", "no-user-agent-required", "--faults", "0", "--fault-rate", "0"]
    command = [sys.executable, "-m", "standin", "--port", "0", "--partition-port", "0", "--json"]
    with subprocess.Popen(
        [*command, *accounts, *ways, "--log", str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        request = urllib.request.Request(ready["entryUrl"] + "/", method="PROPFIND")
        request.add_header("User-Agent", "x/1")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request, timeout=60)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    assert [one["appleId"] for one in ready["accounts"]] == ["a@x.example", "b@x.example"]
    assert ready["accounts"][1]["appSpecificPassword"] == "qrst-uvwx-yzab-cdef"
    (seen,) = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert (seen["method"], seen["status"], seen["authorized"]) == ("PROPFIND", 401, False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_ends_it_takes_its_folder_along(tmp_path: Path, number: signal.Signals) -> None:
    """SIGHUP: its terminal was closed."""
    with _started(folder=tmp_path) as (process, _):
        assert [each.name.partition("-")[0] for each in tmp_path.iterdir()] == ["standin"]
        process.send_signal(number)
        assert process.wait(timeout=60) == 0
    assert list(tmp_path.iterdir()) == []


def test_under_nohup_it_outlives_its_terminal(tmp_path: Path) -> None:
    with _started("nohup", folder=tmp_path) as (process, url):
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(url, timeout=60)


@contextmanager
def _started(*by: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Ready, and its entry's URL; with what it makes for the time in this folder."""
    command = [*by, sys.executable, "-m", "standin", "--port", "0", "--partition-port", "0", "--json"]
    elsewhere = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=elsewhere) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())["entryUrl"]
        finally:
            process.kill()


def test_the_help_names_every_switch_and_every_fault() -> None:
    def said(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "standin", *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout

    flags, faults = said("flags"), said("faults")
    assert [each.name for each in manners() if each.name.replace("_", "-") not in flags] == []
    assert [kind for kind in KINDS if kind not in faults] == []
    assert "--mode {strict,hostile}" in said("serve", "--help")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--flag", "explode"], "no manner is called 'explode'"),
        (["--flag", "lag-polls=x"], "lag-polls is a number from 0 to 1000000, not 'x'"),
        (["--flag", "redirect-root=200"], "redirect-root is 0 or a number from 300 to 399"),
        (["--flag", "gzips=maybe"], "gzips is on or off"),
        (
            ["--account", "a@x.example", "--account", "b@x.example", "--password-file", "README.md"],
            "passwords for 2 accounts",
        ),
        (["--password-file", "not/there"], "not/there"),
        (["--port", "99999"], "--port/--entry-port: must be from 0 to 65535, not 99999"),
        (["--partition-port", "65535"], "say --other-partition-port"),
        (["--faults", "1", "--fault-rate", "2"], "--fault-rate: must be from 0 to 1, not 2"),
        (["--faults", "1", "--fault-requests", "-4"], "--fault-requests: must be from 1 to 1000000"),
        (["--fault-rate", "0.5"], "--fault-rate says something of --faults alone"),
        (["--seed-owner", "--zone", "Mars/X"], "'Mars/X' is no time zone's name"),
        (["--zone", "Europe/Berlin"], "--zone says something of --seed-owner alone"),
        (["--account", "a:b@x.example"], "'a:b@x.example' is not an e-mail address"),
        (["--account", "a@x.example", "--account", "A@x.example"], "--account names somebody twice"),
    ],
)
def test_the_command_line_names_what_makes_no_sense(arguments: list[str], sentence: str) -> None:
    command = [sys.executable, "-m", "standin", "--port", "0", "--partition-port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, sentence in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_radicale_keeps_the_bodies(tmp_path: Path) -> None:
    cloud = Cloud.open(tmp_path)
    seed_owner(cloud, today=TODAY, zone="Europe/Berlin")
    cloud.close()
    assert len(Backend(tmp_path).stored(Owner().dsid, "home")) > 50
