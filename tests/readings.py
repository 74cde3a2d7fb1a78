"""What each text of the corpus closes, and broken ones made of it, as a fingerprint a text: `tests/readings.txt`.

`python -m tests.readings` writes it anew. Where a known text closes other time than it did, or a new one was read
otherwise before its mend, `sync.ical.reading.FORM` is counted up first: only then are stored texts read again.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from random import Random

from benchmarks.calendars import OWNER
from benchmarks.ical_fuzz import CORPUS, OWN, WINDOW, mutated
from domain.busy import BusyPolicy, blocked_span
from sync.ical.reading import FORM
from sync.ical.resource import read_resource

WRITTEN = Path(__file__).parent / "readings.txt"
_BROKEN = 40
"""Of each text."""


def read_now() -> dict[str, str]:
    """By the text's name; `FORM` by its own."""
    return {"FORM": str(FORM), **{path.stem: _fingerprint(path) for path in sorted(CORPUS.glob("*.ics"))}}


def read_then() -> dict[str, str]:
    """As it was written down."""
    return dict(line.split(" ") for line in WRITTEN.read_text().splitlines())


def _fingerprint(path: Path) -> str:
    text, random, digest = path.read_bytes(), Random(path.stem), sha256()
    for each in [text, *(mutated(random, [text]) for _ in range(_BROKEN))]:
        reading = read_resource(each, zone=OWNER, addresses=OWN, window=WINDOW)
        closed = [blocked_span(occurrence, BusyPolicy()) for occurrence in reading.occurrences]
        told = [(str(problem.code), problem.blocked) for problem in reading.problems]
        digest.update(repr((closed, told, reading.is_readable)).encode())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    WRITTEN.write_text("".join(f"{name} {found}\n" for name, found in read_now().items()))
