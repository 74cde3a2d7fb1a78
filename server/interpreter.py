"""How the interpreter of a process that serves is set: what its collector goes through, and how threads take turns."""

from __future__ import annotations

import gc
import sys

_MADE_BETWEEN = 10_000
"""Tuples, dicts and the like, beside those let go. A first sync makes rows by the thousand and lets them go a page at
a time: at Python's 700 each was gone through twice before. What hangs together in circles lies longer: a few MB."""
_TURN = 0.0005
"""Seconds that a thread that reads texts keeps the event loop from going on. It waits so long for each of a request's
steps, for a socket or a database; with Python's 0.005 that added up (`python -m benchmarks.bombs`)."""


def settle() -> None:
    """What is there at the start stays: the collector walks only what came since, and the loop does not wait for it."""
    sys.setswitchinterval(_TURN)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MADE_BETWEEN, *gc.get_threshold()[1:])
