"""The XML bodies that are sent: properties by name, since iCloud gives almost none unasked."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from sync.remote import Href, SyncToken

# iCloud refuses a body whose first byte is not the prolog's.
_PROLOG = '<?xml version="1.0" encoding="utf-8"?>'
_SPACES = (
    'xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav" '
    'xmlns:cs="http://calendarserver.org/ns/" xmlns:a="http://apple.com/ns/ical/"'
)

PRINCIPAL_QUERY = f"{_PROLOG}<d:propfind {_SPACES}><d:prop><d:current-user-principal/></d:prop></d:propfind>"
HOME_QUERY = (
    f"{_PROLOG}<d:propfind {_SPACES}><d:prop><c:calendar-home-set/><c:calendar-user-address-set/>"
    "<d:displayname/></d:prop></d:propfind>"
)
LISTING_QUERY = (
    f"{_PROLOG}<d:propfind {_SPACES}><d:prop><d:resourcetype/><d:displayname/>"
    "<c:supported-calendar-component-set/><d:current-user-privilege-set/><cs:getctag/><d:sync-token/>"
    "<a:calendar-color/></d:prop></d:propfind>"
)
RESOURCES_QUERY = (
    f"{_PROLOG}<d:propfind {_SPACES}><d:prop><d:resourcetype/><d:getetag/></d:prop></d:propfind>"
)


def changes_query(token: SyncToken | None) -> str:
    return (
        f"{_PROLOG}<d:sync-collection {_SPACES}><d:sync-token>{escape(token or '')}</d:sync-token>"
        "<d:sync-level>1</d:sync-level><d:prop><d:getetag/></d:prop></d:sync-collection>"
    )


def texts_query(hrefs: Sequence[Href]) -> str:
    asked = "".join(f"<d:href>{escape(href)}</d:href>" for href in hrefs)
    return (
        f"{_PROLOG}<c:calendar-multiget {_SPACES}><d:prop><d:getetag/><c:calendar-data/></d:prop>"
        f"{asked}</c:calendar-multiget>"
    )
