"""Ids: opaque, typed by a prefix, and ordered by the time they were made (UUIDv7, RFC 9562 section 5.7)."""

from __future__ import annotations

import hashlib
from enum import StrEnum

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_LENGTH = 26


class Kind(StrEnum):
    """What an id names, by its prefix."""

    SUBACCOUNT = "sub"
    USER = "usr"
    KEY = "key"
    ACCOUNT = "acc"
    CALENDAR = "cal"
    RESOURCE = "res"
    EVENT = "evt"
    BLOCKED_SLOT = "blk"
    APPOINTMENT_TYPE = "typ"
    APPOINTMENT = "apt"
    HOLD = "hld"
    AUDIT = "aud"


def new_id(kind: Kind, *, now: float, entropy: bytes) -> str:
    """A fresh id; `entropy` is at least 10 random bytes."""
    milliseconds = int(now * 1000) & (1 << 48) - 1
    random = int.from_bytes(entropy[:10], "big")
    value = (
        milliseconds << 80 | 0x7 << 76 | (random >> 62 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    )
    return f"{kind}_{_encode(value)}"


def derived_id(kind: Kind, *parts: str) -> str:
    """The same id for the same parts: for rows that must keep their name however often they are made anew."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).digest()
    # Version 8: custom, by RFC 9562 section 5.8.
    value = int.from_bytes(digest, "big") & ~(0xF << 76 | 0b11 << 62) | 0x8 << 76 | 0b10 << 62
    return f"{kind}_{_encode(value)}"


def kind_of(text: str) -> Kind | None:
    """What `text` names, or None where it has not an id's form."""
    prefix, _, rest = text.partition("_")
    if len(rest) != _LENGTH or any(letter not in _ALPHABET for letter in rest) or rest[0] > "7":
        return None
    return next((kind for kind in Kind if kind == prefix), None)


def is_id(text: str, kind: Kind) -> bool:
    return kind_of(text) is kind


def _encode(value: int) -> str:
    # Two letters at a time: a first sync derives tens of thousands.
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])
