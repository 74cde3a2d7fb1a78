"""A path on a calendar server has many spellings: when two of them are one."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

PLAIN = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9_.~-]+)+/?", re.ASCII)
"""A path that is the same however it is resolved and quoted."""


def path_key(path: str) -> str:
    """One spelling for all of a path's: `%40` and `@` are the same, `%2F` and `/` are not."""
    if PLAIN.fullmatch(path):
        return path.rstrip("/")
    return "/".join(map(_one_spelling, path.split("/"))).rstrip("/")


def _one_spelling(segment: str) -> str:
    """Octets that are no UTF-8 stay what they are: two such names are two."""
    return quote(unquote(segment, errors="surrogateescape"), safe="", errors="surrogateescape")
