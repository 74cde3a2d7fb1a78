"""Answers a question about free time from one snapshot, and tells how long the answer stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain.availability import Match, Rules, UserTime, find_starts, find_windows, next_change
from domain.interval import Span
from domain.zones import DAY
from models.database import Db
from resolvers import scope
from resolvers.asked import NO_SUCH_PAGE, Asked, Concerned, read_asked, rules_asked
from resolvers.context import Services
from resolvers.cursors import write_cursor
from resolvers.freshness import SyncState
from resolvers.outcomes import NotFound
from resolvers.question import AvailabilityQuestion, StalePolicy
from resolvers.user_time import Wanted, load_user_times
from resolvers.views import AvailabilityView, FreshnessView, OpenStart


@dataclass(frozen=True, slots=True)
class Moment:
    """When the answer is for. Rules go by `rules_now`; states from before `since` are too old.

    `is_followed`: someone waits for what comes next, so it is worth knowing when that can be.
    """

    now: float
    rules_now: int
    since: float
    refreshed: bool = False
    is_followed: bool = False


@dataclass(frozen=True, slots=True)
class Basis:
    """What an answer stands on: while none of it moves, only time can change the answer."""

    positions: tuple[int, ...]
    horizons: tuple[int | None, ...]
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class Answer:
    view: AvailabilityView
    basis: Basis
    # What of the asked range notice and horizons leave: beyond it windows move as time passes.
    cut: Span
    moment: Moment
    # When time alone can change it.
    next_at: float

    def stands(self, basis: Basis, moment: Moment, *, of_this_minute: bool) -> bool:
        """Whether neither its basis nor time has changed it; `of_this_minute`: nor has its first window shrunk."""
        if of_this_minute and moment.rules_now != self.moment.rules_now:
            return False
        return self.basis == basis and moment.now < self.next_at


async def answer(db: Db, services: Services, asked: Asked, moment: Moment) -> Answer | NotFound:
    concerned = await read_asked(db, asked.users, asked.lenders)
    if concerned is None:
        return NO_SUCH_PAGE if asked.is_guest else scope.NO_SUCH_USER
    people = concerned.people
    question = asked.question
    serves_last_known = question.on_stale == StalePolicy.SERVE_LAST_KNOWN
    rules = rules_asked(asked, concerned, now=moment.rules_now)
    times = await load_user_times(
        db,
        people,
        Wanted(
            within=question.within,
            now=moment.rules_now,
            type_id=asked.type.id if asked.type else None,
            without_appointment=asked.own.id if asked.own else None,
            without_hold=asked.own_hold,
        ),
        closures=[
            person.sync.closure(moment.since, serves_last_known=serves_last_known) for person in people
        ],
        timelines=services.timelines,
        days_ahead=services.settings.horizon_ahead_days,
    )
    view = AvailabilityView(
        within=question.within,
        windows=tuple(_windows(times, rules, question, moment)),
        starts=_starts(times, rules, asked, moment),
        freshness=_freshness([person.sync for person in people], question, moment),
        cursors=()
        if asked.is_guest
        else tuple(
            (person.ref.user, write_cursor(services.epoch, person.ref, person.position)) for person in people
        ),
    )
    return Answer(
        view=view,
        basis=basis_of(concerned, moment.since),
        cut=_cut(times, rules, question.within, moment.rules_now),
        moment=moment,
        next_at=_next_at(times, rules, question, moment, [person.sync for person in people])
        if moment.is_followed
        else moment.now,
    )


def basis_of(concerned: Concerned, since: float) -> Basis:
    return Basis(
        positions=tuple(person.position for person in concerned.everyone),
        horizons=tuple(person.sync.known_until for person in concerned.people),
        is_fresh=not any(person.sync.older_than(since) for person in concerned.people),
    )


def _windows(
    times: Sequence[UserTime], rules: Rules, question: AvailabilityQuestion, moment: Moment
) -> list[Span]:
    match = question.match or Match.EVERYONE
    return find_windows(times, rules, within=question.within, now=moment.rules_now, match=match)


def _starts(times: Sequence[UserTime], rules: Rules, asked: Asked, moment: Moment) -> tuple[OpenStart, ...]:
    question = asked.question
    found = find_starts(
        times,
        rules,
        within=question.within,
        now=moment.rules_now,
        match=question.match or Match.EVERYONE,
        first=question.first_slots,
    )
    names: dict[tuple[int, ...], tuple[str, ...] | None] = {
        who: None if asked.is_guest else tuple(asked.users[place].user for place in who)
        for who in set(found.who)
    }
    return tuple(
        OpenStart(start, start + rules.duration, names[who])
        for start, who in zip(found.at, found.who, strict=True)
    )


def _freshness(states: Sequence[SyncState], question: AvailabilityQuestion, moment: Moment) -> FreshnessView:
    is_fresh = not any(state.older_than(moment.since) for state in states)
    as_of = min((state.as_of for state in states if state.as_of is not None), default=None)
    if is_fresh:
        return FreshnessView(as_of, is_fresh, StalePolicy.REFRESH if moment.refreshed else None)
    serves = question.on_stale == StalePolicy.SERVE_LAST_KNOWN
    is_served = serves and any(
        state.closure(moment.since, serves_last_known=True) is None for state in states
    )
    return FreshnessView(as_of, is_fresh, StalePolicy.SERVE_LAST_KNOWN if is_served else StalePolicy.CLOSE)


def _cut(times: Sequence[UserTime], rules: Rules, within: Span, now: int) -> Span:
    ends = [time.known_until for time in times if time.known_until is not None]
    if rules.last_start is not None:
        ends.append(rules.last_start + 1)
    return Span(max(within.start, now + rules.notice), min([within.end, *ends]))


def _next_at(
    times: Sequence[UserTime],
    rules: Rules,
    question: AvailabilityQuestion,
    moment: Moment,
    states: Sequence[SyncState],
) -> float:
    """A start comes or goes, a calendar grows too old, or a day of the horizon begins."""
    match = question.match or Match.EVERYONE
    change = next_change(times, rules, within=question.within, now=moment.rules_now, match=match)
    limit = moment.now - moment.since
    moments = [float((int(moment.now) // DAY + 1) * DAY)]
    if change is not None:
        moments.append(float(-(-change // 60) * 60))
    moments += (
        state.as_of + limit + 1
        for state in states
        if state.as_of is not None and not state.older_than(moment.since)
    )
    return min(moments)
