"""What can be asked about free time: the fields of the input, and what may stand in them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import StrEnum

from domain.availability import Match, Rules
from domain.interval import Span
from domain.validate import Invalid, check_numbers
from resolvers.inputs import check_zone, invalid
from resolvers.outcomes import Forbidden, InvalidInput
from resolvers.paging import read_range

MOST_DAYS = 92
MOST_USERS = 20
MOST_STARTS = 1000
_LONGEST_STALENESS = 30 * 86_400
_USUAL_MINUTES = 30


class StalePolicy(StrEnum):
    CLOSE = "CLOSE"
    SERVE_LAST_KNOWN = "SERVE_LAST_KNOWN"
    REFRESH = "REFRESH"


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailabilityQuestion:
    """The input, null and absent alike None. `from_` and `to` are epoch seconds."""

    booking_page: str | None = None
    user_ids: tuple[str, ...] | None = None
    from_: int
    to: int
    match: Match | None = None
    appointment_type_id: str | None = None
    duration_minutes: int | None = None
    step_minutes: int | None = None
    buffer_before_minutes: int | None = None
    buffer_after_minutes: int | None = None
    minimum_notice_minutes: int | None = None
    grid_time_zone: str | None = None
    first_slots: int | None = None
    manage_token: str | None = None
    appointment_id: str | None = None
    hold_token: str | None = None
    max_staleness_seconds: int | None = None
    on_stale: StalePolicy | None = None

    @property
    def within(self) -> Span:
        return Span(self.from_, self.to)


_DEFAULTS = {"match": Match.EVERYONE, "on_stale": StalePolicy.CLOSE}
_FOR_GUESTS = frozenset({"booking_page", "from_", "to", "first_slots", "manage_token", "hold_token"})
GUESTS_ONLY_ASK = Forbidden(
    "This key may give only bookingPage, from, to, firstSlots, manageToken and holdToken: leave the rest out."
)


def is_for_guests(question: AvailabilityQuestion) -> bool:
    """Whether it gives no more than a guest may."""
    return all(
        getattr(question, field.name) in {None, _DEFAULTS.get(field.name)}
        for field in fields(question)
        if field.name not in _FOR_GUESTS
    )


def check_question(question: AvailabilityQuestion) -> InvalidInput | None:
    """The first thing wrong with it, by the path in the input."""
    span = read_range(question.from_, question.to, most_days=MOST_DAYS)
    if isinstance(span, InvalidInput):
        return span
    return _check_who(question) or _check_numbers(question)


def _check_who(question: AvailabilityQuestion) -> InvalidInput | None:
    users = question.user_ids
    if (question.booking_page is None) == (users is None):
        return InvalidInput("Give either a booking page or users, one of the two.", "bookingPage")
    if users is None:
        if question.appointment_type_id is not None:
            return InvalidInput("A booking page brings its own type: leave this out.", "appointmentTypeId")
        return None
    if not 1 <= len(users) <= MOST_USERS:
        return InvalidInput(f"Give 1 to {MOST_USERS} users.", "userIds")
    for place, user in enumerate(users):
        if user in users[:place]:
            return InvalidInput("This user is given twice: give each once.", f"userIds.{place}")
    return None


def _check_numbers(question: AvailabilityQuestion) -> InvalidInput | None:
    wrong = check_numbers(
        {
            "durationMinutes": question.duration_minutes,
            "stepMinutes": question.step_minutes,
            "bufferBeforeMinutes": question.buffer_before_minutes,
            "bufferAfterMinutes": question.buffer_after_minutes,
            "minimumNoticeMinutes": question.minimum_notice_minutes,
        }
    )
    if wrong:
        return invalid(wrong)
    if question.first_slots is not None and not 1 <= question.first_slots <= MOST_STARTS:
        return InvalidInput(f"Ask for the first 1 to {MOST_STARTS} slots.", "firstSlots")
    staleness = question.max_staleness_seconds
    if staleness is not None and not 1 <= staleness <= _LONGEST_STALENESS:
        return InvalidInput(f"Give 1 to {_LONGEST_STALENESS} seconds.", "maxStalenessSeconds")
    if question.appointment_id is not None and question.manage_token is not None:
        return InvalidInput("Name the booking that moves once: by its id or by its token.", "appointmentId")
    if question.grid_time_zone is not None:
        zone = check_zone(question.grid_time_zone, field="gridTimeZone")
        return invalid(zone) if isinstance(zone, Invalid) else None
    return None


def usual_rules(question: AvailabilityQuestion) -> Rules:
    """Where no type says more: half an hour, one after the other."""
    usual = (question.duration_minutes or _USUAL_MINUTES) * 60
    return Rules(duration=usual, step=usual)


def overridden(rules: Rules, question: AvailabilityQuestion, *, grid_zone: str) -> Rules:
    given = {
        "duration": question.duration_minutes,
        "step": question.step_minutes,
        "buffer_before": question.buffer_before_minutes,
        "buffer_after": question.buffer_after_minutes,
        "notice": question.minimum_notice_minutes,
    }
    seconds = {name: minutes * 60 for name, minutes in given.items() if minutes is not None}
    return replace(rules, grid_zone=question.grid_time_zone or grid_zone, **seconds)
