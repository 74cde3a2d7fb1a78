"""A file system in memory, for files that nobody needs after a run."""

from __future__ import annotations

import shutil
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30
"""Bytes: PostgreSQL's log alone may grow to one GiB. A container often has 64 MiB there."""


def memory() -> str | None:
    """Where it is, or None: there is none, or it has too little room."""
    if not _SHARED_MEMORY.is_dir() or shutil.disk_usage(_SHARED_MEMORY).free < _ROOM:
        return None
    return str(_SHARED_MEMORY)
