"""The owner's phone does to the stand-in what a person does on theirs; the seed is a life to look at."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from standin.backend import Backend
from standin.cloud import Cloud
from standin.owner import Phone, PhoneError
from standin.seed import Owner, seed_owner
from standin.server import StandIn
from tests.contracts.standin_http import APPLE_ID, PASSWORD, served

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
        "DURATION:PT20M",
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
        "TRANSP:TRANSPARENT",
        "SUMMARY:y",
        "STATUS:CANCELLED",
    ):
        assert lines.count(line) == 1
    assert "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT30M" in lines
    assert left == []


async def test_the_phone_moves_and_leaves_out_occurrences() -> None:
    async with served() as dav:
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        path = await phone.add("Home", "Gym", TEN, TEN + HOUR, rule="FREQ=WEEKLY;BYDAY=MO")
        second, third = TEN + timedelta(days=7), TEN + timedelta(days=14)
        await phone.override(path, second, second + HOUR, second + 2 * HOUR)
        await phone.leave_out(path, third)
        text, _ = await phone.read(path)
    assert text.count("BEGIN:VEVENT") == 2
    assert text.count("UID:") >= 2
    assert "RECURRENCE-ID;TZID=Europe/Berlin:20261130T100000" in text
    assert "EXDATE;TZID=Europe/Berlin:20261207T100000" in text


async def test_the_phone_says_what_was_refused() -> None:
    async with served() as dav:
        phone = Phone(dav.icloud.entry_url, APPLE_ID, PASSWORD)
        with pytest.raises(PhoneError, match="403"):
            await phone.add("Team", "x", TEN, TEN + HOUR)
        with pytest.raises(LookupError, match="Home, Work"):
            await phone.add("Nope", "x", TEN, TEN + HOUR)


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
        started = time.monotonic()
        assert seed_owner(icloud.cloud, today=TODAY, zone="Europe/Berlin")
        took = time.monotonic() - started
        assert not seed_owner(icloud.cloud, today=TODAY, zone="Europe/Berlin")
        member = icloud.cloud.member(Owner().alias)
        count = sum(len(calendar.present()) for calendar in member.calendars.values())
        names = [calendar.facts.name for calendar in member.calendars.values()]
    async with StandIn(storage=tmp_path) as icloud:
        assert not seed_owner(icloud.cloud, today=TODAY, zone="Europe/Berlin")
    assert names == ["Home", "Work", "Family", "Team", "Public Holidays", "Reminders"]
    assert 250 <= count <= 400
    assert took < 10  # Two to three seconds; twice that on a busy machine.


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


def test_it_serves_by_itself_and_ends_quickly_when_told(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "standin", "serve", "--storage", str(tmp_path), "--json"]
    ports = ["--entry-port", "0", "--partition-port", "0"]
    with subprocess.Popen([*command, *ports], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=10)
    assert '"entryUrl": "http://127.0.0.1:' in ready
    assert code == 0
    assert time.monotonic() - started < 2


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


def test_radicale_keeps_the_bodies(tmp_path: Path) -> None:
    cloud = Cloud.open(tmp_path)
    seed_owner(cloud, today=TODAY, zone="Europe/Berlin")
    cloud.close()
    assert len(Backend(tmp_path).stored(Owner().dsid, "home")) > 50
