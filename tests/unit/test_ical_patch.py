"""An event brought to its appointment's time: all that its owner put there stays as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.busy import EventStatus
from sync.ical import AppointmentText, patch_written, read_written, write_appointment
from sync.ical_text import unfold
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
