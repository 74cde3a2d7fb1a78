"""Documents that clients name by their SHA-256: sent whole once, then by hash, in URLs that can be cached."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from server.request import Asked

NOT_FOUND = "PersistedQueryNotFound"
"""Word for word: it is what tells Apollo's and urql's clients to send the document."""

NOT_ITS_HASH = "The hash in `extensions.persistedQuery` is not the document's SHA-256."
_MOST_BYTES = 16 * 1024 * 1024


class Documents:
    """By subaccount, so that a hash tells none of them what another one asks. Past its size the longest unused go."""

    def __init__(self, *, most_bytes: int = _MOST_BYTES) -> None:
        self._kept: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._bytes = 0
        self._most_bytes = most_bytes

    def find(self, asked: Asked, *, subaccount: str) -> str | None:
        """The text that is meant; None where a hash is not known, or no longer."""
        if asked.query is not None:
            return asked.query
        key = (subaccount, asked.sha256 or "")
        text = self._kept.get(key)
        if text is not None:
            self._kept.move_to_end(key)
        return text

    def keep(self, asked: Asked, *, subaccount: str) -> None:
        """Once the document is known to be a good one: what can't be run takes no room."""
        if asked.query is None or asked.sha256 is None or (subaccount, asked.sha256) in self._kept:
            return
        self._kept[subaccount, asked.sha256] = asked.query
        self._bytes += _size(asked.query)
        while self._bytes > self._most_bytes:
            _, text = self._kept.popitem(last=False)
            self._bytes -= _size(text)

    def __len__(self) -> int:
        return len(self._kept)


def is_its_hash(asked: Asked) -> bool:
    """Of a request that carries both: what is kept under a hash has it."""
    if asked.query is None or asked.sha256 is None:
        return True
    return hashlib.sha256(asked.query.encode()).hexdigest() == asked.sha256


def _size(text: str) -> int:
    # What CPython takes for it at most, and the key beside it.
    return 4 * len(text) + 256
