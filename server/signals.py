"""The signals that tell a process to end."""

from __future__ import annotations

import signal


def that_end() -> list[signal.Signals]:
    """SIGHUP too, which a terminal's end sends, but where `nohup` has it ignored."""
    asked = [signal.SIGINT, signal.SIGTERM]
    return asked if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [*asked, signal.SIGHUP]
