"""Our reader beside recurring-ical-events, over calendars that Hypothesis makes: `python -m benchmarks.ical_oracle`."""

from __future__ import annotations

from benchmarks.many import run
from tests.unit.test_ical_oracle import check, series

if __name__ == "__main__":
    run("ical_oracle", series(), check, count=200_000, of="series")
