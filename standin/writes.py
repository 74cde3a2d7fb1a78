"""What changes things: PUT, DELETE and MKCALENDAR, with the checks that iCloud makes; and GET."""

from standin import ics, markup
from standin.backend import Stored
from standin.catalog import Calendar, CalendarFacts, Kind, Resource
from standin.cloud import Cloud, Member
from standin.listing import SPECIAL
from standin.manners import Manners
from standin.markup import c, d, ical
from standin.messages import RefusedError, Request, Response, bad_request, failed

_LARGEST = 20_000_000  # Apple's limit for an event, attachments included.


async def get(request: Request, member: Member, cloud: Cloud) -> Response:
    calendar, name = _resource_at(request, member)
    held = calendar.get(name)
    if held is None:
        return Response(404)
    bodies = await cloud.backend.bodies(calendar.dsid, calendar.facts.id, [name])
    if name not in bodies:
        return Response(404)
    headers = (("Content-Type", "text/calendar; charset=utf-8"), ("ETag", f'"{held.etag}"'))
    return Response(200, bodies[name].encode(), headers)


async def put(request: Request, member: Member, cloud: Cloud, manners: Manners) -> Response:
    calendar, name = _resource_at(request, member)
    async with cloud.writing:
        held = calendar.get(name)
        _check_access(calendar)
        _check_conditions(request, held, manners)
        text, facts = _checked_body(request, calendar, manners)
        uid = next(iter(facts.uids))
        holder = member.holder_of(uid) if manners.account_wide_uids else None
        if holder not in (None, (calendar.facts.id, name)) or (held is not None and held.uid != uid):
            return failed(412)
        answer = await cloud.backend.put(calendar.dsid, calendar.facts.id, name, text)
        if answer.status not in (201, 204):
            return Response(answer.status)
        member.mails += facts.guests
        resource = cloud.note_put(calendar, Stored(name, uid, answer.etag))
    headers = (("ETag", f'"{resource.etag}"'),) if manners.etag_on_put else ()
    dropped = _counted_down(member)
    return Response(201 if held is None else 204, headers=headers, dropped=dropped)


async def delete(request: Request, member: Member, cloud: Cloud, manners: Manners) -> Response:
    match request.path.split("/"):
        case ["", _, "calendars", id_, ""] if id_ in member.calendars:
            await cloud.delete_calendar(member, member.calendars[id_])
            return Response(204)
    calendar, name = _resource_at(request, member)
    async with cloud.writing:
        held = calendar.get(name)
        if held is None:
            return Response(404)
        _check_access(calendar)
        _check_conditions(request, held, manners)
        await cloud.backend.delete(calendar.dsid, calendar.facts.id, name)
        cloud.note_delete(calendar, name)
    return Response(204)


def make_calendar(request: Request, member: Member, cloud: Cloud) -> Response:
    match request.path.split("/"):
        case ["", _, "calendars", id_, *_] if id_ and id_ not in SPECIAL:
            pass
        case _:
            return Response(403)
    if id_ in member.calendars:
        return Response(405)
    root = markup.parse(request.body) if request.body else None
    if root is not None and any(comp.get("name") != "VEVENT" for comp in root.iter(c("comp"))):
        return Response(403)
    said = {} if root is None else {el.tag: markup.text_of(el) for el in root.iterfind(f".//{d('prop')}/*")}
    facts = CalendarFacts(
        id=id_,
        name=said.get(d("displayname")) or id_,
        color=said.get(ical("calendar-color")),
        order=len(member.calendars) + 1,
    )
    cloud.add_calendar(member, facts)
    return Response(201)


def _resource_at(request: Request, member: Member) -> tuple[Calendar, str]:
    match request.path.split("/"):
        case ["", _, "calendars", id_, name] if name and id_ in member.calendars:
            return member.calendars[id_], name
        case ["", _, "calendars", id_, _] if id_ in SPECIAL:
            raise RefusedError(Response(403))
        case _:
            raise RefusedError(Response(404))


def _check_access(calendar: Calendar) -> None:
    """A subscription is never written to, whatever its privileges say."""
    if calendar.facts.kind is Kind.SUBSCRIBED or not calendar.facts.writable:
        raise RefusedError(Response(403))


def _check_conditions(request: Request, held: Resource | None, manners: Manners) -> None:
    if_match = request.headers.get("if-match", "").strip()
    if request.headers.get("if-none-match", "").strip() == "*" and held is not None:
        raise RefusedError(Response(412))
    if not if_match:
        return
    if if_match == "*":
        refused = (held is not None) == manners.any_match_backwards
    else:
        refused = held is None or if_match != f'"{held.etag}"'
    if refused:
        raise RefusedError(Response(412))


def _checked_body(request: Request, calendar: Calendar, manners: Manners) -> tuple[str, ics.Contents]:
    if len(request.body) > _LARGEST:
        raise RefusedError(Response(413))
    try:
        text = request.body.decode()
    except UnicodeDecodeError:
        raise RefusedError(bad_request()) from None
    facts = ics.contents(text)
    if not facts.is_calendar or not facts.components:
        raise RefusedError(bad_request())
    if facts.components != {calendar.facts.component}:
        raise RefusedError(failed(403, _caldav_condition("supported-calendar-component")))
    if facts.has_method or len(facts.uids) != 1:
        raise RefusedError(failed(403, _caldav_condition("valid-calendar-object-resource")))
    if facts.endless and manners.end_required:
        raise RefusedError(Response(404))
    return text, facts


def _caldav_condition(name: str) -> str:
    return markup.element(c(name))


def _counted_down(member: Member) -> bool:
    if not member.faults.dropped_puts:
        return False
    member.faults.dropped_puts -= 1
    return True
