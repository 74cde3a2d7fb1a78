"""What iCloud changes in an object that is put: zones, the owner's own address, and rules it does not like."""

import re
from collections.abc import Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from standin.catalog import Account
from standin.event_text import as_text, zone_lines
from standin.ics import unfolded
from standin.manners import Manners

_ZONE = re.compile(r"^BEGIN:VTIMEZONE\r?\n.*?^END:VTIMEZONE\r?\n", re.DOTALL | re.MULTILINE)
_ZONE_NAME = re.compile(r"^TZID:(.+?)\r?$", re.MULTILINE)
_YEAR = re.compile(r"^DTSTART[^:\n]*:(\d{4})", re.MULTILINE)
_PERSON = re.compile(r"^(ATTENDEE|ORGANIZER)\b", re.IGNORECASE)


def rewritten(text: str, account: Account, manners: Manners) -> str:
    """The same text, byte for byte, where there is nothing to change."""
    if manners.zones_replaced and "BEGIN:VTIMEZONE" in text:
        text = _with_own_zones(text)
    lines = list(unfolded(text))
    changed = list(_rewritten(lines, account, manners))
    return text if changed == lines else as_text(changed)


def _with_own_zones(text: str) -> str:
    found = _YEAR.search(text, max(text.find("\nBEGIN:VEVENT"), 0))  # Zones have a DTSTART, too.
    year = min(max(int(found[1]), 1970), 2100) if found else 2000
    return _ZONE.sub(lambda zone: _own_zone(zone[0], year), text)


def _own_zone(theirs: str, year: int) -> str:
    """ICloud's full definition, of a zone that it knows."""
    name = _ZONE_NAME.search(theirs)
    if name is None or name[1] == "UTC":
        return theirs
    try:
        ZoneInfo(name[1])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return theirs
    return as_text(zone_lines(name[1], year))


def _rewritten(lines: list[str], account: Account, manners: Manners) -> Iterator[str]:
    inside: list[str] = []
    for line in lines:
        if line.startswith("BEGIN:"):
            inside.append(line[6:])
        elif line.startswith("END:"):
            del inside[-1:]
        if manners.weekly_needs_byday and inside[-1:] == ["VEVENT"] and _is_bare_weekly(line):
            continue
        if manners.own_address_rewritten and _PERSON.match(line):
            yield _with_principal(line, account)
        else:
            yield line


def _is_bare_weekly(line: str) -> bool:
    return line.startswith("RRULE:") and "FREQ=WEEKLY" in line and "BYDAY" not in line


def _with_principal(line: str, account: Account) -> str:
    """The owner is named by their principal's path; EMAIL= goes on telling which address it was."""
    head, mailto, address = line.rpartition(":mailto:")
    if not mailto:
        head, mailto, address = line.rpartition(":MAILTO:")
    if not mailto or address.strip().casefold() not in {name.casefold() for name in account.sign_in_names}:
        return line
    email = "" if ";EMAIL=" in head.upper() else f";EMAIL={address.strip()}"
    return f"{head}{email}:{account.principal}"
