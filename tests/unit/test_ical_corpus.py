"""One resource a case under tests/corpus, with what it must block written by hand: in UTC, to the minute."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.busy import BusyPolicy, blocked_span
from domain.interval import Span
from sync.ical.resource import Reading, read_resource

CORPUS = Path(__file__).parent.parent / "corpus"
T = "20261110T0800/0900"
DAY = "20261109T2300/20261110T2300"
BAD = "BAD_RECURRENCE"
UNREADABLE = "UNREADABLE"
TOO_MANY = "TOO_MANY_OCCURRENCES"
UNKNOWN = "UNKNOWN_TIME_ZONE"
THREE = [T, "20261111T0800/0900", "20261112T0800/0900"]
GAP_MOVED = ["20270327T0130/0145", "20270328T1300/1400", "20270329T0030/0045"]
MOVED = [T, "20261111T1400/1430", "20261112T0800/0900"]

# The owner is in Berlin, and is ann@example.com or /123/principal/. The window: 2026-10-01 to 2027-11-05, UTC.
CASES: dict[str, tuple[list[str], list[str]]] = {
    "a-time-in-utc": (["20261110T0900/1000"], []),
    "a-zone-in-winter": ([T], []),
    "a-zone-in-summer": (["20261005T0700/0800"], []),
    "a-windows-zone": ([T], []),
    "a-vendors-prefix-before-the-zone": ([T], []),
    "a-vendors-prefix-before-three-segments": (["20261110T1200/1300"], []),
    "a-zone-in-lower-case": (["20261110T1400/1500"], []),
    "a-quoted-zone": ([T], []),
    "a-floating-time-is-the-owners": ([T], []),
    "an-end-in-another-zone": (["20261110T0800/1700"], []),
    "all-day": ([DAY], []),
    "all-day-without-an-end": ([DAY], []),
    "all-day-ending-on-its-own-day": ([DAY], []),
    "all-day-for-three-days": (["20261109T2300/20261112T2300"], []),
    "all-day-of-25-hours": (["20261024T2200/20261025T2300"], []),
    "all-day-of-23-hours": (["20270327T2300/20270328T2200"], []),
    "all-day-without-saying-so": ([DAY], []),
    "all-day-by-duration": (["20261109T2300/20261111T2300"], []),
    "all-day-ending-before-it-starts": ([DAY], [UNREADABLE]),
    "all-day-marked-free": ([], []),
    "a-time-without-an-end": ([], []),
    "a-time-of-no-length": ([], []),
    "an-end-before-the-start": ([T], [UNREADABLE]),
    "a-negative-duration": ([T], [UNREADABLE]),
    "an-end-that-is-no-date": ([T], [UNREADABLE]),
    "a-start-that-is-no-date": ([T], [UNREADABLE]),
    "a-day-by-the-clock-over-a-change": (["20261024T1000/20261025T1100"], []),
    "24-hours-over-a-change": (["20261024T1000/20261025T1000"], []),
    "a-duration-in-weeks": (["20261110T0900/20261117T0900"], []),
    "a-time-in-a-gap-is-read-by-the-offset-before-it": (["20270314T0730/0830"], []),
    "both-hours-of-a-fold-block": (["20261101T0515/0645"], []),
    "an-unknown-zone-blocks-all-it-could-mean": (["20261109T2200/20261111T0100"], [UNKNOWN]),
    "an-unknown-zone-with-its-own-rules": (["20261110T0700/0800"], []),
    "two-starts-at-odds": (["20261110T0800/1500"], [UNREADABLE]),
    "two-starts-and-a-duration": (["20261110T0800/1500"], [UNREADABLE]),
    "two-whole-days-at-odds": (["20261109T2300/20261112T2300"], [UNREADABLE]),
    "a-day-and-a-time-at-odds": (["20261109T2300/20261112T2300"], [UNREADABLE]),
    "a-second-start-that-can-be-read": (["20261110T0800/1100"], [UNREADABLE]),
    "a-series-with-two-starts": (THREE, [UNREADABLE]),
    "a-changed-date-with-two-starts": ([T, "20261111T1300/1500"], [UNREADABLE]),
    "a-date-changed-twice-at-odds": ([T, "20261111T1100/1400"], [BAD]),
    "a-date-moved-and-cancelled-at-odds": ([T, "20261111T1400/1430"], [BAD]),
    "this-and-future-made-whole-days": (
        [T, "20261110T2300/20261111T2300", "20261111T2300/20261112T2300"],
        [],
    ),
    "this-and-future-made-an-hour-of-each-day": ([DAY, "20261111T0800/0900", "20261112T0800/0900"], []),
    "travel-time-given-twice": (["20261110T0700/0900"], []),
    "until-a-local-time-that-may-be-in-utc": (
        ["20261109T2300/20261110T0000", "20261110T2300/20261111T0000", "20261111T2300/20261112T0000"],
        [],
    ),
    "a-whole-day-until-a-time-in-utc": (["20261109T2300/20261112T2300"], []),
    "one-start-given-twice": ([T], []),
    "two-ends-at-odds": ([T], [UNREADABLE]),
    "an-end-beside-a-duration": ([T], [UNREADABLE]),
    # RFC 5545 section 2: parameters' values are the same in any case.
    "a-zones-name-in-other-letters": (["20261110T1000/1100"], []),
    "an-excepted-time-in-a-gap-as-the-clock-shows-it": (["20270327T0130/0145", "20270329T0030/0045"], []),
    "an-instance-in-a-gap-moved-by-its-time-in-utc": (GAP_MOVED, []),
    "an-instance-in-a-gap-moved-by-what-the-clock-shows": (GAP_MOVED, []),
    "an-excepted-time-in-utc-in-a-gap": (["20270327T0130/0145", "20270329T0030/0045"], []),
    "a-series-that-cannot-be-dated-beside-its-change": ([T], [UNREADABLE]),
    "a-zones-own-rules-change-the-clock": (["20261001T0600/0700", "20261008T0700/0800"], []),
    "a-zones-rules-until-a-date": (["20261018T0700/0800", "20261025T0800/0900"], []),
    "a-zone-after-its-event": (["20261110T0700/0800"], []),
    "a-zone-that-contradicts-its-iana-name": ([T], []),
    "a-broken-zone-is-unknown": (["20261109T2200/20261111T0100"], [UNKNOWN]),
    "marked-free": ([], []),
    "marked-free-in-lower-case": ([], []),
    "marked-with-a-word-of-its-own-is-busy": ([T], []),
    "cancelled": ([], []),
    "tentative": ([T], []),
    "declined-by-email": ([], []),
    "declined-by-mailto": ([], []),
    "declined-by-the-principals-path": ([], []),
    "declined-by-the-principals-address": ([], []),
    "declined-by-somebody-else": ([T], []),
    "declined-with-one-address-and-accepted-with-another": ([T], []),
    "declined-with-a-colon-in-the-name": ([], []),
    "not-answered": ([T], []),
    "travel-time-before": (["20261110T0715/0900"], []),
    "travel-time-after": (["20261110T0800/0930"], []),
    "daily-three-times": (THREE, []),
    "every-third-day": ([T, "20261113T0800/0900", "20261116T0800/0900"], []),
    "a-series-keeps-its-time-when-the-clocks-change": (["20261021T0700/0800", "20261028T0800/0900"], []),
    "until-in-utc-is-inclusive": (THREE, []),
    "until-a-second-before-is-not": (THREE[:2], []),
    "until-a-date-takes-in-that-whole-day": (
        ["20261102T0100/0200", "20261103T0100/0200", "20261104T0100/0200"],
        [],
    ),
    "until-a-local-time": (THREE, []),
    # The owner's midnight of the 12th, written in UTC: the 12th may be meant, so it is taken in.
    "until-in-utc-for-an-all-day-series": (
        [DAY, "20261110T2300/20261111T2300", "20261111T2300/20261112T2300"],
        [],
    ),
    "weeks-that-start-on-monday": (
        ["20261103T0800/0900", "20261108T0800/0900", "20261117T0800/0900", "20261122T0800/0900"],
        [],
    ),
    "weeks-that-start-on-sunday": (
        ["20261103T0800/0900", "20261115T0800/0900", "20261117T0800/0900", "20261129T0800/0900"],
        [],
    ),
    "the-last-friday-of-the-month": (["20261030T0800/0900", "20261127T0800/0900", "20261225T0800/0900"], []),
    "the-last-workday-of-the-month": (["20261030T0800/0900", "20261130T0800/0900", "20261231T0800/0900"], []),
    "the-31st-where-there-is-one": (["20261031T0800/0900", "20261231T0800/0900", "20270131T0800/0900"], []),
    "the-last-day-of-the-month": (["20261031T0800/0900", "20261130T0800/0900", "20261231T0800/0900"], []),
    "friday-the-13th": (["20261113T0800/0900", "20270813T0700/0800"], []),
    "the-29th-of-february-in-leap-years-alone": ([], []),
    "the-monday-of-week-20": (["20270517T0700/0800"], []),
    "the-100th-day-of-the-year": (["20270410T0700/0800"], []),
    "the-last-sunday-of-march": (["20270328T1000/1100"], []),
    "every-six-hours": (["20261110T0900/1000", "20261110T1500/1600", "20261110T2100/2200"], []),
    "twice-a-day": ([T, "20261110T1400/1500", "20261111T0800/0900"], []),
    "two-rules": ([T, "20261111T0800/0900", "20261117T0800/0900"], []),
    "a-start-that-its-rule-does-not-give": ([T, "20261111T0800/0900"], []),
    "a-rule-in-lower-case-with-a-semicolon-too-many": (THREE[:2], []),
    "an-excepted-time": ([THREE[0], THREE[2]], []),
    "an-excepted-time-in-utc": ([THREE[0], THREE[2]], []),
    "an-excepted-time-in-another-zone": ([THREE[0], THREE[2]], []),
    "an-excepted-day-of-a-timed-series": ([THREE[0], THREE[2]], []),
    "an-excepted-floating-time": ([THREE[0], THREE[2]], []),
    "a-list-of-excepted-days": (["20261110T2300/20261111T2300"], []),
    "an-exception-that-cannot-be-read": (THREE, [BAD]),
    "an-exception-rule-is-not-followed": (THREE[:2], [BAD]),
    "extra-dates": ([T, "20261112T1300/1400", "20261113T0800/0900"], []),
    "an-extra-period": ([T, "20261112T1400/1600", "20261113T1400/1430"], []),
    "an-extra-date-in-utc": ([T, "20261112T1400/1500"], []),
    "a-moved-instance": (MOVED, []),
    "an-instance-moved-by-its-time-in-utc": (MOVED, []),
    "an-instance-moved-by-its-date": (MOVED, []),
    "an-instance-moved-to-another-zone": ([T, "20261111T1400/1500", "20261112T0800/0900"], []),
    "an-instance-moved-out-of-the-window": ([THREE[0], THREE[2]], []),
    "an-instance-moved-into-the-window": (["20261111T1400/1430"], []),
    "a-cancelled-instance": ([THREE[0], THREE[2]], []),
    "an-instance-made-free": ([THREE[0], THREE[2]], []),
    "an-instance-declined": ([THREE[0], THREE[2]], []),
    "an-override-before-its-series": (MOVED, []),
    "an-override-without-its-series": (["20261111T1400/1430"], []),
    "an-override-that-cannot-be-read-changes-nothing": (
        ["20261110T0800/1000", "20261111T0800/1000", "20261112T0800/1000"],
        [UNREADABLE],
    ),
    "an-override-of-no-instance-is-an-event": ([*THREE, "20261201T1400/1430"], []),
    "of-two-overrides-the-later-sequence-counts": (MOVED, []),
    "this-and-future-moves-all-that-follow": (
        [T, "20261111T0800/0900", "20261112T1300/1500", "20261113T1300/1500"],
        [],
    ),
    # On the clock of New York from then on, whose summer time begins two weeks before Berlin's.
    "this-and-future-moves-to-another-zone": (
        ["20270305T0800/0900", "20270312T1400/1500", "20270319T1300/1400"],
        [],
    ),
    "an-all-day-series-with-one-day-moved": (
        [DAY, "20261111T2300/20261112T2300", "20261119T2300/20261120T2300"],
        [],
    ),
    # DTEND: exactly 8 hours (RFC 5545 3.8.5.3) end at 04:00Z, 06:00 on the clock is 05:00Z: to the later.
    "a-night-shift-when-the-clocks-go-back": (
        ["20261023T2000/20261024T0400", "20261024T2000/20261025T0500"],
        [],
    ),
    "on-two-days-of-the-week": (["20261110T0800/0900", "20261112T0800/0900", "20261117T0800/0900"], []),
    "every-other-week": (["20261110T0800/0900", "20261124T0800/0900", "20261208T0800/0900"], []),
    "the-second-tuesday-by-its-position": (
        ["20261110T0800/0900", "20261208T0800/0900", "20270112T0800/0900"],
        [],
    ),
    "the-third-last-day-of-the-month": (["20261128T0800/0900", "20261229T0800/0900"], []),
    "the-10th-of-two-months": (["20261110T0800/0900", "20270110T0800/0900"], []),
    "tuesdays-of-november-alone": (
        ["20261110T0800/0900", "20261117T0800/0900", "20261124T0800/0900", "20271102T0800/0900"],
        [],
    ),
    "every-day-of-january": (["20270101T0800/0900", "20270102T0800/0900", "20270103T0800/0900"], []),
    "every-workday": (
        [
            "20261110T0800/0900",
            "20261111T0800/0900",
            "20261112T0800/0900",
            "20261113T0800/0900",
            "20261116T0800/0900",
        ],
        [],
    ),
    "the-last-but-one-day-of-the-year": (["20261230T0800/0900"], []),
    "a-series-over-the-change-in-spring": (["20270321T0800/0900", "20270328T0700/0800"], []),
    "a-series-into-a-gap": (["20270327T0130/0200", "20270328T0130/0200", "20270329T0030/0100"], []),
    "a-series-into-a-fold": (["20261024T0030/0100", "20261025T0030/0200", "20261026T0130/0200"], []),
    "a-zone-that-changes-by-half-an-hour": (["20261109T2200/2300"], []),
    "a-zone-of-45-minutes": (["20261110T0315/0415"], []),
    "the-earliest-zone-there-is": (["20261109T1900/2000"], []),
    "a-zone-that-is-a-description": (["20261109T1900/20261110T2200"], ["UNKNOWN_TIME_ZONE"]),
    "a-zone-that-is-an-offset": (["20261109T1900/20261110T2200"], ["UNKNOWN_TIME_ZONE"]),
    "a-zone-whose-sign-is-turned-around": (["20261110T0700/0800"], []),
    "utc-by-its-name": (["20261110T0900/1000"], []),
    "a-declined-series-with-one-date-accepted": (["20261111T0800/0900"], []),
    "a-cancelled-series-with-one-date-that-stands": (["20261111T0800/0900"], []),
    "a-free-series-with-one-busy-date": (["20261111T0800/0900"], []),
    "travel-to-a-moved-instance": (["20261110T0800/0900", "20261111T1315/1430"], []),
    "travel-before-a-whole-day": (["20261109T2200/20261110T2300"], []),
    "travel-to-what-is-free-blocks-nothing": ([], []),
    "travel-advice-blocks-nothing": (["20261110T0800/0900"], []),
    "a-place-full-of-punctuation": (["20261110T0800/0900"], []),
    "a-vendors-word-for-free-is-not-transp": (["20261110T0800/0900"], []),
    "a-birthday-since-2000": (["20261109T2300/20261110T2300"], []),
    "two-days-of-every-week": (["20261109T2300/20261111T2300", "20261116T2300/20261118T2300"], []),
    "whole-days-over-the-change-in-autumn": (
        ["20261023T2200/20261024T2200", "20261024T2200/20261025T2300", "20261025T2300/20261026T2300"],
        [],
    ),
    "the-first-date-excepted": (["20261111T0800/0900", "20261112T0800/0900"], []),
    "every-date-excepted": ([], []),
    "an-extra-date-that-is-excepted": (["20261110T0800/0900"], []),
    "a-series-split-in-two": (
        ["20261110T0800/0900", "20261111T0800/0900", "20261112T0900/1000", "20261113T0900/1000"],
        [],
    ),
    "a-day-and-two-hours": (["20261110T0800/20261111T1000"], []),
    "lines-folded-with-tabs": (["20261110T0800/0900"], []),
    "line-feeds-alone": (["20261110T0800/0900"], []),
    "a-byte-order-mark": (["20261110T0800/0900"], []),
    "blank-lines-between": (["20261110T0800/0900"], []),
    "a-title-that-looks-like-a-property": (["20261110T0800/0900"], []),
    "a-night-over-midnight": (["20261110T2100/20261111T0500"], []),
    "an-extra-day-of-a-timed-series": ([T, "20261113T0800/0900"], []),
    "an-excepted-time-of-a-whole-day-series": ([DAY], []),
    "an-excepted-midnight-in-utc-of-a-whole-day-series": ([DAY], []),
    "a-stamp-given-twice": ([T], []),
    "an-override-in-a-windows-zone": ([T, "20261111T1400/1430", "20261112T0800/0900"], []),
    "a-calendars-own-zone-is-not-the-owners": ([T], []),
    "declined-in-capitals": ([], []),
    "an-invitation-passed-on-to-another": ([T], []),
    "an-invitation-without-an-answer": ([T], []),
    "perhaps-by-the-owner": ([T], []),
    "tentative-and-free": ([], []),
    "cancelled-in-lower-case": ([], []),
    "private": ([T], []),
    "travel-time-below-zero": ([T], []),
    "travel-time-that-cannot-be-read": ([T], [UNREADABLE]),
    "travel-time-of-a-day-and-two-hours": (["20261109T0600/20261110T0900"], []),
    "until-in-utc-for-a-floating-series": (THREE[:2], []),
    "an-instance-made-a-whole-day": ([T, "20261110T2300/20261111T2300", "20261112T0800/0900"], []),
    "a-whole-day-instance-made-an-hour": ([DAY, "20261111T1300/1400"], []),
    "an-instance-without-an-end": ([THREE[0], THREE[2]], []),
    "a-zone-beside-a-time-in-utc": ([T], []),
    "a-zone-without-a-name": (["20261109T1900/20261110T2200"], [UNKNOWN]),
    "24-oclock": (["20261110T2100/2300"], []),
    "a-small-z": ([T], []),
    "a-fraction-of-a-second": ([T], [UNREADABLE]),
    "two-calendars-in-one-resource": (THREE[:2], []),
    "this-and-future-from-a-time-in-a-gap": ([*GAP_MOVED[:2], "20270329T1300/1400"], []),
    "this-and-future-twice": ([T, "20261111T1000/1100", "20261112T1000/1100", "20261113T1400/1430"], []),
    "this-and-future-cancelled": (THREE[:2], []),
    "this-and-future-and-one-date-moved-after-it": (
        [T, "20261111T1000/1100", "20261112T1700/1800", "20261113T1000/1100"],
        [],
    ),
    "an-excepted-date-counts": ([THREE[0], THREE[2]], []),
    "summer-time-that-is-the-standard": (["20261024T0800/0900", "20261025T0900/1000"], []),
    "an-hour-that-repeats-on-a-whole-day": (["20261109T2300/20261112T2300"], [TOO_MANY]),
    "a-whole-day-at-nine": ([DAY, "20261110T2300/20261111T2300"], []),
    "a-rule-of-another-product": (THREE[:2], []),
    "a-part-of-a-rule-that-nobody-knows": ([T], [BAD]),
    "the-week-of-new-year": (["20261231T0800/0900", "20270101T0800/0900"], []),
    "marked-free-and-then-busy": ([T], []),
    "cancelled-and-then-confirmed": ([T], []),
    "an-extra-period-that-ends-before-it-starts": ([T, "20261112T0800/0900"], [BAD]),
    "an-override-without-its-series-that-repeats": ([T], [BAD]),
    "an-interval-of-zero": ([T], [BAD]),
    "an-unknown-frequency": ([T], [BAD]),
    "an-end-before-the-first-date": ([T], [BAD]),
    "a-rule-that-names-our-own-scale": (THREE, []),
    "another-calendars-scale": ([T], [BAD]),
    "every-second-until-the-12th": (["20261109T2300/20261113T0000"], [TOO_MANY]),
    "every-half-hour-ten-times": (["20261109T2300/20261111T0000"], [TOO_MANY]),
    "one-bad-event-beside-a-good-one": ([T], [UNREADABLE]),
    "two-uids-in-one-resource": (THREE[:2], []),
    "an-alarms-properties-are-not-the-events": ([T], []),
    "a-to-do-blocks-nothing": ([], []),
    "names-in-lower-case": ([T], []),
    "lines-folded-anywhere": ([T], []),
    "a-colon-in-a-parameter": ([T], []),
    "year-1-to-9999": (["00010101T0000/99991231T2359"], []),
    "daily-since-year-1": (["20261001T0900/1000", "20261002T0900/1000"], []),
    "a-billion-times-a-year-apart": ([T], []),
    "a-zone-whose-name-has-a-comma": (["20261110T0700/0800"], []),
    "a-zone-that-counts-leap-seconds": ([T], []),
    "an-end-in-a-fold-of-another-zone": (["20261101T0400/0630"], []),
    "an-extra-date-in-an-unknown-zone": ([T, "20261119T1900/20261120T2200"], [UNKNOWN]),
    "an-excepted-date-in-an-unknown-zone": (THREE[:2], [UNKNOWN]),
    "an-extra-period-shorter-than-the-date-it-repeats": ([T], []),
    "two-extra-periods-of-one-start": ([T, "20261112T0800/1200"], []),
    "a-date-changed-in-an-unknown-zone": ([*THREE[:2], "20261111T1400/1430"], [UNKNOWN]),
    "a-colon-in-a-zone-that-is-not-quoted": (["20261110T0700/0800"], []),
    "a-part-of-a-rule-given-twice": ([T], [BAD]),
    "ten-workdays-of-1960": ([], []),
    "a-million-fridays-the-13th-since-1900": (["20261113T0800/0900"], [TOO_MANY]),
    "declined-by-one-of-a-group": ([T], []),
    "a-page-of-html": ([], [UNREADABLE]),
    "nothing-at-all": ([], [UNREADABLE]),
    "cut-off-in-the-middle": (["20261110T0900/1000"], [UNREADABLE]),
    "not-utf-8": (["20261110T0900/1000"], [UNREADABLE]),
}


def _instant(text: str) -> int:
    return int(datetime.strptime(text, "%Y%m%dT%H%M").replace(tzinfo=UTC).timestamp())


def _span(text: str) -> Span:
    start, end = text.split("/")
    return Span(_instant(start), _instant(end if "T" in end else f"{start[:9]}{end}"))


def _read(name: str) -> Reading:
    return read_resource(
        (CORPUS / f"{name}.ics").read_bytes(),
        zone="Europe/Berlin",
        addresses=frozenset({"ann@example.com", "/123/principal/"}),
        window=Span(_instant("20261001T0000"), _instant("20271105T0000")),
    )


@pytest.mark.parametrize("name", CASES)
def test_what_blocks(name: str) -> None:
    reading = _read(name)
    blocked = (blocked_span(occurrence, BusyPolicy()) for occurrence in reading.occurrences)
    to_the_minute = [Span(span.start, span.end - span.end % 60) for span in blocked if span is not None]
    assert to_the_minute == [_span(text) for text in CASES[name][0]]


@pytest.mark.parametrize("name", CASES)
def test_what_is_reported(name: str) -> None:
    assert [problem.code for problem in _read(name).problems] == CASES[name][1]


def test_every_resource_of_the_corpus_is_a_case() -> None:
    assert {path.stem for path in CORPUS.glob("*.ics")} == CASES.keys()


@pytest.mark.parametrize(
    "name",
    [
        "a-page-of-html",
        "nothing-at-all",
        "cut-off-in-the-middle",
        "not-utf-8",
        "a-series-that-cannot-be-dated-beside-its-change",
    ],
)
def test_what_is_not_whole_leaves_the_slots_before_it(name: str) -> None:
    assert not _read(name).is_readable


@pytest.mark.parametrize("name", ["a-to-do-blocks-nothing", "cancelled", "one-bad-event-beside-a-good-one"])
def test_what_was_read_replaces_the_slots_before_it(name: str) -> None:
    assert _read(name).is_readable
