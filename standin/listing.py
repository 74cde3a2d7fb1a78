"""PROPFIND: the way from `/` to the home, the home's listing, and what each collection says of itself."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from xml.sax.saxutils import escape

from standin import markup
from standin.catalog import ISSUED_HERE, SPECIAL, Account, Calendar, Kind, Resource, short_etag
from standin.cloud import Member
from standin.manners import Manners
from standin.markup import Element, Found, c, cs, d, ical
from standin.messages import RefusedError, Request, Response, bad_request, failed, xml

_READ = ("read", c("read-free-busy"), "read-current-user-privilege-set")
_WRITE = ("write", "write-properties", "write-content", "bind", "unbind")
_REPORTS = (
    *("acl-principal-prop-set", "principal-match", "principal-property-search", "sync-collection"),
    *(c("calendar-query"), c("calendar-multiget"), c("free-busy-query"), cs("calendar-search")),
)
# Each one's type, and what may be done there beside reading.
_SPECIAL_TYPES = {
    "inbox": (c("schedule-inbox"), c("schedule-deliver")),
    "outbox": (c("schedule-outbox"), c("schedule-send")),
    "notification": (cs("notification"), "unbind"),
}
# What `allprop` gives: neither the resourcetype nor the data.
_ALLPROP = (d("displayname"), d("getetag"), d("getcontenttype"), d("getlastmodified"), d("creationdate"))


def propfind(request: Request, member: Member, *, partition_url: str, manners: Manners) -> Response:
    root = markup.parse(request.body) if request.body else None
    if root is not None and root.tag != d("propfind"):
        raise RefusedError(bad_request())
    asked = markup.asked_properties(root)
    members = list(_members(request, member, partition_url, manners))
    if asked is None:
        members = [_unasked(found, root) for found in members]
    bare = manners.propstat_status_missing
    return xml(207, markup.multistatus(members, asked, some_statuses_missing=bare))


def _unasked(found: Found, root: Element | None) -> Found:
    """RFC 4918 9.1: for `propname` the names alone; else what `allprop` gives, and what it is to include."""
    if root is not None and root.find(d("propname")) is not None:
        return replace(found, properties=dict.fromkeys(found.properties, ""))
    included = () if root is None else [prop.tag for prop in root.iterfind(f"{d('include')}/*")]
    names = dict.fromkeys((*_ALLPROP, *included))
    return replace(
        found, properties={name: found.properties[name] for name in names if name in found.properties}
    )


def resource_properties(resource: Resource) -> dict[str, str]:
    return {
        d("getetag"): f'"{resource.etag}"',
        d("getcontenttype"): "text/calendar",
        d("resourcetype"): "",
    }


def collection_etag(calendar: Calendar) -> dict[str, str]:
    return {d("getetag"): f'"{calendar.etag}"'}


def _members(request: Request, member: Member, partition_url: str, manners: Manners) -> Iterator[Found]:
    account, deep = member.account, _is_deep(request)
    match request.path.removeprefix("/").split("/"):
        case [""] | [".well-known", "caldav"]:
            _refuse_deep(deep=deep and manners.deep_root_refused)
            yield Found(request.path, _principal_of(account))
        case [_, "principal", ""]:
            _refuse_deep(deep=deep and manners.deep_principal_refused)
            at = "/principal/" if manners.old_response_href else request.path
            yield Found(at, _principal(account, partition_url))
        case [_, "calendars", ""]:
            yield Found(account.home, _home(member, manners))
            if deep:
                yield from _collections(member, manners)
        case [_, "calendars", id_, ""] if id_ in SPECIAL:
            yield _special(account, id_, manners)
        case [_, "calendars", id_, ""] if id_ in member.calendars:
            yield from _in_calendar(account, member.calendars[id_], manners, deep=deep)
        case [_, "calendars", id_, name]:
            held = member.calendars[id_].get(name) if id_ in member.calendars else None
            if held is None:
                raise RefusedError(Response(404))
            yield Found(request.path, resource_properties(held))
        case _:
            raise RefusedError(Response(404))


def is_collection(path: str, member: Member) -> bool:
    account = member.account
    special = {account.principal, account.home, *(f"{account.home}{id_}/" for id_ in SPECIAL)}
    return path in special or member.calendar_at(path) is not None


def _is_deep(request: Request) -> bool:
    match request.depth:
        case "0":
            return False
        case "1":
            return True
        case _:  # RFC 4918 9.1: a server may refuse infinity, which a missing header means.
            raise RefusedError(failed(403, "<propfind-finite-depth/>"))


def _refuse_deep(*, deep: bool) -> None:
    if deep:
        raise RefusedError(bad_request())


def _collections(member: Member, manners: Manners) -> Iterator[Found]:
    account = member.account
    for calendar in sorted(member.calendars.values(), key=lambda known: known.facts.order):
        yield Found(calendar.path, _calendar(account, calendar, manners))
    for id_ in SPECIAL:
        yield _special(account, id_, manners)


def _in_calendar(account: Account, calendar: Calendar, manners: Manners, *, deep: bool) -> Iterator[Found]:
    yield Found(calendar.path, _calendar(account, calendar, manners))
    if deep and calendar.facts.kind is not Kind.SUBSCRIBED:
        for resource in calendar.present():
            yield Found(calendar.path + resource.name, resource_properties(resource))


def _principal_of(account: Account) -> dict[str, str]:
    return {d("current-user-principal"): _href(account.principal)}


def _principal(account: Account, partition_url: str) -> dict[str, str]:
    mails = [address for address in account.sign_in_names if "@" in address]
    first, *others = [f"mailto:{mail}" for mail in mails] or [f"urn:uuid:{account.dsid}"]
    # An opaque address of the account's own stands beside those that people know.
    opaque = f"/{short_etag(account.dsid) * 8}/principal/"
    further = [*others, account.principal, opaque, f"urn:uuid:{account.dsid}"]
    preferred = f'<href xmlns="{markup.DAV}" preferred="1">{markup.href(first)}</href>'
    return {
        **_principal_of(account),
        d("displayname"): markup.cdata(account.full_name),
        d("resourcetype"): markup.element(d("collection")) + markup.element(d("principal")),
        c("calendar-home-set"): markup.element(d("href"), escape(partition_url + account.home)),
        c("calendar-user-address-set"): preferred + "".join(_href(address) for address in further),
    }


def _home(member: Member, manners: Manners) -> dict[str, str]:
    account = member.account
    tokens = [calendar.token() for calendar in member.calendars.values()]
    found = {
        **_principal_of(account),
        d("displayname"): markup.cdata(account.full_name),
        d("resourcetype"): markup.element(d("collection")),
        d("owner"): _href(account.principal),
        d("current-user-privilege-set"): _ALL_PRIVILEGES,
        c("supported-calendar-component-set"): _components("VEVENT", "VTODO", "VFREEBUSY"),
        cs("getctag"): f"{ISSUED_HERE}{short_etag(*tokens)}==",
    }
    if manners.push_advertised:
        found[cs("push-transports")] = (
            f'<transport xmlns="{markup.CS}" type="APSD"><subscription-url>'
            f'<href xmlns="{markup.DAV}">/mmcalendar/push</href></subscription-url>'
            "<apsbundleid>com.me.caldav</apsbundleid><env>PRODUCTION</env>"
            "<refresh-interval>172800</refresh-interval></transport>"
        )
        found[cs("pushkey")] = account.dsid
    return found


def _calendar(account: Account, calendar: Calendar, manners: Manners) -> Mapping[str, str]:
    facts, token = calendar.facts, escape(calendar.token(manners.token_form))
    shared = facts.kind is Kind.SHARED
    found = {
        **_principal_of(account),
        **collection_etag(calendar),
        d("resourcetype"): _resource_type(facts.kind),
        d("owner"): _href(account.principal),
        d("sync-token"): token,
        cs("getctag"): token,
        ical("calendar-order"): str(facts.order),
    }
    if facts.name:  # A name may be absent, and so may a colour.
        found[d("displayname")] = markup.cdata(facts.name)
    if facts.color is not None:
        found[ical("calendar-color")] = escape(facts.color)
    if not (shared and manners.shared_privileges_missing):
        found[d("current-user-privilege-set")] = _ALL_PRIVILEGES if facts.writable else _READ_PRIVILEGES
    if facts.kind is Kind.SUBSCRIBED:
        return {**found, cs("source"): markup.element(d("href"), escape(facts.source or ""))}
    found[d("supported-report-set")] = _REPORT_SET
    if not (shared and manners.shared_components_missing):
        found[c("supported-calendar-component-set")] = _components(facts.component)
    if facts.kind is Kind.SHARED_OUT:
        found[cs("invite")] = markup.element(cs("organizer"), _href(account.principal))
    if manners.push_advertised:
        found[cs("pushkey")] = f"{account.dsid}/{short_etag(calendar.path)}"
    return found


def _resource_type(kind: Kind) -> str:
    collection, calendar = markup.element(d("collection")), markup.element(c("calendar"))
    match kind:
        case Kind.SUBSCRIBED:  # No `calendar`: its events are not there to be read.
            return collection + markup.element(cs("subscribed"))
        case Kind.SHARED:
            return collection + calendar + markup.element(cs("shared"))
        case Kind.SHARED_OUT:
            return collection + calendar + markup.element(cs("shared-owner"))
        case _:
            return collection + calendar


def _special(account: Account, id_: str, manners: Manners) -> Found:
    type_, privilege = _SPECIAL_TYPES[id_]
    found = {
        **_principal_of(account),
        d("owner"): _href(account.principal),
        d("resourcetype"): markup.element(d("collection")) + markup.element(type_),
        d("current-user-privilege-set"): _privileges("read", privilege),
    }
    if id_ == "inbox":
        default = f"{account.home}home/"
        found[cs("getctag")] = f"{ISSUED_HERE}Inbox=="
        # RFC 6638 9.2 asks for an href element.
        found[c("schedule-default-calendar-URL")] = (
            default if manners.bare_default_calendar else _href(default)
        )
    return Found(f"{account.home}{id_}/", found)


def _href(path: str) -> str:
    return markup.element(d("href"), markup.href(path))


def _named(name: str) -> str:
    return name if name.startswith("{") else d(name)


def _privileges(*names: str) -> str:
    return "".join(markup.element(d("privilege"), markup.element(_named(name))) for name in names)


def _components(*names: str) -> str:
    return "".join(f"<comp name='{name}' xmlns='{markup.CALDAV}'/>" for name in names)


_ALL_PRIVILEGES = _privileges(*_READ, *_WRITE)
_READ_PRIVILEGES = _privileges(*_READ)
_REPORT_SET = "".join(
    markup.element(d("supported-report"), markup.element(d("report"), markup.element(_named(name))))
    for name in _REPORTS
)
