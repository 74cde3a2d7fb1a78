"""Instants, dates, wall clocks and zones, from text and back."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from schema.scalars import (
    format_date_time,
    format_local_time,
    parse_cursor,
    parse_date,
    parse_date_time,
    parse_local_time,
)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-20T09:30:00Z", 1_795_167_000),
        ("2026-11-20t09:30:00z", 1_795_167_000),
        ("2026-11-20T10:30:00+01:00", 1_795_167_000),
        ("2026-11-20T05:45:00-03:45", 1_795_167_000),
        ("2026-11-20T09:30:00.000Z", 1_795_167_000),
        ("2026-11-20T10:30:00.987+01:00", 1_795_167_000),
        ("1969-12-31T23:59:59.5Z", -1),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_an_instant_with_its_offset_is_taken(text: str, instant: int) -> None:
    assert parse_date_time(text) == instant


@pytest.mark.parametrize(
    "text",
    [
        "2026", "2026-11-20", "2026-11-20T09:30:00", "2026-11-20 09:30:00Z", "2026-11-20T09:30Z", "20261120T093000Z",
        "2026-11-20T09:30:00+0100", "2026-11-20T09:30:00+24:00", "2026-11-20T24:00:00Z", "2026-11-20T09:30:60Z",
        "2026-02-30T09:30:00Z", "2026-11-20T09:30:00.Z", "2026-11-20T09:30:00,5Z", "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "２０２６-11-20T09:30:00Z", "", "now", 1_795_167_000,
        None, True, ["2026-11-20T09:30:00Z"],
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_a_sentence(text: object) -> None:
    with pytest.raises(GraphQLError, match="DateTime"):
        parse_date_time(text)


@given(st.integers(-62_135_596_800, 253_402_300_799))
def test_an_instant_survives_text(instant: int) -> None:
    text = format_date_time(instant)
    assert parse_date_time(text) == instant
    assert datetime.fromisoformat(text) == datetime.fromtimestamp(instant, UTC)


def test_calendar_time_is_shown_in_seconds_and_moments_in_milliseconds() -> None:
    assert format_date_time(1_795_167_000) == "2026-11-20T09:30:00Z"
    assert format_date_time(1_795_167_000.0) == "2026-11-20T09:30:00.000Z"
    assert format_date_time(1_795_167_000.9876) == "2026-11-20T09:30:00.987Z"


@given(st.integers(0, 1440))
def test_a_wall_clock_survives_text(minutes: int) -> None:
    assert parse_local_time(format_local_time(minutes)) == minutes


@pytest.mark.parametrize("text", ["24:01", "9:00", "09:00:00", "25:00", "09:60", "-1:00", "", 540, None])
def test_a_wall_clock_of_another_form_is_refused(text: object) -> None:
    with pytest.raises(GraphQLError, match="LocalTime"):
        parse_local_time(text)


def test_dates_are_full_dates_that_exist() -> None:
    assert parse_date("2026-02-28") == date(2026, 2, 28)
    for text in ("2026-02-29", "2026-2-28", "20260228", "2026-02-28T00:00:00Z", 7, None):
        with pytest.raises(GraphQLError, match="Date"):
            parse_date(text)


def test_a_cursor_is_a_short_text() -> None:
    for text in ("", "x" * 201, 7, None):
        with pytest.raises(GraphQLError, match="Cursor"):
            parse_cursor(text)
