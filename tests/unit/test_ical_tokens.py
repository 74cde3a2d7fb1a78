"""Our content lines held to icalendar's, name by name, over resources as they are and with lines and signs changed.

icalendar is asked after what the two see differently has been made alike or left out, each by name:
* a CR alone ends a line for us, and is a character of the value for it (RFC 5545 3.1 knows CRLF alone, some write CR);
* folds after an empty line, which it takes away with the line (3.1: a fold is one line end and one blank);
* a line without a colon has no value for it, and of blanks in a name it knows nothing: no lines for us (3.1);
* a line that it refuses, or in which a quote is never closed: it costs us the line's parameters at most, as a lost
  DTSTART would open time (3.1 has no such line);
* a parameter with several values or with escapes of RFC 6868, which no parameter that we ask for has (3.2);
* blanks around a parameter's value: it takes them away, for us a zone of that name is unknown (3.2: they are its own);
* a mark of the byte order, half of a surrogate pair: not iCalendar (3.1.4).
"""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from icalendar.parser import Contentlines

from sync.ical.text import Component, read_document
from tests.unit.test_ical_short_ways import CORPUS, IN_CI, MADE, changed

NAMES = frozenset(
    [
        *(
            "UID",
            "SEQUENCE",
            "DTSTART",
            "DTEND",
            "DURATION",
            "RRULE",
            "RDATE",
            "EXDATE",
            "EXRULE",
            "RECURRENCE-ID",
        ),
        *("SUMMARY", "STATUS", "TRANSP", "ATTENDEE", "DESCRIPTION"),
        *("X-APPLE-TRAVEL-DURATION", "X-APPLE-TRAVEL-RETURN-DURATION"),
    ]
)
PARAMS = ["TZID", "VALUE", "RANGE", "PARTSTAT", "EMAIL"]
Line = tuple[str, tuple[str | None, ...], str]
"""Name, the parameters that we ask for, and the value as written."""


def theirs(text: str) -> list[list[Line]]:
    """The lines of each event, in order, by icalendar's parser; raises ValueError where it refuses one."""
    events: list[list[Line]] = []
    open_: list[list[Line] | None] = []
    for line in content_lines(text):
        if not re.match(r"[\w-]+[;:]", line) or ":" not in line:
            continue
        name, params, value = line.raw_parts()
        match name.upper():
            case "BEGIN":
                event: list[Line] | None = [] if value.strip().upper() == "VEVENT" else None
                open_.append(event)
                if event is not None:
                    events.append(event)
            case "END":
                open_.pop()
            case known if known in NAMES and open_ and (event := open_[-1]) is not None:
                event.append((known, tuple(params.get(param) for param in PARAMS), value))
    return events


def content_lines(text: str) -> Contentlines:
    return Contentlines(Contentlines.from_ical(alike(text)))  # type: ignore[no-untyped-call]


def ours(events: list[Component]) -> list[list[Line]]:
    return [
        [
            (name, tuple(stripped(each.param(param)) for param in PARAMS), each.value)
            for name, found in event.properties.items()
            for each in found
            if name in NAMES
        ]
        for event in events
    ]


def stripped(value: str | None) -> str | None:
    return None if value is None else value.strip()


def is_asked(text: str) -> bool:
    """Whether icalendar takes the text, and none of what is named above is in it."""
    if read_document(text).fault or re.search(r"\n[ \t]*\n[ \t]|[\ufeff\ud800-\udfff^]", alike(text)):
        return False
    if any(line.count('"') % 2 for line in content_lines(text)):
        return False
    try:
        return all(
            not isinstance(value, list)
            for event in theirs(text)
            for _, params, _ in event
            for value in params
        )
    except ValueError:
        return False


def alike(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check(text: str) -> None:
    for mine, other in zip(ours(read_document(text).events), theirs(text), strict=True):
        assert sorted(mine, key=str) == sorted(other, key=str)


@pytest.mark.parametrize("name", sorted(name for name, text in CORPUS.items() if is_asked(text)))
def test_the_lines_of_a_case_are_icalendars(name: str) -> None:
    check(CORPUS[name])


def test_the_lines_of_made_up_calendars_are_icalendars() -> None:
    for text in MADE:
        check(text)


@settings(max_examples=2_000 if IN_CI else 200)
@given(changed())
def test_the_lines_of_a_changed_resource_are_icalendars(text: str) -> None:
    assume(is_asked(text))
    check(text)


def test_most_of_the_corpus_is_asked_about() -> None:
    assert sum(map(is_asked, CORPUS.values())) > 0.9 * len(CORPUS)
