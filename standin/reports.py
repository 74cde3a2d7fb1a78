"""REPORT: what changed since a token, the bodies of named resources, and the events in a span."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit

from standin import markup
from standin.catalog import Calendar, Kind, Resource, TokenRefusedError
from standin.cloud import Cloud, Member
from standin.listing import collection_etag, resource_properties
from standin.manners import Manners
from standin.markup import Element, Found, Missing, c, d
from standin.messages import RefusedError, Request, Response, bad_request, failed, xml

_DATA = c("calendar-data")
_MOMENT = re.compile(r"\d{8}T\d{6}Z")


async def report(request: Request, member: Member, cloud: Cloud, manners: Manners) -> Response:
    root = markup.parse(request.body)
    calendar = _target(request, member)
    match root.tag:
        case "{DAV:}sync-collection":
            return await _sync(root, calendar, cloud, manners)
        case "{urn:ietf:params:xml:ns:caldav}calendar-multiget":
            return await _multiget(root, calendar, cloud)
        case "{urn:ietf:params:xml:ns:caldav}calendar-query":
            return await _query(root, calendar, cloud, manners)
        case "{urn:ietf:params:xml:ns:caldav}free-busy-query":
            return bad_request()  # Advertised, and refused all the same.
        case _:
            return failed(403, "<supported-report/>")


def _target(request: Request, member: Member) -> Calendar:
    match request.path.split("/"):
        case ["", _, "calendars", id_, ""] if id_ in member.calendars:
            calendar = member.calendars[id_]
        case ["", _, "calendars", _]:
            raise RefusedError(bad_request())  # The slash at the end is missing.
        case _:
            raise RefusedError(Response(404))
    if calendar.facts.kind is Kind.SUBSCRIBED:
        raise RefusedError(Response(403))
    return calendar


async def _sync(root: Element, calendar: Calendar, cloud: Cloud, manners: Manners) -> Response:
    """`DAV:limit` is not looked at: iCloud ignores it."""
    asked = markup.asked_properties(root) or [d("getetag")]
    # Token and changes are read before the first await: they are of one moment.
    token = calendar.token
    try:
        changed = calendar.since(markup.text_of(root.find(d("sync-token"))))
    except TokenRefusedError:
        return failed(403, "<valid-sync-token/>") if manners.valid_sync_token_named else Response(403)
    members: list[Found | Missing] = []
    if changed and manners.collection_in_sync:
        members.append(Found(calendar.path, collection_etag(calendar)))
    members += await _described(changed, calendar, cloud, asked)
    return xml(207, markup.multistatus(members, asked, sync_token=token))


async def _multiget(root: Element, calendar: Calendar, cloud: Cloud) -> Response:
    asked = markup.asked_properties(root) or [d("getetag")]
    paths = [unquote(urlsplit(markup.text_of(href)).path) for href in root.findall(d("href"))]
    held: list[Resource] = []
    missing: list[Found | Missing] = []
    for path in paths:
        folder, _, name = path.rpartition("/")
        resource = calendar.get(name) if folder + "/" == calendar.path else None
        if resource is None:
            missing.append(Missing(path))
        else:
            held.append(resource)
    members = await _described(held, calendar, cloud, asked)
    return xml(207, markup.multistatus([*members, *missing], asked))


async def _query(root: Element, calendar: Calendar, cloud: Cloud, manners: Manners) -> Response:
    asked = markup.asked_properties(root) or [d("getetag")]
    names = await _matching(root, calendar, cloud, manners)
    held = [resource for resource in calendar.present() if names is None or resource.name in names]
    return xml(207, markup.multistatus(await _described(held, calendar, cloud, asked), asked))


async def _matching(root: Element, calendar: Calendar, cloud: Cloud, manners: Manners) -> set[str] | None:
    """The names that the filter lets through; None for all."""
    if any(prop.get("name", "").upper() == "UID" for prop in root.iter(c("prop-filter"))):
        raise RefusedError(Response(412))
    component = root.find(f"{c('filter')}/{c('comp-filter')}/{c('comp-filter')}")
    if component is None:
        raise RefusedError(Response(500))
    other = component.get("name", "").upper() != calendar.facts.component
    if other or next(root.iter(c("prop-filter")), None) is not None:
        return set()  # Text filters find nothing.
    time_range = component.find(c("time-range"))
    if time_range is None:
        return None
    span = (time_range.get("start", ""), time_range.get("end", ""))
    if not any(span) or any(end and not _MOMENT.fullmatch(end) for end in span):
        raise RefusedError(bad_request())
    as_moved = not manners.moved_override_missed
    return await cloud.backend.between(calendar.dsid, calendar.facts.id, span, as_moved=as_moved)


async def _described(
    resources: Iterable[Resource], calendar: Calendar, cloud: Cloud, asked: list[str]
) -> list[Found | Missing]:
    held = list(resources)
    bodies: Mapping[str, str] = {}
    if _DATA in asked:
        names = [resource.name for resource in held if not resource.gone]
        bodies = await cloud.backend.bodies(calendar.dsid, calendar.facts.id, names)
    return [_member(resource, calendar.path + resource.name, bodies) for resource in held]


def _member(resource: Resource, path: str, bodies: Mapping[str, str]) -> Found | Missing:
    if resource.gone:
        return Missing(path)
    found = resource_properties(resource)
    if resource.name in bodies:
        found[_DATA] = markup.cdata(bodies[resource.name])
    return Found(path, found)
