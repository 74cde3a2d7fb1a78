"""An event brought to its appointment's time: all that its owner put there stays as it stands."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.busy import EventStatus
from sync.ical.patch import lines_of, splice
from sync.ical.resource import AppointmentText, patch_written, read_written, write_appointment
from sync.ical.text import unfold
from tests.unit.test_ical import calendar, instant

CORPUS = sorted((Path(__file__).parent.parent / "corpus").glob("*.ics"))
UID = "slotwire-00000000000000000000000001"
MOVED = AppointmentText(
    uid=UID,
    sequence=1,
    start=instant("20261111T0900"),
    end=instant("20261111T1000"),
    title="Intro with Gina",
    description="Gina",
    created_at=1_790_000_000.0,
    modified_at=1_790_000_100.0,
)
OURS = {"DTSTART", "DTEND", "DURATION", "SEQUENCE", "STATUS", "LAST-MODIFIED", "DTSTAMP"}
OWNERS = (
    "LOCATION:Room 5\\, left",
    'ATTENDEE;CN="Bob; the \r\n first";X-NUM=1:mailto:bob@example.test',
    "ORGANIZER:mailto:ann@icloud.com",
    "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT0H45M",
    'X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-TITLE="Main \r\n\tStreet, 1":geo:37.3,-122.0',
)
ALARM = (
    "BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:x", "TRIGGER:-PT30M", "DTSTAMP:20200101T000000Z", "END:VALARM"
)  # fmt: skip
ZONE = (
    "BEGIN:VTIMEZONE", "TZID:Europe/Berlin", "BEGIN:STANDARD", "DTSTART:19701025T030000", "TZOFFSETFROM:+0200",
    "TZOFFSETTO:+0100", "END:STANDARD", "END:VTIMEZONE",
)  # fmt: skip


def ours(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{UID}", *lines, "END:VEVENT"])


STAMPS = ("DTSTAMP:20200101T000000Z", "DTSTAMP:20200102T000000Z")  # iCloud adds a second one.
AT_NINE = ("DTSTART;TZID=Europe/Berlin:20261110T100000", "DTEND;TZID=Europe/Berlin:20261110T110000")


def patched(text: str) -> str:
    found = patch_written(text, MOVED)
    assert found is not None
    return found


def test_what_the_owner_added_stays_byte_for_byte() -> None:
    written = patched(calendar("\r\n".join(ZONE), ours(*AT_NINE, *OWNERS, "SUMMARY:Mine", *ALARM)))
    for line in (*OWNERS, "SUMMARY:Mine", "\r\n".join(ALARM), "\r\n".join(ZONE)):
        assert f"\r\n{line}\r\n" in written


def test_it_is_in_its_new_time_and_counts_on_from_the_owners_edits() -> None:
    text = calendar(ours(*AT_NINE, "SEQUENCE:7", "STATUS:CANCELLED", *STAMPS))
    seen = read_written(patched(text))
    assert seen is not None
    assert (seen.start, seen.end, seen.sequence, seen.status) == (
        MOVED.start,
        MOVED.end,
        8,
        EventStatus.CONFIRMED,
    )
    assert patched(text).count("SEQUENCE") == patched(text).count("DTSTAMP") == 1


def test_a_duration_gives_way_to_the_end() -> None:
    written = patched(calendar(ours("DTSTART;VALUE=DATE:20261110", "DURATION:P1D", *ALARM)))
    assert "DURATION" not in written
    assert written.index("DTEND:20261111T100000Z") < written.index("BEGIN:VALARM")


def test_a_name_that_is_folded_is_known() -> None:
    written = patched(calendar(ours(*AT_NINE).replace("DTSTART", "DTST\r\n ART")))
    assert unfold(written).count("DTSTART") == 1


def test_line_ends_become_those_of_the_rfc() -> None:
    text = calendar(ours(*AT_NINE, *OWNERS))
    for end in ("\n", "\r"):
        assert patched(text.replace("\r\n", end)) == patched(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html></html>",
        calendar(ours(*AT_NINE, "RRULE:FREQ=WEEKLY")),
        calendar(ours(*AT_NINE, "RDATE:20261112T090000Z")),
        calendar(ours(*AT_NINE), ours("RECURRENCE-ID:20261112T090000Z", *AT_NINE)),
        calendar(ours(*AT_NINE), ours(*AT_NINE).replace(UID, "another")),
        calendar(ours(*AT_NINE).replace(UID, "another")),
        calendar(ours(*AT_NINE)) + calendar(ours(*AT_NINE)),
        calendar(ours(*AT_NINE)).replace("END:VCALENDAR\r\n", ""),
        calendar(ours(*AT_NINE, "EXRULE:FREQ=WEEKLY")),
        calendar(ours(*AT_NINE, "END:VALARM")),
        calendar("BEGIN:X-PART", ours(*AT_NINE), "END:X-PART"),
    ],
)
def test_what_is_not_this_event_alone_is_not_touched(text: str) -> None:
    assert patch_written(text, MOVED) is None


def test_its_count_of_edits_is_the_larger_and_one_of_ten_digits_is_none() -> None:
    for stands, ours_is, written in ((2, 9, 9), (9, 2, 10), (999_999_999, 2, 10**9), (10**9, 2, 2)):
        text = calendar(ours(*AT_NINE, f"SEQUENCE:{stands}"))
        found = patch_written(text, replace(MOVED, sequence=ours_is))
        assert found is not None
        assert f"\r\nSEQUENCE:{written}\r\n" in found


# --- By its lines alone

GIVEN = {"DTSTART": "DTSTART:20261111T090000Z", "DTEND": "DTEND:20261111T100000Z"}


def lines(*inside: str, ends: str = "END:VEVENT") -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", *inside, ends, "END:VCALENDAR", ""])


def test_a_line_comes_where_the_old_one_stood_and_a_new_one_before_the_alarm() -> None:
    text = lines("UID:1", "DTSTART:20261110T090000Z", "SUMMARY:x", *ALARM)
    assert splice(text, GIVEN) == lines("UID:1", GIVEN["DTSTART"], "SUMMARY:x", GIVEN["DTEND"], *ALARM)


@pytest.mark.parametrize(
    "line",
    ["DTST\r\n\tART:20261110T090000Z", "DTST\r\n ART;X=1:20261110T090000Z", "dtstart:20261110T090000Z"],
)
def test_a_name_is_known_however_it_is_spelt(line: str) -> None:
    assert splice(lines(line), GIVEN) == lines(*GIVEN.values())


@pytest.mark.parametrize("line", ["DTSTART", "DTSTART=20261110T090000Z", "DTSTART-X:20261110T090000Z"])
def test_what_only_begins_like_a_name_is_another_line(line: str) -> None:
    assert splice(lines(line), GIVEN) == lines(line, *GIVEN.values())


def test_an_end_of_the_text_is_an_end_of_its_last_line_and_blank_lines_go() -> None:
    text = lines("UID:1").removesuffix("\r\n").replace("UID", "\r\n\r\nUID")
    assert splice(text, {}) == lines("UID:1")
    assert splice(lines("UID:1").replace("BEGIN:VEVENT", "begin:vevent "), GIVEN) is not None


@pytest.mark.parametrize("name", ["RRULE", "RDATE", "EXRULE", "RECURRENCE-ID"])
def test_a_series_or_one_date_of_it_is_not_spliced(name: str) -> None:
    assert splice(lines(f"{name}:x"), GIVEN) is None
    in_a_part = lines("BEGIN:X-PART", f"{name}:x", "END:X-PART")
    assert splice(in_a_part, {}) == in_a_part


@pytest.mark.parametrize(
    "text",
    [
        lines("UID:1") * 2,
        lines("UID:1") + "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
        lines("UID:1", "END:VEVENT", "BEGIN:VEVENT"),
        lines("UID:1").replace("VEVENT", "VTODO"),
        lines("UID:1", ends="UID:2"),
        lines("UID:1", ends="END:VTODO"),
        "END:VEVENT\r\n" + lines("UID:1"),
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\n",
    ],
)
def test_what_is_not_one_whole_event_is_not_spliced(text: str) -> None:
    assert splice(text, GIVEN) is None


def test_an_alarm_s_lines_are_not_the_event_s() -> None:
    text = lines("UID:1", "DTSTAMP:1", "DTSTAMP:2", "X-LONG:a\r\n b", *ALARM)
    assert lines_of(text) == {"UID": "UID:1", "DTSTAMP": "DTSTAMP:2", "X-LONG": "X-LONG:a\r\n b"}


def test_a_duration_is_taken_from_the_event_alone() -> None:
    alarm = ("BEGIN:VALARM", "TRIGGER:-PT5M", "DURATION:PT5M", "REPEAT:1", "END:VALARM")
    assert splice(lines("DURATION:PT1H", *alarm), {}) == lines(*alarm)


def test_no_guest_and_no_alarm_is_ever_added() -> None:
    assert not re.search("ATTENDEE|ORGANIZER|VALARM", patched(calendar(ours(*AT_NINE))))


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_of_every_text_all_but_what_is_ours_is_as_it_was(path: Path) -> None:
    text = path.read_bytes().decode("utf-8", "replace")
    seen = read_written(text)
    mine = MOVED if seen is None else AppointmentText(seen.uid, 1, MOVED.start, MOVED.end, "", "", 0.0, 0.0)
    written = patch_written(text, mine)
    if written is None:
        assert seen is None or not seen.is_alone
        return
    assert others(written) == others(text)
    again = read_written(written)
    assert again is not None
    assert (again.start, again.end, again.title, again.description) == (
        mine.start,
        mine.end,
        None if seen is None else seen.title,
        None if seen is None else seen.description,
    )


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_words_stay(title: str, note: str) -> None:
    before = write_appointment(AppointmentText(UID, 0, 0, 60, title, note, 0.0, 0.0))
    seen, again = read_written(before), read_written(patched(before))
    assert seen is not None
    assert again is not None
    assert (again.title, again.description) == (seen.title, seen.description)


def others(text: str) -> list[str]:
    """The content lines but for those of ours that stand in an event itself."""
    path: list[str] = []
    kept: list[str] = []
    for line in unfold(text.removeprefix("\ufeff")).split("\n"):
        name = re.split("[:;]", line, maxsplit=1)[0].upper()
        if name == "BEGIN":
            path.append(line)
        if line and not (len(path) == 2 and name in OURS):
            kept.append(line)
        if name == "END":
            path.pop()
    return kept
