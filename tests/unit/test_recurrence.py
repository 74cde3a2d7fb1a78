"""Rules, held to dateutil where it is right, and by hand where it is not; and that no rule runs away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.interval import Span
from domain.recurrence import MOST_OCCURRENCES, expand, last_possible
from domain.rule import BadRuleError, for_dates, parse_rule
from tests.work import at_most

EPOCH = datetime(1970, 1, 1)
WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def wall(text: str) -> int:
    return int(datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp())


def dates(rule: str, first: str, start: str, end: str) -> list[str]:
    found = expand(parse_rule(rule), wall(first), until=None, within=Span(wall(start), wall(end))).starts
    return [(EPOCH + timedelta(seconds=at)).strftime("%Y%m%d") for at in found]


def numbers(low: int, high: int, most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(st.integers(low, high).filter(bool), min_size=1, max_size=most, unique=True).map(
        lambda found: ",".join(map(str, found))
    )


hours = st.lists(st.integers(0, 23), min_size=1, max_size=3, unique=True).map(lambda h: ",".join(map(str, h)))
weekdays = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=4, unique=True).map(",".join)
# dateutil asks of a day to be both where plain and numbered weekdays are mixed; RFC 5545 3.3.10 adds them up.
nth_weekdays = st.lists(
    st.builds("{}{}".format, st.sampled_from([1, 2, 3, 5, -1, -2]), st.sampled_from(WEEKDAYS)),
    min_size=1,
    max_size=3,
    unique=True,
).map(",".join)


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = {"FREQ": frequency, "INTERVAL": str(draw(st.integers(1, 4)))}

    def maybe(name: str, values: st.SearchStrategy[str]) -> None:
        if draw(st.booleans()) and draw(st.booleans()):
            parts[name] = draw(values)

    maybe("COUNT", st.integers(1, 50).map(str))
    maybe("BYMONTH", numbers(1, 12))
    maybe("BYHOUR", hours)
    maybe("WKST", st.sampled_from(WEEKDAYS))
    maybe("BYDAY", nth_weekdays if frequency in {"MONTHLY", "YEARLY"} and draw(st.booleans()) else weekdays)
    if frequency != "WEEKLY":
        maybe("BYMONTHDAY", numbers(-31, 31))
    if frequency == "YEARLY":
        maybe("BYYEARDAY", numbers(-366, 366))
        # dateutil gives every day of the week where no weekday is named; RFC 5545 takes DTSTART's.
        if set(parts.get("BYDAY", "1")).isdisjoint("123456789-"):
            maybe("BYWEEKNO", numbers(-53, 53))
    if any(name.startswith("BY") for name in parts):
        maybe("BYSETPOS", numbers(-3, 3, 2))
    return ";".join(f"{name}={value}" for name, value in parts.items())


@settings(max_examples=100)
@given(rules(), st.datetimes(datetime(2019, 1, 1), datetime(2027, 1, 1)), st.integers(0, 400))
def test_dateutil_gives_the_same_starts(rule: str, first: datetime, offset: int) -> None:
    first = first.replace(minute=0, second=0, microsecond=0)
    start = datetime(2026, 1, 1) + timedelta(days=offset)
    end = start + timedelta(days=400)
    assume(not parse_rule(rule).is_too_frequent)
    theirs = [
        int((at - EPOCH).total_seconds())
        for at in takewhile(lambda at: at < end, rrulestr(rule, dtstart=first).xafter(start, inc=True))
    ]
    window = Span(int((start - EPOCH).total_seconds()), int((end - EPOCH).total_seconds()))
    ours = expand(parse_rule(rule), int((first - EPOCH).total_seconds()), until=None, within=window)
    assert ours.starts == theirs


@pytest.mark.parametrize("rule", ["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,TH", "FREQ=MONTHLY;BYDAY=2TU"])
@pytest.mark.parametrize("count", [1, 7, 100])
def test_the_count_stops_at_the_same_start_wherever_the_window_begins(rule: str, count: int) -> None:
    counted = parse_rule(f"{rule};COUNT={count}")
    first = wall("20260105T090000")
    whole = expand(counted, first, until=None, within=Span(first, wall("20400101T000000"))).starts
    for start in (whole[0], whole[-1], whole[-1] + 1):
        part = expand(counted, first, until=None, within=Span(start, wall("20400101T000000"))).starts
        assert part == [at for at in whole if at >= start]
    assert len(whole) == count


def test_plain_and_numbered_weekdays_add_up() -> None:
    found = dates("FREQ=MONTHLY;BYDAY=MO,1WE", "20261101T090000", "20261101T000000", "20261201T000000")
    assert found == ["20261102", "20261104", "20261109", "20261116", "20261123", "20261130"]


def test_a_week_without_a_weekday_is_on_the_starts() -> None:
    assert dates("FREQ=YEARLY;BYWEEKNO=1", "20250101T090000", "20270101T000000", "20280110T000000") == [
        "20270106",
        "20280105",
    ]


def test_hours_choose_among_their_minutes() -> None:
    rule = "FREQ=HOURLY;INTERVAL=12;BYMINUTE=10,20,30;BYSETPOS=-1"
    starts = expand(
        parse_rule(rule),
        wall("20261101T000000"),
        until=None,
        within=Span(wall("20261101T000000"), wall("20261102T000000")),
    ).starts
    assert starts == [wall("20261101T003000"), wall("20261101T123000")]


def test_a_rule_that_goes_on_says_so() -> None:
    window = Span(0, wall("19710101T000000"))
    assert expand(parse_rule("FREQ=DAILY"), 0, until=None, within=window).goes_on
    assert not expand(parse_rule("FREQ=DAILY;COUNT=3"), 0, until=None, within=window).goes_on
    assert not expand(parse_rule("FREQ=DAILY"), 0, until=86_400, within=window).goes_on
    assert expand(parse_rule("FREQ=MONTHLY;COUNT=100"), 0, until=None, within=window).goes_on
    assert not expand(parse_rule("FREQ=MONTHLY;COUNT=2"), 0, until=None, within=window).goes_on


def test_what_is_too_much_is_cut_and_says_so() -> None:
    found = expand(parse_rule("FREQ=HOURLY"), 0, until=None, within=Span(0, wall("19720101T000000")))
    assert found.is_cut
    assert len(found.starts) == MOST_OCCURRENCES + 1


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=MINUTELY",
        "FREQ=MINUTELY;INTERVAL=59",
        "FREQ=HOURLY;BYMINUTE=0,30",
        "FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3,4,5",
        "FREQ=YEARLY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12;BYMINUTE=0,1",
    ],
)
def test_over_24_a_day_is_too_frequent(rule: str) -> None:
    assert parse_rule(rule).is_too_frequent


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=HOURLY",
        "FREQ=MINUTELY;INTERVAL=60",
        "FREQ=SECONDLY;BYHOUR=9;BYMINUTE=0;BYSECOND=0",
        "FREQ=DAILY",
    ],
)
def test_up_to_24_a_day_is_not_too_frequent(rule: str) -> None:
    assert not parse_rule(rule).is_too_frequent


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "COUNT=3",
        "FREQ=FORTNIGHTLY",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;INTERVAL=two",
        "FREQ=DAILY;INTERVAL=",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=" + "9" * 5_000,
        "FREQ=WEEKLY;BYDAY=XX",
        "FREQ=MONTHLY;BYDAY=54MO",
        "FREQ=YEARLY;BYMONTH=13",
        "FREQ=MONTHLY;BYMONTHDAY=0",
        "FREQ=DAILY;BYHOUR=24",
        "FREQ=WEEKLY;WKST=8",
        "FREQ=DAILY;UNHEARD=OF",
        "RSCALE=CHINESE;FREQ=YEARLY",
        "RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=FORWARD",
        "FREQ",
    ],
)
def test_a_bad_rule_is_refused(rule: str) -> None:
    with pytest.raises(BadRuleError):
        parse_rule(rule)


def test_a_calendar_that_all_rules_are_of_may_be_named() -> None:
    rule = "FREQ=MONTHLY;BYMONTHDAY=31"
    assert parse_rule(f"RSCALE=gregorian;{rule};SKIP=OMIT") == parse_rule(rule)


def test_an_all_day_series_has_no_time_of_day() -> None:
    assert for_dates(parse_rule("FREQ=DAILY;BYHOUR=9;BYMINUTE=5;BYSECOND=1")) == parse_rule("FREQ=DAILY")


def test_the_last_start_is_known_where_arithmetic_gives_it() -> None:
    assert last_possible(parse_rule("FREQ=DAILY;INTERVAL=2;COUNT=3"), 0, None) == 4 * 86_400
    assert last_possible(parse_rule("FREQ=MONTHLY;COUNT=3"), 0, None) is None


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;COUNT=1000000000",
        "FREQ=DAILY;BYDAY=MO;COUNT=1000000000",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
        "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30;BYSETPOS=1",
        "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30;BYHOUR=1;BYMINUTE=1",
        "FREQ=SECONDLY;BYHOUR=1;BYMINUTE=1;BYSECOND=1;COUNT=900000",
        "FREQ=MONTHLY;BYDAY=MO;COUNT=20000",
        "FREQ=DAILY;INTERVAL=99999999999999999",
        "FREQ=YEARLY;INTERVAL=99999999999999999;COUNT=99999999999999999",
        "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR=0,1,2,3,4,5,6,7,8,9;BYMINUTE="
        + ",".join(map(str, range(60)))
        + ";BYSETPOS=1",
        "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR=0,1,2,3,4,5,6,7,8,9;BYMINUTE="
        + ",".join(map(str, range(60)))
        + ";BYSETPOS=1;COUNT=900000",
        "FREQ=DAILY;BYWEEKNO=1,20;BYYEARDAY=1;COUNT=900000",
    ],
)
def test_no_rule_since_year_1_is_much_work(rule: str) -> None:
    within = Span(wall("20261101T000000"), wall("20271206T000000"))
    with at_most(lines=2_000_000):  # Of which 600,000 are run for the worst.
        expand(parse_rule(rule), wall("00010101T090000"), until=None, within=within)


def test_a_count_that_ended_long_ago_is_told_however_long_ago() -> None:
    within = Span(wall("20261101T000000"), wall("20271206T000000"))
    rule = parse_rule("FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR;COUNT=10")
    found = expand(rule, wall("00010101T090000"), until=None, within=within)
    assert (found.starts, found.goes_on, found.is_uncounted) == ([], False, False)


def test_a_count_too_far_to_walk_to_is_taken_to_go_on_and_told() -> None:
    within = Span(wall("20261102T000000"), wall("20261116T000000"))
    rule = parse_rule("FREQ=DAILY;BYDAY=MO;COUNT=900000")
    found = expand(rule, wall("00010101T090000"), until=None, within=within)
    assert found.starts == [wall("20261102T090000"), wall("20261109T090000")]
    assert found.is_uncounted
    assert found.goes_on
