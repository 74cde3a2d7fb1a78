"""Answers a question about free time from one snapshot, and tells how long the answer stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from domain.availability import Match, Rules, Starts, UserTime, find_free, find_starts, next_change
from domain.interval import Span
from domain.zones import DAY
from models.sql import Db
from resolvers import scope
from resolvers.asked import NO_SUCH_PAGE, Asked, Concerned, read_asked, rules_asked
from resolvers.context import Services
from resolvers.cursors import write_cursor
from resolvers.freshness import SyncState
from resolvers.kept import KnownType
from resolvers.outcomes import NotFound
from resolvers.question import AvailabilityQuestion, StalePolicy
from resolvers.user_time import Wanted, load_user_times
from resolvers.views import AvailabilityView, FreshnessView, Openings


@dataclass(frozen=True, slots=True)
class Moment:
    """When the answer is for. Rules go by `rules_now`; states from before `since` are too old.

    `is_followed`: someone waits for what comes next, and is told of what time changes at the whole minute.
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
    # Of each one's calendars; never read is one of the too old.
    too_old: tuple[tuple[str, ...], ...]
    never_read: tuple[tuple[str, ...], ...]

    @property
    def is_fresh(self) -> bool:
        return not any(self.too_old)


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
        # A clock set back makes no answer newer.
        return self.basis == basis and self.moment.now <= moment.now < self.next_at


Reading = Callable[[], Awaitable[Db]]


def already(db: Db) -> Reading:
    """Of a snapshot that is open."""

    async def reading() -> Db:
        return db

    return reading


async def answer(db: Reading, services: Services, asked: Asked, moment: Moment) -> Answer | NotFound:
    """From a snapshot."""
    concerned = await read_asked(await db(), services, asked.users, asked.lenders, now=moment.now)
    if concerned is None:
        return NO_SUCH_PAGE if asked.is_guest else scope.NO_SUCH_USER
    if asked.type is not None:
        owner = next(person for person in concerned.everyone if person.ref.user == asked.type.user_id)
        services.types.keep(asked.key_of_type, KnownType(asked.type, owner.position))
    return await answer_for(db, services, asked, concerned, moment)


async def answer_for(
    db: Reading, services: Services, asked: Asked, concerned: Concerned, moment: Moment
) -> Answer:
    """For people as they stand; what is in memory of them is not read, and then no snapshot is asked for."""
    people = concerned.people
    question = asked.question
    serves_last_known = question.on_stale == StalePolicy.SERVE_LAST_KNOWN
    rules = rules_asked(asked, concerned, now=moment.rules_now)
    match = question.match or Match.EVERYONE
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
    within, now = question.within, moment.rules_now
    free = find_free(times, rules, within=within, now=now, match=match)
    starts = find_starts(times, rules, within=within, now=now, match=match, first=question.first_slots)
    states = [person.sync for person in people]
    cut = _cut(times, rules, within, now)
    view = AvailabilityView(
        within=within,
        free=tuple(free),
        openings=_openings(starts, rules, asked),
        freshness=_freshness(states, question, moment),
        cursors=()
        if asked.is_guest
        else tuple(
            (person.ref.user, write_cursor(services.epoch, person.ref, person.position)) for person in people
        ),
    )
    change = next_change(times, rules, within=within, now=now, match=match, starts=starts)
    return Answer(
        view=view,
        basis=basis_of(concerned, moment.since),
        cut=cut,
        moment=moment,
        next_at=_next_at(change, moment, states, shrinks=bool(free) and free[0] == cut.start > within.start),
    )


def basis_of(concerned: Concerned, since: float) -> Basis:
    return Basis(
        positions=tuple(person.position for person in concerned.everyone),
        horizons=tuple(person.sync.known_until for person in concerned.people),
        too_old=tuple(person.sync.older_than(since) for person in concerned.people),
        never_read=tuple(person.sync.never_read for person in concerned.people),
    )


def _openings(starts: Starts, rules: Rules, asked: Asked) -> Openings:
    if asked.is_guest:
        return Openings(tuple(starts.at), rules.duration, None)
    names = {who: tuple(asked.users[place].user for place in who) for who in set(starts.who)}
    return Openings(tuple(starts.at), rules.duration, tuple(names[who] for who in starts.who))


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


def _next_at(change: int | None, moment: Moment, states: Sequence[SyncState], *, shrinks: bool) -> float:
    """A start comes or goes, a calendar grows too old, or a day of the horizon begins.

    Where nobody follows the answer, it also ends with the minute if its first window shrinks as time passes.
    """
    limit = moment.now - moment.since
    moments = [float((int(moment.now) // DAY + 1) * DAY)]
    if change is not None:
        moments.append(float(-(-change // 60) * 60 if moment.is_followed else change))
    if shrinks and not moment.is_followed:
        moments.append(float((int(moment.now) // 60 + 1) * 60))
    moments += (
        state.as_of + limit + (1 if moment.is_followed else 0)
        for state in states
        if state.as_of is not None and not state.older_than(moment.since)
    )
    return min(moments)
