"""Working hours: the week, and the days that differ."""

import datetime as dt
from typing import Self

import strawberry

from domain import hours as domain
from schema.enums import Weekday
from schema.scalars import LocalTime

_DAYS = tuple(Weekday)


@strawberry.type(description="A span of one weekday's clock.")
class WeeklyHours:
    day: Weekday = strawberry.field(description="The day that it is for.")
    start: LocalTime = strawberry.field(description="When it begins.")
    end: LocalTime = strawberry.field(description="When it ends; 24:00 is midnight at the day's end.")

    @classmethod
    def of(cls, hours: domain.WeeklyHours) -> Self:
        return cls(day=_DAYS[hours.day], start=LocalTime(hours.start), end=LocalTime(hours.end))


@strawberry.type(description="A span of one date's clock.")
class HoursSpan:
    start: LocalTime = strawberry.field(description="When it begins.")
    end: LocalTime = strawberry.field(description="When it ends; 24:00 is midnight at the day's end.")

    @classmethod
    def of(cls, span: domain.HoursSpan) -> Self:
        return cls(start=LocalTime(span.start), end=LocalTime(span.end))


@strawberry.type(description="The hours of one date, in place of its weekday's.")
class DateOverride:
    date: dt.date = strawberry.field(description="The date, in the user's zone.")
    hours: list[HoursSpan] = strawberry.field(description="Empty: off all day.")

    @classmethod
    def of(cls, override: domain.DateOverride) -> Self:
        return cls(date=override.date, hours=[HoursSpan.of(span) for span in override.hours])


@strawberry.type(description="When a user works, in its own zone.")
class WorkingHours:
    weekly: list[WeeklyHours] = strawberry.field(description="By day, then start.")
    overrides: list[DateOverride] = strawberry.field(description="Whole-day exceptions. By date.")

    @classmethod
    def of(cls, hours: domain.WorkingHours) -> Self:
        return cls(
            weekly=[WeeklyHours.of(span) for span in hours.weekly],
            overrides=[DateOverride.of(override) for override in hours.overrides],
        )


@strawberry.input(description="A span of one weekday's clock.")
class WeeklyHoursInput:
    day: Weekday = strawberry.field(description="The day that it is for.")
    start: LocalTime = strawberry.field(description="When it begins.")
    end: LocalTime = strawberry.field(description="When it ends, after its start; 24:00 for midnight.")

    def value(self) -> domain.WeeklyHours:
        return domain.WeeklyHours(_DAYS.index(self.day), self.start, self.end)


@strawberry.input(description="A span of one date's clock.")
class HoursSpanInput:
    start: LocalTime = strawberry.field(description="When it begins.")
    end: LocalTime = strawberry.field(description="When it ends, after its start; 24:00 for midnight.")

    def value(self) -> domain.HoursSpan:
        return domain.HoursSpan(self.start, self.end)


@strawberry.input(description="The hours of one date, in place of its weekday's.")
class DateOverrideInput:
    date: dt.date = strawberry.field(description="The date, in the user's zone.")
    hours: list[HoursSpanInput] = strawberry.field(description="At most 50 spans. Empty: off all day.")

    def value(self) -> domain.DateOverride:
        return domain.DateOverride(self.date, tuple(span.value() for span in self.hours))
