"""Who each key speaks for, as last read: for so short a time that a revoked one is soon refused."""

from __future__ import annotations

from collections import OrderedDict

from domain.actor import Actor

TRUSTED_FOR = 2.0
"""Seconds. A key revoked by another process is refused after them."""

_MOST = 10_000


class Keyring:
    """By the hash of the secret; holds no secret."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, tuple[Actor, float]] = OrderedDict()

    def find(self, secret_hash: str, *, now: float) -> Actor | None:
        actor, read_at = self._read.get(secret_hash, (None, 0.0))
        # A clock set back makes nothing younger.
        return actor if 0 <= now - read_at < TRUSTED_FOR else None

    def keep(self, secret_hash: str, actor: Actor, *, now: float) -> None:
        self._read[secret_hash] = (actor, now)
        self._read.move_to_end(secret_hash)
        if len(self._read) > _MOST:
            self._read.popitem(last=False)

    def forget(self, secret_hash: str) -> None:
        self._read.pop(secret_hash, None)

    def forget_user(self, user_id: str) -> None:
        for secret_hash in [known for known, (actor, _) in self._read.items() if actor.user == user_id]:
            del self._read[secret_hash]
