"""One HTTP answer, and what its status means for us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import ClassVar

from sync.icloud import multistatus
from sync.remote import (
    ETag,
    Forbidden,
    NotThere,
    PasswordRefused,
    ServerFailed,
    StaleWrite,
    Throttled,
    TooLong,
    UnexpectedAnswer,
    etag_as_made,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, as caldav's response type wants to see it; the body is kept from its eager parsing."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    may_be_cut: bool = False
    "It ends with its connection, which may have been lost: only what ends by its own form is known to be whole."
    content: ClassVar[bytes] = b""
    text: ClassVar[str] = ""
    reason: ClassVar[str] = ""


def is_refused_at_all(status: int) -> bool:
    """An error whatever was asked: the sign-in, a call to wait, the server's own failure."""
    return status in {401, 429} or (status >= 500 and status not in {501, 507})


def refuse_at_all(answer: Answer) -> None:
    status = answer.status_code
    if not is_refused_at_all(status):
        return
    if status == 401:
        raise PasswordRefused("the name or the password was refused")
    if status in {429, 503}:
        raise Throttled(_seconds(answer.headers.get("Retry-After"), answer.headers.get("Date")))
    raise ServerFailed(f"the server failed ({status})")


def refuse(answer: Answer) -> None:
    match answer.status_code:
        case 404 | 410:
            raise NotThere("there is no such address")
        case 403:
            raise Forbidden("not allowed")


def expect_multistatus(answer: Answer) -> None:
    refuse(answer)
    if answer.status_code != 207:
        raise UnexpectedAnswer(f"{answer.status_code} where 207 was due")
    if not answer.body.strip():
        raise UnexpectedAnswer("an empty answer")


_DONE = frozenset({200, 201, 204})
"""RFC 9110 sections 9.3.4 and 9.3.5. What another success means for a write is seen by looking for it."""


def refuse_write(answer: Answer) -> None:
    status = answer.status_code
    if status in _DONE and not (status == 200 and is_page(answer.body)):
        return
    named = multistatus.read_error(answer.body) if status in {403, 409} else frozenset()
    if status == 412 or named & multistatus.UID_CONFLICT:
        raise StaleWrite("the object is not as it was")
    if status in {404, 409, 410}:
        raise NotThere("there is no such calendar or object")
    if status == 413 or multistatus.MAX_SIZE in named:
        raise TooLong(f"it is too long for the calendar ({status})")
    if status in {403, 405, 415, 507}:
        why = ", ".join([str(status), *sorted(tag.rpartition("}")[2][:60] for tag in named)])
        raise Forbidden(f"the calendar refused it ({why})")
    raise UnexpectedAnswer(f"{status} for a write")


def is_page(body: bytes) -> bool:
    """For people, in place of an answer: to sign in, or of something that stands before the server."""
    return body[:200].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def etag_of(answer: Answer) -> ETag | None:
    told = (answer.headers.get("ETag") or "").strip()
    etag = etag_as_made(told) if told else ETag("")
    return etag if 0 < len(etag) <= 255 else None


def _seconds(waits: str | None, date: str | None) -> float | None:
    """A number of seconds, or a date by the server's own clock (RFC 9110 section 10.2.3)."""
    text = (waits or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        return (parsedate_to_datetime(text) - parsedate_to_datetime(date or "")).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
