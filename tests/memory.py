"""A file system in memory, for files that nobody needs after a run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
_MACHINES = Path("/proc/meminfo")
_ROOM = 2 << 30
"""Bytes: PostgreSQL's log alone may grow to one GiB. A container often has 64 MiB there."""


def memory() -> str | None:
    """Where it is, or None: there is none, or it has too little room."""
    if not _SHARED_MEMORY.is_dir() or not _MACHINES.is_file():
        return None
    has_room = shutil.disk_usage(_SHARED_MEMORY).free >= _ROOM and can_spare(_ROOM, _MACHINES.read_text())
    return str(_SHARED_MEMORY) if has_room else None


def can_spare(room: int, told: str) -> bool:
    """What the file system may take says nothing of that: it is half of the machine's memory, in use or not."""
    available = re.search(r"^MemAvailable: +(\d+) kB$", told, re.MULTILINE)
    return available is not None and int(available[1]) * 1024 >= room
