"""One resource, and one calendar, has many spellings: `%40` or `@`, `%2b` or `%2B`. The one that is held stays."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from domain.calendars import ListedCalendar
from domain.paths import path_key
from sync.remote import Href, Listed, RemoteChange

_ONE_SPELLING = re.compile(r"[A-Za-z0-9/._-]+", re.ASCII)
"""What nobody escapes; `~` was once to be (RFC 2396)."""


def is_odd(href: Href) -> bool:
    """Whether it is likely to be spelled in another way too."""
    return _ONE_SPELLING.fullmatch(href) is None


def beginning(hrefs: Sequence[Href]) -> str:
    """The longest beginning that all spellings of all of them share."""
    first, last = min(hrefs), max(hrefs)
    ends = next(
        (at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first)
    )
    found = _ONE_SPELLING.match(first[:ends])
    return found[0] if found else ""


def as_held(changes: Sequence[RemoteChange], held: Iterable[Href]) -> tuple[RemoteChange, ...]:
    """In the spellings that are held, or that they themselves began with; the last word of each counts.

    Where one spelling is there and another is gone, it is there: whoever asks for it learns the rest.
    """
    if not any(is_odd(change.href) for change in changes):
        return tuple(changes)
    spelled = {path_key(href): href for href in held}
    there: dict[str, Href] = {}
    found: dict[str, RemoteChange] = {}
    for change in changes:
        key = path_key(change.href)
        if isinstance(change, Listed):
            there[key] = change.href
        elif there.get(key, change.href) != change.href:
            continue
        href = spelled.setdefault(key, change.href)
        found[key] = change if href == change.href else change._replace(href=href)
    return tuple(found.values())


def calendars_as_held(listed: Iterable[ListedCalendar], held: Iterable[str]) -> tuple[ListedCalendar, ...]:
    """With the paths that are held, of which the first spelling of each counts."""
    spelled: dict[str, str] = {}
    for path in held:
        spelled.setdefault(path_key(path), path)
    return tuple(replace(each, path=spelled.get(path_key(each.path), each.path)) for each in listed)


def spelled_anew(hrefs: Iterable[Href], listed: Iterable[RemoteChange]) -> set[Href]:
    """Those of them that are listed, in another spelling."""
    odd = {path_key(href): href for href in hrefs if is_odd(href)}
    return {
        odd[key] for each in listed if odd and (key := path_key(each.href)) in odd and each.href != odd[key]
    }
