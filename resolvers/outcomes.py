"""What a use case answers when it can't do what was asked: values, one a kind of refusal, each with a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from domain.calendars import NotSelectableReason
from domain.interval import Span


@dataclass(frozen=True, slots=True)
class Refusal:
    """`message` is a sentence to show a person: what is wrong, and what to do."""

    message: str


@dataclass(frozen=True, slots=True)
class InvalidInput(Refusal):
    field: str
    """Path of the field in the input, such as `weekly.2.end`."""


@dataclass(frozen=True, slots=True)
class NotFound(Refusal):
    pass


@dataclass(frozen=True, slots=True)
class Forbidden(Refusal):
    pass


@dataclass(frozen=True, slots=True)
class ICloudPasswordRefused(Refusal):
    pass


@dataclass(frozen=True, slots=True)
class AppSpecificPasswordRequired(Refusal):
    help_url: str


@dataclass(frozen=True, slots=True)
class AlreadyConnected(Refusal):
    pass


@dataclass(frozen=True, slots=True)
class ICloudAccountInUse(Refusal):
    pass


@dataclass(frozen=True, slots=True)
class DifferentICloudAccount(Refusal):
    pass


@dataclass(frozen=True, slots=True)
class ICloudUnavailable(Refusal):
    retry_at: float | None


@dataclass(frozen=True, slots=True)
class CalendarNotSelectable(Refusal):
    calendar_id: str
    reason: NotSelectableReason


@dataclass(frozen=True, slots=True)
class SlotUnavailable(Refusal):
    next_slots: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class AvailabilityUnknown(Refusal):
    retry_at: float | None


@dataclass(frozen=True, slots=True)
class IdempotencyConflict(Refusal):
    pass


@dataclass(frozen=True, slots=True)
class SlugTaken(Refusal):
    pass


@dataclass(frozen=True, slots=True)
class RateLimited(Refusal):
    retry_at: float


@dataclass(frozen=True, slots=True)
class AppointmentNotChangeable(Refusal):
    pass


@dataclass(frozen=True, slots=True)
class HasUpcomingAppointments(Refusal):
    count: int
