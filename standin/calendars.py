"""What changes calendars: MKCALENDAR, PROPPATCH, and POST to share one, as the owner's devices do it."""

from collections.abc import Iterator, Mapping

from standin import markup
from standin.backend import can_hold
from standin.catalog import SPECIAL, CalendarFacts, Kind
from standin.cloud import Cloud, Member
from standin.ics import contents
from standin.manners import Manners
from standin.markup import Element, c, cs, d, ical
from standin.messages import RefusedError, Request, Response, bad_request, failed, xml

_MOST_CALENDARS = 100  # Apple's limit, lists of reminders included.
_FACTS: Mapping[str, str] = {
    d("displayname"): "name",
    ical("calendar-color"): "color",
    ical("calendar-order"): "order",
}


def make_calendar(request: Request, member: Member, cloud: Cloud, manners: Manners) -> Response:
    match request.path.removesuffix("/").split("/"):
        case ["", _, "calendars", id_] if id_.strip(".") and id_ not in SPECIAL:
            pass
        case _:
            return Response(403)
    if id_ in member.calendars:
        return Response(405)
    if len(id_) < manners.shortest_calendar_id or not can_hold(id_):
        return bad_request()
    if len(member.calendars) >= _MOST_CALENDARS:
        return Response(507)
    said = _said(markup.parse(request.body)) if request.body else {}
    facts = CalendarFacts(
        id=id_,
        name=said.get(d("displayname")) or id_,
        color=said.get(ical("calendar-color")),
        order=len(member.calendars) + 1,
    )
    calendar = cloud.add_calendar(member, facts)
    if manners.deleted_events_reappear:
        texts = member.deleted.pop(id_, {})
        cloud.load(calendar, {name: text for name, text in texts.items() if _is_free(text, member)})
    return Response(201)


def _said(root: Element) -> dict[str, str]:
    """Each property's text. A calendar of anything else than events is refused."""
    if any(comp.get("name") != "VEVENT" for comp in root.iter(c("comp"))):
        raise RefusedError(Response(403))
    return {prop.tag: markup.text_of(prop) for prop in root.iterfind(f".//{d('prop')}/*")}


def _is_free(text: str, member: Member) -> bool:
    return not any(member.holder_of(uid) for uid in contents(text).uids)


def proppatch(request: Request, member: Member, cloud: Cloud) -> Response:
    """RFC 4918 9.2: all of it, or nothing."""
    root = markup.parse(request.body)
    if root.tag != d("propertyupdate"):
        return Response(400)
    calendar = member.calendar_at(request.path)
    if calendar is None:
        return Response(403)
    if not calendar.facts.writable or calendar.facts.kind is Kind.SUBSCRIBED:
        return failed(403, "<need-privileges/>")
    asked = list(_asked(root))
    refused = [name for name, _ in asked if name not in _FACTS]
    changes = {_FACTS[name]: value for name, value in asked if name in _FACTS}
    if refused or not _are_sound(changes):
        taken = [name for name, _ in asked if name not in refused]
        return xml(
            207, markup.propstats(request.path, {"403 Forbidden": refused, "424 Failed Dependency": taken})
        )
    if "order" in changes:
        cloud.describe(calendar, order=int(changes.pop("order") or "1"))
    cloud.describe(calendar, **changes)
    return xml(207, markup.propstats(request.path, {"200 OK": [name for name, _ in asked]}))


def _asked(root: Element) -> Iterator[tuple[str, str | None]]:
    """Each property with its new text; None to remove it."""
    for instruction in root.iterchildren(d("set"), d("remove")):
        for prop in instruction.iterfind(f"{d('prop')}/*"):
            yield prop.tag, markup.text_of(prop) if instruction.tag == d("set") else None


def _are_sound(changes: Mapping[str, str | None]) -> bool:
    order = changes.get("order") or "1"
    return order.isascii() and order.isdecimal() and len(order) < 10 and changes.get("name", "") is not None


def share(request: Request, member: Member, cloud: Cloud) -> Response:
    """CalendarServer's sharing: `set` invites somebody, `remove` the last of them ends it."""
    root = markup.parse(request.body)
    calendar = member.calendar_at(request.path)
    if calendar is None or root.tag != cs("share"):
        return bad_request()
    if calendar.facts.kind not in {Kind.OWN, Kind.SHARED_OUT}:
        return Response(403)
    invited = root.find(cs("set")) is not None
    cloud.describe(calendar, kind=Kind.SHARED_OUT if invited else Kind.OWN)
    return Response(200)
