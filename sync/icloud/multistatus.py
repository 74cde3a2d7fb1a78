"""What a multistatus answer says. Absence is never concluded from one of a wrong shape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree import ElementTree as ET
from xml.parsers import expat

from domain.calendars import CalendarKind, ListedCalendar
from domain.paths import path_key
from sync.icloud.guard import LONGEST, raw_path
from sync.remote import NameTooLong, NotThere, SyncToken, UnexpectedAnswer

DAV, CALDAV = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}"
_D, _C = DAV, CALDAV
_CS, _A = "{http://calendarserver.org/ns/}", "{http://apple.com/ns/ical/}"
# Preconditions that an error names.
VALID_SYNC_TOKEN = f"{_D}valid-sync-token"
MAX_SIZE = f"{_C}max-resource-size"
UID_CONFLICT = frozenset({f"{_C}no-uid-conflict", f"{_C}unique-scheduling-object-resource"})
_STATUS = re.compile(r"[0-9]{3}")
_BLANKS = re.compile(r"\s*")
_SKIPPED = (("<?", "?>"), ("<!--", "-->"))
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_FEED = 1 << 16
_MOST_TAGS = 2_000_000
"""Of an answer that a tree is made of: a listing of all that an iCloud account may hold has a million."""
_LONGEST_TAG = 1 << 18
"""Bytes of a tag or a comment: what is not whole yet is read again with each piece."""
_WRITES = frozenset(f"{_D}{name}" for name in ("all", "write", "write-content", "bind"))
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}(?:[0-9A-Fa-f]{2})?")
_LONGEST_NAME = 255
_LONGEST_PATH = LONGEST - 100


@dataclass(frozen=True, slots=True)
class Response:
    """One DAV:response: its href as received, its own status, and the properties that the server does give."""

    href: str
    status: int | None
    props: dict[str, ET.Element]

    def text(self, name: str) -> str:
        found = self.props.get(name)
        return "" if found is None else "".join(found.itertext()).strip()


@dataclass(frozen=True, slots=True)
class Multistatus:
    responses: tuple[Response, ...]
    token: SyncToken | None


def read_multistatus(body: bytes) -> Multistatus:
    """Raises UnexpectedAnswer for all that is no DAV:multistatus."""
    return parsed_multistatus(body.decode("utf-8", errors="replace").removeprefix("\ufeff"))


def parsed_multistatus(text: str) -> Multistatus:
    root = _parse(text)
    if root.tag != f"{_D}multistatus":
        raise UnexpectedAnswer("not a multistatus")
    token = (root.findtext(f"{_D}sync-token") or "").strip()
    return Multistatus(
        tuple(map(_response, root.iterfind(f"{_D}response"))), SyncToken(token) if token else None
    )


def read_error(body: bytes) -> frozenset[str]:
    """The preconditions that a DAV:error names (RFC 4918 section 16); none where it is something else."""
    try:
        root = _parse(body.decode("utf-8", errors="replace"))
    except UnexpectedAnswer:
        return frozenset()
    return frozenset(child.tag for child in root) if root.tag == f"{_D}error" else frozenset()


def read_principal(answer: Multistatus) -> str | None:
    """The href of the one who asks, if the server tells it here."""
    found = _only(answer).props.get(f"{_D}current-user-principal")
    href = None if found is None else found.findtext(f"{_D}href")
    return (href or "").strip() or None


def read_home_set(answer: Multistatus) -> tuple[str, frozenset[str]]:
    """The calendar home's href, and the principal's own addresses in lower case."""
    response = _only(answer)
    home = response.props.get(f"{_C}calendar-home-set")
    href = "" if home is None else (home.findtext(f"{_D}href") or "").strip()
    if not href:
        raise UnexpectedAnswer("no calendar home")
    addresses = response.props.get(f"{_C}calendar-user-address-set")
    hrefs = [] if addresses is None else [(each.text or "").strip() for each in addresses.iter(f"{_D}href")]
    return href, frozenset(text.lower().removeprefix("mailto:") for text in hrefs if text)


class Shown(NamedTuple):
    """What the home shows of one of its members: `kind` is None where it is no calendar. The rest is as written."""

    kind: CalendarKind | None
    can_write: bool
    href: str
    name: str
    color: str
    ctag: str
    sync_token: str


def read_listing(answer: Multistatus, home_url: str) -> tuple[ListedCalendar, ...]:
    """The calendars among what the home shows; raises UnexpectedAnswer where the home itself is not in it."""
    return listing_of(map(shown_by, answer.responses), home_url)


def listing_of(members: Iterable[Shown], home_url: str) -> tuple[ListedCalendar, ...]:
    found: dict[str, ListedCalendar] = {}
    home = path_key(raw_path(home_url, home_url))
    inside = f"{home}/"
    is_home_there = False
    for shown in members:
        try:
            path = raw_path(home_url, shown.href)
        except NameTooLong:
            continue
        key = path_key(path)
        is_home_there = is_home_there or key == home
        is_inside = key == home or key.startswith(inside)
        # Of a longer one the names of our own events could not be kept.
        if shown.kind is not None and is_inside and key not in found and len(path) < _LONGEST_PATH:
            found[key] = _calendar(shown, shown.kind, path if path.endswith("/") else f"{path}/")
    if not is_home_there:
        raise UnexpectedAnswer("a listing of something else")
    return tuple(found.values())


def refuse_absent(answer: Multistatus) -> None:
    """Some servers say with a 207 that what was asked for is not there."""
    if answer.responses and all(each.status in {404, 410} for each in answer.responses):
        raise NotThere("there is no such address")


def shown_by(response: Response) -> Shown:
    kind = _kind(response)
    return Shown(
        kind,
        kind is not CalendarKind.SUBSCRIPTION and _can_write(response),
        response.href,
        name=response.text(f"{_D}displayname"),
        color=response.text(f"{_A}calendar-color"),
        ctag=response.text(f"{_CS}getctag"),
        sync_token=response.text(f"{_D}sync-token"),
    )


def _calendar(shown: Shown, kind: CalendarKind, path: str) -> ListedCalendar:
    name = shown.name or path.rstrip("/").rpartition("/")[2]
    color = _COLOR.fullmatch(shown.color)
    return ListedCalendar(
        path=path,
        name=name[:_LONGEST_NAME],
        color=color[0][:7].upper() if color else None,
        kind=kind,
        can_write=shown.can_write,
        # Both change with the content; on iCloud they are one.
        token=shown.ctag or shown.sync_token or None,
    )


def _kind(response: Response) -> CalendarKind | None:
    types = response.props.get(f"{_D}resourcetype")
    tags = set() if types is None else {child.tag for child in types}
    # A subscription is none of ours to read, whatever else it calls itself.
    if f"{_CS}subscribed" in tags:
        return CalendarKind.SUBSCRIPTION
    if f"{_C}calendar" not in tags:
        return None
    components = response.props.get(f"{_C}supported-calendar-component-set")
    names = set() if components is None else {(child.get("name") or "").upper() for child in components}
    # None told: all of them (RFC 4791 section 5.2.3). So it is with some that are shared.
    return CalendarKind.EVENTS if not names or "VEVENT" in names else CalendarKind.REMINDERS


def _can_write(response: Response) -> bool:
    """Privileges that are not told are tried; a refused write then tells."""
    privileges = response.props.get(f"{_D}current-user-privilege-set")
    if privileges is None:
        return True
    return any(leaf.tag in _WRITES for each in privileges for leaf in each)


def _only(answer: Multistatus) -> Response:
    """The one response of a Depth-0 answer, whatever its href says: iCloud once answered for another path."""
    if len(answer.responses) != 1:
        raise UnexpectedAnswer(f"{len(answer.responses)} responses where one was asked for")
    return answer.responses[0]


def _response(element: ET.Element) -> Response:
    href = (element.findtext(f"{_D}href") or "").strip()
    if not href:
        raise UnexpectedAnswer("a response without an href")
    return Response(href, _status(element), {prop.tag: prop for prop in _given(element)})


def _given(element: ET.Element) -> Iterator[ET.Element]:
    """The properties of 2xx propstats; one without a status counts as 200."""
    for propstat in element.iterfind(f"{_D}propstat"):
        status = _status(propstat)
        if status is None or 200 <= status < 300:
            for prop in propstat.iterfind(f"{_D}prop"):
                yield from prop


def _status(element: ET.Element) -> int | None:
    words = (element.findtext(f"{_D}status") or "").split()
    return int(words[1]) if len(words) > 1 and _STATUS.fullmatch(words[1]) else None


def _parse(text: str) -> ET.Element:
    # A document type brings entities, and those bring bombs; no server needs one.
    if _has_doctype(text):
        raise UnexpectedAnswer("an answer with a document type")
    try:
        return _feed(text)
    except ET.ParseError:
        cleaned = _NOT_XML.sub("", text)
    try:
        return _feed(cleaned)
    except ET.ParseError as error:
        raise UnexpectedAnswer(f"not XML: {error}") from None


def _has_doctype(text: str) -> bool:
    """Past the declaration, comments and instructions: a document type can stand nowhere else."""
    at = 0
    while True:
        at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]
        end = next((end for start, end in _SKIPPED if text.startswith(start, at)), None)
        if end is None:
            return text.startswith("<!DOCTYPE", at)
        found = text.find(end, at)
        if found < 0:
            return False
        at = found + len(end)


def _feed(text: str) -> ET.Element:
    """By pieces, so that other threads get their turn during a big one."""
    parser = ET.XMLParser(encoding="utf-8")  # noqa: S314 - a document type was refused above.
    ahead = expat.ParserCreate("utf-8")  # Tells how far it came, which the other doesn't.
    body = text.encode("utf-8", errors="replace")
    if body.count(b"<") > _MOST_TAGS:
        # A tree takes a hundred times the bytes of an empty tag, and thousands of times what they are packed to.
        raise UnexpectedAnswer(f"an answer of over {_MOST_TAGS} tags")
    for start in range(0, len(body), _FEED):
        piece = body[start : start + _FEED]
        parser.feed(piece)
        if len(body) > _LONGEST_TAG:
            ahead.Parse(piece)
            if start + len(piece) - ahead.CurrentByteIndex > _LONGEST_TAG:
                raise UnexpectedAnswer(f"a tag of over {_LONGEST_TAG} bytes")
    root: ET.Element = parser.close()
    return root
