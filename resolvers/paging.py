"""Keyset pages: how many, after what, and cursors that hold the keys of their item."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from domain.interval import Span
from resolvers.outcomes import InvalidInput
from resolvers.views import Page

MOST_AT_ONCE = 200
MOST_DAYS = 400
_DAY = 86_400
_LONGEST = 4_000  # A cursor of the longest name that fits its column, each letter escaped.

Keys = tuple[str | int, ...]
Row = TypeVar("Row")
View = TypeVar("View")


@dataclass(frozen=True, slots=True)
class Asked:
    """`after` holds the keys of the item before the page: for the first page, some that come before every item."""

    listing: str
    first: int
    after: Keys
    is_first_page: bool


def read_page(listing: str, first: int | None, after: str | None, *, start: Keys) -> Asked | InvalidInput:
    """What page of `listing` is asked for; `start` holds the keys that come before every item."""
    if refusal := check_first(first):
        return refusal
    assert first is not None
    if after is None:
        return Asked(listing, first, start, is_first_page=True)
    keys = _read_cursor(listing, after, start)
    if keys is None:
        return InvalidInput(
            "This is not a cursor of this list: give one that a page of it ended with.", "after"
        )
    return Asked(listing, first, keys, is_first_page=False)


def check_first(first: int | None) -> InvalidInput | None:
    if first is None or not 1 <= first <= MOST_AT_ONCE:
        return InvalidInput(f"Ask for 1 to {MOST_AT_ONCE} at once.", "first")
    return None


def page_of(
    asked: Asked, rows: Sequence[Row], *, keys: Callable[[Row], Keys], view: Callable[[Row], View]
) -> Page[View]:
    """A page from its rows and, where there is one, the row after them: `asked.first + 1` were looked for."""
    shown = rows[: asked.first]
    return Page(
        items=tuple(view(row) for row in shown),
        cursors=tuple(write_cursor(asked.listing, keys(row)) for row in shown),
        has_next=len(rows) > asked.first,
        has_previous=not asked.is_first_page,
    )


def read_range(from_: int, to: int, *, most_days: int = MOST_DAYS) -> Span | InvalidInput:
    if to <= from_:
        return InvalidInput("Let the range end after it starts: `to` is after `from`.", "to")
    if to - from_ > most_days * _DAY:
        return InvalidInput(f"Ask for at most {most_days} days at once.", "to")
    return Span(from_, to)


def write_cursor(listing: str, keys: Keys) -> str:
    text = json.dumps([listing, *keys], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(listing: str, cursor: str, form: Keys) -> Keys | None:
    """Its keys, where they are of this listing and of the types in `form`."""
    if len(cursor) > _LONGEST:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        stored = json.loads(text)
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(stored, list) or len(stored) != 1 + len(form) or stored[0] != listing:
        return None
    keys = tuple(stored[1:])
    return keys if all(_is_key(key, like) for key, like in zip(keys, form, strict=True)) else None


def _is_key(key: object, like: str | int) -> bool:
    match key:
        case bool():
            return False
        case int():
            return isinstance(like, int) and abs(key) < 1 << 62
        case str():
            # PostgreSQL stores no NUL, and neither database a lone surrogate: nothing stored can have it.
            return (
                isinstance(like, str) and "\0" not in key and not any("\ud800" <= c <= "\udfff" for c in key)
            )
        case _:
            return False
