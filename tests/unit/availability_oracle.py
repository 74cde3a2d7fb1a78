"""Availability by definition: instant by instant over zoneinfo, with nothing of the engine but its values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from domain.availability import Booked, Closure, NothingChosen, Rules, Stale, UserTime, merge_busy
from domain.hours import DateOverride, HoursSpan, WeeklyHours, WorkingHours
from domain.interval import Span

QUANTUM = 300  # All that the strategies make is whole fives of minutes, so that nothing happens in between.
HOUR, DAY = 3600, 86_400
USER = "usr_1"
ALWAYS = WorkingHours(tuple(WeeklyHours(day, 0, 1440) for day in range(7)))

CHANGING_ZONES = [
    "Europe/Paris", "Europe/London", "America/New_York", "America/Havana", "America/Santiago",
    "America/St_Johns", "America/Nuuk", "Atlantic/Azores", "Africa/Casablanca", "Africa/Cairo", "Asia/Beirut",
    "Asia/Jerusalem", "Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham",
]  # fmt: skip
STEADY_ZONES = ["UTC", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Phoenix"]
ZONES = CHANGING_ZONES + STEADY_ZONES
CLOSURES: list[Closure | None] = [*[None] * 18, Stale(("A", "B")), NothingChosen()]


def at(text: str) -> int:
    """The instant of an ISO text with its offset."""
    return int(datetime.fromisoformat(text).timestamp())


@lru_cache(maxsize=100_000)
def local(instant: int, zone: str) -> datetime:
    return datetime.fromtimestamp(instant, UTC).astimezone(ZoneInfo(zone))


def _changes(zone: str) -> list[int]:
    """The hour of each change of offset in 2026."""
    hours = range(at("2026-01-01T00:00Z"), at("2027-01-01T00:00Z"), HOUR)
    return [hour for hour in hours if local(hour, zone).utcoffset() != local(hour + HOUR, zone).utcoffset()]


CHANGES = {zone: _changes(zone) or [at("2026-03-29T00:00Z")] for zone in ZONES}


def wall_seconds(instant: int, zone: str) -> int:
    clock = local(instant, zone)
    return clock.hour * HOUR + clock.minute * 60 + clock.second


def is_on_grid(instant: int, rules: Rules) -> bool:
    return wall_seconds(instant, rules.grid_zone) % rules.step == 0


def works(user: UserTime, instant: int) -> bool:
    clock = local(instant, user.zone)
    minute = clock.hour * 60 + clock.minute
    for override in user.hours.overrides:
        if override.date == clock.date():
            return any(start <= minute < end for start, end in override.hours)
    return any(day == clock.weekday() and start <= minute < end for day, start, end in user.hours.weekly)


def may_start(user: UserTime, rules: Rules, instant: int, now: int) -> bool:
    """The rules that ask of a start nothing but when it is."""
    day = local(instant, user.zone).date().toordinal()
    full = rules.maximum_per_day is not None and user.counts.get(day, 0) >= rules.maximum_per_day
    in_horizon = rules.last_start is None or instant <= rules.last_start
    return instant >= now + rules.notice and in_horizon and not full


def _meet(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def is_open(user: UserTime, blocked: list[Span], rules: Rules, start: int, now: int) -> bool:
    """What the design says, sentence by sentence."""
    own = Span(start, start + rules.duration)
    buffered = Span(own.start - rules.buffer_before, own.end + rules.buffer_after)
    booked = [*user.appointments, *(hold for hold in user.holds if hold.until is None or now < hold.until)]
    return (
        user.closed is None
        and not any(_meet(buffered, span) for span in [*blocked, *(one.span for one in booked)])
        and not any(_meet(own, Span(b.span.start - b.before, b.span.end + b.after)) for b in booked)
        and (user.known_until is None or buffered.end <= user.known_until)
        and all(works(user, instant) for instant in range(own.start, own.end, QUANTUM))
        and may_start(user, rules, start, now)
        and is_on_grid(start, rules)
    )


def is_free(user: UserTime, blocked: list[Span], rules: Rules, instant: int, now: int) -> bool:
    """Of one quantum of time, whatever the asked length and grid."""
    point = Rules(
        duration=QUANTUM,
        step=QUANTUM,
        buffer_before=rules.buffer_before,
        buffer_after=rules.buffer_after,
        notice=rules.notice,
        last_start=rules.last_start,
        maximum_per_day=rules.maximum_per_day,
    )
    return is_open(user, blocked, point, instant, now)


def quanta(length: int) -> st.SearchStrategy[int]:
    return st.integers(0, length // QUANTUM).map(lambda n: n * QUANTUM)


@st.composite
def spans(draw: st.DrawFn, around: int, longest: int = 8 * HOUR) -> Span:
    start = around + draw(quanta(3 * DAY)) - DAY
    return Span(start, start + QUANTUM + draw(quanta(longest)))


@st.composite
def hours_spans(draw: st.DrawFn) -> list[HoursSpan]:
    """Of one day: in order, not overlapping, at times touching."""
    marks = sorted(draw(st.sets(st.integers(0, 288).map(lambda n: n * 5), max_size=4)))
    found = [HoursSpan(start, end) for start, end in pairwise(marks)]
    return found if draw(st.booleans()) else found[::2]


@st.composite
def working_hours(draw: st.DrawFn, zone: str, around: int) -> WorkingHours:
    if draw(st.booleans()):
        return ALWAYS
    weekly = [WeeklyHours(day, *span) for day in range(7) for span in draw(hours_spans())]
    today = local(around, zone).date()
    days = sorted(draw(st.sets(st.integers(-1, 2), max_size=2)))
    overrides = [DateOverride(today + timedelta(days=day), tuple(draw(hours_spans()))) for day in days]
    return WorkingHours(tuple(weekly), tuple(overrides))


@st.composite
def rules(draw: st.DrawFn, zone: str, around: int) -> Rules:
    horizon = draw(st.none() | quanta(3 * DAY))
    return Rules(
        duration=draw(st.integers(1, 24)) * QUANTUM,
        step=draw(st.sampled_from([5, 10, 15, 30, 35, 45, 50, 60, 70, 90, 1440])) * 60,
        buffer_before=draw(st.just(0) | quanta(2 * HOUR)),
        buffer_after=draw(st.just(0) | quanta(2 * HOUR)),
        notice=draw(st.just(0) | quanta(DAY)),
        # The last second of a quantum, as it is of a day: what is beyond begins with a whole one.
        last_start=None if horizon is None else around + horizon - 1,
        maximum_per_day=draw(st.none() | st.integers(1, 2)),
        grid_zone=draw(st.sampled_from([zone, "Asia/Kathmandu", "Australia/Lord_Howe"])),
    )


@st.composite
def users(draw: st.DrawFn, zone: str, around: int, now: int) -> tuple[UserTime, list[Span]]:
    blocked = draw(st.lists(spans(around), max_size=4))
    buffers = quanta(2 * HOUR)
    booked = st.builds(Booked, spans(around, 2 * HOUR), buffers, buffers, st.uuids())
    held = st.builds(
        Booked, spans(around, 2 * HOUR), buffers, buffers, st.none(), st.just(now) | st.just(now + 1)
    )
    today = local(around, zone).date().toordinal()
    user = UserTime(
        user=USER,
        zone=zone,
        hours=draw(working_hours(zone, around)),
        busy=merge_busy(blocked),
        appointments=tuple(draw(st.lists(booked, max_size=2))),
        holds=tuple(draw(st.lists(held, max_size=2))),
        counts=draw(st.dictionaries(st.integers(today - 1, today + 2), st.integers(0, 2), max_size=2)),
        closed=draw(st.sampled_from(CLOSURES)),
        known_until=draw(st.none() | quanta(3 * DAY).map(lambda length: around + length)),
    )
    return user, blocked


class World:
    """A question, at a change of some zone's clock, and what is needed to answer it by definition."""

    def __init__(
        self, users: list[UserTime], blocked: list[list[Span]], rules: Rules, within: Span, now: int
    ) -> None:
        self.users, self.blocked, self.rules, self.within, self.now = users, blocked, rules, within, now

    def __repr__(self) -> str:
        return f"World({self.users=}, {self.blocked=}, {self.rules=}, {self.within=}, {self.now=})"

    def open_to(self, start: int) -> tuple[int, ...]:
        """Who has a start, by place."""
        pairs = enumerate(zip(self.users, self.blocked, strict=True))
        return tuple(i for i, (user, spans) in pairs if is_open(user, spans, self.rules, start, self.now))

    def free_to(self, instant: int) -> int:
        pairs = zip(self.users, self.blocked, strict=True)
        return sum(is_free(user, spans, self.rules, instant, self.now) for user, spans in pairs)

    def instants(self) -> range:
        return range(self.within.start, self.within.end, QUANTUM)


@st.composite
def worlds(draw: st.DrawFn, most_users: int = 1) -> World:
    zone = draw(st.sampled_from(ZONES))
    around = draw(st.sampled_from(CHANGES[zone])) - 8 * HOUR
    now = around - 6 * HOUR + draw(quanta(10 * HOUR))
    within = Span(around + draw(quanta(6 * HOUR)), around + DAY + draw(quanta(6 * HOUR)))
    others = draw(st.lists(st.sampled_from(ZONES), max_size=most_users - 1))
    found = [draw(users(each, around, now)) for each in [zone, *others]]
    return World(
        [user for user, _ in found], [spans for _, spans in found], draw(rules(zone, around)), within, now
    )
