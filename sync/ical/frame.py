"""The events of a resource, without the frame around them that most of a calendar share: it is read once.

For what is written plainly alone: names in capitals, whole alarms at an event's end, and nothing else inside of it.
All else is None here and read in general (sync.ical.text); where this answers, the two agree.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from sync.ical.text import Component, Document, properties_of, read_document, unfold

_BEGIN, _END = "\nBEGIN:VEVENT", "\nEND:VEVENT"
_LONGEST, _LONGEST_FRAME = 32_000, 8_000
_CR_ALONE = re.compile(r"\r(?!\n)")  # It ends a line too.
_FIRST = re.compile(r"\n(?![ \t])")
# A component inside, a line whose name is not in capitals or not whole before a fold, and a line of no property.
_ODD = re.compile(r"\n(?:(?:BEGIN|END)[:;]|[A-Z0-9-]++[^:;]|[^A-Z0-9 \t-])")
_AT_END = r"(?=\n(?![ \t]))"
_ALARMS = re.compile(
    rf"(?:\nBEGIN:VALARM{_AT_END}(?:\n(?:[ \t]|(?!(?i:BEGIN|END):)[^\n:;]*[:;]).*)*+\nEND:VALARM{_AT_END})++\n"
)
_new = tuple.__new__  # What a NamedTuple does in the end, in a third of the time.


class Framed(NamedTuple):
    bodies: list[str]
    """The content lines of each event as written, without alarms and CRs: an LF before each, and one at the end.
    Where a line goes on in the next, it does so after its name."""
    zones: tuple[Component, ...]

    def document(self) -> Document:
        events = [Component("VEVENT", properties_of(unfold(body))) for body in self.bodies]
        return Document(events, list(self.zones))


def take_apart(text: bytes | str) -> Framed | None:
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError:
            return None
    if len(text) > _LONGEST:
        return None
    head, *events = text.split(_BEGIN)
    bodies: list[str] = []
    tail = ""
    for event in events:
        if tail and tail != "\r":  # Something stands between two events.
            return None
        end = event.find(_END)
        body = None if end < 0 else _body(event[: end + 1])
        if body is None:
            return None
        bodies.append(body)
        tail = event[end + len(_END) :]
    zones = _zones_of(head, tail) if bodies and len(head) + len(tail) <= _LONGEST_FRAME else None
    return None if zones is None else _new(Framed, (bodies, zones))


@lru_cache(maxsize=256)
def _zones_of(head: str, tail: str) -> tuple[Component, ...] | None:
    """The VTIMEZONEs of a frame that is whole, and whole around one event."""
    document = read_document(f"{head}{_BEGIN}{_END}{tail}")
    is_plain = document.fault is None and document.is_whole and len(document.events) == 1
    # A mark of the byte order may stand once, and a frame alone does not tell whether there was one before.
    return tuple(document.zones) if is_plain and not head.startswith("\ufeff") else None


def _body(lines: str) -> str | None:
    if "\r" in lines:
        if _CR_ALONE.search(lines):
            return None
        lines = lines.replace("\r", "")
    if not _FIRST.match(lines):
        return None
    if not lines.isascii():  # Half of a surrogate pair can be held in a str, but never stored.
        lines = lines.encode("utf-8", "replace").decode()
    alarms = lines.find("\nBEGIN:")
    if alarms >= 0:
        if not _ALARMS.fullmatch(lines, alarms):
            return None
        lines = lines[: alarms + 1]
    return None if _ODD.search(lines) else lines
