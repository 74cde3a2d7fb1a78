"""Zone tables, held to zoneinfo over every second that a table covers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.zone_table import find_zone
from tests.fakes.zones import issue, serve

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "UTC",
]
instants = st.integers(0, 4_102_444_799)


@given(st.sampled_from(ZONES), instants)
def test_the_clock_shows_what_zoneinfo_says(name: str, instant: int) -> None:
    zone = find_zone(name)
    assert zone is not None
    shown = datetime.fromtimestamp(instant, ZoneInfo(name)).replace(tzinfo=UTC)
    assert zone.wall(instant) == shown.timestamp()


@given(st.sampled_from(ZONES), instants)
def test_a_wall_time_is_the_instant_that_zoneinfo_says(name: str, wall: int) -> None:
    zone = find_zone(name)
    assert zone is not None
    local = datetime.fromtimestamp(wall, UTC).replace(tzinfo=ZoneInfo(name))
    # In a gap zoneinfo's two folds are swapped: fold 0 is by the offset before it, as RFC 5545 wants.
    assert zone.earliest(wall) == local.timestamp()
    assert zone.latest(wall) == max(local.timestamp(), local.replace(fold=1).timestamp()) or zone.is_in_gap(
        wall
    )


def test_a_summer_time_of_a_week_is_not_stepped_over(tmp_path: Path) -> None:
    try:
        issue(tmp_path / "zones", "2026a", {"Asia/Gaza": "EET-2EEST-3,M10.3.6/4,M10.4.6/2"})
        zone = find_zone("Asia/Gaza")
    finally:
        serve(None)
    assert zone is not None
    assert len(zone.changes) == 2 * len(range(1970, 2100))


@given(
    st.sampled_from(ZONES),
    instants | st.integers(-7_200, 7_200).map(lambda by: 1_806_201_000 + by),  # Berlin's gap of 2027-03-28.
)
def test_a_wall_time_in_a_gap_is_found_by_its_instant(name: str, wall: int) -> None:
    zone = find_zone(name)
    assert zone is not None
    assert zone.walls_in_gap(zone.earliest(wall)) == (wall,) or not zone.is_in_gap(wall)
    assert all(zone.is_in_gap(each) for each in zone.walls_in_gap(wall))


def test_a_fold_has_two_instants_and_a_gap_one() -> None:
    zone = find_zone("America/New_York")
    assert zone is not None
    fold = int(datetime(2026, 11, 1, 1, 30, tzinfo=UTC).timestamp())
    gap = int(datetime(2027, 3, 14, 2, 30, tzinfo=UTC).timestamp())
    assert zone.latest(fold) - zone.earliest(fold) == 3_600
    assert zone.latest(gap) == zone.earliest(gap)
    assert zone.is_in_gap(gap)
    assert zone.walls_in_gap(zone.earliest(gap)) == (gap,)
    assert zone.walls_in_gap(zone.earliest(fold)) == ()
    assert not zone.is_in_gap(fold)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("Europe/Berlin", "2027-03-28T01:00:00"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00"),
        ("Asia/Kathmandu", "1985-12-31T18:30:00"),
        ("Africa/Monrovia", "1972-01-07T00:44:30"),
    ],
)
def test_a_change_is_known_to_the_second(name: str, change: str) -> None:
    zone = find_zone(name)
    assert zone is not None
    assert int(datetime.fromisoformat(f"{change}+00:00").timestamp()) in zone.changes


@pytest.mark.parametrize("name", ["europe/berlin", "EUROPE/BERLIN"])
def test_case_does_not_matter(name: str) -> None:
    assert find_zone(name) == find_zone("Europe/Berlin")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus",
        "../../etc/passwd",
        "/etc/localtime",
        "localtime",
        "Factory",
        "Europe",
        "A/B/C/D",
        "x" * 999,
    ],
)
def test_what_is_no_zone_is_none(name: str) -> None:
    assert find_zone(name) is None


def test_the_shortest_breaks_of_a_summer_time_are_in_the_table() -> None:
    """Morocco's, for Ramadan: about five weeks, each year at another date."""
    zone, info = find_zone("Africa/Casablanca"), ZoneInfo("Africa/Casablanca")
    assert zone is not None
    days = range(1_767_225_600, 2_082_758_400, 86_400)  # From 2026 to 2035.
    shown = [zone.wall(day) - day for day in days]
    assert shown == [int(datetime.fromtimestamp(day, info).utcoffset().total_seconds()) for day in days]  # type: ignore[union-attr]
