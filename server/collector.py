"""What the garbage collector of a process that serves goes through, and how often."""

from __future__ import annotations

import gc

_MADE_BETWEEN = 10_000
"""Tuples, dicts and the like, beside those let go. A first sync makes rows by the thousand and lets them go a page at
a time: at Python's 700 each was gone through twice before. What hangs together in circles lies longer: a few MB."""


def settle() -> None:
    """What is there at the start stays: the collector walks only what came since, and the loop does not wait for it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MADE_BETWEEN, *gc.get_threshold()[1:])
