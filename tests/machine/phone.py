"""What the owner's phone writes, and the plain model's own reckoning of the time that it closes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

HOME_ZONE = "Europe/Paris"
FLOATING = "floating"
"""The zone of what has none: its times are the owner's, wherever they are."""
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a calendar's policy that the machine plays with. True: it blocks."""

    all_day_busy: bool = True
    declined: bool = False
    travel_time: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneEvent:
    """A single event, or a daily series of `days`; an instance is named by its number."""

    uid: str
    start: datetime
    "Wall clock in `zone`."
    length: timedelta
    zone: str = HOME_ZONE
    days: int = 1
    moved: dict[int, datetime] = field(default_factory=dict)
    gone: frozenset[int] = frozenset()
    travel: timedelta = timedelta(0)
    is_free: bool = False
    is_declined: bool = False
    is_all_day: bool = False
    revision: int = 0

    # --- What the owner does

    def edited(self, start: datetime, length: timedelta) -> PhoneEvent:
        """All of it, from the start: what was moved or deleted of a series before is as the series again."""
        return self._next(start=start, length=length, moved={}, gone=frozenset())

    def with_moved(self, number: int, to: datetime) -> PhoneEvent:
        return self._next(moved={**self.moved, number: to}, gone=self.gone - {number})

    def without(self, number: int) -> PhoneEvent:
        moved = {other: to for other, to in self.moved.items() if other != number}
        return self._next(gone=self.gone | {number}, moved=moved)

    def split(self, number: int, uid: str, start: datetime) -> tuple[PhoneEvent, PhoneEvent]:
        """This and future: the series ends before instance `number`, and another goes on from `start`."""
        first = self._next(
            days=number,
            moved={n: to for n, to in self.moved.items() if n < number},
            gone=frozenset(n for n in self.gone if n < number),
        )
        return first, replace(self, uid=uid, start=start, days=self.days - number, moved={}, gone=frozenset())

    def switched(self, *, is_free: bool) -> PhoneEvent:
        return self._next(is_free=is_free)

    def answered(self, *, is_declined: bool) -> PhoneEvent:
        return self._next(is_declined=is_declined)

    def _next(self, **changes: object) -> PhoneEvent:
        return replace(self, revision=self.revision + 1, **changes)  # type: ignore[arg-type]

    # --- What it closes

    @property
    def is_of_its_owners_zone(self) -> bool:
        return self.is_all_day or self.zone == FLOATING

    def spans(self, rules: Rules, owners: str) -> list[tuple[int, int]]:
        """`owners`: the zone in which the owner lives."""
        if self.is_free or (self.is_declined and not rules.declined):
            return []
        if self.is_all_day:
            days = [self.start.date() + n * DAY for n in range(self.days) if n not in self.gone]
            return [_whole_day(day, owners) for day in days] if rules.all_day_busy else []
        before = int(self.travel.total_seconds()) if rules.travel_time else 0
        starts = [self._instance(n, owners) for n in range(self.days) if n not in self.gone]
        return [(start - before, start + int(self.length.total_seconds())) for start in starts]

    def _instance(self, number: int, owners: str) -> int:
        local = self.moved.get(number, self.start + number * DAY)
        return _instant(local, owners if self.zone == FLOATING else self.zone)

    # --- As iCalendar

    @property
    def is_series(self) -> bool:
        """One of a single instance too, where that one was deleted or moved."""
        return self.days > 1 or bool(self.gone) or bool(self.moved)

    @property
    def text(self) -> str:
        overrides = [self._component(to, number) for number, to in sorted(self.moved.items())]
        parts = [self._component(self.start, None), *overrides]
        body = "".join(parts)
        return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Apple Inc.//iPhone OS 26.0//EN\r\n{body}END:VCALENDAR\r\n"

    def _component(self, start: datetime, number: int | None) -> str:
        lines = [f"UID:{self.uid}", "DTSTAMP:20261026T000000Z", f"SEQUENCE:{self.revision}", "SUMMARY:Busy"]
        lines += self._times(start)
        if number is not None:
            lines.append(self._named("RECURRENCE-ID", self.start + number * DAY))
        elif self.is_series:
            lines.append(f"RRULE:FREQ=DAILY;COUNT={self.days}")
            lines += [self._named("EXDATE", self.start + n * DAY) for n in sorted(self.gone)]
        lines.append(f"TRANSP:{'TRANSPARENT' if self.is_free else 'OPAQUE'}")
        if self.travel:
            minutes = int(self.travel.total_seconds()) // 60
            lines.append(f"X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT{minutes}M")
        if self.is_declined:
            lines.append("ATTENDEE;PARTSTAT=DECLINED:mailto:a@icloud.com")
        return "\r\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT", ""])

    def _times(self, start: datetime) -> list[str]:
        if self.is_all_day:
            return [self._named("DTSTART", start), f"DTEND;VALUE=DATE:{start + DAY:%Y%m%d}"]
        return [self._named("DTSTART", start), self._named("DTEND", start + self.length)]

    def _named(self, name: str, local: datetime) -> str:
        if self.is_all_day:
            return f"{name};VALUE=DATE:{local:%Y%m%d}"
        if self.zone == "UTC":
            return f"{name}:{local:%Y%m%dT%H%M%S}Z"
        if self.zone == FLOATING:
            return f"{name}:{local:%Y%m%dT%H%M%S}"
        return f"{name};TZID={self.zone}:{local:%Y%m%dT%H%M%S}"


def _instant(local: datetime, zone: str) -> int:
    return int(local.replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone)).timestamp())


def _whole_day(day: date, zone: str) -> tuple[int, int]:
    midnight = datetime(day.year, day.month, day.day)
    return _instant(midnight, zone), _instant(midnight + DAY, zone)
