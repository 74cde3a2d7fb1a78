"""Broken calendars thrown at the reader: `python -m benchmarks.ical_fuzz --seconds 1800`.

What must hold of any text: no exception, no span that ends before it starts, a reason wherever something may be
missing, and the same found by the reader's short ways as by its general one. And of a good event with a ruined line:
its start stays blocked.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from random import Random

from benchmarks.calendars import OWNER, make_calendar
from domain.busy import BusyPolicy, blocked_span
from domain.interval import Span
from sync.ical.resource import Reading, read_in_general, read_resource

CORPUS = Path(__file__).resolve().parent.parent / "tests" / "corpus"
START = 1_794_301_200  # 2026-11-10T09:00Z
OWN = frozenset({"ann@example.com"})
WINDOW = Span(START - 40 * 86_400, START + 361 * 86_400)
_SIGNS = b'\r\n\t :;,="\\-+/TZ0123456789\x00\xff\xc3\xa4'
_RUINED = ["DTEND", "DURATION", "RRULE", "RDATE", "X-APPLE-TRAVEL-DURATION", "SEQUENCE", "SUMMARY", "UID"]
_WORDS = [
    *(b"BEGIN:VEVENT\r\n", b"END:VEVENT\r\n", b"BEGIN:VTIMEZONE\r\n", b"END:VTIMEZONE\r\n"),
    *(b"FREQ=", b"COUNT=", b"UNTIL=", b"INTERVAL=0", b"BYDAY=53SU"),
    *(b"VALUE=DATE:", b"TZID=Mars/Olympus:", b"99999999T999999Z"),
]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ical_fuzz")
    parser.add_argument("--seconds", type=float, default=1_800)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    tried, failures = fuzz(asked.seconds, asked.seed)
    print(f"{tried} texts in {asked.seconds:.0f} s, seed {asked.seed}: {len(failures)} failures")
    for failure in failures[:10]:
        print(failure)
    return bool(failures)


def fuzz(seconds: float, seed: int) -> tuple[int, list[str]]:
    """How many texts were tried, and what went wrong with which."""
    random, until, tried = Random(seed), time.monotonic() + seconds, 0
    pool = [path.read_bytes() for path in sorted(CORPUS.glob("*.ics"))]
    pool += [text.encode() for text in make_calendar(100, seed=seed)]
    failures: list[str] = []
    while time.monotonic() < until and len(failures) < 100:
        tried += 1
        text = _ruined(random) if tried % 3 == 0 else mutated(random, pool)
        try:
            _check(text, is_good=tried % 3 == 0)
        except Exception as error:  # noqa: BLE001 - any at all is what is looked for.
            failures.append(f"{type(error).__name__}: {error}: {text!r}")
    return tried, failures


def _check(text: bytes, *, is_good: bool) -> None:
    reading = read_resource(text, zone=OWNER, addresses=OWN, window=WINDOW)
    assert reading == read_in_general(text, zone=OWNER, addresses=OWN, window=WINDOW), "a short way differs"
    for occurrence in reading.occurrences:
        assert occurrence.start <= occurrence.end, "it ends before it starts"
        assert occurrence.busy.start <= occurrence.busy.end, "it blocks backwards"
    assert reading.is_readable or reading.problems, "something is missing without a reason"
    assert not is_good or _blocks_start(reading), "its start is free"


def _blocks_start(reading: Reading) -> bool:
    spans = [blocked_span(occurrence, BusyPolicy()) for occurrence in reading.occurrences]
    # One that ends when it starts is meant to block nothing.
    is_empty = any(occurrence.start == occurrence.end == START for occurrence in reading.occurrences)
    return is_empty or any(span is not None and span.start <= START < span.end for span in spans)


def mutated(random: Random, pool: list[bytes]) -> bytes:
    text = bytearray(random.choice(pool))
    for _ in range(random.randrange(1, 9)):
        at = random.randrange(len(text) + 1)
        match random.randrange(5):
            case 0:
                del text[at : at + random.randrange(1, 60)]
            case 1:
                text[at:at] = bytes(random.choices(_SIGNS, k=random.randrange(1, 6)))
            case 2:
                text[at : at + 1] = bytes([random.choice(_SIGNS)])
            case 3:
                text[at:at] = random.choice(_WORDS)
            case _:
                lines = random.choice(pool).splitlines(keepends=True)
                text[at:at] = random.choice(lines) if lines else b""
    return bytes(text)


def _ruined(random: Random) -> bytes:
    """A good event at START, with one line of nonsense."""
    name = random.choice(_RUINED)
    letters = b"0123456789TZP-;=:,/FREQDAILYWKMONTHCUVBS"
    value = bytes(random.choices(letters, k=random.randrange(24)))
    lines = [b"BEGIN:VCALENDAR", b"BEGIN:VEVENT", b"DTSTART:20261110T090000Z"]
    lines += [b"%s:%s" % (name.encode(), value), b"END:VEVENT", b"END:VCALENDAR"]
    if name not in {"DTEND", "DURATION"}:
        lines.insert(3, b"DURATION:PT1H")
    return b"\r\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
