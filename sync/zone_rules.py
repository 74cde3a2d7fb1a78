"""Which rules this process reads by: one name for all zones that zoneinfo serves, and for how texts are read."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from domain.zone_table import zone_names
from sync.ical.reading import FORM

_VERSION = re.compile(rb"# version (\d{4}[a-z]+)\b")


@cache
def rules_in_use() -> str:
    """Such as `2026f-r001-4c1ab09e2d73f658`: of two the greater is the newer, as tz's own names and our forms are.

    By the files, found as zoneinfo finds them: a system's zones go before those of the package that we pin, and
    either may have been mended by hand. As this process began, which keeps what it once read.
    """
    folders = list(_folders())
    digest = sha256()
    for name in zone_names():
        digest.update(name.encode() + b"\0" + sha256(_file(name, folders)).digest())
    return f"{_version(folders)}-r{FORM:03}-{digest.hexdigest()[:16]}"


def _folders() -> Iterator[Traversable]:
    yield from map(Path, zoneinfo.TZPATH)
    try:
        yield files("tzdata") / "zoneinfo"
    except ModuleNotFoundError:  # Where the system has all zones, nobody misses it.
        return


def _file(name: str, folders: Sequence[Traversable]) -> bytes:
    return next((path.read_bytes() for each in folders if (path := each / name).is_file()), b"")


def _version(folders: Sequence[Traversable]) -> str:
    """Empty where no folder says it: older than any."""
    head = _file("tzdata.zi", folders)[:100]
    found = _VERSION.match(head)
    return found[1].decode() if found else ""
