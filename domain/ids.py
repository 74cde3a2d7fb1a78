"""Ids: opaque, typed by a prefix, and ordered by the time they were made (UUIDv7, RFC 9562 section 5.7)."""

from __future__ import annotations

import hashlib
from enum import StrEnum

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u to misread.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_LENGTH = 26
_LOWER_HALF = (1 << 65) - 1
_LOWER_KEPT = _LOWER_HALF & ~(0b11 << 62)


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
    digest = int.from_bytes(hashlib.blake2b(_joined(parts), digest_size=16).digest(), "big")
    return f"{kind}_{_encode(_as_version_8(digest))}"


class Family:
    """Derived ids that begin alike: an index keeps those of one family side by side, so that they are stored as one.

    `of` is what they have in common. 63 bits tell families apart, and 63 of each id all it was derived from.
    """

    def __init__(self, kind: Kind, *of: str) -> None:
        self._of = hashlib.blake2b(_joined(of), digest_size=16)
        self._head = f"{kind}_{_encode_half(_as_version_8(int.from_bytes(self._of.digest(), 'big')) >> 65)}"

    def member(self, name: str, count: int = 1) -> str:
        """`count` tells those of one name apart."""
        own = self._of.copy()
        own.update(f"\x1f{name}\x1f{count}".encode())
        # The variant's bits of version 8 lie in this half.
        value = int.from_bytes(own.digest()[7:], "big") & _LOWER_KEPT | 0b10 << 62
        return self._head + _encode_half(value)


def renamed(text: str, kind: Kind) -> str:
    """The same bits as those of another kind's id: for a row that stands and falls with that one."""
    return kind + text[text.index("_") :]


def kind_of(text: str) -> Kind | None:
    """What `text` names, or None where it has not an id's form."""
    prefix, _, rest = text.partition("_")
    if len(rest) != _LENGTH or any(letter not in _ALPHABET for letter in rest) or rest[0] > "7":
        return None
    return next((kind for kind in Kind if kind == prefix), None)


def is_id(text: str, kind: Kind) -> bool:
    return kind_of(text) is kind


def _joined(parts: tuple[str, ...]) -> bytes:
    return "\x1f".join(parts).encode()


def _as_version_8(value: int) -> int:
    """Custom, by RFC 9562 section 5.8."""
    return value & ~(0xF << 76 | 0b11 << 62) | 0x8 << 76 | 0b10 << 62


def _encode(value: int) -> str:
    return _encode_half(value >> 65) + _encode_half(value & _LOWER_HALF)


def _encode_half(value: int) -> str:
    """65 bits as 13 letters, two at a time and written out: a first sync derives tens of thousands."""
    pairs = _PAIRS
    return (
        f"{_ALPHABET[value >> 60]}{pairs[value >> 50 & 1023]}{pairs[value >> 40 & 1023]}{pairs[value >> 30 & 1023]}"
        f"{pairs[value >> 20 & 1023]}{pairs[value >> 10 & 1023]}{pairs[value & 1023]}"
    )
