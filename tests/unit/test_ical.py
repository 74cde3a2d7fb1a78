"""Reading a resource: keys, windows, problems, bombs and nonsense; writing an appointment, and knowing it again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import icalendar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.busy import BusyPolicy, BusyRule, EventProblemCode, EventStatus, Participation, blocked_span
from domain.interval import Span
from sync.ical.resource import AppointmentText, Reading, read_resource, read_written, write_appointment

CORPUS = sorted((Path(__file__).parent.parent / "corpus").glob("*.ics"))


def instant(text: str) -> int:
    return int(datetime.strptime(text, "%Y%m%dT%H%M").replace(tzinfo=UTC).timestamp())


WINDOW = Span(instant("20261101T0000"), instant("20271206T0000"))
DAY = 86_400


def event(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VEVENT", "UID:u", "SUMMARY:Event", *lines, "END:VEVENT"])


def calendar(*components: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *components, "END:VCALENDAR", ""])


def read(text: bytes | str, *, zone: str = "Europe/Berlin", window: Span = WINDOW) -> Reading:
    return read_resource(text, zone=zone, addresses=frozenset({"ann@example.com"}), window=window)


def keys(*lines: str, zone: str = "Europe/Berlin") -> list[str]:
    return [occurrence.key for occurrence in read(calendar(event(*lines)), zone=zone).occurrences]


def blocked(reading: Reading) -> list[Span]:
    spans = (blocked_span(occurrence, BusyPolicy()) for occurrence in reading.occurrences)
    return [span for span in spans if span is not None]


HOUR_OF_10 = ("DTSTART:20261110T090000Z", "DTEND:20261110T100000Z")
OPEN_POLICY = BusyPolicy(tentative=BusyRule.IGNORE, unanswered=BusyRule.IGNORE, all_day_busy=BusyRule.IGNORE)
ID = "20261111T090000Z"
UNANSWERED = "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:ann@example.com"


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("weak", ["STATUS:TENTATIVE", UNANSWERED])
def test_of_two_events_of_one_start_the_firmer_holds_under_every_policy(weak: str, order: int) -> None:
    firm = event(*HOUR_OF_10, "X-APPLE-TRAVEL-DURATION:PT1H")
    (found,) = read(calendar(*[event(*HOUR_OF_10, weak), firm][::order])).occurrences
    assert blocked_span(found, OPEN_POLICY) == Span(instant("20261110T0800"), instant("20261110T1000"))


@pytest.mark.parametrize("order", [1, -1])
def test_of_a_date_made_a_day_and_an_hour_at_odds_no_policy_opens_the_hour(order: int) -> None:
    series = event(*HOUR_OF_10, "RRULE:FREQ=DAILY;COUNT=2")
    day = event("RECURRENCE-ID:20261111T090000Z", "DTSTART;VALUE=DATE:20261111", "DTEND;VALUE=DATE:20261112")
    hour = event("RECURRENCE-ID:20261111T090000Z", "DTSTART:20261111T120000Z", "DTEND:20261111T130000Z")
    found = read(calendar(series, *[day, hour][::order])).occurrences[1]
    assert blocked_span(found, OPEN_POLICY) is not None


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("weak", "policy"),
    [
        ("ATTENDEE;PARTSTAT=DECLINED:mailto:ann@example.com", BusyPolicy(declined=BusyRule.BLOCK)),
        ("TRANSP:TRANSPARENT", BusyPolicy(all_day_free=BusyRule.BLOCK)),
    ],
)
def test_of_a_date_changed_twice_each_is_closed_as_its_calendar_wants(
    weak: str, policy: BusyPolicy, order: int
) -> None:
    days = [event(f"RECURRENCE-ID:{ID}", f"DTSTART;VALUE=DATE:{day}") for day in ("20261112", "20261114")]
    changes = [days[0], days[1].replace("END:VEVENT", f"{weak}\r\nEND:VEVENT")]
    (found,) = read(calendar(*changes[::order])).occurrences
    closed = blocked_span(found, policy)
    assert closed is not None
    for each in changes:
        (alone,) = read(calendar(each)).occurrences
        span = blocked_span(alone, policy)
        assert span is not None
        assert closed.start <= span.start < span.end <= closed.end


@pytest.mark.parametrize("more", [[], ["RRULE:FREQ=DAILY;COUNT=1"]])
def test_what_is_tentative_and_then_confirmed_is_confirmed(more: list[str]) -> None:
    (found,) = read(calendar(event(*HOUR_OF_10, *more, "STATUS:TENTATIVE", "STATUS:CONFIRMED"))).occurrences
    assert found.status is EventStatus.CONFIRMED


# --- Keys


def test_a_timed_key_is_the_start_in_utc() -> None:
    assert keys("DTSTART;TZID=Europe/Berlin:20261110T090000", "DURATION:PT1H") == ["20261110T080000Z"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_keys_stay_when_the_owners_zone_changes(zone: str) -> None:
    assert keys("DTSTART;VALUE=DATE:20261110", zone=zone) == ["20261110"]
    assert keys("DTSTART:20261110T090000", "DURATION:PT1H", zone=zone) == ["20261110T090000"]


def test_a_moved_occurrence_keeps_the_key_of_its_original_start() -> None:
    series = event("DTSTART:20261110T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2")
    moved = event("RECURRENCE-ID:20261111T090000Z", "DTSTART:20261112T120000Z", "DURATION:PT1H")
    found = read(calendar(series, moved)).occurrences
    assert [(o.key, o.start) for o in found] == [
        ("20261110T090000Z", instant("20261110T0900")),
        ("20261111T090000Z", instant("20261112T1200")),
    ]


def test_a_key_is_there_once() -> None:
    one = event("DTSTART:20261110T090000Z", "DURATION:PT1H")
    longer = event("DTSTART:20261110T090000Z", "DURATION:PT3H")
    (found,) = read(calendar(one, longer)).occurrences
    assert found.busy == Span(instant("20261110T0900"), instant("20261110T1200"))


# --- What an occurrence tells


def test_an_all_day_event_tells_its_dates() -> None:
    (found,) = read(calendar(event("DTSTART;VALUE=DATE:20261110", "DTEND;VALUE=DATE:20261112"))).occurrences
    assert (found.is_all_day, found.start_date, found.end_date) == (True, "2026-11-10", "2026-11-12")


def test_facts_are_told_as_they_stand() -> None:
    lines = [
        "DTSTART:20261110T090000Z",
        "DURATION:PT1H",
        "STATUS:TENTATIVE",
        "ATTENDEE;PARTSTAT=TENTATIVE:mailto:ann@example.com",
    ]
    (found,) = read(calendar(event(*lines))).occurrences
    assert (found.title, found.is_recurring, found.status) == ("Event", False, EventStatus.TENTATIVE)
    assert found.participation is Participation.TENTATIVE


def test_a_title_loses_its_escapes_and_what_no_database_takes() -> None:
    text = calendar(event("DTSTART:20261110T090000Z")).replace(
        "SUMMARY:Event", "SUMMARY:A\\, b\\; c\\\\d\\ne\x00\x07"
    )
    assert read(text).occurrences[0].title == "A, b; c\\d\ne"


def test_a_title_of_a_book_is_cut() -> None:
    text = calendar(event("DTSTART:20261110T090000Z")).replace("SUMMARY:Event", "SUMMARY:" + "x" * 100_000)
    assert len(read(text).occurrences[0].title) == 1_000


# --- The window


def test_a_window_is_half_open() -> None:
    text = calendar(event("DTSTART:20261110T090000Z", "DURATION:PT1H"))
    start, end = instant("20261110T0900"), instant("20261110T1000")
    assert not read(text, window=Span(start - DAY, start)).occurrences
    assert not read(text, window=Span(end, end + DAY)).occurrences
    assert read(text, window=Span(end - 1, end)).occurrences
    assert read(text, window=Span(start, start + 1)).occurrences


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "UTC"])
def test_a_series_meets_the_window_at_both_its_edges_in_any_zone(zone: str) -> None:
    text = calendar(event(f"DTSTART;TZID={zone}:20261001T000000", "DURATION:PT1H", "RRULE:FREQ=HOURLY"))
    window = Span(instant("20261110T0030"), instant("20261112T0030"))
    assert [span.start for span in blocked(read(text, window=window))] == list(
        range(instant("20261110T0000"), instant("20261112T0100"), 3_600)
    )


def test_travel_reaches_into_the_window() -> None:
    text = calendar(event("DTSTART:20261110T090000Z", "DURATION:PT1H", "X-APPLE-TRAVEL-DURATION:PT1H"))
    assert read(text, window=Span(instant("20261110T0700"), instant("20261110T0801"))).occurrences


def test_a_long_occurrence_that_began_before_the_window_is_found() -> None:
    text = calendar(event("DTSTART:20260101T090000Z", "DURATION:P20D", "RRULE:FREQ=MONTHLY"))
    found = read(text, window=Span(instant("20261115T0000"), instant("20261116T0000"))).occurrences
    assert [o.key for o in found] == ["20261101T090000Z"]


@pytest.mark.parametrize(
    ("lines", "is_open_ended"),
    [
        (["DTSTART:20261110T090000Z", "DURATION:PT1H"], False),
        (["DTSTART:20200101T090000Z", "DURATION:PT1H"], False),
        (["DTSTART:20300101T090000Z", "DURATION:PT1H"], True),
        (["DTSTART:20261110T090000Z", "RRULE:FREQ=DAILY"], True),
        (["DTSTART:20261110T090000Z", "RRULE:FREQ=DAILY;COUNT=3"], False),
        (["DTSTART:20261110T090000Z", "RRULE:FREQ=DAILY;UNTIL=20261120T000000Z"], False),
        (["DTSTART:20261110T090000Z", "RRULE:FREQ=DAILY;UNTIL=20290101T000000Z"], True),
        (["DTSTART:20261110T090000Z", "RDATE:20300101T090000Z"], True),
        (["DTSTART:20261110T090000Z", "RRULE:FREQ=SECONDLY"], True),
    ],
)
def test_what_a_later_window_could_add_to_is_open_ended(lines: list[str], is_open_ended: bool) -> None:
    assert read(calendar(event(*lines))).is_open_ended is is_open_ended


# --- Problems


def test_a_problem_is_a_sentence_that_names_the_event_and_the_time() -> None:
    (problem,) = read(calendar(event("DTSTART:20261110T090000Z", "DURATION:PT1H", "RRULE:FREQ=X"))).problems
    assert problem.code is EventProblemCode.BAD_RECURRENCE
    assert problem.message.startswith("“Event” repeats by a rule that cannot be followed")
    assert (problem.uid, problem.blocked) == ("u", Span(instant("20261110T0900"), instant("20261110T1000")))


def test_over_a_megabyte_is_named_and_still_dated() -> None:
    text = calendar(event("X-NOTE:" + "x" * 1_100_000, "DTSTART:20261110T090000Z", "DURATION:PT1H"))
    found = read(text)
    assert blocked(found) == [Span(instant("20261110T0900"), instant("20261110T1000"))]
    assert [problem.code for problem in found.problems] == [EventProblemCode.UNREADABLE]


def test_nesting_over_10_is_named_and_still_dated() -> None:
    begin = "\r\n".join(f"BEGIN:X-{n}" for n in range(11))
    end = "\r\n".join(f"END:X-{n}" for n in reversed(range(11)))
    found = read(calendar(begin, event("DTSTART:20261110T090000Z", "DURATION:PT1H"), end))
    assert len(blocked(found)) == 1
    assert [problem.code for problem in found.problems] == [EventProblemCode.UNREADABLE]


def test_a_part_that_is_never_closed_ends_with_what_it_is_in() -> None:
    parts = ["BEGIN:X-OUTER", "BEGIN:X-INNER", "END:X-OUTER"]
    found = read(calendar(event(*parts, "DTSTART:20261110T090000Z", "DURATION:PT1H")))
    assert blocked(found)
    assert not found.is_readable


def test_an_owner_in_an_unknown_zone_is_blocked_for_all_it_could_mean() -> None:
    found = read(calendar(event("DTSTART;VALUE=DATE:20261110")), zone="Mars/Olympus")
    assert blocked(found) == [Span(instant("20261109T1000"), instant("20261111T1200"))]
    assert [problem.code for problem in found.problems] == [EventProblemCode.UNKNOWN_TIME_ZONE]


# --- Bombs


@pytest.mark.parametrize("rule", ["FREQ=SECONDLY", "FREQ=HOURLY"])
def test_what_is_too_much_is_busy_to_the_windows_end(rule: str) -> None:
    found = read(calendar(event("DTSTART:20261110T090000Z", "DURATION:PT1H", f"RRULE:{rule}")))
    assert max(span.end for span in blocked(found)) == WINDOW.end
    assert [problem.code for problem in found.problems] == [EventProblemCode.TOO_MANY_OCCURRENCES]


# --- Nonsense


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    text = bytearray(draw(st.sampled_from(CORPUS)).read_bytes())
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(text)))
        match draw(st.integers(0, 3)):
            case 0:
                del text[at : at + draw(st.integers(1, 40))]
            case 1:
                text[at:at] = draw(st.binary(min_size=1, max_size=6))
            case 2:
                other = draw(st.sampled_from(CORPUS)).read_bytes().splitlines(keepends=True)
                text[at:at] = draw(st.sampled_from(other)) if other else b""
            case _:
                text[at : at + 1] = draw(
                    st.sampled_from([b"0", b"9", b":", b";", b",", b'"', b"\n", b"-", b"/"])
                )
    return bytes(text)


@settings(max_examples=400)
@given(mutated())
def test_nothing_makes_the_reader_raise(text: bytes) -> None:
    for occurrence in read(text).occurrences:
        assert occurrence.start <= occurrence.end
        assert occurrence.busy.start <= occurrence.busy.end


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: str(path.stem))
def test_what_is_cut_off_anywhere_leaves_what_was_before(path: Path) -> None:
    text = path.read_bytes().rstrip()
    for end in range(0, len(text), 7):
        # Cut off right after the first of two calendars, it is one whole calendar: no text can tell.
        is_one = text[:end].rstrip().endswith(b"END:VCALENDAR")
        assert is_one or not read(text[:end]).is_readable


@pytest.mark.parametrize(
    "begun", ["B", "BEG", "BEGIN", "begi", "BEGIN:", "BEGIN:VCAL", "BEGIN:VCALENDAR\r\nVERSION"]
)
def test_what_is_cut_off_where_another_calendar_begins_leaves_what_was_before(begun: str) -> None:
    whole = calendar(event("DTSTART:20261110T090000Z", "DURATION:PT1H"))
    assert read(whole).is_readable
    assert not read(f"{whole}{begun}").is_readable


@given(
    st.text(max_size=20), st.sampled_from(["", ";TZID=Europe/Berlin", ";VALUE=DATE", ";TZID=Mars/Olympus"])
)
def test_a_start_of_any_kind_is_dated_or_named(value: str, params: str) -> None:
    found = read(calendar(event(f"DTSTART{params}:{value}", "DURATION:PT1H")), window=Span(-(10**11), 10**12))
    assert found.occurrences or (found.problems and not found.is_readable)


@given(st.text(max_size=20))
def test_an_end_of_any_kind_leaves_the_start_blocked(value: str) -> None:
    found = read(calendar(event("DTSTART:20261110T090000Z", f"DTEND:{value}")))
    assert found.occurrences
    assert blocked(found) or not found.problems


@given(st.text(max_size=40))
def test_a_rule_of_any_kind_leaves_the_start_blocked(value: str) -> None:
    found = read(calendar(event("DTSTART:20261110T090000Z", "DURATION:PT1H", f"RRULE:{value}")))
    assert any(span.start <= instant("20261110T0900") for span in blocked(found))


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_any_bytes_at_all_are_answered(text: bytes | str) -> None:
    read(text)


@pytest.mark.parametrize(
    "start",
    [
        "DTSTART:",
        "DTSTART:2026",
        "DTSTART:20261131",
        "DTSTART:00000000T000000Z",
        "DTSTART:20261110T250000Z",
        "DTSTART;VALUE=DATE:x",
        "DTSTART;TZID=\ud800:20261110T090000",
        "DTSTART",
    ],
)
def test_an_event_without_a_start_is_named_and_leaves_what_was_before(start: str) -> None:
    found = read(calendar(event(start)))
    if not found.occurrences:
        assert [problem.code for problem in found.problems] == [EventProblemCode.UNREADABLE]
        assert not found.is_readable


# --- Writing


APPOINTMENT = AppointmentText(
    uid="01890a5d@slotwire",
    sequence=2,
    start=instant("20261110T0900"),
    end=instant("20261110T0930"),
    title="Consultation",
    description="With Bob\nPhone: 1; 2, 3",
    created_at=1_790_000_000.5,
    modified_at=1_790_000_100.5,
)


def test_an_appointment_reads_back_as_it_was_written() -> None:
    written = read_written(write_appointment(APPOINTMENT))
    assert written is not None
    assert (written.uid, written.sequence) == (APPOINTMENT.uid, APPOINTMENT.sequence)
    assert (written.start, written.end) == (APPOINTMENT.start, APPOINTMENT.end)
    assert (written.title, written.description) == (APPOINTMENT.title, APPOINTMENT.description)
    assert written.status is EventStatus.CONFIRMED


def test_an_appointment_invites_nobody_and_says_its_times_in_utc() -> None:
    names = {line.split(":")[0].split(";")[0] for line in write_appointment(APPOINTMENT).splitlines()}
    assert names.isdisjoint({"ATTENDEE", "ORGANIZER", "METHOD", "TZID"})
    assert "DTSTART:20261110T090000Z\r\nDTEND:20261110T093000Z\r\n" in write_appointment(APPOINTMENT)
    assert "TRANSP:OPAQUE" in write_appointment(APPOINTMENT)


def test_the_calendar_itself_has_no_uid() -> None:
    assert "UID" not in icalendar.Calendar.from_ical(write_appointment(APPOINTMENT))


@given(st.text(max_size=200), st.text(max_size=200))
def test_no_text_breaks_out_of_its_line(title: str, description: str) -> None:
    hostile = AppointmentText("u", 0, 0, 60, title, description, 0.0, 0.0)
    names = {
        line.split(":")[0] for line in write_appointment(hostile).split("\r\n") if not line.startswith(" ")
    }
    assert names <= {
        "BEGIN", "END", "VERSION", "PRODID", "UID", "SEQUENCE", "DTSTART", "DTEND", "SUMMARY", "DESCRIPTION",
        "TRANSP", "STATUS", "CREATED", "LAST-MODIFIED", "DTSTAMP", "",
    }  # fmt: skip


@pytest.mark.parametrize(
    "inside", ["\r\nATTENDEE:mailto:x@example.com", "\nEND:VEVENT", "\rX:1", "\x85A:1", "\u2028B:1"]
)
def test_a_line_end_in_a_title_writes_no_line(inside: str) -> None:
    hostile = AppointmentText("u", 0, 0, 60, f"A{inside}", f"A{inside}", 0.0, 0.0)
    written = icalendar.Calendar.from_ical(write_appointment(hostile)).events[0]
    assert "ATTENDEE" not in written
    assert len(written.property_items()) == 13


def test_an_owners_edit_is_seen() -> None:
    edited = calendar(
        event(
            "DTSTART;TZID=Europe/Berlin:20261110T110000",
            "DTEND;TZID=Europe/Berlin:20261110T113000",
            "SEQUENCE:3",
            "STATUS:CANCELLED",
            "RRULE:FREQ=DAILY",
        )
    )
    written = read_written(edited)
    assert written is not None
    assert (written.start, written.end) == (instant("20261110T1000"), instant("20261110T1030"))
    assert (written.sequence, written.status, written.is_recurring) == (3, EventStatus.CANCELLED, True)


@pytest.mark.parametrize("text", ["", "<html>", calendar(), calendar(event("DTSTART:x")), b"\xff"])
def test_what_is_not_an_event_is_not_known_again(text: str | bytes) -> None:
    assert read_written(text) is None


def test_of_two_zones_that_differ_in_case_alone_neither_is_meant_by_a_third_spelling() -> None:
    zones = [
        f"BEGIN:VTIMEZONE\r\nTZID:{name}\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:{offset}\r\n"
        f"TZOFFSETTO:{offset}\r\nEND:STANDARD\r\nEND:VTIMEZONE"
        for name, offset in (("Office", "+0200"), ("OFFICE", "+0500"))
    ]
    dates = ("DTSTART;TZID={}:20261110T120000", "DURATION:PT1H")

    def of(name: str) -> Reading:
        return read(calendar(*zones, event(*(line.format(name) for line in dates))))

    assert blocked(of("OFFICE")) == [Span(instant("20261110T0700"), instant("20261110T0800"))]
    assert [problem.code for problem in of("office").problems] == [EventProblemCode.UNKNOWN_TIME_ZONE]


def _zone(name: str, rules: list[str]) -> str:
    lines = (
        f"TZID:{name}",
        "BEGIN:STANDARD",
        "DTSTART:19700101T000000",
        "TZOFFSETFROM:+0100",
        "TZOFFSETTO:+0100",
    )
    return "\r\n".join(("BEGIN:VTIMEZONE", *lines, *rules, "END:STANDARD", "END:VTIMEZONE"))


_EACH_MARCH = "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"
_NEVER = ";BYMONTH=2;BYMONTHDAY=30"


@pytest.mark.parametrize(
    ("zones", "is_known"),
    [
        ([[_EACH_MARCH] * 20], True),
        ([[_EACH_MARCH] * 21], False),
        ([[_EACH_MARCH] * 10, [_EACH_MARCH] * 11], False),
        ([[f"RRULE:FREQ=MONTHLY{_NEVER}"]], False),
        ([[f"RRULE:FREQ=DAILY{_NEVER}"]], False),
    ],
)
def test_a_zone_that_takes_long_to_follow_is_not_known(zones: list[list[str]], *, is_known: bool) -> None:
    brought = [_zone(f"Office{number}", rules) for number, rules in enumerate(zones)]
    events = [
        event(f"DTSTART;TZID=Office{number}:20261110T120000", "DURATION:PT1H").replace(
            "UID:u", f"UID:{number}"
        )
        for number in range(len(zones))
    ]
    codes = [problem.code for problem in read(calendar(*brought, *events)).problems]
    assert codes == ([] if is_known else [EventProblemCode.UNKNOWN_TIME_ZONE])


@pytest.mark.parametrize(
    ("rule", "dates"),
    [
        ("FREQ=DAILY;COUNT=2;UNTIL=20261113T090000Z", 4),
        ("FREQ=DAILY;COUNT=4;UNTIL=20261111T090000Z", 4),
        ("FREQ=DAILY;COUNT=4;UNTIL=20261109T090000Z", 4),
        ("FREQ=DAILY;COUNT=4;UNTIL=soon", 4),
        ("FREQ=MONTHLY;BYWEEKNO=46;UNTIL=20261231T000000Z", None),
        ("FREQ=WEEKLY;BYMONTHDAY=10,17;COUNT=2", 2),
        ("FREQ=DAILY;BYYEARDAY=314,315;COUNT=2", 2),
    ],
)
def test_a_rule_that_is_forbidden_is_read_for_the_widest_and_told(rule: str, dates: int | None) -> None:
    found = read(calendar(event(*HOUR_OF_10, f"RRULE:{rule}")))
    assert [problem.code for problem in found.problems] == [EventProblemCode.BAD_RECURRENCE]
    assert found.is_readable
    assert dates is None or len(found.occurrences) == dates


@pytest.mark.parametrize("rule", ["FREQ=YEARLY;BYWEEKNO=46;COUNT=2", "FREQ=MONTHLY;BYMONTHDAY=10;COUNT=2"])
def test_a_rule_that_is_allowed_is_no_problem(rule: str) -> None:
    assert not read(calendar(event(*HOUR_OF_10, f"RRULE:{rule}"))).problems
