"""How much work something is, as a count that is the same on each machine: lines of Python that it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest


class Lines:
    """A step of a loop counts, though it stands in one line. What is done inside C counts for nothing."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.run = 0

    def count(self, frame: FrameType, event: str, argument: Any) -> Any:
        del frame, argument
        if event == "line":
            self.run += 1
            if self.run > self.most:
                # No `except Exception` of what is counted stops this: what has no end is ended.
                pytest.fail(f"This is more work than {self.most:,} lines.")
        return self.count


@contextmanager
def at_most(lines: int) -> Iterator[Lines]:
    """Fails as soon as more is run by functions that this thread enters within; an event loop's others count too."""
    counted = Lines(lines)
    before = sys.gettrace()
    sys.settrace(counted.count)
    try:
        yield counted
    finally:
        sys.settrace(before)
