"""A calendar's members as its server tells them: what is there, what is gone, and the texts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from domain.paths import path_key
from sync.icloud.guard import is_member, is_plainly_in, plain_folder, raw_path
from sync.icloud.members_plain import Member, Members, read_plain
from sync.icloud.multistatus import CALDAV, DAV, Multistatus, Response, parsed_multistatus, read_multistatus
from sync.remote import (
    Changes,
    ETag,
    Fetched,
    Gone,
    Href,
    Listed,
    NameTooLong,
    RemoteChange,
    TokenRefused,
    UnexpectedAnswer,
    etag_as_made,
)

_LONGEST_ETAG = 255
_GONE = {404, 410}


def read_members(body: bytes) -> Members:
    """Raises UnexpectedAnswer for all that is no DAV:multistatus."""
    plain = read_plain(body, _only_member)
    return members_of(read_multistatus(body)) if plain is None else plain


def members_of(answer: Multistatus) -> Members:
    return Members([_member(each) for each in answer.responses], answer.token)


def read_changes(answer: Members, collection_url: str) -> Changes:
    """The answer to a sync-collection (RFC 6578)."""
    if answer.token is None:
        raise UnexpectedAnswer("changes without a token")
    changes, _ = _changes(answer, collection_url)
    return changes


def read_resources(answer: Members, collection_url: str) -> Changes:
    """The answer to a Depth-1 PROPFIND; raises UnexpectedAnswer where the calendar itself is not in it."""
    changes, is_there = _changes(answer, collection_url)
    if not is_there:
        raise UnexpectedAnswer("a listing of something else")
    if changes.is_truncated:
        raise UnexpectedAnswer("a listing that is cut short")
    return replace(changes, token=None)


def read_texts(answer: Members, collection_url: str, asked: Sequence[Href]) -> dict[Href, Fetched]:
    """The answer to a multiget: what was asked for and is there."""
    spelled = {str(href): href for href in asked}
    names: dict[str, Href] = {}
    found: dict[Href, Fetched] = {}
    for member in answer.members:
        href = spelled.get(member.href)
        if href is None:
            names = names or {path_key(each): each for each in asked}
            with suppress(NameTooLong):
                href = names.get(path_key(raw_path(collection_url, member.href)))
        if href is not None and member.text and not member.text.isspace():
            found[href] = Fetched(href, _etag(member) or ETag(""), member.text)
    return found


def _changes(answer: Members, collection_url: str) -> tuple[Changes, bool]:
    """By href, the last word of each: iCloud names some twice, and the collection among its members.

    And whether the collection is named.
    """
    own = path_key(raw_path(collection_url, collection_url))
    folder = plain_folder(own)
    found: dict[str, RemoteChange] = {}
    is_truncated = is_there = False
    is_about_it, too_long = not answer.members, 0
    for member in answer.members:
        if folder is not None and is_plainly_in(folder, member.href):
            path, key, is_ours = Href(member.href), member.href, True
        else:
            try:
                path = raw_path(collection_url, member.href)
            except NameTooLong:
                too_long += member.status not in _GONE
                is_about_it = True  # It may be all that has changed.
                continue
            key = path_key(path)
            is_ours = is_member(path, key, own)
        if key == own:
            is_there = is_about_it = True
            is_truncated = is_truncated or _truncates(member)
            continue
        is_about_it = is_about_it or is_ours or key.startswith(f"{own}/")
        if is_ours and not member.is_collection:
            found[key] = Gone(path) if member.status in _GONE else Listed(path, _etag(member))
    if not is_about_it:
        raise UnexpectedAnswer("changes of something else")
    return Changes(tuple(found.values()), answer.token, is_truncated, too_long), is_there


def _truncates(member: Member) -> bool:
    """507 for the collection itself: more to come (RFC 6578 section 3.6)."""
    if member.status == 507:
        return True
    if member.status is not None and member.status >= 400:
        raise TokenRefused(f"{member.status} for the collection")
    return False


def _etag(member: Member) -> ETag | None:
    if not member.etag:
        return None
    etag = etag_as_made(member.etag)
    if len(etag) > _LONGEST_ETAG:
        raise UnexpectedAnswer("an ETag that is no ETag")
    return etag or None


def _only_member(text: str) -> Member | None:
    found = parsed_multistatus(text).responses
    return _member(found[0]) if len(found) == 1 else None


def _member(response: Response) -> Member:
    types = response.props.get(f"{DAV}resourcetype")
    data = response.props.get(f"{CALDAV}calendar-data")
    return Member(
        href=response.href,
        status=response.status,
        etag=response.text(f"{DAV}getetag"),
        is_collection=types is not None and types.find(f"{DAV}collection") is not None,
        text=None if data is None else "".join(data.itertext()),
    )
