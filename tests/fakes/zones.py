"""Zones as a release of the time zone data brings them: files of our own, that zoneinfo finds before all others."""

from __future__ import annotations

import struct
import zoneinfo
from collections.abc import Callable, Mapping
from pathlib import Path

from domain import zone_table
from sync import zone_rules
from sync.ical import resource as ical

_NONE = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4) + struct.pack(">lBB", 0, 0, 0) + b"LMT\0"


def issue(folder: Path, version: str, zones: Mapping[str, str]) -> None:
    """From now on, as in a process that begins. `zones`: by name, as POSIX's TZ says it (RFC 9636 section 3.3)."""
    folder.mkdir()
    (folder / "tzdata.zi").write_text(f"# version {version}\n# of a test\n")
    for name, rule in zones.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_NONE * 2 + f"\n{rule}\n".encode())
    serve([folder])


def serve(folders: list[Path] | None) -> None:
    """From these, and then the package; where there are none, from the machine's own."""
    zoneinfo.reset_tzpath(to=None if folders is None else [str(folder) for folder in folders])
    zoneinfo.ZoneInfo.clear_cache()
    for forget in _CACHES:
        forget()


_CACHES: tuple[Callable[[], None], ...] = (
    zone_table.find_zone.cache_clear,
    zone_table._names_by_lower_case.cache_clear,
    ical._known_zone.cache_clear,
    zone_rules.rules_in_use.cache_clear,
)
