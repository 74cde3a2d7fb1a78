"""What the stand-in reads in an iCalendar text before it stores it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FOLD = re.compile(r"\r?\n[ \t]")
_BREAK = re.compile(r"\r?\n")
_EVENT = re.compile(r"^BEGIN:VEVENT\r?\n.*?^END:VEVENT\r?\n", re.DOTALL | re.MULTILINE)
_OVERRIDE = re.compile(r"^RECURRENCE-ID[:;]", re.MULTILINE)
_STAMP = re.compile(r"^DTSTAMP[:;].*\r?\n", re.MULTILINE)
_MARK = "X-APPLE-CREATOR-IDENTITY"
_ZONES_AND_ALARMS = frozenset({"VTIMEZONE", "VALARM", "STANDARD", "DAYLIGHT"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The facts that decide whether iCloud takes a resource."""

    is_calendar: bool
    components: frozenset[str]
    uids: frozenset[str]
    has_method: bool
    endless: bool  # An event that has neither DTEND nor DURATION.
    guests: int  # ATTENDEE lines, for each of which iCloud would send a mail.


def unfolded(text: str) -> Iterator[str]:
    """RFC 5545 3.1. By CR and LF alone: `splitlines` would also break at what a title may hold."""
    yield from (line for line in _BREAK.split(_FOLD.sub("", text)) if line)


def lines(text: str) -> Iterator[tuple[str, str]]:
    """Each content line as its upper-case name and its value, unfolded."""
    for line in unfolded(text):
        head, _, value = line.partition(":")
        yield head.partition(";")[0].upper(), value


def contents(text: str) -> Contents:
    components: set[str] = set()
    uids: set[str] = set()
    stack: list[str] = []
    has_method = endless = ended = crossed = False
    guests = 0
    for name, value in lines(text):
        inside = stack[-1] if stack else ""
        match name:
            case "BEGIN":
                stack.append(value.strip().upper())
                if len(stack) == 2 and stack[-1] not in _ZONES_AND_ALARMS:
                    components.add(stack[-1])
                    ended = False
            case "END":
                crossed = crossed or inside != value.strip().upper()
                if inside == "VEVENT" and len(stack) == 2:
                    endless = endless or not ended
                stack = stack[:-1]
            case "UID" if len(stack) == 2:
                uids.add(value.strip())
            case "DTEND" | "DURATION" if inside == "VEVENT":
                ended = True
            case "ATTENDEE" if len(stack) == 2:
                guests += 1
            case "METHOD" if len(stack) == 1:
                has_method = True
    return Contents(
        is_calendar=text.lstrip("\ufeff").startswith("BEGIN:VCALENDAR") and not stack and not crossed,
        components=frozenset(components),
        uids=frozenset(uids),
        has_method=has_method,
        endless=endless,
        guests=guests,
    )


def housekept(text: str) -> str:
    """With what iCloud itself adds to an event in time: its mark, and DTSTAMP once more."""
    return _EVENT.sub(lambda event: _housekept(event[0]), text)


def stamped_once(text: str) -> str:
    """Without a second DTSTAMP, which iCloud writes itself and Radicale refuses."""
    return _EVENT.sub(lambda event: _stamped_once(event[0]), text) if text.count("DTSTAMP") > 1 else text


def _stamped_once(event: str) -> str:
    again = list(_STAMP.finditer(event))[1:]
    for stamp in reversed(again):
        event = event[: stamp.start()] + event[stamp.end() :]
    return event


def _housekept(event: str) -> str:
    end = event.rindex("END:VEVENT")
    stamps = [found[0] for found in _STAMP.finditer(event)]
    again = stamps[0] if len(stamps) == 1 else ""
    mark = "" if _MARK in event else f"{_MARK}:com.apple.calendar\r\n"
    return event[:end] + again + mark + event[end:]


def without_overrides(text: str) -> str | None:
    """The text with its RECURRENCE-ID events left out; None where that would change nothing or leave no event."""
    events = _EVENT.findall(text)
    overrides = [event for event in events if _OVERRIDE.search(event)]
    if not overrides or len(overrides) == len(events):
        return None
    for override in overrides:
        text = text.replace(override, "")
    return text
