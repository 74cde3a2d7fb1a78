"""Calendars as iCloud writes them, made from a seed: about 1.2 KB a resource, three years, 15 % of them recurring.

Of 10,000 a tenth is all-day, two in five series have a date taken out and others changed, and a year holds some 23,800
busy intervals: a full life.

Nothing in them is odd: what is odd is the corpus's, and no two engines agree on it. Every timed event lies in the
hours in which people meet, so that none is near a change of the clocks.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

OWNER = "Europe/Berlin"
FIRST = datetime(2025, 6, 2)  # A Monday; the three years end in June 2028.
_DAYS = 3 * 365
_ZONES = {OWNER: 78, "America/New_York": 8, "Europe/London": 6, "Asia/Seoul": 4, "America/Los_Angeles": 4}
_WORDS = ["plan", "review", "call", "budget", "lunch", "dentist", "school", "sync", "design", "board", "yoga"]
_FOREIGN = ["Frühstück", "Café", "Größe", "Présentation", "Ärztin", "会議", "가족"]
_DAY_NAMES = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


@dataclass(frozen=True, slots=True)
class _Part:
    """STANDARD or DAYLIGHT, as in Apple's VTIMEZONEs."""

    name: str
    start: str
    rule: str | None
    before: str
    after: str
    short: str


_EU = (
    "19810329T020000",
    "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
    "19961027T030000",
    "FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU",
)
_US = (
    "20070311T020000",
    "FREQ=YEARLY;BYMONTH=3;BYDAY=2SU",
    "20071104T020000",
    "FREQ=YEARLY;BYMONTH=11;BYDAY=1SU",
)
_UK = ("19810329T010000", _EU[1], "19961027T020000", _EU[3])


def _two(
    dates: tuple[str, str, str, str], winter: str, summer: str, names: tuple[str, str]
) -> tuple[_Part, ...]:
    begins, rule, ends, other = dates
    return (
        _Part("DAYLIGHT", begins, rule, winter, summer, names[1]),
        _Part("STANDARD", ends, other, summer, winter, names[0]),
    )


_PARTS: dict[str, tuple[_Part, ...]] = {
    OWNER: _two(_EU, "+0100", "+0200", ("CET", "CEST")),
    "Europe/London": _two(_UK, "+0000", "+0100", ("GMT", "BST")),
    "America/New_York": _two(_US, "-0500", "-0400", ("EST", "EDT")),
    "America/Los_Angeles": _two(_US, "-0800", "-0700", ("PST", "PDT")),
    "Asia/Seoul": (_Part("STANDARD", "19881009T020000", None, "+0900", "+0900", "KST"),),
}


def make_calendar(count: int, *, seed: int = 1) -> list[str]:
    """The resources of one calendar. The same for the same count and seed."""
    random = Random(seed)
    return [_resource(random) for _ in range(count)]


def one_event(kind: str = "single") -> str:
    """One resource as a device changes it: `single`, a `weekly` series, or one with `exceptions`."""
    random = Random(2)
    start = FIRST + timedelta(days=364, hours=10)
    rule = None if kind == "single" else "FREQ=WEEKLY"
    return _text(random, OWNER, start, 60, rule, changes=int(kind == "exceptions"))


def _resource(random: Random) -> str:
    zone = random.choices(list(_ZONES), weights=list(_ZONES.values()))[0]
    day = FIRST + timedelta(days=random.randrange(_DAYS))
    rule = _rule(random, day) if random.random() < 0.15 else None
    if random.random() < 0.10:
        return _text(random, None, day, 1440 * random.choice([1, 1, 1, 2, 5]), rule, changes=0)
    start = day + timedelta(minutes=15 * random.randrange(28, 76))
    minutes = random.choice([15, 30, 30, 45, 60, 60, 60, 90, 120])
    return _text(random, zone, start, minutes, rule, changes=random.choices([0, 1, 2], [1, 2, 1])[0])


def _rule(random: Random, day: datetime) -> str:
    weekday, other = _DAY_NAMES[day.weekday()], _DAY_NAMES[(day.weekday() + 2) % 7]
    rule = random.choice(
        [
            "FREQ=DAILY",
            f"FREQ=WEEKLY;BYDAY={weekday}",
            f"FREQ=WEEKLY;BYDAY={weekday},{other}",
            "FREQ=WEEKLY",
            f"FREQ=WEEKLY;INTERVAL=2;BYDAY={weekday}",
            f"FREQ=MONTHLY;BYMONTHDAY={day.day}" if day.day < 29 else f"FREQ=MONTHLY;BYDAY=-1{weekday}",
            f"FREQ=MONTHLY;BYDAY={(day.day + 6) // 7 if day.day < 29 else -1}{weekday}",
            "FREQ=YEARLY",
        ]
    )
    if rule == "FREQ=DAILY":
        return f"{rule};COUNT={random.randrange(5, 40)}"
    match random.randrange(6):
        case 0:
            return f"{rule};COUNT={random.randrange(8, 80)}"
        case 1:
            end = day + timedelta(days=random.randrange(60, 900), hours=12)
            return f"{rule};UNTIL={end:%Y%m%dT%H%M%SZ}"
        case _:
            return rule


def _text(
    random: Random, zone: str | None, start: datetime, minutes: int, rule: str | None, *, changes: int
) -> str:  # fmt: skip
    if zone is None and rule is not None and "UNTIL" in rule:
        rule = rule[: rule.index("T", rule.index("UNTIL=") + 6)]  # RFC 5545 3.3.10: of DTSTART's type.
    lines = ["BEGIN:VCALENDAR", "CALSCALE:GREGORIAN", "PRODID:-//Apple Inc.//iOS 26.0//EN", "VERSION:2.0"]
    uid = "-".join(f"{random.getrandbits(bits):0{bits // 4}X}" for bits in (32, 16, 16, 16, 48))
    title = " ".join(random.sample(_WORDS, 3)).capitalize()
    if random.random() < 0.15:
        title = f"{random.choice(_FOREIGN)} {title}"
    extra = [f"RRULE:{rule}"] if rule else []
    moved = []
    if rule is not None and changes:
        # Instances that every one of the rules has: the start by itself, and one step on.
        step = timedelta(days=1 if "DAILY" in rule else 14 if "INTERVAL=2" in rule else 7)
        if "MONTHLY" not in rule and "YEARLY" not in rule:
            extra.append(f"EXDATE{_stamp(zone, start + step)}")
            moved = [start + (2 + nth) * step for nth in range(changes)]
    if random.random() < 0.05:
        extra.append("STATUS:CANCELLED")
    lines += _event(random, uid, zone, (start, start), minutes, [f"SUMMARY:{title}", *extra])
    for original in moved:
        later = original + timedelta(hours=1)
        lines += _event(random, uid, zone, (original, later), minutes, [f"SUMMARY:{title}"])
    lines += [*_zone(zone), "END:VCALENDAR", ""]
    return "\r\n".join(lines)


def _event(
    random: Random, uid: str, zone: str | None, times: tuple[datetime, datetime], minutes: int, extra: list[str]
) -> Iterator[str]:  # fmt: skip
    original, start = times
    created = FIRST - timedelta(days=random.randrange(1, 400), seconds=random.randrange(86_400))
    yield from ("BEGIN:VEVENT", f"CREATED:{created:%Y%m%dT%H%M%SZ}")
    yield f"DTEND{_stamp(zone, start + timedelta(minutes=minutes))}"
    yield from (f"DTSTAMP:{created:%Y%m%dT%H%M%SZ}", f"DTSTART{_stamp(zone, start)}")
    yield from (f"LAST-MODIFIED:{created:%Y%m%dT%H%M%SZ}", f"SEQUENCE:{random.randrange(3)}")
    if original != start:
        yield f"RECURRENCE-ID{_stamp(zone, original)}"
    yield from extra
    yield "TRANSP:TRANSPARENT" if random.random() < 0.06 else "TRANSP:OPAQUE"
    yield from (
        f"UID:{uid}",
        "X-APPLE-CREATOR-IDENTITY:com.apple.mobilecal",
        "X-APPLE-CREATOR-TEAM-IDENTITY:0",
    )
    if random.random() < 0.25:
        yield "ORGANIZER;CN=Ann Example;EMAIL=ann@example.com:mailto:ann@example.com"
        for name in random.sample(["Ben", "Cleo", "Dora", "Emil"], random.randrange(1, 4)):
            answer = random.choice(["ACCEPTED", "NEEDS-ACTION"])
            given = f"ATTENDEE;CN={name} Example;CUTYPE=INDIVIDUAL;EMAIL={name.lower()}@example.com;PARTSTAT={answer}"
            yield _folded(f"{given};ROLE=REQ-PARTICIPANT:mailto:{name.lower()}@example.com")
    if random.random() < 0.4:
        yield from _location(random)
    if random.random() < 0.3:
        note = " ".join(
            random.choice(_WORDS) for _ in range(random.randrange(8, random.choice([50, 50, 50, 350])))
        )
        yield _folded(f"DESCRIPTION:{note}\\nhttps://example.com/{random.getrandbits(40):x}")
    if random.random() < 0.7:
        name = f"{random.getrandbits(128):032X}"
        yield from ("BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:Reminder", "TRIGGER:-PT15M", f"UID:{name}")
        yield from (f"X-WR-ALARMUID:{name}", "END:VALARM")
    yield "END:VEVENT"


def _location(random: Random) -> Iterator[str]:
    room, street = f"Room {random.randrange(1, 40)}", f"{random.choice(_WORDS)} street {random.randrange(90)}"
    yield f"LOCATION:{room}\\, {street}"
    if random.random() < 0.75:  # Found on the map.
        handle = b64encode(random.randbytes(150)).decode()
        place = f"{52 + random.random():.6f},{13 + random.random():.6f}"
        yield _folded(
            f'X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-ADDRESS="{street}\\n10115 Berlin\\nGermany"'
            f';X-APPLE-MAPKIT-HANDLE={handle};X-APPLE-RADIUS=70.58;X-APPLE-REFERENCEFRAME=1;X-TITLE="{room}":geo:{place}'
        )
        yield "X-APPLE-TRAVEL-ADVISORY-BEHAVIOR:AUTOMATIC"


def _folded(line: str) -> str:
    return "\r\n ".join(line[at : at + 74] for at in range(0, len(line), 74))


def _stamp(zone: str | None, at: datetime) -> str:
    return f";VALUE=DATE:{at:%Y%m%d}" if zone is None else f";TZID={zone}:{at:%Y%m%dT%H%M%S}"


def _zone(zone: str | None) -> Iterator[str]:
    if zone is None:
        return
    yield from ("BEGIN:VTIMEZONE", f"TZID:{zone}", f"X-LIC-LOCATION:{zone}")
    for part in _PARTS[zone]:
        yield from (f"BEGIN:{part.name}", f"DTSTART:{part.start}")
        if part.rule is not None:
            yield f"RRULE:{part.rule}"
        yield from (f"TZNAME:{part.short}", f"TZOFFSETFROM:{part.before}", f"TZOFFSETTO:{part.after}")
        yield f"END:{part.name}"
    yield "END:VTIMEZONE"


def instant(at: datetime, zone: str = "UTC") -> int:
    return int(at.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).timestamp())
