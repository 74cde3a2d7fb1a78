"""What the stand-in reads in an iCalendar text before it stores it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FOLD = re.compile(r"\r?\n[ \t]")
_EVENT = re.compile(r"BEGIN:VEVENT\r?\n.*?END:VEVENT\r?\n", re.DOTALL)
_OVERRIDE = re.compile(r"^RECURRENCE-ID[:;]", re.MULTILINE)
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


def lines(text: str) -> Iterator[tuple[str, str]]:
    """Each content line as its upper-case name and its value, unfolded."""
    for line in _FOLD.sub("", text).splitlines():
        head, _, value = line.partition(":")
        yield head.partition(";")[0].upper(), value


def contents(text: str) -> Contents:
    components: set[str] = set()
    uids: set[str] = set()
    stack: list[str] = []
    has_method = endless = ended = False
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
        is_calendar=text.lstrip("\ufeff").startswith("BEGIN:VCALENDAR") and not stack,
        components=frozenset(components),
        uids=frozenset(uids),
        has_method=has_method,
        endless=endless,
        guests=guests,
    )


def without_overrides(text: str) -> str | None:
    """The text with its RECURRENCE-ID events left out; None where that would change nothing or leave no event."""
    events = _EVENT.findall(text)
    overrides = [event for event in events if _OVERRIDE.search(event)]
    if not overrides or len(overrides) == len(events):
        return None
    for override in overrides:
        text = text.replace(override, "")
    return text
