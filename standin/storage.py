"""Radicale's file storage without the bookkeeping that the stand-in does itself.

Radicale loads it by its module name (`[storage] type`). The stand-in issues its own sync tokens and holds
an account-wide index of UIDs, so Radicale's history folder and its search for a UID, both of which read the
whole collection on every PUT, are left out.
"""

from radicale import item as radicale_item
from radicale.storage import multifilesystem


class Collection(multifilesystem.Collection):  # type: ignore[misc]
    def has_uid(self, uid: str) -> bool:
        del uid
        return False

    def _update_history_etag(self, href: str, item: radicale_item.Item | None) -> str:
        del href, item
        return ""

    def _clean_history(self) -> None: ...


class Storage(multifilesystem.Storage):  # type: ignore[misc]
    _collection_class = Collection
