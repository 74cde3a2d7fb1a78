"""The engine against the definition, around the clock changes of many zones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.availability import Match, find_free, find_starts, find_windows, next_change
from domain.booking import Open, decide
from domain.closed import BlockedTime, why_closed
from domain.edges import merge
from domain.interval import Span
from domain.memory import BLOCK, Memory
from tests.unit.availability_oracle import QUANTUM, World, worlds


def _quanta(free: list[Span]) -> list[int]:
    return [instant for start, end in free for instant in range(start, end, QUANTUM)]


@settings(max_examples=150)
@given(worlds(most_users=3))
def test_everyones_windows_are_the_time_that_each_has_free(world: World) -> None:
    windows = find_windows(world.users, world.rules, within=world.within, now=world.now)
    assert _quanta(windows) == [t for t in world.instants() if world.free_to(t) == len(world.users)]


@settings(max_examples=150)
@given(worlds(most_users=3))
def test_anyones_windows_are_the_time_that_someone_has_free(world: World) -> None:
    windows = find_windows(world.users, world.rules, within=world.within, now=world.now, match=Match.ANYONE)
    assert _quanta(windows) == [t for t in world.instants() if world.free_to(t)]


@given(worlds(most_users=3))
def test_windows_are_disjoint_and_maximal_and_lie_within_the_question(world: World) -> None:
    for match in Match:
        windows = find_windows(world.users, world.rules, within=world.within, now=world.now, match=match)
        assert [edge for span in windows for edge in span] == merge(windows)
        assert all(world.within.start <= start < end <= world.within.end for start, end in windows)


@settings(max_examples=250)
@given(worlds(most_users=3))
def test_a_start_is_everyones_exactly_when_each_has_it(world: World) -> None:
    starts = find_starts(world.users, world.rules, within=world.within, now=world.now)
    everyone = tuple(range(len(world.users)))
    assert starts.at == [t for t in world.instants() if world.open_to(t) == everyone]
    assert starts.who == [everyone] * len(starts.at)


@settings(max_examples=250)
@given(worlds(most_users=3))
def test_a_start_is_anyones_exactly_when_someone_has_it_alone(world: World) -> None:
    starts = find_starts(world.users, world.rules, within=world.within, now=world.now, match=Match.ANYONE)
    expected = [(t, world.open_to(t)) for t in world.instants() if world.open_to(t)]
    assert list(zip(starts.at, starts.who, strict=True)) == expected


@settings(max_examples=150)
@given(worlds())
def test_what_is_offered_is_what_can_be_booked(world: World) -> None:
    (user,) = world.users
    offered = find_starts([user], world.rules, within=world.within, now=world.now).at
    bookable = [
        t
        for t in world.instants()
        if isinstance(decide(t, user=user, rules=world.rules, now=world.now), Open)
    ]
    assert offered == bookable


@given(worlds(most_users=2))
def test_the_first_starts_are_the_soonest_of_all(world: World) -> None:
    for match in Match:
        every = find_starts(world.users, world.rules, within=world.within, now=world.now, match=match)
        first = find_starts(
            world.users, world.rules, within=world.within, now=world.now, match=match, first=3
        )
        assert (first.at, first.who) == (every.at[:3], every.who[:3])


@settings(max_examples=150)
@given(worlds())
def test_closed_spans_are_all_that_is_not_free(world: World) -> None:
    (user,), (blocked,) = world.users, world.blocked
    closed = why_closed(
        user,
        world.rules,
        [BlockedTime(span, place) for place, span in enumerate(blocked)],
        within=world.within,
        now=world.now,
    )
    windows = find_windows([user], world.rules, within=world.within, now=world.now)
    cover = sorted([*windows, *(one.span for one in closed)])
    assert cover[0].start == world.within.start
    assert cover[-1].end == world.within.end
    assert all(one.end == other.start for one, other in pairwise(cover))
    assert all(one.reasons and len(set(one.reasons)) == len(one.reasons) for one in closed)


@given(worlds())
def test_neighbouring_closed_spans_differ_in_their_reasons(world: World) -> None:
    (user,), (blocked,) = world.users, world.blocked
    times = [BlockedTime(span, place) for place, span in enumerate(blocked)]
    closed = why_closed(user, world.rules, times, within=world.within, now=world.now)
    for one, other in pairwise(closed):
        assert one.span.end < other.span.start or set(one.reasons) != set(other.reasons)


@settings(max_examples=150)
@given(worlds(most_users=2))
def test_time_alone_changes_no_start_before_the_next_change(world: World) -> None:
    for match in Match:
        change = next_change(world.users, world.rules, within=world.within, now=world.now, match=match)
        later = world.now + 3 * 86_400 if change is None else change - 1
        assert later >= world.now
        before = find_starts(world.users, world.rules, within=world.within, now=world.now, match=match)
        assert before == find_starts(world.users, world.rules, within=world.within, now=later, match=match)


@settings(max_examples=150)
@given(worlds(most_users=2), st.integers(-2 * QUANTUM, 2 * QUANTUM))
def test_what_is_remembered_of_a_user_answers_as_if_it_were_worked_out_anew(world: World, off: int) -> None:
    border = (world.within.start // BLOCK + 1) * BLOCK + off
    remembering = [replace(user, memory=Memory()) for user in world.users]
    spans = (world.within, Span(world.within.start, border), Span(border - BLOCK // 2, border + BLOCK + 1))
    # The second time all of it is remembered.
    for within in spans * 2:
        for rules in (world.rules, replace(world.rules, buffer_before=0, buffer_after=0)):
            anew = find_free(world.users, rules, within=within, now=world.now)
            assert find_free(remembering, rules, within=within, now=world.now) == anew
            starts = find_starts(world.users, rules, within=world.within, now=world.now)
            assert find_starts(remembering, rules, within=world.within, now=world.now) == starts


@given(worlds(most_users=2), st.integers(1, 70))
def test_the_first_starts_are_the_beginning_of_all(world: World, first: int) -> None:
    starts = find_starts(world.users, world.rules, within=world.within, now=world.now)
    assert (
        find_starts(world.users, world.rules, within=world.within, now=world.now, first=first).at
        == (starts.at[:first])
    )
