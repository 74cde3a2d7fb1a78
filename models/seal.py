"""Sealed secrets: AES-256-GCM, bound to their row, under a key with an id, so that keys can be rotated."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_VERSION = b"\x01"


class UnsealError(Exception):
    """The key is missing or wrong, or the sealed bytes belong to another row."""


class Secret:
    """A secret in memory: never shown by repr, str, format or a traceback's locals."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals with the newest key, opens with any of `keys` (id to 32 bytes)."""

    keys: Mapping[str, bytes] = field(repr=False)
    newest: str

    def seal(self, secret: Secret, *, row: str) -> bytes:
        """`version | length of key id | key id | nonce | ciphertext`; `row` must be the same to open it."""
        nonce = os.urandom(_NONCE)
        key_id = self.newest.encode()
        box = AESGCM(self.keys[self.newest]).encrypt(nonce, secret.reveal().encode(), row.encode())
        return _VERSION + bytes([len(key_id)]) + key_id + nonce + box

    def unseal(self, sealed: bytes, *, row: str) -> Secret:
        """Raises UnsealError."""
        key_id, nonce, box = _parts(bytes(sealed))
        key = self.keys.get(key_id)
        if key is None:
            raise UnsealError(f"There is no sealing key {key_id!r}.")
        try:
            return Secret(AESGCM(key).decrypt(nonce, box, row.encode()).decode())
        except InvalidTag:
            raise UnsealError("The sealing key or the row is not the one it was sealed with.") from None

    def is_sealed_with_newest(self, sealed: bytes) -> bool:
        return _parts(bytes(sealed))[0] == self.newest


def _parts(sealed: bytes) -> tuple[str, bytes, bytes]:
    if len(sealed) < 2 or sealed[:1] != _VERSION:
        raise UnsealError("The sealed bytes are of an unknown form.")
    start = 2 + sealed[1]
    return sealed[2:start].decode(errors="replace"), sealed[start : start + _NONCE], sealed[start + _NONCE :]


def derive(key: bytes, purpose: str, text: str) -> str:
    """An HMAC-SHA-256 in hex of `text`, of no use for another purpose."""
    return hmac.new(key, f"{purpose}\x1f{text}".encode(), hashlib.sha256).hexdigest()
