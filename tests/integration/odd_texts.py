"""Texts with problems of their own, and what a text closes: for runs of chance."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from domain.interval import Span
from sync.ical.resource import read_resource
from sync.plan import plan_window
from sync.settings import SyncSettings
from tests.integration.engine import NOW, ZONE

_TWO = "-two"


@dataclass(frozen=True)
class Closing:
    """`spans`: by UID. Not readable, it takes the place of nothing that is held and was: then they are of before."""

    spans: Mapping[str, frozenset[Span]]
    is_readable: bool

    @property
    def uids(self) -> set[str]:
        """That it has or had."""
        return {name for uid in self.spans for name in (uid, f"{uid}{_TWO}")}


def with_a_problem(text: str, uid: str, chance: random.Random) -> str:
    return chance.choice(_PROBLEMS)(text, uid)


def closing_of(text: str) -> Closing:
    window = plan_window(NOW, ZONE, SyncSettings())
    found = read_resource(text, zone=ZONE, addresses=frozenset(), window=window)
    uids = {each.uid for each in found.occurrences}
    spans = {uid: frozenset(each.busy for each in found.occurrences if each.uid == uid) for uid in uids}
    return Closing(spans, found.is_readable)


def _undated(uid: str) -> str:
    return f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART:?\r\nEND:VEVENT\r\nEND:VCALENDAR"


def _with_an_undated_part(text: str, uid: str) -> str:
    """Of its own: something may be missing."""
    return text.replace("END:VCALENDAR", _undated(uid))


def _beside_one_undated(text: str, uid: str) -> str:
    return text.replace("END:VCALENDAR", _undated(f"{uid}-undated"))


def _of_two_uids(text: str, uid: str) -> str:
    another = text[text.index("BEGIN:VEVENT") :].replace(f"UID:{uid}", f"UID:{uid}{_TWO}")
    return text.replace("END:VCALENDAR", another)


def _of_two_uids_beside_one_undated(text: str, uid: str) -> str:
    return _beside_one_undated(_of_two_uids(text, uid), uid)


def _cut_off(text: str, _: str) -> str:
    return text[: text.index("END:VEVENT")]


def _of_no_zone(text: str, _: str) -> str:
    return re.sub(r"(DTSTART|DTEND):(\w+)Z", r"\1;TZID=Mars/Olympus:\2", text)


def _that_runs_away(text: str, _: str) -> str:
    return text.replace("END:VEVENT", "RRULE:FREQ=SECONDLY;COUNT=90000\r\nEND:VEVENT")


def _of_no_interval(text: str, _: str) -> str:
    return text.replace("END:VEVENT", "RRULE:FREQ=DAILY;INTERVAL=0\r\nEND:VEVENT")


_PROBLEMS: tuple[Callable[[str, str], str], ...] = (
    _with_an_undated_part,
    _beside_one_undated,
    _of_two_uids,
    _of_two_uids_beside_one_undated,
    _cut_off,
    _of_no_zone,
    _that_runs_away,
    _of_no_interval,
)
