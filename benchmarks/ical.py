"""From raw iCalendar text to merged busy time, beside what else there is: `python -m benchmarks.ical`.

The peers: libical in C (needs its headers and a compiler: on Debian libical-dev and gcc), ical.js in Node (npm
brings it, into a temporary folder), icalendar with recurring-ical-events. One that is missing is named and left out.
All get the same resources, and CPU time is counted, reading of files and start of the process left out.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import mean, median
from zoneinfo import ZoneInfo

from benchmarks.calendars import FIRST, OWNER, instant, make_calendar, one_event
from domain.busy import BusyPolicy, blocked_span
from domain.edges import merge
from domain.interval import Span
from sync.ical.resource import read_resource

PEERS = Path(__file__).parent / "peers"
DAY = 86_400
NOW = instant(FIRST + timedelta(days=365))
YEAR = Span(NOW, NOW + 365 * DAY)
HORIZON = Span(NOW - DAY, NOW + 400 * DAY)
ICAL_JS = "ical.js@2.2"
OURS = "Slotwire"
RIE = "icalendar + recurring-ical-events"
Engine = Callable[[list[str], int], "Measured"]


@dataclass(frozen=True, slots=True)
class Measured:
    """CPU milliseconds of each round, and the busy intervals before they are merged, in order."""

    rounds: list[float]
    spans: list[tuple[int, int]]
    peak: float | None = None
    """MB, of the whole process."""

    @property
    def median(self) -> float:
        return median(self.rounds)


class MissingError(Exception):
    """A peer that is not there. The text says what it needs."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ical", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="resources: 100, 1,000 or 10,000")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-rounds", type=int, default=1, help="of those that take over 5 s")
    parser.add_argument("--own", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.own:
        return _report_own(given.own, given.rounds)
    texts = make_calendar(given.count, seed=given.seed)
    print(f"Seed {given.seed}: {_shape(texts)}")
    met = [_one_changed(), _compare(texts, given.rounds, given.slow_rounds)]
    return 0 if all(met) else 1


def _shape(texts: list[str]) -> str:
    sizes = [len(text.encode()) for text in texts]
    events = [text.partition("BEGIN:VTIMEZONE")[0] for text in texts]
    counts = {
        "VEVENTs": sum(text.count("BEGIN:VEVENT") for text in texts),
        "recurring": sum("\nRRULE" in text for text in events),
        "all-day": sum("\nDTSTART;VALUE=DATE" in text for text in events),
        "with VTIMEZONE": sum("BEGIN:VTIMEZONE" in text for text in texts),
        "with VALARM": sum("BEGIN:VALARM" in text for text in texts),
        "busy intervals in 90 days": len(busy_of(texts, Span(NOW, NOW + 90 * DAY))),
        "in 365": len(busy_of(texts, YEAR)),
    }
    told = ", ".join(f"{count} {what}" for what, count in counts.items())
    return f"{len(texts)} resources of {mean(sizes):.0f} bytes on average, {median(sizes):.0f} in the middle; {told}"


def _compare(texts: list[str], rounds: int, slow_rounds: int) -> bool:
    """Whether every goal that could be measured is met."""
    engines: list[tuple[str, Engine, int, float]] = [
        ("libical (C)", libical, rounds, 1),
        (f"{ICAL_JS} (Node)", ical_js, slow_rounds, 20),
        (RIE, recurring, slow_rounds, 50),
    ]
    own = ours(texts, rounds)
    print(f"\nText to merged busy time over 365 days{'CPU ms':>14}{'of ours':>9}{'goal':>6}{'intervals':>11}")
    print(f"{OURS:36}{own.median:16.0f}{1:8.1f}x{'':6}{len(own.spans):11}", flush=True)
    is_good = own.peak is not None and own.peak <= 100
    for name, engine, times, goal in engines:
        try:
            found = engine(texts, times)
        except MissingError as missing:
            print(f"{name:36}left out: {missing}", flush=True)
            continue
        ratio = found.median / own.median
        same = "the same" if found.spans == own.spans else f"{_differing(own, found)} differ"
        print(
            f"{name:36}{found.median:16.0f}{ratio:8.1f}x{goal:5.0f}x{len(found.spans):11}  {same}",
            flush=True,
        )
        is_good &= ratio >= goal and (name != RIE or found.spans == own.spans)
    print(f"\nPeak memory of ours, texts and intervals included: {own.peak:.0f} MB (goal 100)")
    return is_good


def _differing(one: Measured, other: Measured) -> int:
    mine, theirs = Counter(one.spans), Counter(other.spans)
    return (mine - theirs).total() + (theirs - mine).total()


def _one_changed() -> bool:
    print("\nOne changed resource, read and expanded over 400 days, CPU µs (goal 100)")
    is_good = True
    for kind in ("single", "weekly", "exceptions"):
        text = one_event(kind)
        took = _each(lambda text=text: read_resource(text, zone=OWNER, addresses=frozenset(), window=HORIZON))  # type: ignore[misc]
        found = read_resource(text, zone=OWNER, addresses=frozenset(), window=HORIZON).occurrences
        print(f"{kind:36}{took:16.1f}  {len(found)} occurrences, {len(text)} bytes")
        is_good &= took <= 100
    return is_good


def _each(work: Callable[[], object], count: int = 500) -> float:
    work()
    found = []
    for _ in range(9):
        since = time.process_time()
        for _ in range(count):
            work()
        found.append((time.process_time() - since) / count * 1e6)
    return median(found)


# --- Ours


def ours(texts: list[str], rounds: int) -> Measured:
    """In a process of its own, as the peers, so that its peak memory is its own."""
    with _file_of(texts) as file:
        command = [sys.executable, "-m", "benchmarks.ical", "--own", file.name, "--rounds", str(rounds)]
        return _measured(_output(command))


def _report_own(file: Path, rounds: int) -> int:
    texts = [text.decode() for text in file.read_bytes().split(b"\0")[:-1]]
    spans: list[Span] = []
    for _ in range(rounds):
        since = time.process_time()
        spans = busy_of(texts)
        merge(spans)
        print(f"{(time.process_time() - since) * 1000:.3f}")
    print(f"-- {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f}")
    print("\n".join(f"{start} {end}" for start, end in sorted(spans)))
    return 0


def busy_of(texts: Iterable[str], window: Span = YEAR) -> list[Span]:
    """By the functions that a sync calls: a resource into occurrences, these by the policy into blocked time."""
    policy = BusyPolicy()
    spans = []
    for text in texts:
        for occurrence in read_resource(text, zone=OWNER, addresses=frozenset(), window=window).occurrences:
            span = blocked_span(occurrence, policy)
            if span is not None:
                spans.append(span)
    return spans


# --- Peers


def libical(texts: list[str], rounds: int) -> Measured:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise MissingError("no C compiler (on Debian: gcc)")
    with tempfile.TemporaryDirectory() as folder, _file_of(texts) as file:
        program = Path(folder) / "libical"
        command = [compiler, "-O2", "-o", str(program), str(PEERS / "libical.c"), "-lical"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            raise MissingError("its headers (on Debian: libical-dev)")
        window = [str(YEAR.start), str(YEAR.end)]
        return _measured(_output([str(program), file.name, *window, OWNER, str(rounds)]))


def ical_js(texts: list[str], rounds: int) -> Measured:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise MissingError("Node.js with npm")
    with tempfile.TemporaryDirectory() as folder, _file_of(texts) as file:
        install = [npm, "install", "--silent", "--no-save", "--prefix", folder, ICAL_JS]
        if subprocess.run(install, capture_output=True, check=False).returncode:
            raise MissingError("npm could not bring it")
        module = Path(folder) / "node_modules/ical.js/dist/ical.js"
        window = [str(YEAR.start), str(YEAR.end)]
        script = [node, str(PEERS / "ical_js.mjs"), str(module), file.name, *window, OWNER, str(rounds)]
        return _measured(_output(script))


def recurring(texts: list[str], rounds: int) -> Measured:
    """A resource at a time, as they come from a server."""
    import icalendar
    import recurring_ical_events

    start, end = (datetime.fromtimestamp(at, UTC) for at in YEAR)
    taken = []
    spans: list[Span] = []
    for _ in range(rounds):
        since = time.process_time()
        spans = []
        for text in texts:
            query = recurring_ical_events.of(icalendar.Calendar.from_ical(text))
            # A day wider, and cut below: it sees all-day events in UTC.
            for event in query.between(start - timedelta(days=1), end + timedelta(days=1)):
                if event.get("STATUS") != "CANCELLED" and event.get("TRANSP") != "TRANSPARENT":
                    spans.append(Span(_instant(event.start), _instant(event.end)))
        spans = sorted(span for span in spans if span.overlaps(YEAR) and not span.is_empty)
        merge(spans)
        taken.append((time.process_time() - since) * 1000)
    return Measured(taken, list(spans))


def _instant(at: date) -> int:
    if not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day, tzinfo=ZoneInfo(OWNER))
    return int(at.timestamp())


def _file_of(texts: list[str]) -> tempfile._TemporaryFileWrapper[bytes]:
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - its caller closes it.
    file.write("".join(f"{text}\0" for text in texts).encode())
    file.flush()
    return file


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _measured(output: str) -> Measured:
    times, _, rest = output.partition("--")
    peak, _, intervals = rest.partition("\n")
    edges = iter(map(int, intervals.split()))
    spans = sorted(zip(edges, edges, strict=True))
    return Measured([float(each) for each in times.split()], spans, float(peak) if peak.strip() else None)


if __name__ == "__main__":
    sys.exit(main())
