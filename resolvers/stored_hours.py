"""Working hours as a user's row holds them."""

from __future__ import annotations

from datetime import date
from typing import Any

from domain.hours import DEFAULT_HOURS, DateOverride, HoursSpan, WeeklyHours, WorkingHours
from models.people import User


def hours_of(row: User) -> WorkingHours:
    stored: Any = row.hours
    if stored is None:
        return DEFAULT_HOURS
    return WorkingHours(
        tuple(WeeklyHours(*span) for span in stored["weekly"]),
        tuple(
            DateOverride(date.fromisoformat(day), tuple(HoursSpan(*span) for span in spans))
            for day, spans in sorted(stored["overrides"].items())
        ),
    )
