"""An event's text with lines of ours in it, and every other line as it stands, byte for byte and folded as it was.

By its lines: what icalendar reads and writes again is not the same where a duration, a rule or a quoted parameter is
written otherwise than it would.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_LINE_END = re.compile(r"\r\n|\r|\n")
_NAME = re.compile(r"([A-Za-z0-9-]+)(?=[:;])")
_EVENT = ["VCALENDAR", "VEVENT"]
_OF_A_SERIES = frozenset({"RRULE", "RDATE", "EXRULE", "RECURRENCE-ID"})
_OF_ICLOUD = "X-APPLE-CREATOR-"
"""Lines that it adds by itself begin so."""
_OF_ITS_END = frozenset({"DURATION"})


def lines_of(text: str) -> dict[str, str]:
    """The event's own content lines, folded as they are, by name: the last of each."""
    return {
        name: line for path, name, _, line in _walk(text) if path == _EVENT and name not in {"BEGIN", "END"}
    }


def has_more(text: str, than: str) -> bool:
    """Whether its event has properties that the other's has not, or an alarm: its owner put them there."""
    added = _names(text) - _names(than)
    return any(not name.startswith(_OF_ICLOUD) for name in added)


def _names(text: str) -> set[str]:
    """Of what is in its event; BEGIN where there is another component."""
    return {name for path, name, _, _ in _walk(text) if path == _EVENT and name != "END"}


def splice(text: str, given: Mapping[str, str]) -> str | None:
    """The given lines in place of the event's of these names. None of what is not one event, and once, in a calendar.

    A DURATION goes: the end is given.
    """
    written: list[str] = []
    left = dict(given)
    calendars = events = 0
    for path, name, value, line in _walk(text):
        if name in {"BEGIN", "END"} and path == _EVENT:
            # RFC 5545 section 3.6.1: properties come before the components inside.
            written += left.values()
            left.clear()
        if name == "BEGIN":
            calendars += not path
            events += value == "VEVENT"
        elif name == "END":
            if not path or path[-1] != value:
                return None
        elif path == _EVENT and name in _OF_A_SERIES:
            return None
        elif path == _EVENT and (name in given or name in _OF_ITS_END):
            if name in left:
                written.append(left.pop(name))
            continue
        written.append(line)
    is_one = (calendars, events) == (1, 1) and not left
    return "\r\n".join([*written, ""]) if is_one else None


def _walk(text: str) -> Iterator[tuple[list[str], str, str, str]]:
    """Each content line: in which components, its name, its value where it begins or ends one, and all of it."""
    path: list[str] = []
    for line in _folded(text):
        unfolded = re.sub(r"\r\n[ \t]", "", line)
        found = _NAME.match(unfolded)
        name = found[1].upper() if found else ""
        value = unfolded.rpartition(":")[2].strip().upper() if name in {"BEGIN", "END"} else ""
        yield path, name, value, line
        if name == "BEGIN":
            path = [*path, value]
        elif name == "END":
            path = path[:-1]


def _folded(text: str) -> Iterator[str]:
    """RFC 5545 section 3.1: what begins with a space or tab goes on with the line before. Empty lines are none."""
    held: list[str] = []
    for line in _LINE_END.split(text):
        if line.startswith((" ", "\t")) and held:
            held.append(line)
            continue
        if any(held):
            yield "\r\n".join(held)
        held = [line]
    if any(held):
        yield "\r\n".join(held)
