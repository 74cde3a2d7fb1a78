"""The server, but for one thing: it ends by SIGKILL when it reaches a named step for the n-th time."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable

from benchmarks.campaigns.crash_points import watch_statements
from server import __main__ as commands
from server import services
from sync.service import Sync


def killer(step: str, times: int) -> Callable[[str], None]:
    left = times

    def at(reached: str) -> None:
        nonlocal left
        left -= reached == step
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return at


def main() -> int:
    """`python -m benchmarks.campaigns.crashing_server STEP TIMES`, with the server's own environment."""
    step, times = sys.argv[1], int(sys.argv[2])
    at = killer(step, times)
    watch_statements(at)
    setattr(services, Sync.__name__, functools.partial(Sync, at=at))
    sys.argv[1:] = ["serve"]
    return commands.main()


if __name__ == "__main__":
    sys.exit(main())
