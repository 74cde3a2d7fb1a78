"""Why time is closed: one user's spans that are not free, each with every reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain import edges as sweep
from domain.availability import Booked, NothingChosen, Rules, Stale, UserTime, full_days
from domain.edges import Edges
from domain.hours import open_hours
from domain.interval import Span


class ReasonCode(StrEnum):
    """In the order in which they are given."""

    BLOCKED_SLOT = "BLOCKED_SLOT"
    APPOINTMENT = "APPOINTMENT"
    HOLD = "HOLD"
    BUFFER = "BUFFER"
    OUTSIDE_WORKING_HOURS = "OUTSIDE_WORKING_HOURS"
    MINIMUM_NOTICE = "MINIMUM_NOTICE"
    BEYOND_HORIZON = "BEYOND_HORIZON"
    STALE_CALENDAR = "STALE_CALENDAR"
    NO_CALENDARS_CHOSEN = "NO_CALENDARS_CHOSEN"
    MAXIMUM_PER_DAY = "MAXIMUM_PER_DAY"


class SubjectKind(StrEnum):
    """What a reason's id is the id of."""

    BLOCKED_SLOT = "BLOCKED_SLOT"
    APPOINTMENT = "APPOINTMENT"
    CALENDAR = "CALENDAR"


@dataclass(frozen=True, slots=True)
class Subject:
    kind: SubjectKind
    id: object


@dataclass(frozen=True, slots=True)
class Reason:
    code: ReasonCode
    subject: Subject | None = None


@dataclass(frozen=True, slots=True)
class ClosedSpan:
    """Its reasons are in the order of their codes; within one code, by when each begins."""

    span: Span
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class BlockedTime:
    """A blocked slot with its id: the merged `Busy` no longer knows which is which."""

    span: Span
    id: object


Closing = tuple[Span, Reason]

_ORDER = {code: place for place, code in enumerate(ReasonCode)}
_UNRULED = Rules(duration=1, step=1)  # Without a type's rules only the past is too soon.


def why_closed(
    user: UserTime, rules: Rules | None, blocked: Iterable[BlockedTime], *, within: Span, now: int
) -> list[ClosedSpan]:
    """All of `within` that is not free. `blocked` are the slots that meet `within` widened by the buffers."""
    asked = rules or _UNRULED
    closings: list[Closing] = [
        *_of_slots(blocked, asked),
        *_of_bookings(user, asked, now),
        *_of_rules(user, asked, within, now),
        *_of_calendars(user, within),
    ]
    clipped = ((span.clipped(within), reason) for span, reason in closings)
    return _sweep([(span, reason) for span, reason in clipped if not span.is_empty])


def _of_slots(blocked: Iterable[BlockedTime], rules: Rules) -> Iterator[Closing]:
    for slot in blocked:
        if slot.span.is_empty:
            continue
        subject = Subject(SubjectKind.BLOCKED_SLOT, slot.id)
        widened = Span(slot.span.start - rules.buffer_after, slot.span.end + rules.buffer_before)
        yield slot.span, Reason(ReasonCode.BLOCKED_SLOT, subject)
        yield from _buffers(slot.span, widened, subject)


def _of_bookings(user: UserTime, rules: Rules, now: int) -> Iterator[Closing]:
    for appointment in user.appointments:
        subject = Subject(SubjectKind.APPOINTMENT, appointment.id)
        yield from _of_booked(appointment, rules, Reason(ReasonCode.APPOINTMENT, subject))
    for hold in user.live_holds(now):
        yield from _of_booked(hold, rules, Reason(ReasonCode.HOLD))


def _of_booked(booked: Booked, rules: Rules, reason: Reason) -> Iterator[Closing]:
    if not booked.span.is_empty:
        yield booked.span, reason
        yield from _buffers(
            booked.span, booked.widened(rules.buffer_after, rules.buffer_before), reason.subject
        )


def _buffers(span: Span, widened: Span, subject: Subject | None) -> Iterator[Closing]:
    yield Span(widened.start, span.start), Reason(ReasonCode.BUFFER, subject)
    yield Span(span.end, widened.end), Reason(ReasonCode.BUFFER, subject)


def _of_rules(user: UserTime, rules: Rules, within: Span, now: int) -> Iterator[Closing]:
    opened = open_hours(user.hours, user.zone, within.start, within.end)
    yield from _all(sweep.complement(opened, within.start, within.end), ReasonCode.OUTSIDE_WORKING_HOURS)
    yield Span(within.start, now + rules.notice), Reason(ReasonCode.MINIMUM_NOTICE)
    if rules.last_start is not None:
        yield Span(rules.last_start + 1, within.end), Reason(ReasonCode.BEYOND_HORIZON)
    if user.known_until is not None:
        yield Span(user.known_until - rules.buffer_after, within.end), Reason(ReasonCode.BEYOND_HORIZON)
    yield from _all(full_days(user, rules), ReasonCode.MAXIMUM_PER_DAY)


def _all(edges: Edges, code: ReasonCode) -> Iterator[Closing]:
    return ((span, Reason(code)) for span in sweep.spans(edges))


def _of_calendars(user: UserTime, within: Span) -> Iterator[Closing]:
    match user.closed:
        case Stale(calendars):
            if not calendars:  # Closed all the same, though no calendar is named.
                yield within, Reason(ReasonCode.STALE_CALENDAR)
            for calendar in calendars:
                yield within, Reason(ReasonCode.STALE_CALENDAR, Subject(SubjectKind.CALENDAR, calendar))
        case NothingChosen():
            yield within, Reason(ReasonCode.NO_CALENDARS_CHOSEN)
        case None:
            return


def _sweep(closings: Sequence[Closing]) -> list[ClosedSpan]:
    """Cuts time where a reason comes or goes; neighbours with the same reasons are one."""
    ranked = sorted(closings, key=lambda closing: (_ORDER[closing[1].code], closing[0].start))
    ranks = {reason: rank for rank, (_, reason) in reversed(list(enumerate(ranked)))}
    toggles = sorted(
        toggle
        for span, reason in ranked
        for toggle in ((span.start, ranks[reason], 1), (span.end, ranks[reason], -1))
    )
    active: dict[int, int] = {}
    spans: list[ClosedSpan] = []
    for place, (instant, rank, step) in enumerate(toggles):
        active[rank] = active.get(rank, 0) + step
        if not active[rank]:
            del active[rank]
        following = toggles[place + 1][0] if place + 1 < len(toggles) else instant
        if active and instant < following:
            reasons = tuple(ranked[rank][1] for rank in sorted(active))
            _append(spans, ClosedSpan(Span(instant, following), reasons))
    return spans


def _append(spans: list[ClosedSpan], closed: ClosedSpan) -> None:
    if spans and spans[-1].span.end == closed.span.start and spans[-1].reasons == closed.reasons:
        closed = ClosedSpan(Span(spans.pop().span.start, closed.span.end), closed.reasons)
    spans.append(closed)
