"""Members as iCloud writes them, looked up in the text of an answer: a tree of a big one takes four times as long.

Here is what is plainly one `response` after the other: an href, an ETag, perhaps a text in CDATA. One that is written
in another way is read by itself, and an answer that has many of them is None here; where this answers, `sync.members`
reads the same in general.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from sync.remote import SyncToken, UnexpectedAnswer

_MOST_ODD = 8
_S = r"[ \t\r\n]*"
_X = r"""(?: xmlns=(?:"DAV:"|'DAV:'))?"""
_WORD = "[^<>&]*"
_CDATA = r"<!\[CDATA\[([^\]]*(?:\](?!\]>)[^\]]*)*)\]\]>"
DECLARED = r"""<\?xml version=["']1\.0["'](?: encoding=["'](?:UTF|utf)-8["'])?(?: standalone=["'](?:yes|no)["'])?\?>"""
_PROLOG = re.compile(rf"(?:{DECLARED})?{_S}<multistatus xmlns=(?:\"DAV:\"|'DAV:')>")
_MEMBER = re.compile(
    rf"{_S}<response{_X}>{_S}<href{_X}>{_S}([^\s<>&]{_WORD})</href>{_S}<propstat{_X}>{_S}<prop{_X}>"
    rf"{_S}<getetag{_X}>({_WORD})</getetag>"
    rf"(?:{_S}<calendar-data xmlns=\"urn:ietf:params:xml:ns:caldav\">{_CDATA}</calendar-data>)?"
    rf"{_S}</prop>{_S}<status{_X}>HTTP/1\.1 200 OK</status>{_S}</propstat>{_S}</response>"
)
_ODD = re.compile(rf"{_S}<response[ >]")
_END = re.compile(rf"{_S}(?:<sync-token{_X}>({_WORD})</sync-token>{_S})?</multistatus>{_S}")
_CLOSE = "</response>"
_NOT_KEPT = bytes({*range(0x20)} - {0x09, 0x0A})
_NOT_XML = ("\ufffe", "\uffff")


class Member(NamedTuple):
    """One `response`, as far as it is told of a calendar's member. `text`: of the calendar-data, where there is one."""

    href: str
    status: int | None
    etag: str
    is_collection: bool
    text: str | None


class Members(NamedTuple):
    members: list[Member]
    token: SyncToken | None


def read_plain(body: bytes, read_one: Callable[[str], Member | None]) -> Members | None:
    """`read_one` reads an answer in general: its one response, None for more or none; it may raise UnexpectedAnswer."""
    text = text_of(body)
    if text is None:
        return None
    begun = _PROLOG.match(text)
    if begun is None:
        return None
    at, members, odd = begun.end(), list[Member](), 0
    while True:
        while (found := _MEMBER.match(text, at)) is not None:
            href, etag, data = found.groups()
            members.append(Member(href.rstrip(), None, etag.strip(), is_collection=False, text=data))
            at = found.end()
        if (ended := _END.fullmatch(text, at)) is not None:
            return Members(members, SyncToken(ended[1].strip()) if ended[1] and ended[1].strip() else None)
        odd += 1
        one, at = _odd(text, at, read_one)
        if one is None or odd > _MOST_ODD:
            return None
        members.append(one)


def _odd(text: str, at: int, read_one: Callable[[str], Member | None]) -> tuple[Member | None, int]:
    """Up to the next end tag: where that belongs to something inside, what is cut out is no whole response."""
    end = text.find(_CLOSE, at) + len(_CLOSE)
    if end <= at or _ODD.match(text, at) is None:
        return None, at
    try:
        return read_one(f'<multistatus xmlns="DAV:">{text[at:end]}</multistatus>'), end
    except UnexpectedAnswer:
        return None, at


def text_of(body: bytes) -> str | None:
    """With line ends as XML has them (XML 1.0 section 2.11); None where there is in it what XML does not take."""
    kept = body.translate(None, _NOT_KEPT)
    if len(body) - len(kept) != body.count(b"\r\n"):
        return None  # A control, or a CR by itself.
    text = kept.decode("utf-8", errors="replace").removeprefix("\ufeff")
    return None if any(each in text for each in _NOT_XML) else text
