"""Logs: one line a record, plain or JSON, with nothing in it that opens a door."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

# Our keys, app-specific passwords, credentials in a header or in a URL.
_SECRETS = re.compile(
    r"sw_(?:admin|owner|booking)_[A-Za-z0-9_-]+"
    r"|\b[a-z]{4}-[a-z]{4}-[a-z]{4}-[a-z]{4}\b"
    r"|\b(?:Basic|Bearer)\s+[A-Za-z0-9+/=._~-]{8,}"
    r"|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)",
    re.IGNORECASE,
)
# Each of those has one of these in it, or three dashes. Most lines have not, and to see that is far less than a search.
_HINTS = ("sw_", "basic", "bearer", "://")
_DASHES = 3

# Their records hold requests and answers: people's calendars, and documents with what was typed into them.
_QUIET = (
    "caldav",
    "niquests",
    "urllib3",
    "urllib3_future",
    "strawberry.execution",
    "tortoise",
    "uvicorn.access",
    # Says of each socket what our own lines say better.
    "uvicorn.error",
)


def scrubbed(text: str) -> str:
    folded = text.casefold()
    if folded.count("-") < _DASHES and not any(hint in folded for hint in _HINTS):
        return text
    return _SECRETS.sub("***", text)


class _Line(logging.Formatter):
    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = getattr(record, "said", {})
        at = (
            datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z")
        )
        text = record.getMessage()
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._as_json:
            whole = {"at": at, "level": record.levelname, "logger": record.name, "message": text, **said}
            return scrubbed(json.dumps(whole | ({"trace": trace} if trace else {}), default=str))
        pairs = "".join(f" {name}={value}" for name, value in said.items())
        return scrubbed(
            f"{at} {record.levelname:<7} {record.name}: {text}{pairs}" + (f"\n{trace}" if trace else "")
        )


def set_up(*, level: str, as_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(as_json=as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # No line shows them, and each costs every line some microseconds.
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False
    logging._srcfile = None  # noqa: SLF001  # logging's own way to look for no caller.
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Strawberry logs every client's mistake with the text of its document.
    logging.getLogger("strawberry.execution").disabled = True
