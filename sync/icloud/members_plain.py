"""Members as iCloud writes them, looked up in the text of an answer: a tree of a big one takes four times as long.

Here is what is plainly one `response` after the other: an href, an ETag, perhaps a text in CDATA. One that is written
in another way is read by itself, and an answer that has many of them is None here; where this answers,
`sync.icloud.members` reads the same in general.
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
# Bytes, of which each word is decoded by itself: one wide letter would make all of an answer four times as big.
_PROLOG = re.compile(
    rf"(?:\xef\xbb\xbf)?(?:{DECLARED})?{_S}<multistatus xmlns=(?:\"DAV:\"|'DAV:')>".encode("latin-1")
)
_MEMBER = re.compile(
    rf"{_S}<response{_X}>{_S}<href{_X}>{_S}((?![<>&])[!-~]{_WORD})</href>{_S}<propstat{_X}>{_S}<prop{_X}>"
    rf"{_S}<getetag{_X}>({_WORD})</getetag>"
    rf"(?:{_S}<calendar-data xmlns=\"urn:ietf:params:xml:ns:caldav\">{_CDATA}</calendar-data>)?"
    rf"{_S}</prop>{_S}<status{_X}>HTTP/1\.1 200 OK</status>{_S}</propstat>{_S}</response>".encode()
)
_ODD = re.compile(rf"{_S}<response[ >]".encode())
_END = re.compile(rf"{_S}(?:<sync-token{_X}>({_WORD})</sync-token>{_S})?</multistatus>{_S}".encode())
_CLOSE = b"</response>"
_CR_ALONE = re.compile(rb"\r(?!\n)")
_CONTROLS_AS_NUL = bytes(0 if each < 0x20 and each not in b"\t\n" else each for each in range(256))
_FAR = "\uffff".encode()[:1]
_NO_LETTER = re.compile("\ufffe|\uffff".encode())
_new = tuple.__new__  # What a NamedTuple does in the end, in a third of the time.


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
    answer = _kept(body)
    begun = None if answer is None else _PROLOG.match(answer)
    if answer is None or begun is None:
        return None
    at, members, odd = begun.end(), list[Member](), 0
    while True:
        while (found := _MEMBER.match(answer, at)) is not None:
            href, etag, data = found.groups()
            text = None if data is None else data.decode("utf-8", "replace")
            members.append(_new(Member, (_word(href), None, _word(etag), False, text)))
            at = found.end()
        if (ended := _END.fullmatch(answer, at)) is not None:
            token = _word(ended[1] or b"")
            return Members(members, SyncToken(token) if token else None)
        odd += 1
        one, at = _odd(answer, at, read_one)
        if one is None or odd > _MOST_ODD:
            return None
        members.append(one)


def _odd(answer: bytes, at: int, read_one: Callable[[str], Member | None]) -> tuple[Member | None, int]:
    """Up to the next end tag: where that belongs to something inside, what is cut out is no whole response."""
    end = answer.find(_CLOSE, at) + len(_CLOSE)
    if end <= at or _ODD.match(answer, at) is None:
        return None, at
    try:
        return read_one(
            f'<multistatus xmlns="DAV:">{answer[at:end].decode("utf-8", "replace")}</multistatus>'
        ), end
    except UnexpectedAnswer:
        return None, at


def _word(written: bytes) -> str:
    return written.decode("utf-8", "replace").strip()


def text_of(body: bytes) -> str | None:
    """All of an answer, where that is little. None as below."""
    kept = _kept(body)
    return None if kept is None else kept.decode("utf-8", "replace").removeprefix("\ufeff")


def _kept(body: bytes) -> bytes | None:
    """With line ends as XML has them (XML 1.0 section 2.11); None where there is in it what XML does not take."""
    if _CR_ALONE.search(body):
        return None
    kept = body.translate(_CONTROLS_AS_NUL, b"\r")
    # One byte is looked for much faster than several, and of these there are next to none.
    is_odd = b"\0" in kept or (_FAR in kept and _NO_LETTER.search(kept) is not None)
    return None if is_odd else kept
