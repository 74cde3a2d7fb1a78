"""One owner with five calendars and 2,000 events in 31 days, which leave as many free windows as are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from domain.actor import UserRef
from domain.hours import WeeklyHours
from domain.ids import Kind
from models.blocked import BlockedSlot
from models.calendar import Calendar
from models.changelog import changing
from models.icloud import ICloudAccount
from models.people import User
from server.config import read_settings
from server.demo_seed import People, seed_in_loop
from server.services import open_parts

DAY = 86_400
DAYS = 31
CALENDARS = 5
EVENTS = 2_000
MINUTE = 60
_ALWAYS = {"weekly": [list(WeeklyHours(day, 0, 1440)) for day in range(7)], "overrides": {}}


@dataclass(frozen=True, slots=True)
class Event:
    calendar: int
    start: int
    end: int


def first_day(now: float) -> int:
    """A midnight some days ahead: nothing of the range is past, or within anyone's notice."""
    return (int(now) // DAY + 7) * DAY


def events(windows: int, since: int) -> list[Event]:
    """2,000 in 31 days whose union is `windows - 1` busy spans, none at an end of the range."""
    random, busy = Random(windows), windows - 1
    each = DAYS * DAY // windows // MINUTE * MINUTE
    made: list[Event] = []
    for place in range(busy):
        count = EVENTS * (place + 1) // busy - EVENTS * place // busy
        # Two thirds of its stretch: the last third is free, and so is what comes before the first.
        start, length = since + each * (place + 1), each * 2 // 3 // MINUTE * MINUTE
        made.append(Event(random.randrange(CALENDARS), start, start + length))
        for _ in range(count - 1):
            at = start + random.randrange(0, length - 5 * MINUTE, MINUTE)
            made.append(
                Event(
                    random.randrange(CALENDARS),
                    at,
                    min(at + random.choice((15, 30, 60)) * MINUTE, start + length),
                )
            )
    return made


def resources(made: list[Event]) -> Iterator[tuple[int, str, str]]:
    """Each as iCloud would serve it: calendar, name, text."""
    for number, event in enumerate(made):
        uid = f"{number:08X}-5D1A-4C0E-9B7E-0123456789AB"
        yield (
            event.calendar,
            f"{uid}.ics",
            _TEXT.format(uid=uid, start=_utc(event.start), end=_utc(event.end)),
        )


def _utc(instant: int) -> str:
    return f"{datetime.fromtimestamp(instant, UTC):%Y%m%dT%H%M%SZ}"


_TEXT = (
    "BEGIN:VCALENDAR\r\nCALSCALE:GREGORIAN\r\nPRODID:-//Apple Inc.//iOS 19.1//EN\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n"
    "CREATED:20260102T101112Z\r\nDTEND:{end}\r\nDTSTAMP:20260102T101113Z\r\nDTSTART:{start}\r\n"
    "LAST-MODIFIED:20260102T101112Z\r\nSEQUENCE:0\r\nSUMMARY:Planning with the whole team\r\nTRANSP:OPAQUE\r\n"
    "UID:{uid}\r\nURL;VALUE=URI:\r\nX-APPLE-CREATOR-IDENTITY:com.apple.mobilecal\r\n"
    "X-APPLE-CREATOR-TEAM-IDENTITY:0000000000\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:Reminder\r\n"
    "TRIGGER:-PT15M\r\nUID:{uid}-A\r\nX-WR-ALARMUID:{uid}-A\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


async def fill(environment: Mapping[str, str], windows: int, *, now: float) -> People:
    """A database of its own, with the owner connected and read a moment ago."""
    people = await seed_in_loop(environment, name="Anna Martin", zone="Europe/Paris")
    async with open_parts(read_settings(environment), environment) as parts:
        services = parts.services
        async with services.database.reading() as db:
            owner = await User.filter(id=people.user_id).using_db(db).get()
        user = UserRef(owner.subaccount_id, owner.id)
        of = {"subaccount_id": user.subaccount, "user_id": user.user}
        async with changing(services.database, services.bell, user, now=now) as ledger:
            db = ledger.db
            await User.filter(id=user.user).using_db(db).update(hours=_ALWAYS)
            account = await ICloudAccount.create(
                using_db=db,
                id=services.new_id(Kind.ACCOUNT),
                **of,
                apple_id="anna@icloud.com",
                principal_hmac="h",
                principal_path="/p/",
                home_url="https://p1-caldav.icloud.com/1/calendars/",
                sealed_password=b"",
                status="ACTIVE",
                has_chosen=True,
                connected_at=now,
                last_synced_at=now,
                last_polled_at=now,
                expanded_zone="Europe/Paris",
                expanded_until=(int(now) // DAY + 400) * DAY,
            )
            calendars = [
                await Calendar.create(
                    using_db=db,
                    id=services.new_id(Kind.CALENDAR),
                    **of,
                    account_id=account.id,
                    path=f"/{number}/",
                    name=f"Calendar {number}",
                    kind="NORMAL",
                    can_write=True,
                    is_conflict=True,
                    is_linked=number == 0,
                    last_synced_at=now,
                )
                for number in range(CALENDARS)
            ]
            await BlockedSlot.bulk_create(
                [
                    BlockedSlot(
                        id=services.new_id(Kind.BLOCKED_SLOT),
                        **of,
                        starts=event.start,
                        ends=event.end,
                        source="ICLOUD",
                        title="Busy",
                        calendar_id=calendars[event.calendar].id,
                    )
                    for event in events(windows, first_day(now))
                ],
                using_db=db,
            )
            ledger.reset_slots()
    return people
