"""The plain event, five of six: one that happens once, between two times of one known zone, or for whole days.

All else is None here and read in general (sync.ical.series); where this answers, the two agree.
"""

from __future__ import annotations

from domain.busy import Occurrence
from domain.zone_table import DAY
from sync.ical.keys import day_key, instant_key, iso_day
from sync.ical.plain import Dates, Plain, Setting, dates_of, facts_of, uid_of
from sync.ical.reading import Reading

_new = tuple.__new__  # What a NamedTuple does in the end, in a third of the time.


def read_single(event: Plain, setting: Setting) -> Reading | None:
    dates = dates_of(event, setting)
    if dates is None:
        return None
    uid, start = uid_of(event), dates.span.start
    if not meets(dates, setting):
        return _new(Reading, (uid or None, (), (), True, start >= setting.window.end))
    key = day_key(dates.wall // DAY) if dates.clock[2] else instant_key(start)
    found = occurrence_of(event, dates, setting, uid=uid, key=key, is_recurring=False)
    return _new(Reading, (uid or None, (found,), (), True, False))


def meets(dates: Dates, setting: Setting) -> bool:
    """One of no length meets a window that begins at its instant."""
    (start, end), window = dates.span, setting.window
    return start < window.end and (end > window.start or start == end == window.start)


def occurrence_of(
    event: Plain, dates: Dates, setting: Setting, *, uid: str, key: str, is_recurring: bool
) -> Occurrence:
    (_, _, is_date), _, wall, until, span = dates
    title, show_as, status, participation = facts_of(event, setting.addresses)
    first, last = (iso_day(wall // DAY), iso_day(until // DAY)) if is_date else (None, None)
    return _new(Occurrence, (
        uid, key, span[0], span[1], span, is_date, first, last,
        title, is_recurring, show_as, status, participation, 0, 0,
    ))  # fmt: skip
