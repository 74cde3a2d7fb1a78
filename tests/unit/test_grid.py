"""Starts on the grid of a wall clock, in zones whose clocks change by an hour, by half of one and at midnight."""

from __future__ import annotations

import itertools
from datetime import date

import pytest

from domain.grid import grid_points, on_grid
from domain.zones import DAY, Stretch, day_at, day_edges, day_end, stretches, wall_at
from tests.unit.availability_oracle import CHANGES, CHANGING_ZONES, ZONES, at, local, wall_seconds

MINUTE = 60


def _clock(instant: int, zone: str) -> str:
    return local(instant, zone).strftime("%H:%M")


def _grid(zone: str, day: str, step: int) -> list[str]:
    """What the clock shows at the grid's starts of one day."""
    edges = day_edges(date.fromisoformat(day).toordinal(), zone)
    return [_clock(point, zone) for point in grid_points(edges, zone=zone, step=step * MINUTE)]


@pytest.mark.parametrize("step", [15, 30, 45, 50, 60, 100, 7, 1440])
@pytest.mark.parametrize("zone", ZONES)
def test_the_grid_is_every_start_whose_clock_time_is_a_multiple_of_the_step(zone: str, step: int) -> None:
    for change in CHANGES[zone]:
        whole = range(change // 60 * 60 - DAY, change + DAY, MINUTE)
        points = grid_points([whole.start, whole.stop], zone=zone, step=step * MINUTE)
        assert points == [t for t in whole if wall_seconds(t, zone) % (step * MINUTE) == 0]
        assert all(on_grid(point, zone=zone, step=step * MINUTE) for point in points)


@pytest.mark.parametrize("zone", ZONES)
def test_the_clock_reads_what_zoneinfo_reads_at_every_minute_around_a_change(zone: str) -> None:
    for change in CHANGES[zone]:
        for instant in range(change - 6 * 3600, change + 6 * 3600, MINUTE):
            assert wall_at(instant, zone) % DAY == wall_seconds(instant, zone)
            assert day_at(instant, zone) == local(instant, zone).date().toordinal()


@pytest.mark.parametrize("zone", CHANGING_ZONES)
def test_every_zone_of_the_tests_changes_its_clock_both_ways_in_2026(zone: str) -> None:
    steps = [wall_at(change + 3600, zone) - wall_at(change, zone) - 3600 for change in CHANGES[zone]]
    assert min(steps) < 0 < max(steps)


def test_nine_stays_on_a_45_minute_grid_when_the_clock_changes() -> None:
    for day in ("2026-03-28", "2026-03-29", "2026-10-25"):
        assert "09:00" in _grid("Europe/Paris", day, 45)


def test_times_in_a_gap_do_not_exist_and_both_of_a_fold_count() -> None:
    assert _grid("Europe/Paris", "2026-03-29", 60)[:4] == ["00:00", "01:00", "03:00", "04:00"]
    assert _grid("Europe/Paris", "2026-10-25", 60)[:5] == ["00:00", "01:00", "02:00", "02:00", "03:00"]


def test_half_an_hour_is_skipped_on_lord_howe() -> None:
    assert _grid("Australia/Lord_Howe", "2026-10-04", 30)[3:6] == ["01:30", "02:30", "03:00"]
    assert _grid("Australia/Lord_Howe", "2026-10-04", 60)[1:4] == ["01:00", "03:00", "04:00"]
    assert _grid("Australia/Lord_Howe", "2026-04-05", 30)[2:6] == ["01:00", "01:30", "01:30", "02:00"]


def test_kathmandu_counts_from_its_own_midnight_at_a_quarter_past() -> None:
    first = grid_points([at("2026-06-01T00:00Z"), at("2026-06-01T02:00Z")], zone="Asia/Kathmandu", step=3600)
    assert first == [at("2026-06-01T00:15Z"), at("2026-06-01T01:15Z")]


def test_casablanca_goes_back_for_ramadan_and_forth_after_it() -> None:
    assert len(_grid("Africa/Casablanca", "2026-02-15", 60)) == 25
    assert len(_grid("Africa/Casablanca", "2026-03-22", 60)) == 23


def test_a_step_that_does_not_divide_the_day_begins_anew_at_midnight() -> None:
    assert _grid("UTC", "2026-06-01", 50)[-1] == "23:20"
    assert _grid("UTC", "2026-06-02", 50)[0] == "00:00"


def test_the_end_of_a_span_is_no_start() -> None:
    assert grid_points([0, 3600], zone="UTC", step=3600) == [0]
    assert grid_points([1, 3600], zone="UTC", step=3600) == []
    assert grid_points([], zone="UTC", step=3600) == []


def test_a_day_whose_midnight_is_skipped_starts_at_one() -> None:
    start, _ = day_edges(date(2026, 9, 6).toordinal(), "America/Santiago")
    assert _clock(start, "America/Santiago") == "01:00"


def test_a_skipped_date_has_no_instant_and_ends_where_the_one_before_did() -> None:
    skipped = date(2011, 12, 30).toordinal()
    assert day_edges(skipped, "Pacific/Apia") == []
    assert day_end(skipped, "Pacific/Apia") == day_end(skipped - 1, "Pacific/Apia")


def test_a_date_that_comes_back_after_midnight_has_two_parts() -> None:
    edges = day_edges(date(2006, 10, 29).toordinal(), "America/St_Johns")
    assert len(edges) == 4
    assert day_end(date(2006, 10, 28).toordinal(), "America/St_Johns") == edges[2]


def test_stretches_cover_the_whole_and_nothing_else() -> None:
    start, end = at("2026-01-01T00:00Z"), at("2027-01-01T00:00Z")
    found = stretches("Africa/Casablanca", start, end)
    assert (found[0].start, found[-1].end, len(found)) == (start, end, 3)
    assert all(one.end == other.start for one, other in itertools.pairwise(found))


def test_a_change_at_the_end_of_what_is_asked_begins_no_stretch() -> None:
    change = at("2026-03-29T01:00Z")
    assert stretches("Europe/Paris", change - 60, change) == [Stretch(change - 60, change, 3600)]
    assert stretches("Europe/Paris", change, change + 60) == [Stretch(change, change + 60, 7200)]
