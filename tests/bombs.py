"""Sixty resources made to run away or to mislead, each with the outcome that it must end in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from domain.busy import BusyPolicy, blocked_span
from domain.interval import Span
from domain.recurrence import MOST_OCCURRENCES
from sync.ical.resource import Reading

BAD, TOO_MANY = "BAD_RECURRENCE", "TOO_MANY_OCCURRENCES"
UNREADABLE, UNKNOWN_ZONE = "UNREADABLE", "UNKNOWN_TIME_ZONE"
FIRST = datetime(2026, 11, 10, 9, tzinfo=UTC)
HOUR = 3600
MOST_OF_ONE_RESOURCE = 2 * MOST_OCCURRENCES
"""An event's own, and what stands for the rest of those beside it."""


@dataclass(frozen=True, slots=True)
class Bomb:
    """`codes` are what must be reported, none where it must be read without a word; TOO_MANY_OCCURRENCES in their place
    where the guard ended the reading. Time from `closes` on, as far as `closes_to`, must be blocked wholly; an empty
    span where nothing of it can be dated."""

    name: str
    text: str
    codes: frozenset[str] = frozenset()
    closes: int = int(FIRST.timestamp())
    closes_to: int | None = int(FIRST.timestamp()) + HOUR
    """None: to the window's end."""
    is_readable: bool = True
    most: int = field(default=MOST_OF_ONE_RESOURCE)

    def must_close(self, window: Span) -> Span:
        return Span(self.closes, window.end if self.closes_to is None else self.closes_to)


def event(*lines: str, uid: str = "bomb") -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", "SUMMARY:Event", *lines, "END:VEVENT"])


def calendar(*components: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *components, "END:VCALENDAR", ""])


STARTS = {
    "": "DTSTART:20261110T090000Z",
    " of year 1": "DTSTART:00010101T090000Z",
    " all day": "DTSTART;VALUE=DATE:20261110",
}
TOO_OFTEN = {
    "every second": "FREQ=SECONDLY",
    "every second in steps": "FREQ=SECONDLY;INTERVAL=7",
    "every minute": "FREQ=MINUTELY;COUNT=1000000000",
    "every half minute by its seconds": "FREQ=MINUTELY;BYSECOND=0,30",
    "every hour twice": "FREQ=HOURLY;BYMINUTE=0,30",
    "every minute of every day": f"FREQ=DAILY;BYHOUR={','.join(map(str, range(24)))};BYMINUTE=0,10,20,30,40,50",
}
IMPOSSIBLE = {
    "an interval of zero": "FREQ=DAILY;INTERVAL=0",
    "an interval below zero": "FREQ=DAILY;INTERVAL=-1",
    "an interval in words": "FREQ=DAILY;INTERVAL=often",
    "an unheard-of frequency": "FREQ=FORTNIGHTLY",
    "no frequency": "COUNT=3",
    "an end before its start": "FREQ=DAILY;UNTIL=20200101T000000Z",
    "another calendar's scale": "FREQ=YEARLY;RSCALE=CHINESE",
    "a count of nothing": "FREQ=DAILY;COUNT=0",
    "the 54th week": "FREQ=YEARLY;BYWEEKNO=54",
    "a number of a thousand digits": f"FREQ=DAILY;INTERVAL={'9' * 1000}",
}
LONG = {
    "a billion days": "FREQ=DAILY;COUNT=1000000000",
    "to the year 9999": "FREQ=DAILY;UNTIL=99991231T235959Z",
    "24 times a day": "FREQ=HOURLY",
    "a billion years apart": "FREQ=YEARLY;INTERVAL=1000000000",
    "never again": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
}


def bombs() -> list[Bomb]:
    made = [*_rules(), *_dates(), *_crowds(), *_texts()]
    assert len(made) == len({bomb.name for bomb in made}) == 60
    return made


def _rules() -> Iterator[Bomb]:
    for name, rule in TOO_OFTEN.items():
        lines = STARTS[""], "DURATION:PT1H", f"RRULE:{rule}"
        yield Bomb(name, calendar(event(*lines)), frozenset({TOO_MANY}), closes_to=None)
    for kind, start in STARTS.items():
        text = calendar(event(start, "RRULE:FREQ=SECONDLY"))
        yield Bomb(f"every second{kind} without an end", text, frozenset({TOO_MANY}), closes_to=None)
    for name, rule in IMPOSSIBLE.items():
        yield Bomb(name, calendar(event(STARTS[""], "DURATION:PT1H", f"RRULE:{rule}")), frozenset({BAD}))
    for name, rule in LONG.items():
        codes = frozenset({TOO_MANY} if name == "24 times a day" else ())
        yield Bomb(name, calendar(event(STARTS[""], "DURATION:PT1H", f"RRULE:{rule}")), codes)
        text = calendar(event(STARTS[" of year 1"], "DURATION:PT1H", f"RRULE:{rule}"))
        is_there = name in {"a billion days", "to the year 9999", "24 times a day"}
        closes_to = int(FIRST.timestamp()) + (HOUR if is_there else 0)
        yield Bomb(f"{name} from year 1", text, codes, closes_to=closes_to)


def _dates() -> Iterator[Bomb]:
    start = STARTS[""], "DURATION:PT1H"
    # Not one of them takes out the first date, nor is one near it.
    days = [date(2027, 1, 1) + timedelta(days=at) for at in range(300)]
    many = ",".join(f"{days[at % 300]:%Y%m%d}T{at % 24:02}{at % 60:02}{at % 59:02}Z" for at in range(10_001))
    yield Bomb(
        "10,001 excepted dates",
        calendar(event(*start, "RRULE:FREQ=DAILY", f"EXDATE:{many}")),
        frozenset({TOO_MANY}),
    )
    yield Bomb(
        "10,001 extra dates", calendar(event(*start, f"RDATE:{many}")), frozenset({TOO_MANY}), most=20_000
    )
    changed = [
        event(f"RECURRENCE-ID:{days[at % 300]:%Y%m%d}T09{at // 300:02}00Z", *start, uid="bomb")
        for at in range(2_001)
    ]
    yield Bomb(
        "2,001 changed dates",
        calendar(event(*start, "RRULE:FREQ=DAILY"), *changed),
        frozenset({TOO_MANY}),
    )
    later = [
        event(f"RECURRENCE-ID;RANGE=THISANDFUTURE:{day:%Y%m%d}T090000Z", f"DTSTART:{day:%Y%m%d}T1{at % 10}0000Z",
              "DURATION:PT30M")
        for at, day in enumerate(days)
    ]  # fmt: skip
    yield Bomb("300 times this and all that follow", calendar(event(*start, "RRULE:FREQ=DAILY"), *later))
    times = ",".join(map(str, range(60)))
    every = f"RRULE:FREQ=YEARLY;BYMONTHDAY=1,2,3;BYHOUR=0,1,2,3;BYMINUTE={times};BYSECOND={times};COUNT=1"
    yield Bomb("every time of day, once", calendar(event(*start, every)), frozenset({TOO_MANY}))
    for name, lines in {
        "an end before its beginning": ["DTEND:20251110T090000Z"],
        "a length below zero": ["DURATION:-PT1H"],
        "an end that is none": ["DTEND:tomorrow"],
        "a length of words": ["DURATION:long"],
    }.items():
        yield Bomb(name, calendar(event(STARTS[""], *lines)), frozenset({UNREADABLE}))


def _crowds() -> Iterator[Bomb]:
    """Small ones, many to a resource: the guard ends what is over its limits, and closes all from the first date on."""
    slow = STARTS[" of year 1"], "DURATION:PT1H", "RRULE:FREQ=DAILY;BYDAY=MO;COUNT=19999"
    daily = STARTS[""], "DURATION:PT1H", "RRULE:FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR,SA,SU"
    for count in (100, 1_000, 6_000):
        crowd = [event(*daily, uid=f"bomb-{at}") for at in range(count)]
        yield Bomb(f"{count:,} series", calendar(*crowd), frozenset({TOO_MANY}), most=12_000)
        crowd = [event(*slow, uid=f"bomb-{at}") for at in range(count)]
        # Which of its Mondays are counted out is not known without walking: no date must be closed.
        yield Bomb(
            f"{count:,} series since year 1",
            calendar(*crowd),
            frozenset({TOO_MANY}),
            closes_to=int(FIRST.timestamp()),
            most=12_000,
        )
    rules = [f"RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT={count}" for count in range(1, 10_001)]
    yield Bomb("10,000 rules", calendar(event(*daily, *rules)), frozenset({TOO_MANY}))


def _texts() -> Iterator[Bomb]:
    good = event(STARTS[""], "DURATION:PT1H")
    doubtful = frozenset({UNREADABLE})
    yield Bomb("over a megabyte", calendar(good, "X-A:" + "x" * 1_100_000), doubtful)
    deep = (
        "".join(f"BEGIN:X{at}\r\n" for at in range(40)),
        "".join(f"END:X{at}\r\n" for at in reversed(range(40))),
    )
    yield Bomb("forty components deep", calendar(good, "\r\n".join(deep)), doubtful)
    yield Bomb("100,000 components", calendar(good, *["BEGIN:X\r\nEND:X"] * 100_000), doubtful)
    yield Bomb("never closed", calendar(good).partition("END:VCALENDAR")[0], doubtful, is_readable=False)
    yield Bomb("cut inside of a line", calendar(good)[:-30], doubtful, is_readable=False)
    nothing = int(FIRST.timestamp())
    for name, text in {
        "a page of HTML": "<!DOCTYPE html><html><body>Sign in</body></html>",
        "nothing": "",
        "a million blank lines": "\r\n" * 500_000,
    }.items():
        yield Bomb(name, text, doubtful, closes_to=nothing, is_readable=False)
    folded = "DESCRIPTION:" + "\r\n x" * 200_000
    yield Bomb("200,000 folds", calendar(event(STARTS[""], "DURATION:PT1H", folded)))
    quotes = 'ATTENDEE;CN="' + 'a";b="' * 20_000
    yield Bomb("a quote never closed", calendar(event(STARTS[""], "DURATION:PT1H", quotes)))
    people = ['ATTENDEE;CN="x;y:z";PARTSTAT=DECLINED:mailto:nobody@example.com'] * 12_000
    yield Bomb("12,000 guests", calendar(event(STARTS[""], "DURATION:PT1H", *people)))
    titled = event(STARTS[""], "DURATION:PT1H", "SUMMARY:" + "\\n" * 100_000)
    yield Bomb("a title of line ends", calendar(titled))
    lines = [
        "TZID:Bomb",
        "BEGIN:STANDARD",
        "DTSTART:19700101T000000",
        "TZOFFSETFROM:+0100",
        "TZOFFSETTO:+0100",
    ]
    zone = "\r\n".join(["BEGIN:VTIMEZONE", *lines, "RRULE:FREQ=SECONDLY", "END:STANDARD", "END:VTIMEZONE"])
    local = event("DTSTART;TZID=Bomb:20261110T100000", "DURATION:PT1H")
    yield Bomb("a zone that changes every second", calendar(zone, local), frozenset({UNKNOWN_ZONE}))
    lost = event("DTSTART;TZID=Nowhere:20261110T090000", "DURATION:PT1H", "RRULE:FREQ=SECONDLY")
    yield Bomb(
        "every second in no known zone", calendar(lost), frozenset({UNKNOWN_ZONE, TOO_MANY}), closes_to=None
    )
    beside = (
        event(STARTS[""], "DURATION:PT1H", uid="good"),
        event("RRULE:FREQ=SECONDLY", "DTSTART:never", uid="undated"),
    )
    yield Bomb("a good one beside one without a date", calendar(*beside), doubtful)


def fault_in(
    bomb: Bomb, *, told: Iterable[str], is_readable: bool, closed: Sequence[Span], window: Span
) -> str | None:
    """How what was made of a bomb misses its outcome; None where it does not."""
    codes = set(told)
    if codes not in (bomb.codes, {TOO_MANY}):
        return f"reported {sorted(codes)}"
    if is_readable and not bomb.is_readable and TOO_MANY not in codes:
        return "what is not whole was taken for whole"
    if len(closed) > bomb.most:
        return f"{len(closed)} blocked spans"
    must = bomb.must_close(window)
    return None if _covers(closed, must) else f"{must} is open"


def fault_in_reading(bomb: Bomb, reading: Reading, window: Span) -> str | None:
    spans = [blocked_span(occurrence, BusyPolicy()) for occurrence in reading.occurrences]
    return fault_in(
        bomb,
        told=(str(problem.code) for problem in reading.problems),
        is_readable=reading.is_readable,
        closed=[span for span in spans if span is not None],
        window=window,
    )


def _covers(closed: Sequence[Span], must: Span) -> bool:
    reached = must.start
    for span in sorted(closed):
        if span.start > reached:
            break
        reached = max(reached, span.end)
    return reached >= must.end
