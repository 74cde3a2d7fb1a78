"""Which dates of an object lie in a span: what a time range finds, and what `expand` makes of it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from xml.etree.ElementTree import Element

from radicale import item as radicale_item
from radicale.app.report import _expand as radicale_expand
from radicale.item import filter as radicale_filter

from standin.ics import without_overrides
from standin.markup import MalformedError

_TIME_RANGE = "{urn:ietf:params:xml:ns:caldav}time-range"
_MOMENT = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_MORE_DATES = ("RRULE", "RDATE", "RECURRENCE-ID")
_DATES = ("dtstart", "dtend", "recurrence_id", "exdate", "rdate")
_IN_UTC = re.compile(r"^((?:DTSTART|DTEND|RECURRENCE-ID)[;:].*\d)Z(?=\r?$)", re.MULTILINE)
_FIRST, _LAST = "00010101T000000Z", "99991231T235959Z"


@dataclass(frozen=True, slots=True)
class Span:
    start: datetime
    end: datetime

    @classmethod
    def read(cls, start: str, end: str) -> Self:
        """From iCalendar's texts in UTC; raises MalformedError for all else."""
        return cls(_moment(start), _moment(end))

    @classmethod
    def read_half(cls, start: str, end: str) -> Self:
        """Likewise, where one of both may be empty: without an end."""
        if not start and not end:
            raise MalformedError
        return cls.read(start or _FIRST, end or _LAST)


def _moment(text: str) -> datetime:
    if not _MOMENT.fullmatch(text):
        raise MalformedError
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:  # The 31st of February.
        raise MalformedError from error


def meets(item: radicale_item.Item, span: Span, *, as_moved: bool) -> bool:
    """What can't be placed is everywhere: one odd object fails no query for the others."""
    try:
        return _meets(item, span, as_moved=as_moved)
    except Exception:  # noqa: BLE001 - whatever Radicale, vobject and dateutil make of an odd object.
        return True


def expanded(item: radicale_item.Item, span: Span) -> str:
    """A VEVENT for each occurrence in `span`, or nothing; as it is, where there is no telling."""
    try:
        return _expanded(item, span)
    except Exception:  # noqa: BLE001 - as above.
        return str(item.serialize())


def _meets(item: radicale_item.Item, span: Span, *, as_moved: bool) -> bool:
    first, last = item.time_range
    time_range = Element(_TIME_RANGE, {"start": _text(span.start), "end": _text(span.end)})
    start, end = radicale_filter.time_range_timestamps(time_range)
    if last <= start or end <= first:
        return False
    text = item.serialize()
    if not any(word in text for word in _MORE_DATES):
        return True
    original = None if as_moved else without_overrides(text)
    asked = item
    if original is not None:
        asked = radicale_item.Item(collection=item.collection, text=original)
    return bool(radicale_filter.time_range_match(asked.vobject_item, time_range, item.component_name, None))


def _expanded(item: radicale_item.Item, span: Span) -> str:
    is_floating = _put_into_utc(item.vobject_item)
    element, _ = radicale_expand(
        Element("x"), item, span.start, span.end, time_range_start=span.start, time_range_end=span.end
    )
    text = str(element.text)
    return _IN_UTC.sub(r"\1", text) if is_floating else text


def _put_into_utc(calendar: Any) -> bool:
    """Floating times as if they were in UTC, since Radicale compares no others; whether there were any."""
    found = False
    for event in calendar.vevent_list:
        for line in (line for name in _DATES for line in event.contents.get(name, ())):
            values = line.value if isinstance(line.value, list) else [line.value]
            if any(map(_is_floating, values)):
                found = True
                placed = [value.replace(tzinfo=UTC) if _is_floating(value) else value for value in values]
                line.value = placed if isinstance(line.value, list) else placed[0]
    return found


def _is_floating(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is None


def _text(moment: datetime) -> str:
    """Not by `strftime`, which gives the year 1 a single digit."""
    return f"{moment.replace(tzinfo=None).isoformat().replace('-', '').replace(':', '')}Z"
