"""Ports of loopback that nobody listens at."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

_BELOW_OUTGOING = range(10_000, 32_768)
"""Any connection that is opened takes one of those above."""
_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """This process's for as long as it lives: until its server listens there, another that asks is given others."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_BELOW_OUTGOING)
        if port not in _given and _is_reserved(port) and _is_free(port):
            _given.add(port)
            found.append(port)
    return found


def _is_reserved(port: int) -> bool:
    """By a lock on one byte of a file, which ends with its process."""
    try:
        fcntl.lockf(_reservations(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _reservations() -> int:
    """Open to the process's end: to close it would let go of all."""
    path = Path(tempfile.gettempdir()) / f"slotwire-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
