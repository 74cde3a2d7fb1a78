"""The fuzz of `python -m benchmarks.ical_fuzz`, for a little while."""

from __future__ import annotations

import os

from benchmarks.ical_fuzz import fuzz

SECONDS = 30 if os.environ.get("CI") == "true" else 3


def test_no_broken_text_makes_the_reader_raise_or_opens_time() -> None:
    tried, failures = fuzz(SECONDS, seed=7)
    assert tried > 100
    assert failures == []
