"""The short ways of the reader held to its general one: the same Reading, in every field, of any text at all.

The texts are made-up calendars, the corpus and the oracle's series, and all of them with lines and signs changed as a
device, a server or a fault may do. `python -m benchmarks.ical_fuzz` holds as many more to it as are wanted.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.calendars import make_calendar
from domain.interval import Span
from domain.zone_table import DAY, find_zone
from sync.ical.frame import take_apart
from sync.ical.plain import Setting, plain_of
from sync.ical.regular import read_regular
from sync.ical.resource import read_in_general, read_resource
from sync.ical.single import read_single
from tests.unit.test_ical_oracle import rules, series

IN_CI = os.environ.get("CI") == "true"
CORPUS = {
    path.stem: path.read_bytes().decode("utf-8", "surrogateescape")
    for path in sorted((Path(__file__).parent.parent / "corpus").glob("*.ics"))
}
MADE = make_calendar(300, seed=3)
NOVEMBER = 1_793_491_200  # 2026-11-01T00:00Z
ADDRESSES = frozenset({"ann@example.com", "/123/principal/"})

# What a short way could fail to see, each a line or more.
ODD_LINES = [
    *("dtstart:20261110T090000Z", "Dtend:20261110T100000Z", "DTſTART:20261110T110000Z", "begin:valarm"),
    *("DTSTART:20261110T110000Z", "DTSTART;VALUE=DATE:20261110", "DTSTART;VALUE=DATE:20261110T090000Z"),
    *("DTEND;VALUE=DATE:20261112", "DTEND;TZID=Europe/Berlin:20261110T110000", "DTEND:20261109"),
    *("DTSTART:20261110", "DTSTART;TZID=Europe/Berlin:20261110", "DTSTART;TZID=Europe/Berlin:20261110T240000"),
    *("DTEND:20261110T240000Z", "DTSTART;TZID=Mars/Olympus:20261110T090000"),
    *("DTSTART;TZID=W. Europe Standard Time:20261110T090000", 'DTSTART;TZID="Europe/Berlin":20261110T090000'),
    *("DTSTART;X-A=1;TZID=Europe/Berlin:20261110T090000", "DTSTART:20261110T090000", "DTEND:20261110T100000"),
    *("DTSTART:00010101T000000Z", "DTEND:99991231T235959Z", "DTSTART;TZID=Europe/Berlin:20261025T023000"),
    *("DTEND;TZID=Europe/Berlin:20261025T024500", "DTSTART;TZID=Europe/Berlin:20270328T023000"),
    *("DTEND;TZID=Europe/Berlin:20270328T024500", "DURATION:PT1H", "DURATION:P1D", "RRULE:FREQ=DAILY;COUNT=3"),
    *("RDATE:20261112T090000Z", "EXDATE:20261110", "EXRULE:FREQ=DAILY", "RECURRENCE-ID:20261110T080000Z"),
    *("RRULE;X-A=1:FREQ=WEEKLY", "rrule:FREQ=WEEKLY", "RECURRENCE-ID;RANGE=THISANDFUTURE:20261110T080000Z"),
    *("RDATE;VALUE=PERIOD:20261112T090000Z/PT1H", "SEQUENCE:9", "TRANSP:TRANSPARENT", "transp:transparent"),
    *("TRANSP;X-A=1:TRANSPARENT", "TRANSP: TRANSPARENT ", "STATUS:CANCELLED", "STATUS;X-A=1:CANCELLED"),
    *("Status:Tentative", "SUMMARY;LANGUAGE=de:Wort", "SUMMARY:a\\, b\\nc", "SUMMARY:é \ud800"),
    *("UID;X-A=1:other", "UID:other", "UID:", "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT30M"),
    *("SUMMARY:a\x00b\x0bc\u2028d", "ATTENDEE;PARTSTAT=DECLINED:mailto:ann@example.com"),
    *('ATTENDEE;CN="a:b";PARTSTAT=TENTATIVE:/123/principal/', "BEGIN:VALARM\r\nTRIGGER:-PT5M\r\nEND:VALARM"),
    *("BEGIN:VALARM\r\nDTSTART:20261110T110000Z\r\nEND:VALARM",),
    *("BEGIN:VALARM\r\nEND:VALARM\r\nSTATUS:CANCELLED",),
    *("BEGIN:VALARM\r\nend:valarm\r\nDTSTART:x\r\nEND:VALARM", "BEGIN:VALARM", "END:VALARM", "BEGIN:VEVENT"),
    *("END:VEVENT", "BEGIN:X-PART\r\nUID:x\r\nEND:X-PART", "END:VCALENDAR"),
    *("BEGIN:VEVENT\r\nUID:second\r\nDTSTART:20261110T120000Z\r\nDTEND:20261110T130000Z\r\nEND:VEVENT",),
    *("BEGIN:vevent", "END:VEVENT\r\nBEGIN:VEVENT", "END:VEVENT\r\nX-A:between\r\nBEGIN:VEVENT"),
    *("END:VEVENT\r\nEND:X-PART\r\nBEGIN:VEVENT",),
    *("END:VEVENT\r\nUID:x\r\nBEGIN:VEVENT", "BEGIN:VTIMEZONE\r\nTZID:Mars/Olympus\r\nEND:VTIMEZONE"),
    *("END:VTIMEZONE", "BEGIN:VTIMEZONE", "BEGIN:VCALENDAR", " STATUS:CANCELLED", "\tFOLDED", "", " ", "X-A"),
    *(":", ";", "\ufeff", "BEGIN:VEV\r\n ENT", "END:VEV\r\n\tENT", "\r\n BEGIN:VEVENT"),
    *("DTST\r\n ART:20261110T110000Z", "X-A:b\rSTATUS:CANCELLED", "X-A:b\nSTATUS:CANCELLED"),
    *("EXDATE;TZID=Europe/Berlin:20261110T090000", "EXDATE:20261110T080000Z", "EXDATE;VALUE=DATE:20261110", "EXDATE:"),
    *("EXDATE;TZID=Europe/Berlin:20261110T090000,20261117T090000", "EXDATE;TZID=Europe/Berlin:20261131T090000"),
    *("EXDATE;TZID=Asia/Seoul:20261110T090000", "EXDATE:20261110T090000", "exdate:20261110T090000", "EXDATE:1,2"),
    *("RECURRENCE-ID;TZID=Europe/Berlin:20261110T090000", "RECURRENCE-ID;VALUE=DATE:20261110", "RECURRENCE-ID:x"),
    *("RRULE:FREQ=DAILY;COUNT=2", "RRULE:FREQ=HOURLY", "RRULE:FREQ=DAILY;BYHOUR=9,10", "RRULE:", "RRULE:FREQ=DAILY,"),
    *("X-A:b\rEND:VALARM", "X-A:b\rBEGIN:X-PART", "X-A:b\r\n c", "SUMMARY:a\r\n b\r\n\t c", "UID:a\r\n\tb"),
]  # fmt: skip
ODD_SIGNS = '\r\n\t :;,"\\09TZaſ\x00\ud800\ufeff'


@st.composite
def changed(draw: st.DrawFn) -> str:
    text = draw(
        st.sampled_from(MADE)
        | st.sampled_from(sorted(CORPUS.values()))
        | series().map(lambda made: made.text())
    )
    lines = text.split("\r\n")
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 5)):
            case 0:
                lines.insert(at, draw(st.sampled_from(ODD_LINES)))
            case 1:
                lines[at] = draw(st.sampled_from(ODD_LINES))
            case 2:
                del lines[at : at + draw(st.integers(1, 2))]
            case 3:
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case 4:
                lines[at] = lines[at].swapcase()
            case _:
                into = draw(st.integers(0, len(lines[at])))
                cut = into + draw(st.integers(0, 2))
                lines[at] = lines[at][:into] + draw(st.sampled_from(ODD_SIGNS)) + lines[at][cut:]
        lines = lines or [""]
    return draw(st.sampled_from(["\r\n", "\r\n", "\n", "\r", "\r\r\n"])).join(lines)


windows = st.builds(
    lambda start, days: Span(NOVEMBER + start, NOVEMBER + start + days * DAY),
    st.integers(-400 * DAY, 400 * DAY), st.sampled_from([1, 7, 90, 400]),
)  # fmt: skip
zones = st.sampled_from(["Europe/Berlin", "Europe/Berlin", "Pacific/Kiritimati", "Mars/Olympus"])


@settings(max_examples=5_000 if IN_CI else 500)
@given(changed(), windows, zones)
def test_a_short_way_finds_what_the_general_one_finds(text: str, window: Span, zone: str) -> None:
    short = read_resource(text, zone=zone, addresses=ADDRESSES, window=window)
    assert short == read_in_general(text, zone=zone, addresses=ADDRESSES, window=window)


@st.composite
def regular(draw: st.DrawFn) -> str:
    """A series of one rule, near changes of the clocks, with dates taken out and changed in every form."""
    zone = draw(st.sampled_from([None, "Z", "Europe/Berlin", "Europe/Berlin", *SHIFTING]))
    start = draw(st.sampled_from(NEAR_CHANGES)) + timedelta(
        days=draw(st.integers(-400, 20)), minutes=30 * draw(st.integers(0, 47))
    )
    length = timedelta(
        days=draw(st.integers(0, 3)), minutes=30 * draw(st.integers(0, 9)) * (zone is not None)
    )
    rule = draw(rules) + draw(st.just("") | st.builds(";COUNT={}".format, st.integers(1, 400)) | _ends(start))
    dates = st.integers(0, 60).map(lambda day: start + timedelta(days=day))
    head = [f"DTSTART{_stamp(start, zone)}", f"DTEND{_stamp(start + length, zone)}", f"RRULE:{rule}"]
    events = [
        [*head, *draw(st.lists(st.builds(_excepted, dates, st.just(zone), FORMS_OF_A_DATE), max_size=4))]
    ]
    for original in draw(st.lists(dates, max_size=3)):
        moved = original + timedelta(minutes=30 * draw(st.integers(-96, 96)))
        other = draw(st.sampled_from([zone, zone, None, "Z", "Asia/Seoul"]))
        named = (
            _excepted(original, zone, draw(FORMS_OF_A_DATE))
            .replace("EXDATE", "RECURRENCE-ID")
            .partition(",")[0]
        )
        times = [f"DTSTART{_stamp(moved, other)}", f"DTEND{_stamp(moved + length, other)}"]
        events.append(
            [
                named,
                *times,
                draw(st.sampled_from(["X-A:b", "STATUS:CANCELLED", "TRANSP:TRANSPARENT", "UID:u"])),
            ]
        )
    if draw(st.integers(0, 9)) == 0:
        events = draw(st.permutations(events))
    body = [line for event in events for line in ["BEGIN:VEVENT", "UID:series", *event, "END:VEVENT"]]
    return "\r\n".join(["BEGIN:VCALENDAR", *body, "END:VCALENDAR", ""])


def _ends(start: datetime) -> st.SearchStrategy[str]:
    forms = st.sampled_from(["%Y%m%d", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ"])
    ends = st.integers(-20, 24 * 700).map(lambda hours: start + timedelta(hours=hours))
    return st.builds(lambda end, form: f";UNTIL={end:{form}}", ends, forms)


def _stamp(at: datetime, zone: str | None) -> str:
    match zone:
        case None:
            return f";VALUE=DATE:{at:%Y%m%d}"
        case "Z":
            return f":{at:%Y%m%dT%H%M%SZ}"
        case _:
            return f";TZID={zone}:{at:%Y%m%dT%H%M%S}"


FORMS_OF_A_DATE = st.sampled_from(["own"] * 6 + ["two", "Z", "day", "floating", "Asia/Seoul", "an hour off"])


def _excepted(at: datetime, zone: str | None, form: str) -> str:
    match form:
        case "own":
            return f"EXDATE{_stamp(at, zone)}"
        case "two":
            return f"EXDATE{_stamp(at, zone)},{_stamp(at + timedelta(7), zone).rpartition(':')[2]}"
        case "day":
            return f"EXDATE{_stamp(at, None)}"
        case "floating":
            return f"EXDATE:{at:%Y%m%dT%H%M%S}"
        case "an hour off":
            return f"EXDATE{_stamp(at + timedelta(hours=1), zone)}"
        case _:
            return f"EXDATE{_stamp(at, form)}"


SHIFTING = ["Australia/Lord_Howe", "America/Havana", "Africa/Casablanca", "America/New_York"]
NEAR_CHANGES = [datetime(2026, 10, 25), datetime(2027, 3, 28), datetime(2026, 11, 1), datetime(2027, 2, 14)]


@settings(max_examples=2_000 if IN_CI else 500)
@given(
    regular(),
    windows,
    st.sampled_from(["Europe/Berlin", "America/Havana", "Pacific/Kiritimati", "Mars/Olympus"]),
)
def test_a_series_is_read_alike(text: str, window: Span, zone: str) -> None:
    short = read_resource(text, zone=zone, addresses=ADDRESSES, window=window)
    assert short == read_in_general(text, zone=zone, addresses=ADDRESSES, window=window)


def _resource_like(*parts: str, without: str | None = None) -> list[str]:
    return next(
        text for text in MADE if all(part in text for part in parts) and str(without) not in text
    ).split("\r\n")


A_SERIES = _resource_like("VALARM", "\r\nRRULE:FREQ=W", without="RECURRENCE-ID")
A_CHANGED_SERIES = _resource_like("VALARM", "\r\nRRULE:FREQ=W", "\r\nRECURRENCE-ID", "\r\nEXDATE")
A_SERIES_OF_DAYS = _resource_like("\r\nRRULE:FREQ=", "\r\nDTSTART;VALUE=DATE")
ONCE = [line for line in A_SERIES if not line.startswith("RRULE:FREQ=W")]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("odd", ODD_LINES)
def test_an_odd_line_anywhere_is_seen(odd: str, end: str) -> None:
    window = Span(NOVEMBER - 800 * DAY, NOVEMBER + 800 * DAY)
    for text in (A_SERIES, A_CHANGED_SERIES, A_SERIES_OF_DAYS, ONCE):
        for at in range(len(text)):
            changed_ = end.join([*text[:at], odd, *text[at:]])
            short = read_resource(changed_, zone="Europe/Berlin", addresses=ADDRESSES, window=window)
            assert short == read_in_general(
                changed_, zone="Europe/Berlin", addresses=ADDRESSES, window=window
            )


FORMS = [
    *("", ":20261110T090000Z", ":20261110T090000", ":20261110", ";VALUE=DATE:20261110", ";VALUE=DATE:20261110T090000Z"),
    *(";TZID=Europe/Berlin:20261110T090000", ";TZID=Europe/Berlin:20261110T090000Z", ";TZID=Europe/Berlin:20261110"),
    *(";TZID=Asia/Seoul:20261110T110000", ";TZID=UTC:20261110T090000", ":20261110T240000Z", ":20261111T100000Z"),
    *(";VALUE=DATE:20261112", ":20261112", ":20261109T090000Z", ";VALUE=DATE:20261131", ":20261110T090061Z"),
    *(";TZID=Europe/Berlin:20261025T023000", ";TZID=Europe/Berlin:20270328T023000", ":20261111T100000"),
    *(":20261110 100000Z", ";TZID=Europe/Berlin:202611109100000", ":20261110t100000Z", ":20261110T9000Z"),
]  # fmt: skip


@pytest.mark.parametrize("start", FORMS)
def test_any_start_with_any_end_is_read_alike_at_every_edge_of_a_window(start: str) -> None:
    for end in FORMS:
        lines = ["BEGIN:VEVENT", f"DTSTART{start}", f"DTEND{end}", "UID:u", "END:VEVENT"]
        text = "\r\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR", ""])
        for window in (Span(NOVEMBER - 30 * DAY, NOVEMBER + 400 * DAY), *_edges(text)):
            short = read_resource(text, zone="Europe/Berlin", addresses=ADDRESSES, window=window)
            assert short == read_in_general(text, zone="Europe/Berlin", addresses=ADDRESSES, window=window)


@pytest.mark.parametrize(
    "start", [";VALUE=DATE:20261023", ";TZID=Europe/Berlin:20261023T233000", ":20261023T093000Z"]
)
@pytest.mark.parametrize("length", [0, 1, 2])
def test_a_series_is_read_alike_at_every_edge_of_a_window(start: str, length: int) -> None:
    end = start.replace("20261023T2", f"2026102{3 + length}T2").replace("1023T0", f"1023T{length}")
    end = end.replace("DATE:20261023", f"DATE:2026102{3 + length}")
    lines = ["UID:u", f"DTSTART{start}", f"DTEND{end}", "RRULE:FREQ=DAILY;COUNT=5"]
    excepted = f"EXDATE{start.replace('1023', '1025')}"
    text = "\r\n".join(
        ["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, excepted, "END:VEVENT", "END:VCALENDAR", ""]
    )
    assert _edges(text)
    for window in _edges(text):
        short = read_resource(text, zone="Europe/Berlin", addresses=ADDRESSES, window=window)
        assert short == read_in_general(text, zone="Europe/Berlin", addresses=ADDRESSES, window=window)


def _edges(text: str) -> list[Span]:
    window = Span(NOVEMBER - 30 * DAY, NOVEMBER + 400 * DAY)
    found = read_in_general(text, zone="Europe/Berlin", addresses=ADDRESSES, window=window).occurrences
    edges = {at + by for occurrence in found for at in occurrence.busy for by in (-1, 0, 1)}
    return [span for at in edges for span in (Span(at - DAY, at), Span(at, at + DAY))]


APIA_WITHOUT_A_DAY = 1_325_239_200  # 2011-12-30T10:00Z, where the 31st of December follows the 29th.


@pytest.mark.parametrize(
    ("lines", "window"),
    [
        # In the gap of 2027-03-28, 02:30 and 03:30 are one instant.
        (
            [
                "DTSTART;TZID=Europe/Berlin:20270327T033000\r\nDTEND;TZID=Europe/Berlin:20270327T034500\r\nRRULE:FREQ=DAILY",
                "RECURRENCE-ID;TZID=Europe/Berlin:20270328T023000\r\nDTSTART:20270401T120000Z\r\nDTEND:20270401T130000Z",
            ],
            Span(NOVEMBER, NOVEMBER + 400 * DAY),
        ),
        (
            ["DTSTART:20261101T100000Z\r\nDTEND:20261101T110000Z\r\nRRULE:FREQ=DAILY"],
            Span(NOVEMBER, NOVEMBER + 3_000 * DAY),
        ),
        (
            ["DTSTART;VALUE=DATE:20111225\r\nDTEND;VALUE=DATE:20111226\r\nRRULE:FREQ=DAILY"],
            Span(APIA_WITHOUT_A_DAY, APIA_WITHOUT_A_DAY + DAY),
        ),
        (
            [
                "DTSTART;TZID=Pacific/Apia:20111225T090000\r\nDTEND;TZID=Pacific/Apia:20111225T100000\r\nRRULE:FREQ=DAILY"
            ],
            Span(APIA_WITHOUT_A_DAY - 5 * DAY, APIA_WITHOUT_A_DAY + 5 * DAY),
        ),
    ],
    ids=["a-change-in-a-gap", "more-than-a-thousand-dates", "a-day-that-never-was", "an-hour-of-that-day"],
)
def test_what_is_rare_in_a_series_is_read_alike(lines: list[str], window: Span) -> None:
    events = [f"BEGIN:VEVENT\r\nUID:u\r\n{each}\r\nEND:VEVENT" for each in lines]
    text = "\r\n".join(["BEGIN:VCALENDAR", *events, "END:VCALENDAR", ""])
    short = read_resource(text, zone="Pacific/Apia", addresses=ADDRESSES, window=window)
    assert short == read_in_general(text, zone="Pacific/Apia", addresses=ADDRESSES, window=window)


def test_plain_events_are_read_the_short_way() -> None:
    berlin = find_zone("Europe/Berlin")
    assert berlin is not None
    framed = [take_apart(text) for text in MADE]
    assert all(framed)
    events = [plain_of(each.bodies[0]) for each in framed if each and len(each.bodies) == 1]
    plain = [event for event in events if event is not None and event.is_single]
    window = Span(NOVEMBER, NOVEMBER + 90 * DAY)
    setting = Setting(berlin, find_zone, ADDRESSES, window)
    found = [read_single(event, setting) for event in plain]
    assert len(plain) > 200
    assert all(found)


def test_plain_series_are_read_the_short_way() -> None:
    berlin = find_zone("Europe/Berlin")
    assert berlin is not None
    setting = Setting(berlin, find_zone, ADDRESSES, Span(NOVEMBER, NOVEMBER + 400 * DAY))
    framed = [take_apart(text) for text in make_calendar(1_000, seed=4)]
    repeating = [each.bodies for each in framed if each and any("\nRRULE" in body for body in each.bodies)]
    assert len(repeating) > 100
    for bodies in repeating:
        events = [event for lines in bodies if (event := plain_of(lines)) is not None]
        assert len(events) == len(bodies)
        assert read_regular(events, setting)


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_a_case_of_the_corpus_is_read_alike(name: str) -> None:
    text, window = (
        CORPUS[name].encode("utf-8", "surrogateescape"),
        Span(NOVEMBER - 31 * DAY, NOVEMBER + 369 * DAY),
    )
    short = read_resource(text, zone="Europe/Berlin", addresses=ADDRESSES, window=window)
    assert short == read_in_general(text, zone="Europe/Berlin", addresses=ADDRESSES, window=window)
