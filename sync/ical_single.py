"""The plain event, five of six: one that happens once, between two times of one known zone, or for whole days.

All else is None here and read in general (sync.ical_series); where this answers, the two agree.
"""

from __future__ import annotations

import re

from domain.busy import Occurrence
from domain.zone_table import DAY
from sync.ical_keys import day_key, instant_key, iso_day
from sync.ical_plain import ODD, Dates, Setting, dates_of, facts_of, uid_of
from sync.ical_reading import Reading

_ODD = re.compile(rf"\n(?:RRULE|RECURRENCE-ID|EXDATE|{ODD})")
_new = tuple.__new__  # What a NamedTuple does in the end, in a third of the time.


def read_single(lines: str, setting: Setting) -> Reading | None:
    """`lines` as in Framed.bodies."""
    if _ODD.search(lines):
        return None
    dates = dates_of(lines, setting)
    if dates is None:
        return None
    uid, start = uid_of(lines), dates.span.start
    if not meets(dates, setting):
        return _new(Reading, (uid or None, (), (), True, start >= setting.window.end))
    key = day_key(dates.wall // DAY) if dates.clock[2] else instant_key(start)
    found = occurrence_of(lines, dates, setting, uid=uid, key=key, is_recurring=False)
    return None if found is None else _new(Reading, (uid or None, (found,), (), True, False))


def meets(dates: Dates, setting: Setting) -> bool:
    """One of no length meets a window that begins at its instant."""
    (start, end), window = dates.span, setting.window
    return start < window.end and (end > window.start or start == end == window.start)


def occurrence_of(
    lines: str, dates: Dates, setting: Setting, *, uid: str, key: str, is_recurring: bool
) -> Occurrence | None:
    facts = facts_of(lines, setting.addresses)
    if facts is None:
        return None
    (_, _, is_date), _, wall, until, span = dates
    title, show_as, status, participation = facts
    first, last = (iso_day(wall // DAY), iso_day(until // DAY)) if is_date else (None, None)
    return _new(Occurrence, (
        uid, key, span[0], span[1], span, is_date, first, last,
        title, is_recurring, show_as, status, participation, 0, 0,
    ))  # fmt: skip
