"""iCalendar text into components with the dozen properties that tell what is busy; the rest is passed over."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

MOST_CHARACTERS = 1_000_000
_MOST_READ = 4 * MOST_CHARACTERS
_DEEPEST = 10

_OF_EVENTS = (
    "UID|SEQUENCE|DTSTART|DTEND|DURATION|RRULE|RDATE|EXDATE|EXRULE|RECURRENCE-ID|SUMMARY|STATUS|TRANSP"
    "|ATTENDEE|X-APPLE-TRAVEL-DURATION|X-APPLE-TRAVEL-RETURN-DURATION|DESCRIPTION"
)
_NAMES = rf"BEGIN|END|{_OF_EVENTS}|TZID|TZOFFSETFROM|TZOFFSETTO"
# A colon or semicolon inside quotes belongs to the parameter's value. The second form, for a quote that is
# never closed, ends at the first colon: better a doubtful parameter than a lost DTSTART.
_PARAMS = r"""(?:;[^:"\n]*(?:"[^"\n]*"[^:"\n]*)*|;[^:\n]*)?"""
# Each with the line end before it: a search for one is much faster than a search for where a line begins.
_LINE = re.compile(rf"\n({_NAMES})({_PARAMS}):(.*)", re.IGNORECASE)
_LINE_IN_CAPITALS = re.compile(rf"\n({_OF_EVENTS})({_PARAMS}):(.*)")
_ATTENDEE = re.compile(rf"\nATTENDEE({_PARAMS}):(.*)")
_ZONE_BEGINS, _ZONE_ENDS = "\nBEGIN:VTIMEZONE\n", "\nEND:VTIMEZONE\n"
_LONGEST_ZONE = 10_000
# Nothing in an alarm says what is busy. Only a whole one is passed over, so that what is cut off is seen.
_ALARM = re.compile(r"\nBEGIN:VALARM\n(?:(?!BEGIN:|END:).*\n)*END:VALARM(?=\n)", re.IGNORECASE)
# Looked for at a semicolon alone, so that a name without a value costs its length once. Of a list of quoted values
# the first is taken, and none of the others for a parameter.
_PARAM = re.compile(r""";([^=;:]++)=(?:("[^"]*")(?:,"[^"]*")*+|([^;]*))""")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Property(NamedTuple):
    """One content line: its parameters still as written, and its value."""

    params: str
    value: str

    def param(self, name: str) -> str | None:
        if not self.params:
            return None
        for key, quoted, plain in _PARAM.findall(self.params):
            if key.strip().upper() == name:
                return str(quoted or plain).strip('"')
        return None


_new = tuple.__new__  # What a NamedTuple does in the end: a third of its time, a million times over.


@dataclass(slots=True)
class Component:
    name: str
    properties: dict[str, list[Property]] = field(default_factory=dict)
    parts: list[Component] = field(default_factory=list)
    """What lies inside: a zone's STANDARD and DAYLIGHT."""

    @property
    def repeats(self) -> bool:
        return not self.properties.keys().isdisjoint(("RRULE", "RDATE"))

    def first(self, name: str) -> Property | None:
        found = self.properties.get(name)
        return found[0] if found else None

    def value(self, name: str) -> str:
        found = self.properties.get(name)
        return found[0].value.strip() if found else ""

    def every(self, name: str) -> list[Property]:
        return self.properties.get(name, [])


@dataclass(slots=True)
class Document:
    """Every event and zone that could be made out, and what is wrong with the text, if something is."""

    events: list[Component]
    zones: list[Component]
    fault: str | None = None
    is_whole: bool = True
    """False where something may be missing: cut off, not iCalendar, or not text."""


class _Open:
    """The components that are begun and not ended, from the text as a whole to the innermost."""

    def __init__(self) -> None:
        self.path = [Component("")]
        self.names: Counter[str] = Counter()
        """How often each is in the path: a wrong END costs the same however deep it stands."""

    def begin(self, component: Component) -> None:
        self.path[-1].parts.append(component)
        self.path.append(component)
        self.names[component.name] += 1

    def end(self, name: str) -> bool:
        """Whether it was the innermost. Where it was not, all in it end with it."""
        is_innermost = len(self.path) > 1 and self.path[-1].name == name
        while self.names[name]:
            ended = self.path.pop().name
            self.names[ended] -= 1
            if ended == name:
                break
        return is_innermost


def read_document(text: bytes | str) -> Document:
    decoded, fault = _decode(text)
    document = _components(unfold(decoded[:_MOST_READ]))
    if fault or len(decoded) > _MOST_READ:
        document.is_whole = False
    if len(decoded) > MOST_CHARACTERS:
        fault = fault or "is over 1 MB"
    document.fault = fault or document.fault
    return document


def properties_of(text: str) -> dict[str, list[Property]]:
    """Of unfolded content lines, each with the line end before it, whose names are in capitals."""
    lines = _LINE_IN_CAPITALS.findall(text)
    properties = {name: [_new(Property, (params, value))] for name, params, value in lines}
    if len(properties) < len(lines):  # Some are there more than once.
        properties = {name: [] for name in properties}
        for name, params, value in lines:
            properties[name].append(_new(Property, (params, value)))
    return properties


def attendees_of(text: str) -> list[Property]:
    """Of lines as in properties_of."""
    return [_new(Property, given) for given in _ATTENDEE.findall(text)]


def plain_text(value: str, most: int) -> str:
    """A TEXT value without its escapes (RFC 5545 3.3.11), and without what no database takes."""
    if "\\" in value:
        value = _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)
    return without_controls(value)[:most]


def without_controls(text: str) -> str:
    return text if text.isprintable() else _CONTROL.sub("", text)


def _decode(text: bytes | str) -> tuple[str, str | None]:
    if isinstance(text, str):
        # Half of a surrogate pair can be held in a str, but never stored.
        return text.encode("utf-8", "replace").decode("utf-8").removeprefix("\ufeff"), None
    try:
        return text.decode("utf-8-sig"), None
    except UnicodeDecodeError:
        return text.decode("utf-8-sig", "replace"), "is not valid UTF-8"


def unfold(text: str) -> str:
    """RFC 5545 3.1: a line goes on in the next where that begins with a space or tab."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\n ", "")
    return text.replace("\n\t", "") if "\t" in text else text


def _components(text: str) -> Document:
    document = Document([], [])
    open_ = _Open()
    text = _set_zones_aside(f"\n{text}", document)
    _read_lines(_ALARM.sub("", text), document, open_)
    root = open_.path[0]
    if len(open_.path) > 1 or _is_begun(text):
        document.fault, document.is_whole = "is cut off: a component is never closed", False
    elif not root.parts:
        document.fault, document.is_whole = "is not iCalendar text", False
    elif not document.events and not any(_holds_something(part) for part in root.parts):
        # RFC 5545 3.6: a calendar has at least one component. One without is a damaged one, not an empty one.
        document.fault, document.is_whole = "holds no event", False
    return document


def _is_begun(text: str) -> bool:
    """The last line is where the name of a BEGIN was cut off: another calendar was to follow."""
    last = text[text.rfind("\n") + 1 :].strip().upper()
    return bool(last) and "BEGIN".startswith(last)


def _read_lines(text: str, document: Document, open_: _Open) -> None:
    properties = open_.path[-1].properties
    for written, params, value in _LINE.findall(text):
        name = written.upper()
        if name == "BEGIN":
            _begin(document, open_, value.strip().upper())
            properties = open_.path[-1].properties
        elif name == "END":
            _end(document, open_, value.strip().upper())
            properties = open_.path[-1].properties
        elif name in properties:
            properties[name].append(_new(Property, (params, value)))
        else:
            properties[name] = [_new(Property, (params, value))]


def _set_zones_aside(text: str, document: Document) -> str:
    """The rest of the text. Most resources bring the same few zones along, which are read once."""
    pieces: list[str] = []
    at, start = 0, text.find(_ZONE_BEGINS)
    while start >= 0 and (end := text.find(_ZONE_ENDS, start)) >= 0:
        end += len(_ZONE_ENDS) - 1
        zone = _read_zone(text[start:end]) if end - start <= _LONGEST_ZONE else None
        if zone is not None:
            document.zones.append(zone)
            pieces.append(text[at:start])
            at = end
        start = text.find(_ZONE_BEGINS, end)
    return "".join([*pieces, text[at:]]) if pieces else text


@lru_cache(maxsize=256)
def _read_zone(text: str) -> Component | None:
    """The VTIMEZONE that this text is, and nothing else; None where it is not whole."""
    document, open_ = Document([], []), _Open()
    _read_lines(text, document, open_)
    is_whole = document.fault is None and len(open_.path) == 1 and not document.events
    return document.zones[0] if is_whole and len(document.zones) == len(open_.path[0].parts) == 1 else None


def _holds_something(part: Component) -> bool:
    return part.name == "VCALENDAR" and any(inner.name != "VTIMEZONE" for inner in part.parts)


def _begin(document: Document, open_: _Open, name: str) -> None:
    component = Component(name)
    # An event is kept from its beginning: cut off, it can often be dated all the same.
    if name == "VEVENT":
        document.events.append(component)
    elif name == "VTIMEZONE":
        document.zones.append(component)
    open_.begin(component)
    if len(open_.path) - 1 > _DEEPEST:
        document.fault = "is nested over 10 deep"


def _end(document: Document, open_: _Open, name: str) -> None:
    if not open_.end(name):
        document.fault, document.is_whole = (
            "is broken: a component ends that never began, or is never closed",
            False,
        )
