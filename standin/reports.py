"""REPORT: what changed since a token, the bodies of named resources, and the events in a span."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from standin import markup
from standin.catalog import Calendar, Kind, Resource, TokenRefusedError
from standin.cloud import Cloud, Member
from standin.listing import collection_etag, is_collection, resource_properties
from standin.manners import Manners
from standin.markup import Element, Found, Missing, c, d
from standin.messages import RefusedError, Request, Response, bad_request, failed, xml
from standin.occurrences import Span
from standin.partial import WHOLE, Part

_DATA = c("calendar-data")
_REFUSALS = (403, 409, 410, 412)


async def report(request: Request, member: Member, cloud: Cloud, manners: Manners) -> Response:
    root = markup.parse(request.body)
    calendar = _target(request, member)
    if calendar.facts.kind is Kind.SUBSCRIBED:
        if manners.subscription_reports == "empty":
            return xml(207, markup.multistatus([], []))
        return Response(403)
    match root.tag:
        case "{DAV:}sync-collection":
            return await _sync(root, calendar, cloud, manners)
        case "{urn:ietf:params:xml:ns:caldav}calendar-multiget":
            return await _multiget(root, member, calendar, cloud, manners)
        case "{urn:ietf:params:xml:ns:caldav}calendar-query":
            return await _query(root, calendar, cloud, manners)
        case "{urn:ietf:params:xml:ns:caldav}free-busy-query":
            return bad_request()  # Advertised, and refused all the same.
        case _:
            return failed(403, "<supported-report/>")


def _target(request: Request, member: Member) -> Calendar:
    calendar = member.calendar_at(request.path)
    if calendar is not None:
        return calendar
    is_other = is_collection(request.path, member)
    raise RefusedError(failed(403, "<supported-report/>") if is_other else Response(404))


async def _sync(root: Element, calendar: Calendar, cloud: Cloud, manners: Manners) -> Response:
    """`DAV:limit` is not looked at: iCloud ignores it."""
    asked = markup.asked_properties(root) or [d("getetag")]
    # Token and changes are read before the first await: they are of one moment.
    token = calendar.token(manners.token_form)
    try:
        changed = calendar.since(markup.text_of(root.find(d("sync-token"))))
    except TokenRefusedError:
        return _refused(calendar, manners)
    members: list[Found | Missing] = []
    if changed and manners.collection_in_sync:
        members.append(Found(calendar.path, collection_etag(calendar)))
    members += await _described(changed, calendar, cloud, asked)
    members = [*_repeated(members, manners.duplicate_hrefs)]
    return _answer(members, asked, manners, sync_token=token)


def _refused(calendar: Calendar, manners: Manners) -> Response:
    match manners.refused_token:
        case "valid-sync-token":
            return failed(403, "<valid-sync-token/>")
        case "in-turn":
            calendar.refusals += 1
            return Response(_REFUSALS[calendar.refusals % len(_REFUSALS)])
        case status:
            return Response(int(status))


def _repeated(members: list[Found | Missing], every: int) -> Iterator[Found | Missing]:
    """The collection itself, which comes first, is told of once."""
    for number, member in enumerate(members):
        yield member
        if every and number and number % every == 0:
            yield member


def _answer(
    members: list[Found | Missing], asked: list[str], manners: Manners, *, sync_token: str | None = None
) -> Response:
    bare = manners.propstat_status_missing
    return xml(207, markup.multistatus(members, asked, sync_token=sync_token, some_statuses_missing=bare))


async def _multiget(
    root: Element, member: Member, calendar: Calendar, cloud: Cloud, manners: Manners
) -> Response:
    asked = markup.asked_properties(root) or [d("getetag")]
    written = [_path_of(markup.text_of(href)) for href in root.findall(d("href"))]
    held: list[Resource] = []
    others: list[Found | Missing] = []
    for raw in _given(written, manners):
        path = unquote(raw)
        folder, _, name = path.rpartition("/")
        resource = calendar.get(name) if folder + "/" == calendar.path else None
        unknown = member.unsettled.polled(calendar.facts.id, name, now=cloud.clock())
        if resource is None or (manners.at_signs_escaped and "%40" in raw):
            others.append(Missing(path))
        elif unknown is None:
            held.append(resource)
        elif unknown.old is None:
            others.append(Missing(path))
        else:
            others.append(_member(unknown.old.resource, path, {name: unknown.old.text}))
    members = [*await _described(held, calendar, cloud, asked, Part.asked_by(root)), *others]
    if manners.multiget_drops == "hrefs":
        members = [replace(each, href="") for each in members]
    return _answer(members, asked, manners)


def _path_of(href: str) -> str:
    """What is no address is not there either."""
    try:
        return urlsplit(href).path
    except ValueError:
        return href


def _given(written: list[str], manners: Manners) -> list[str]:
    """What is answered of what was asked."""
    match manners.multiget_drops:
        case "all":
            return []
        case "some":
            return [raw for number, raw in enumerate(written, 1) if number % 3]
        case _:
            return written


async def _query(root: Element, calendar: Calendar, cloud: Cloud, manners: Manners) -> Response:
    asked = markup.asked_properties(root) or [d("getetag")]
    part = Part.asked_by(root)
    names = await _matching(root, calendar, cloud, manners)
    held = [resource for resource in calendar.present() if names is None or resource.name in names]
    if part.span is not None and manners.expand_empty:
        held = []
    return _answer(await _described(held, calendar, cloud, asked, part), asked, manners)


async def _matching(root: Element, calendar: Calendar, cloud: Cloud, manners: Manners) -> set[str] | None:
    """The names that the filter lets through; None for all."""
    if any(prop.get("name", "").upper() == "UID" for prop in root.iter(c("prop-filter"))):
        raise RefusedError(Response(412))
    component = root.find(f"{c('filter')}/{c('comp-filter')}/{c('comp-filter')}")
    if component is None:
        if manners.unfiltered_query == "empty":
            return set()
        raise RefusedError(Response(500))
    other = component.get("name", "").upper() != calendar.facts.component
    if other or next(root.iter(c("prop-filter")), None) is not None:
        return set()  # Text filters find nothing.
    time_range = component.find(c("time-range"))
    if time_range is None:
        return None
    span = Span.read_half(time_range.get("start", ""), time_range.get("end", ""))
    as_moved = not manners.moved_override_missed
    return await cloud.backend.between(calendar.dsid, calendar.facts.id, span, as_moved=as_moved)


async def _described(
    resources: Iterable[Resource],
    calendar: Calendar,
    cloud: Cloud,
    asked: list[str],
    part: Part = WHOLE,
) -> list[Found | Missing]:
    held = list(resources)
    bodies: Mapping[str, str] = {}
    if _DATA in asked:
        names = [resource.name for resource in held if not resource.gone]
        bodies = await _bodies(calendar, cloud, names, part)
    return [_member(resource, calendar.path + resource.name, bodies) for resource in held]


async def _bodies(calendar: Calendar, cloud: Cloud, names: list[str], part: Part) -> Mapping[str, str]:
    where = (calendar.dsid, calendar.facts.id)
    if part.span is None:
        texts = await cloud.backend.bodies(*where, names)
    else:
        texts = await cloud.backend.expanded(*where, names, part.span)
    return {name: part.of(text) for name, text in texts.items()}


def _member(resource: Resource, path: str, bodies: Mapping[str, str]) -> Found | Missing:
    if resource.gone:
        return Missing(path)
    found = resource_properties(resource)
    if resource.name in bodies:
        found[_DATA] = markup.cdata(bodies[resource.name])
    return Found(path, found)
