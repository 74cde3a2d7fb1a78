"""What a home shows, by its form: a listing is read at every change, and all but a few words of it is always the same.

The words that differ from calendar to calendar are taken out (hrefs, names, colours, tokens). What is left, a form, is
the same for nearly all calendars of all accounts. It is read once, in general, with marks where the words stood, and
remembered; so it is the general way that says which word means what. Where a form is none, that reads the whole.
"""

from __future__ import annotations

import re
from functools import lru_cache

from domain.calendars import ListedCalendar
from sync.icloud.members_plain import DECLARED, text_of
from sync.icloud.multistatus import (
    Shown,
    listing_of,
    parsed_multistatus,
    read_listing,
    read_multistatus,
    shown_by,
)
from sync.remote import UnexpectedAnswer

_PROLOG = re.compile(rf"(?:{DECLARED})?[ \t\n]*<multistatus[^<>]{{0,500}}>")
_CLOSE = "</response>"
_END = "</multistatus>"
_BLANKS = " \t\n"
_WORD = re.compile(
    r"(<(?:href|displayname|getctag|sync-token|calendar-color)(?: [^<>]*)?>)"
    r"([^<>&]*|<!\[CDATA\[[^\]<]*\]\]>)(?=</)"
)
_CDATA, _CDATA_ENDS = "<![CDATA[", "]]>"
_MARK = "\ue000"
"""Of Unicode's private use; an answer that may have it is read in general."""
_MARKS = tuple(f"{_MARK}{number:02}" for number in range(32))
"""All of a length: a digit after one makes no other one of it."""
_MOST_LETTERS = 1_000_000
"""Of an answer: hundreds of calendars. Of more, each may have a form of its own, and to read those takes longer."""
_MOST_FORMS = 128
_LONGEST_FORM = 8_000
"""Characters: all forms together take 4 MB at most, and those of iCloud some tens of KB."""


def read_home(body: bytes, home_url: str) -> tuple[ListedCalendar, ...]:
    """The answer to a Depth-1 PROPFIND of the home. Raises UnexpectedAnswer."""
    shown = read_by_forms(body)
    return read_listing(read_multistatus(body), home_url) if shown is None else listing_of(shown, home_url)


def read_by_forms(body: bytes) -> list[Shown] | None:
    text = text_of(body) if len(body) <= _MOST_LETTERS else None
    if text is None or _MARK in text:
        return None
    begun = _PROLOG.match(text)
    if begun is None:
        return None
    *parts, end = text[begun.end() :].split(_CLOSE)
    if end.strip(_BLANKS) != _END:
        return None
    found = []
    for part in parts:
        shown = _read(begun[0], part)
        if shown is None or not shown.href:
            return None
        found.append(shown)
    return found


def _read(prolog: str, part: str) -> Shown | None:
    if len(part) > _LONGEST_FORM:
        return None
    pieces = _WORD.split(part)  # Before a word, its start tag, the word; and the end.
    words = pieces[2::3]
    if len(words) > len(_MARKS):
        return None
    pieces[2::3] = _MARKS[: len(words)]
    form = _form(prolog, "".join(pieces))
    if form is None:
        return None
    kind, can_write, *told = form
    meant = dict(zip(_MARKS, map(_plain, words), strict=False))
    return Shown(kind, can_write, *(meant.get(each, each) for each in told))


@lru_cache(maxsize=_MOST_FORMS)
def _form(prolog: str, marked: str) -> Shown | None:
    """None where it is not one response by itself, or where a mark stands for a part of what is told."""
    if "&#" in marked or "<!" in marked or "<?" in marked:
        return None  # A mark by its number; a comment or the like, of which a word may have been the end.
    try:
        found = parsed_multistatus(f"{prolog}{marked}{_CLOSE}{_END}").responses
    except UnexpectedAnswer:
        return None
    if len(found) != 1:
        return None
    shown = shown_by(found[0])
    is_plain = all(each in _MARKS or _MARK not in each for each in shown[2:])
    return shown if is_plain else None


def _plain(word: str) -> str:
    return (word[len(_CDATA) : -len(_CDATA_ENDS)] if word.startswith(_CDATA) else word).strip()
