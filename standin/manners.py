"""Which of iCloud's manners the stand-in shows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """One switch a manner that a test may want to see without. The defaults are what has been captured from iCloud."""

    realm: str = "MMCalDav"
    basic_first: bool = True  # The order of the two challenges varies in captures.
    deep_root_refused: bool = True  # Depth 1 on `/` and on the principal is a 400.
    collection_in_sync: bool = True  # A sync answer that has changes lists the collection itself.
    any_match_backwards: bool = True  # `If-Match: *` is refused on what exists, and creates what does not.
    account_wide_uids: bool = True
    end_required: bool = True  # A VEVENT without DTEND and DURATION is a 404.
    moved_override_missed: bool = True  # A time range sees an occurrence only at its original date.
    etag_on_put: bool = True
    valid_sync_token_named: bool = True  # Off: a refused token is a bare 403.


STRICT = Manners()
