"""Radicale's file storage without the bookkeeping that the stand-in does itself.

Radicale loads it by its module name (`[storage] type`). The stand-in issues its own sync tokens and holds
an account-wide index of UIDs, so Radicale's history folder and its search for a UID, both of which read the
whole collection on every PUT, are left out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from radicale import item as radicale_item
from radicale.storage import multifilesystem

_TEXT: ContextVar[str | None] = ContextVar("text", default=None)


@contextmanager
def verbatim(text: str) -> Iterator[None]:
    """What is uploaded within is stored byte for byte, as iCloud stores it, and not as Radicale sorts it."""
    token = _TEXT.set(text)
    try:
        yield
    finally:
        _TEXT.reset(token)


class Collection(multifilesystem.Collection):  # type: ignore[misc]
    def upload(self, href: str, item: radicale_item.Item) -> Any:
        text = _TEXT.get()
        if text is not None:
            item._text, item._etag = text, None  # noqa: SLF001 - there is no door for it.
        return super().upload(href, item)

    def has_uid(self, uid: str) -> bool:
        del uid
        return False

    def _update_history_etag(self, href: str, item: radicale_item.Item | None) -> str:
        del href, item
        return ""

    def _clean_history(self) -> None: ...


class Storage(multifilesystem.Storage):  # type: ignore[misc]
    _collection_class = Collection
