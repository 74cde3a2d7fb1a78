"""What a poll has to do, decided from values."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts import AccountStatus, ICloudProblemCode
from domain.interval import Span
from sync.plan import (
    describe,
    is_mass_removal,
    latest_window,
    loses_today,
    plan_comparison,
    plan_next_poll,
    plan_pull,
    plan_recovery,
    plan_roll,
    plan_window,
    plan_write_retry,
)
from sync.remote import (
    ETag,
    ForeignHost,
    Gone,
    Href,
    Listed,
    PasswordRefused,
    PasswordUnreadable,
    RemoteError,
    Stalled,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from sync.settings import SyncSettings

A, B, C = Href("/a.ics"), Href("/b.ics"), Href("/c.ics")
V1, V2 = ETag('"1"'), ETag('"2"')
SETTINGS = SyncSettings()
NOW = 1_793_000_000.0


def test_an_incremental_answer_never_implies_deletion() -> None:
    plan = plan_pull({A: V1, B: V1}, [Listed(A, V2)], full_listing=False)
    assert (plan.fetch, plan.forget) == ({A: V2}, frozenset())


def test_a_full_listing_tells_what_is_gone() -> None:
    assert plan_pull({A: V1, B: V1}, [Listed(A, V1)], full_listing=True).forget == {B}


def test_what_is_held_in_that_state_is_not_fetched() -> None:
    assert plan_pull({A: V1}, [Listed(A, V1)], full_listing=True).fetch == {}


@pytest.mark.parametrize("known", [{A: V1}, {}])
def test_without_an_etag_it_is_fetched(known: dict[Href, ETag]) -> None:
    assert plan_pull(known, [Listed(A, None)], full_listing=False).fetch == {A: None}


def test_our_own_unseen_write_is_fetched() -> None:
    assert plan_pull({A: ETag("")}, [Listed(A, V1)], full_listing=False).fetch == {A: V1}


def test_a_tombstone_of_something_unknown_is_nothing() -> None:
    assert plan_pull({}, [Gone(A)], full_listing=False).forget == frozenset()


def test_the_last_word_on_a_resource_counts() -> None:
    assert plan_pull({A: V1}, [Gone(A), Listed(A, V2)], full_listing=False).forget == frozenset()
    assert plan_pull({A: V1}, [Listed(A, V2), Gone(A)], full_listing=False).fetch == {}


hrefs = st.sampled_from([A, B, C])
etags = st.sampled_from([V1, V2])


@given(st.dictionaries(hrefs, etags), st.dictionaries(hrefs, etags))
def test_after_a_full_listing_what_is_held_is_what_is_there(
    known: dict[Href, ETag], there: dict[Href, ETag]
) -> None:
    plan = plan_pull(known, [Listed(*each) for each in there.items()], full_listing=True)
    held = {href: etag for href, etag in known.items() if href not in plan.forget} | plan.fetch
    assert held == there


@pytest.mark.parametrize(
    ("known", "gone", "is_mass"),
    [(30, 21, True), (30, 20, False), (100, 50, False), (100, 51, True), (21, 21, True)],
)
def test_over_half_and_over_twenty_is_a_mass_removal(known: int, gone: int, *, is_mass: bool) -> None:
    assert is_mass_removal(known, gone) is is_mass


def _next(*, watched: bool = False, quiet_for: float = 0, chance: float = 0.5) -> float:
    return (
        plan_next_poll(
            SETTINGS,
            now=NOW,
            watched_until=NOW + 60 if watched else NOW - 1,
            last_changed_at=NOW - quiet_for,
            connected_at=0,
            chance=chance,
        )
        - NOW
    )


def test_the_cadence_follows_who_looks_and_what_happens() -> None:
    assert _next() == 60
    assert _next(watched=True) == 15
    assert _next(quiet_for=86_400) == 300
    assert _next(quiet_for=86_400, watched=True) == 15


@pytest.mark.parametrize(("connected_for", "wait"), [(60, 60), (86_400, 300)])
def test_one_that_never_changed_is_quiet_a_day_after_it_was_connected(
    connected_for: float, wait: float
) -> None:
    planned = plan_next_poll(
        SETTINGS,
        now=NOW,
        watched_until=None,
        last_changed_at=None,
        connected_at=NOW - connected_for,
        chance=0.5,
    )
    assert planned - NOW == wait


def test_polls_are_spread_by_a_fifth() -> None:
    assert (_next(chance=0.0), _next(chance=1.0)) == (48, 72)


def _recover(
    error: RemoteError, *, failures: int = 1, refusals: int = 1, chance: float = 0.5
) -> tuple[str, float | None]:
    recovery = plan_recovery(
        error,
        SETTINGS,
        has_chosen=True,
        failures=failures,
        refusals=refusals,
        now=NOW,
        chance=chance,
    )
    return recovery.status, None if recovery.retry_at is None else recovery.retry_at - NOW


@pytest.mark.parametrize(("failures", "wait"), [(1, 30), (2, 60), (5, 480), (8, 3600), (5000, 3600)])
@pytest.mark.parametrize("error", [UnexpectedAnswer(), Stalled()])
def test_failures_back_off_to_an_hour(error: RemoteError, failures: int, wait: float) -> None:
    assert _recover(error, failures=failures) == ("UNREACHABLE", wait)


@pytest.mark.parametrize(("failures", "wait"), [(1, 30), (2, 60), (4, 240), (5, 300), (400, 300)])
def test_the_end_of_an_outage_is_noticed_in_five_minutes(failures: int, wait: float) -> None:
    assert _recover(Unreachable(), failures=failures) == ("UNREACHABLE", wait)


@pytest.mark.parametrize(("told", "wait"), [(1.0, 30), (600.0, 600), (1e12, 3600), (-5.0, 30), (None, 30)])
def test_retry_after_is_honoured_between_our_floor_and_an_hour(told: float | None, wait: float) -> None:
    assert _recover(Throttled(told)) == ("UNREACHABLE", wait)


def test_the_third_refusal_stops_the_polls() -> None:
    assert _recover(PasswordRefused(), refusals=2)[0] == "UNREACHABLE"
    assert _recover(PasswordRefused(), refusals=3) == ("NEEDS_NEW_PASSWORD", None)
    # No other error does, however many came before: the operator may allow fewer from now on.
    assert _recover(Unreachable(), refusals=3) == ("UNREACHABLE", 30)


def test_whether_the_key_is_back_is_looked_at_every_five_minutes() -> None:
    """Without a request: nobody is locked out by looking."""
    assert _recover(PasswordUnreadable("no key")) == ("NEEDS_NEW_PASSWORD", 300)


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 24), (1.0, 36)])
def test_those_that_failed_together_are_tried_again_apart(chance: float, wait: float) -> None:
    assert _recover(Unreachable(), chance=chance) == ("UNREACHABLE", wait)


def test_an_account_that_waits_for_a_choice_goes_on_waiting() -> None:
    recovery = plan_recovery(
        Unreachable(),
        SETTINGS,
        has_chosen=False,
        failures=1,
        refusals=1,
        now=NOW,
        chance=0.5,
    )
    assert (recovery.status, recovery.retry_at) == (AccountStatus.NEEDS_CALENDARS, None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PasswordRefused(), ICloudProblemCode.PASSWORD_REFUSED),
        (Throttled(1), ICloudProblemCode.THROTTLED),
        (Unreachable(), ICloudProblemCode.UNREACHABLE),
        (UnexpectedAnswer(), ICloudProblemCode.UNEXPECTED_ANSWER),
        (ForeignHost(), ICloudProblemCode.UNEXPECTED_ANSWER),
        (PasswordUnreadable("no key"), ICloudProblemCode.PASSWORD_REFUSED),
    ],
)
def test_every_error_has_a_sentence(error: RemoteError, code: ICloudProblemCode) -> None:
    found, message = describe(error)
    assert found is code
    assert message.endswith(".")


def test_the_window_is_whole_days_of_the_owners_zone() -> None:
    now = datetime(2026, 11, 2, 23, 30, tzinfo=UTC).timestamp()
    window = plan_window(now, "Europe/Berlin", SETTINGS)
    assert window.start == datetime(2026, 11, 1, 23, tzinfo=UTC).timestamp()
    assert window.end == datetime(2027, 12, 7, 23, tzinfo=UTC).timestamp()


@given(
    st.integers(0, 2 * 366 * 86_400), st.sampled_from(["Europe/Berlin", "America/St_Johns", "Pacific/Apia"])
)
def test_a_window_moves_on_within_the_hour_after_the_next_midnight(since: int, zone: str) -> None:
    now = datetime(2011, 6, 1, tzinfo=UTC).timestamp() + since  # Over the day that Apia skipped.
    at = plan_roll(now, zone, "acc_1", SETTINGS)
    assert now < at
    assert plan_window(at, zone, SETTINGS).end > plan_window(now, zone, SETTINGS).end
    assert plan_window(at - SETTINGS.roll_lasts - 1, zone, SETTINGS) == plan_window(now, zone, SETTINGS)


_CHANGES = [
    ("Europe/Berlin", datetime(2026, 10, 25, 12, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2027, 3, 28, 12, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 4, 12, tzinfo=UTC)),
    ("Pacific/Kiritimati", datetime(2026, 11, 2, 12, tzinfo=UTC)),
    ("Antarctica/Troll", datetime(2027, 3, 28, 12, tzinfo=UTC)),
]


def _windows(zone: str, change: datetime) -> list[tuple[float, Span]]:
    """Of each half hour from three days before to four days after."""
    times = [change.timestamp() + half * 1800 for half in range(-144, 192)]
    return [(now, plan_window(now, zone, SETTINGS)) for now in times]


@pytest.mark.parametrize("horizon", [0, -400])
@pytest.mark.parametrize(("zone", "change"), _CHANGES)
def test_a_window_that_a_clock_far_ahead_made_is_known_by_its_end(
    zone: str, change: datetime, horizon: int
) -> None:
    """One that begins after what is now: what it has lost would be open."""
    windows = _windows(zone, change + timedelta(days=horizon))
    for now, window in windows:
        assert window.end <= latest_window(now, SETTINGS)
        assert all(later.end > latest_window(now, SETTINGS) for _, later in windows if later.start > now)


@pytest.mark.parametrize("horizon", [0, -400])
@pytest.mark.parametrize(("zone", "change"), _CHANGES[:-1])
def test_a_window_that_lost_what_was_now_to_the_one_before_is_known_by_their_ends(
    zone: str, change: datetime, horizon: int
) -> None:
    """And one that moved on a day, however long that day was, lost nothing."""
    windows = _windows(zone, change + timedelta(days=horizon))
    ends = sorted({window.end for _, window in windows})
    for now, window in windows:
        later = [each for _, each in windows if each.start > now]
        assert all(loses_today(window.end, each, SETTINGS) for each in later)
        next_end = next((end for end in ends if end > window.end), window.end)
        assert not loses_today(window.end, Span(window.start, next_end), SETTINGS)


def test_the_windows_of_one_zone_move_on_one_after_the_other() -> None:
    times = sorted(plan_roll(NOW, "Europe/Berlin", f"acc_{number}", SETTINGS) for number in range(400))
    assert max(later - at for at, later in pairwise(times)) < 120
    assert times[-1] - times[0] > 3000


@pytest.mark.parametrize(("error", "longest"), [(UnexpectedAnswer(), 3600), (Unreachable(), 300)])
def test_a_write_waits_longer_each_time(error: RemoteError, longest: float) -> None:
    waits = [
        plan_write_retry(error, SETTINGS, attempts=attempts, now=NOW, chance=0.5) - NOW
        for attempts in (1, 2, 3, 50)
    ]
    assert waits == [5, 10, 20, longest]


@pytest.mark.parametrize(("told", "wait"), [(1.0, 5), (600.0, 600), (1e12, 3600), (-5.0, 5), (None, 5)])
def test_a_write_heeds_retry_after_between_its_own_floor_and_an_hour(told: float | None, wait: float) -> None:
    assert plan_write_retry(Throttled(told), SETTINGS, attempts=1, now=NOW, chance=0.5) - NOW == wait


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 4), (1.0, 6)])
def test_writes_that_failed_together_are_tried_again_apart(chance: float, wait: float) -> None:
    assert plan_write_retry(Unreachable(), SETTINGS, attempts=1, now=NOW, chance=chance) - NOW == wait


def test_a_write_with_a_refused_password_leaves_the_asking_to_the_polls() -> None:
    assert plan_write_retry(PasswordRefused(), SETTINGS, attempts=1, now=NOW, chance=0.5) - NOW == 300


@given(
    st.integers(0, 2 * 366 * 86_400), st.sampled_from(["Europe/Berlin", "America/St_Johns", "Pacific/Apia"])
)
def test_each_calendar_is_compared_in_its_owners_next_night(later: int, zone: str) -> None:
    now = NOW + later
    at = plan_comparison(now, zone, "cal_1", SETTINGS)
    assert 0 < at - now < 31 * 3600
    assert 1 <= datetime.fromtimestamp(at, ZoneInfo(zone)).hour <= 5


def test_comparisons_are_spread_over_the_night() -> None:
    times = sorted(plan_comparison(NOW, "Europe/Berlin", f"cal_{number}", SETTINGS) for number in range(400))
    hours = Counter(int(each - times[0]) // 3600 for each in times)
    assert set(hours) == {0, 1, 2, 3}
    assert min(hours.values()) > 60
