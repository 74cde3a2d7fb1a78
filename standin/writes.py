"""What changes objects: PUT and DELETE, with the checks that iCloud makes; and GET."""

import re

from standin import ics, markup
from standin.backend import Stored, can_hold
from standin.catalog import SPECIAL, Calendar, Kind, Resource, short_etag
from standin.cloud import Cloud, Member
from standin.faults import Lag
from standin.lagging import Old
from standin.manners import Manners
from standin.markup import c
from standin.messages import RefusedError, Request, Response, bad_request, failed
from standin.rewrite import rewritten

# Apple's limits: of an event, attachments included; of an account's events and reminders; of an event's guests.
_LARGEST = 20_000_000
_MOST_RESOURCES = 50_000
_MOST_GUESTS = 300
# RFC 5545 3.1 has no control characters but these; and no XML could hold them when they are asked for.
_UNSPOKEN = re.compile(r"[^\t\r\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9-]+\.ics")


async def get(request: Request, member: Member, cloud: Cloud, manners: Manners) -> Response:
    calendar, name = _resource_at(request, member, manners)
    held = calendar.get(name)
    if held is None:
        return Response(404)
    unknown = None
    if not request.by_owner:
        unknown = member.unsettled.read(calendar.facts.id, name, now=cloud.clock())
    if unknown is not None:
        old = unknown.old
        return Response(404) if old is None else _read(request, old.resource, old.text)
    bodies = await cloud.backend.bodies(calendar.dsid, calendar.facts.id, [name])
    return _read(request, held, bodies[name]) if name in bodies else Response(404)


def _read(request: Request, resource: Resource, text: str) -> Response:
    etag = ("ETag", f'"{resource.etag}"')
    if _is_named(resource, request.headers.get("if-none-match", "").replace("W/", "")):
        return Response(304, headers=(etag,))
    return Response(200, text.encode(), (("Content-Type", "text/calendar; charset=utf-8"), etag))


async def put(
    request: Request, member: Member, cloud: Cloud, manners: Manners, *, lag: Lag | None
) -> Response:
    calendar, name = _resource_at(request, member, manners)
    if not can_hold(name):
        return bad_request()
    async with cloud.writing:
        held = _held(calendar, name, cloud)
        _check_access(calendar)
        _check_conditions(request, held, manners)
        if manners.odd_names_refused and not _PLAIN_NAME.fullmatch(name):
            return Response(403)
        if held is None and member.resources >= _MOST_RESOURCES:
            return Response(507)
        text, facts = _checked_body(request, calendar, manners)
        (uid,) = facts.uids
        holder = member.holder_of(uid) if manners.account_wide_uids else None
        if holder not in (None, (calendar.facts.id, name)) or (held is not None and held.uid != uid):
            return _uid_conflict(manners)
        old = await _old(calendar, held, cloud) if lag is not None and lag.shows_old else None
        if member.faults.unkept and not request.by_owner:
            member.faults.unkept -= 1
            return _done(held, short_etag(uid, name, text), manners)
        text = rewritten(text, member.account, manners)
        answer = await cloud.backend.put(calendar.dsid, calendar.facts, name, text)
        if answer.status not in (201, 204):
            return Response(answer.status)
        member.mails += 0 if request.by_owner else facts.guests
        resource = cloud.note_put(calendar, Stored(name, uid, answer.etag))
        if lag is not None:
            member.unsettled.note(calendar.facts.id, name, lag, now=cloud.clock(), old=old)
    return _done(held, resource.etag, manners)


def _done(held: Resource | None, etag: str, manners: Manners) -> Response:
    headers = (("ETag", f'"{etag}"'),) if manners.etag_on_put else ()
    return Response(201 if held is None else 204, headers=headers)


def _uid_conflict(manners: Manners) -> Response:
    if manners.uid_conflict == "412":
        return Response(412)
    return failed(403, _caldav_condition(manners.uid_conflict))


async def _old(calendar: Calendar, held: Resource | None, cloud: Cloud) -> Old | None:
    if held is None:
        return None
    bodies = await cloud.backend.bodies(calendar.dsid, calendar.facts.id, [held.name])
    return Old(held, bodies[held.name]) if held.name in bodies else None


async def delete(request: Request, member: Member, cloud: Cloud, manners: Manners) -> Response:
    if manners.delete_depth_refused and request.depth is not None:
        return bad_request()
    collection = member.calendar_at(request.path)
    if collection is not None:
        try:
            await cloud.delete_calendar(member, collection)
        except LookupError:
            return Response(404)
        return Response(204)
    calendar, name = _resource_at(request, member, manners)
    async with cloud.writing:
        held = _held(calendar, name, cloud)
        if held is None:
            return Response(404)
        _check_access(calendar)
        _check_conditions(request, held, manners)
        await cloud.backend.delete(calendar.dsid, calendar.facts.id, name)
        cloud.note_delete(calendar, name)
        member.unsettled.forget(calendar.facts.id, name)
    return Response(204)


def _resource_at(request: Request, member: Member, manners: Manners) -> tuple[Calendar, str]:
    if manners.at_signs_escaped and "%40" in request.raw_path:
        raise RefusedError(Response(404))
    match request.path.split("/"):
        case ["", _, "calendars", id_, name] if name and id_ in member.calendars:
            return member.calendars[id_], name
        case ["", _, "calendars", id_, _] if id_ in SPECIAL:
            raise RefusedError(Response(403))
        case _:
            raise RefusedError(Response(404))


def _held(calendar: Calendar, name: str, cloud: Cloud) -> Resource | None:
    """Looked at while nobody else writes."""
    if not cloud.holds(calendar):
        raise RefusedError(Response(404))
    return calendar.get(name)


def _check_access(calendar: Calendar) -> None:
    """A subscription is never written to, whatever its privileges say."""
    if calendar.facts.kind is Kind.SUBSCRIBED or not calendar.facts.writable:
        raise RefusedError(Response(403))


def _check_conditions(request: Request, held: Resource | None, manners: Manners) -> None:
    if_match = request.headers.get("if-match", "").strip()
    if _is_named(held, request.headers.get("if-none-match", "").replace("W/", "")):
        raise RefusedError(Response(412))
    backwards = if_match == "*" and manners.any_match_backwards
    if if_match and _is_named(held, if_match) == backwards:
        raise RefusedError(Response(412))


def _is_named(held: Resource | None, etags: str) -> bool:
    """RFC 9110 13.1: a list, or `*` for whatever there is."""
    named = [etag.strip() for etag in etags.split(",")]
    return held is not None and ("*" in named or f'"{held.etag}"' in named)


def _checked_body(request: Request, calendar: Calendar, manners: Manners) -> tuple[str, ics.Contents]:
    if len(request.body) > _LARGEST:
        raise RefusedError(Response(413))
    try:
        text = request.body.decode()
    except UnicodeDecodeError:
        raise RefusedError(bad_request()) from None
    facts = ics.contents(text)
    if _UNSPOKEN.search(text) or not facts.is_calendar or not facts.components:
        raise RefusedError(bad_request())
    if facts.components != {calendar.facts.component}:
        raise RefusedError(failed(403, _caldav_condition("supported-calendar-component")))
    if facts.has_method:
        raise RefusedError(_invalid(manners.method_status))
    if len(facts.uids) != 1 or facts.guests > _MOST_GUESTS:
        raise RefusedError(_invalid())
    if facts.endless and manners.end_required:
        raise RefusedError(Response(manners.endless_status))
    return text, facts


def _invalid(status: int = 403) -> Response:
    if status == 400:
        return bad_request()
    return failed(status, _caldav_condition("valid-calendar-object-resource"))


def _caldav_condition(name: str) -> str:
    return markup.element(c(name))
