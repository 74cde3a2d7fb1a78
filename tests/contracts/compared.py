"""What four servers do with one question: the stand-in in both its modes, plain Radicale, plain Xandikos.

Each claim asks a server something and says in a word or two what it did; `EXPECTED` has what each is to do.
`python -m tests.contracts.compared` prints the table that docs/standin.md shows.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import re
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from lxml import etree

from standin.manners import manners
from tests.contracts.standin_http import NS, Reply, event, ics

SERVERS = ("strict", "hostile", "radicale", "xandikos")
XMLNS = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NS.items())
ASK_ETAG = "<d:prop><d:getetag/></d:prop>"
ASK_DATA = "<d:prop><d:getetag/><c:calendar-data/></d:prop>"
A_WEEK = '<c:time-range start="20261128T000000Z" end="20261129T000000Z"/>'


@dataclass(frozen=True, slots=True)
class Peer:
    """One server and somebody who can sign in. `entry` is where a client begins."""

    url: str
    entry: str
    home: str
    user: str
    password: str

    async def call(
        self,
        method: str,
        path: str,
        body: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        url: str = "",
        agent: bool = True,
    ) -> Reply:
        sent = {"User-Agent": "compared/1"} if agent else {}
        told = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        sent["Authorization"] = f"Basic {told}"
        if body:
            sent["Content-Type"] = "text/calendar" if body.startswith("BEGIN:") else "application/xml"
        return await asyncio.to_thread(
            _call, url or self.url, method, path, body, {**sent, **(headers or {})}
        )

    async def find(self, path: str, props: str, depth: str = "0", *, url: str = "") -> Reply:
        body = f"<d:propfind {XMLNS}><d:prop>{props}</d:prop></d:propfind>"
        return await self.call("PROPFIND", path, body, {"Depth": depth}, url=url)

    async def report(self, path: str, name: str, inner: str, depth: str = "1") -> Reply:
        return await self.call("REPORT", path, f"<{name} {XMLNS}>{inner}</{name}>", {"Depth": depth})

    async def principal(self) -> str:
        found = await self.find("/", "<d:current-user-principal/>")
        return found.texts(".//d:current-user-principal/d:href")[0]

    async def fresh(self) -> str:
        """A new calendar's path."""
        path = f"{self.home}{str(uuid.uuid4()).upper()}/"
        components = (
            '<c:supported-calendar-component-set><c:comp name="VEVENT"/></c:supported-calendar-component-set>'
        )
        props = f"<d:prop><d:displayname>New</d:displayname>{components}</d:prop>"
        body = f"<c:mkcalendar {XMLNS}><d:set>{props}</d:set></c:mkcalendar>"
        assert (await self.call("MKCALENDAR", path, body)).status == 201
        return path

    async def put(self, path: str, text: str, **conditions: str) -> Reply:
        return await self.call(
            "PUT", path, text, {key.replace("_", "-"): value for key, value in conditions.items()}
        )

    async def sync(self, calendar: str, token: str = "", limit: str = "") -> Reply:
        inner = f"<d:sync-token>{token}</d:sync-token><d:sync-level>1</d:sync-level>{limit}{ASK_ETAG}"
        return await self.report(calendar, "d:sync-collection", inner)

    async def query(self, calendar: str, comp_filter: str, ask: str = ASK_ETAG) -> Reply:
        filters = f'<c:filter><c:comp-filter name="VCALENDAR">{comp_filter}</c:comp-filter></c:filter>'
        return await self.report(calendar, "c:calendar-query", f"{ask}{filters}")

    async def multiget(self, calendar: str, *hrefs: str, ask: str = ASK_DATA) -> Reply:
        listed = "".join(f"<d:href>{href}</d:href>" for href in hrefs)
        return await self.report(calendar, "c:calendar-multiget", f"{ask}{listed}")


@dataclass(frozen=True, slots=True)
class Claim:
    """A question, and what each server answers, in the order of SERVERS."""

    what: str
    ask: Callable[[Peer], Awaitable[str]]
    expected: tuple[str, str, str, str]


CLAIMS: dict[str, Claim] = {}


def claim(
    what: str, strict: str, hostile: str, radicale: str, xandikos: str
) -> Callable[[Callable[[Peer], Awaitable[str]]], Callable[[Peer], Awaitable[str]]]:
    def kept(ask: Callable[[Peer], Awaitable[str]]) -> Callable[[Peer], Awaitable[str]]:
        CLAIMS[ask.__name__] = Claim(what, ask, (strict, hostile, radicale, xandikos))
        return ask

    return kept


def timed(uid: str = "one", *lines: str) -> str:
    return event(uid, *lines, day=21)


def vevent(inner: str) -> str:
    return f'<c:comp-filter name="VEVENT">{inner}</c:comp-filter>'


def matching(name: str, text: str) -> str:
    return vevent(f'<c:prop-filter name="{name}"><c:text-match>{text}</c:text-match></c:prop-filter>')


def members(reply: Reply, calendar: str) -> list[str]:
    return sorted(
        {href.rpartition("/")[2] for href in reply.hrefs if href.rstrip("/") != calendar.rstrip("/")}
    )


def status_and_condition(reply: Reply) -> str:
    if reply.status == 207 or not reply.text.strip().startswith("<"):
        return str(reply.status)
    try:
        conditions = [str(child.tag).rpartition("}")[2] for child in reply.root.iterchildren("*")]
    except etree.XMLSyntaxError:
        return str(reply.status)
    conditions = [name for name in conditions if name != "responsedescription"]
    return " ".join([str(reply.status), *(conditions if reply.root.tag == "{DAV:}error" else [])])


# --- Sign-in and hosts


@claim("a wrong password", "401, two schemes", "401, two schemes in one line", "401, Basic", "let in")
async def wrong_password(peer: Peer) -> str:
    wrong = base64.b64encode(f"{peer.user}:wrong".encode()).decode()
    headers = {"Depth": "0", "Authorization": f"Basic {wrong}"}
    reply = await peer.call("PROPFIND", "/", headers=headers)
    found = [value for name, value in reply.headers if name.lower() == "www-authenticate"]
    if reply.status != 401:
        return "let in" if reply.status == 207 else str(reply.status)
    if len(found) > 1:
        return "401, two schemes"
    return "401, Basic" if "MobileMe" not in found[0] else "401, two schemes in one line"


@claim("no User-Agent", "207", "403", "207", "207")
async def no_user_agent(peer: Peer) -> str:
    reply = await peer.call("PROPFIND", peer.home, headers={"Depth": "0"}, agent=False)
    return str(reply.status)


@claim("`/` at the entry", "207", "301", "207", "207")
async def root_at_entry(peer: Peer) -> str:
    return str((await peer.find("/", "<d:current-user-principal/>", url=peer.entry)).status)


@claim("Depth 1 on the principal", "400", "400", "207", "207")
async def deep_principal(peer: Peer) -> str:
    return str((await peer.find(await peer.principal(), "<d:displayname/>", "1")).status)


@claim("Depth 1 on `/`", "207", "400", "207", "207")
async def deep_root(peer: Peer) -> str:
    return str((await peer.find("/", "<d:displayname/>", "1")).status)


@claim("the home set", "another host, with port", "another host, with port", "a path", "a path")
async def home_set(peer: Peer) -> str:
    found = await peer.find(await peer.principal(), "<c:calendar-home-set/>")
    href = urlsplit(found.texts(".//c:calendar-home-set/d:href")[0])
    if not href.netloc:
        return "a path"
    return (
        "another host, with port" if href.netloc != urlsplit(peer.entry).netloc and href.port else "absolute"
    )


@claim("GET of `/.well-known/caldav`", "400", "400", "301", "302")
async def well_known(peer: Peer) -> str:
    return str((await peer.call("GET", "/.well-known/caldav")).status)


# --- XML


@claim("the XML", "no prefix", "no prefix", "no prefix", "prefixes")
async def prefixes(peer: Peer) -> str:
    reply = await peer.find(peer.home, "<d:displayname/>")
    return "prefixes" if re.search(r"<[a-zA-Z0-9]+:\w", reply.text) else "no prefix"


@claim("the status of a propstat", "there", "missing for some", "there", "there")
async def statuses(peer: Peer) -> str:
    await peer.put(f"{await peer.fresh()}a.ics", timed(str(uuid.uuid4())))
    reply = await peer.find(peer.home, "<d:resourcetype/>", "1")
    lacking = [each for each in reply.root.iter("{DAV:}propstat") if each.find("{DAV:}status") is None]
    return "missing for some" if lacking else "there"


@claim("a blank before the prolog", "400", "400", "400", "400")
async def blank_before_prolog(peer: Peer) -> str:
    body = f'\n<?xml version="1.0"?><d:propfind {XMLNS}><d:prop><d:displayname/></d:prop></d:propfind>'
    return str((await peer.call("PROPFIND", peer.home, body, {"Depth": "0"})).status)


@claim("allprop gives the resourcetype", "no", "no", "yes", "yes")
async def allprop(peer: Peer) -> str:
    body = f"<d:propfind {XMLNS}><d:allprop/></d:propfind>"
    reply = await peer.call("PROPFIND", await peer.fresh(), body, {"Depth": "0"})
    return "yes" if "resourcetype" in reply.text else "no"


@claim("the home lists inbox, outbox and notification", "yes", "yes", "no", "no")
async def special_collections(peer: Peer) -> str:
    hrefs = (await peer.find(peer.home, "<d:resourcetype/>", "1")).hrefs
    return (
        "yes"
        if {f"{peer.home}{name}/" for name in ("inbox", "outbox", "notification")} <= set(hrefs)
        else "no"
    )


@claim("ctag and sync-token", "one text", "one text", "two", "one text")
async def token_and_ctag(peer: Peer) -> str:
    reply = await peer.find(await peer.fresh(), "<d:sync-token/><cs:getctag/>")
    texts = reply.texts(".//d:prop/d:sync-token") + reply.texts(".//d:prop/cs:getctag")
    return "one text" if len(set(texts)) == 1 else "two"


@claim("an ETag", "8 in base 36", "8 in base 36", "longer", "longer")
async def etag_form(peer: Peer) -> str:
    calendar = await peer.fresh()
    await peer.put(f"{calendar}a.ics", timed(str(uuid.uuid4())))
    etag = (await peer.sync(calendar)).texts(".//d:getetag")[-1]
    return "8 in base 36" if re.fullmatch(r'"[0-9a-z]{8}"', etag) else "longer"


# --- Sync


@claim("sync lists the collection itself", "yes", "yes", "no", "no")
async def collection_in_sync(peer: Peer) -> str:
    calendar = await peer.fresh()
    await peer.put(f"{calendar}a.ics", timed(str(uuid.uuid4())))
    return "yes" if calendar in (await peer.sync(calendar)).hrefs else "no"


@claim("an href in a sync answer", "once", "some twice", "once", "once")
async def duplicates(peer: Peer) -> str:
    calendar = await peer.fresh()
    for number in range(4):
        await peer.put(f"{calendar}a{number}.ics", timed(str(uuid.uuid4())))
    hrefs = (await peer.sync(calendar)).hrefs
    return "some twice" if len(set(hrefs)) < len(hrefs) else "once"


@claim("a limit of one", "ignored", "ignored", "ignored", "cut")
async def limit(peer: Peer) -> str:
    calendar = await peer.fresh()
    for number in range(3):
        await peer.put(f"{calendar}a{number}.ics", timed(str(uuid.uuid4())))
    reply = await peer.sync(calendar, limit="<d:limit><d:nresults>1</d:nresults></d:limit>")
    if reply.status != 207:
        return str(reply.status)
    return (
        "507" if "HTTP/1.1 507" in reply.text else "ignored" if len(members(reply, calendar)) == 3 else "cut"
    )


@claim(
    "a made-up token",
    "403 valid-sync-token",
    "bare 403, 409, 410 or 412",
    "403 valid-sync-token",
    "412 valid-sync-token",
)
async def made_up_token(peer: Peer) -> str:
    reply = await peer.sync(await peer.fresh(), "made-up")
    said = status_and_condition(reply)
    return "bare 403, 409, 410 or 412" if said in {"403", "409", "410", "412"} else said


@claim("another calendar's token", "refused", "refused", "refused", "refused")
async def foreign_token(peer: Peer) -> str:
    first, second = await peer.fresh(), await peer.fresh()
    await peer.put(f"{first}a.ics", timed(str(uuid.uuid4())))
    reply = await peer.sync(second, (await peer.sync(first)).token)
    return "taken" if reply.status == 207 else "refused"


@claim("a deleted object", "404 in sync", "404 in sync", "404 in sync", "404 in sync")
async def tombstone(peer: Peer) -> str:
    calendar = await peer.fresh()
    await peer.put(f"{calendar}a.ics", timed(str(uuid.uuid4())))
    token = (await peer.sync(calendar)).token
    await peer.call("DELETE", f"{calendar}a.ics")
    gone = (await peer.sync(calendar, token)).gone
    return "404 in sync" if [href.rpartition("/")[2] for href in gone] == ["a.ics"] else "not told"


# --- Reads


@claim("multiget of what was just put", "given", "404 at first", "given", "given")
async def read_lag(peer: Peer) -> str:
    calendar = await peer.fresh()
    await peer.put(f"{calendar}a.ics", timed(str(uuid.uuid4())))
    reply = await peer.multiget(calendar, f"{calendar}a.ics")
    return "given" if "BEGIN:VEVENT" in reply.text else "404 at first"


@claim("multiget of three", "three", "two", "three", "three")
async def multiget_drops(peer: Peer) -> str:
    calendar = await peer.fresh()
    hrefs = [f"{calendar}a{number}.ics" for number in range(3)]
    for href in hrefs:
        await peer.put(href, timed(str(uuid.uuid4())))
    return {3: "three", 2: "two"}[len((await peer.multiget(calendar, *hrefs)).hrefs)]


@claim("multiget of an object elsewhere", "404", "404", "404", "given")
async def multiget_elsewhere(peer: Peer) -> str:
    first, second = await peer.fresh(), await peer.fresh()
    await peer.put(f"{second}a.ics", timed(str(uuid.uuid4())))
    reply = await peer.multiget(first, f"{second}a.ics")
    if reply.status != 207:
        return str(reply.status)
    return "given" if "BEGIN:VEVENT" in reply.text else "404"


@claim("a query by UID", "412", "412", "found", "found")
async def by_uid(peer: Peer) -> str:
    return await _found(peer, matching("UID", "{uid}"))


@claim("a query by title", "nothing", "nothing", "found", "found")
async def by_title(peer: Peer) -> str:
    return await _found(peer, matching("SUMMARY", "Lunch"))


@claim("a query that names no component", "500", "nothing", "found", "found")
async def without_component(peer: Peer) -> str:
    return await _found(peer, "")


async def _found(peer: Peer, comp_filter: str) -> str:
    calendar, uid = await peer.fresh(), str(uuid.uuid4())
    await peer.put(f"{calendar}a.ics", timed(uid, "SUMMARY:Lunch"))
    reply = await peer.query(calendar, comp_filter.replace("{uid}", uid))
    if reply.status != 207:
        return str(reply.status)
    return "found" if members(reply, calendar) == ["a.ics"] else "nothing"


@claim("a time range, an occurrence moved into it", "missed", "missed", "found", "found")
async def moved_into_range(peer: Peer) -> str:
    calendar, uid = await peer.fresh(), str(uuid.uuid4())
    override = (
        f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20261101T000000Z\r\nRECURRENCE-ID:20261122T100000Z\r\n"
        "DTSTART:20261128T100000Z\r\nDTEND:20261128T110000Z\r\nEND:VEVENT\r\nEND:VCALENDAR"
    )
    text = timed(uid, "RRULE:FREQ=DAILY;COUNT=2").replace("END:VCALENDAR", override)
    await peer.put(f"{calendar}a.ics", text)
    reply = await peer.query(calendar, vevent(A_WEEK))
    return "found" if members(reply, calendar) else "missed"


@claim("an all-day event, its day in UTC", "found", "found", "found", "found")
async def all_day_in_utc(peer: Peer) -> str:
    calendar = await peer.fresh()
    lines = (f"UID:{uuid.uuid4()}", "DTSTAMP:20261101T000000Z", "DTSTART;VALUE=DATE:20261128")
    await peer.put(f"{calendar}a.ics", ics("BEGIN:VEVENT", *lines, "DTEND;VALUE=DATE:20261129", "END:VEVENT"))
    reply = await peer.query(calendar, vevent(A_WEEK))
    return "found" if members(reply, calendar) else "missed"


@claim("expand, three days of a series", "3", "nothing", "3", "3")
async def expand(peer: Peer) -> str:
    calendar = await peer.fresh()
    await peer.put(f"{calendar}a.ics", timed(str(uuid.uuid4()), "RRULE:FREQ=DAILY;COUNT=30"))
    span = 'start="20261201T000000Z" end="20261204T000000Z"'
    ask = f"<d:prop><d:getetag/><c:calendar-data><c:expand {span}/></c:calendar-data></d:prop>"
    reply = await peer.query(calendar, vevent(f"<c:time-range {span}/>"), ask)
    if reply.status != 207:
        return str(reply.status)
    return str(reply.text.count("BEGIN:VEVENT") or "nothing")


@claim(
    "part of an object",
    "that part, no VTIMEZONE",
    "that part, no VTIMEZONE",
    "all of it",
    "that part, no VTIMEZONE",
)
async def partial(peer: Peer) -> str:
    calendar = await peer.fresh()
    await peer.put(f"{calendar}a.ics", _zoned(str(uuid.uuid4())))
    comps = '<c:comp name="VCALENDAR"><c:comp name="VEVENT"><c:prop name="UID"/></c:comp></c:comp>'
    ask = f"<d:prop><d:getetag/><c:calendar-data>{comps}</c:calendar-data></d:prop>"
    await peer.multiget(calendar, f"{calendar}a.ics", ask=ask)  # The first may not know of it yet.
    reply = await peer.multiget(calendar, f"{calendar}a.ics", ask=ask)
    if "SUMMARY" in reply.text:
        return "all of it"
    return "that part" if "VTIMEZONE" in reply.text else "that part, no VTIMEZONE"


@claim("free-busy-query", "400", "400", "200", "200")
async def free_busy(peer: Peer) -> str:
    return str((await peer.report(await peer.fresh(), "c:free-busy-query", A_WEEK)).status)


# --- Writes


@claim("the ETag of a PUT", "told", "not told", "told", "told")
async def put_etag(peer: Peer) -> str:
    reply = await peer.put(f"{await peer.fresh()}a.ics", timed(str(uuid.uuid4())))
    return "told" if reply.header("etag") else "not told"


@claim("Schedule-Tag", "never", "never", "never", "sent")
async def schedule_tag(peer: Peer) -> str:
    calendar = await peer.fresh()
    put = await peer.put(f"{calendar}a.ics", timed(str(uuid.uuid4())))
    got = await peer.call("GET", f"{calendar}a.ics")
    return "sent" if put.header("schedule-tag") or got.header("schedule-tag") else "never"


@claim("a simple event", "byte for byte", "byte for byte", "written anew", "written anew")
async def verbatim(peer: Peer) -> str:
    calendar, text = await peer.fresh(), timed(str(uuid.uuid4()), "SUMMARY:Lunch", "X-ODD:1")
    await peer.put(f"{calendar}a.ics", text)
    return "byte for byte" if (await peer.call("GET", f"{calendar}a.ics")).text == text else "written anew"


@claim("the VTIMEZONE of an event", "the server's own", "the server's own", "kept", "kept")
async def own_zone(peer: Peer) -> str:
    calendar = await peer.fresh()
    await peer.put(f"{calendar}a.ics", _zoned(str(uuid.uuid4())))
    return "kept" if "X-MINE" in (await peer.call("GET", f"{calendar}a.ics")).text else "the server's own"


@claim("`If-Match: *` on what exists", "412", "412", "204", "204")
async def any_match_existing(peer: Peer) -> str:
    calendar, text = await peer.fresh(), timed(str(uuid.uuid4()))
    await peer.put(f"{calendar}a.ics", text)
    return str((await peer.put(f"{calendar}a.ics", text, If_Match="*")).status)


@claim("`If-Match: *` on what does not", "201", "201", "412", "412")
async def any_match_missing(peer: Peer) -> str:
    return str((await peer.put(f"{await peer.fresh()}a.ics", timed(str(uuid.uuid4())), If_Match="*")).status)


@claim("`If-None-Match: *` on what exists", "412", "412", "412", "412")
async def none_match_existing(peer: Peer) -> str:
    calendar, text = await peer.fresh(), timed(str(uuid.uuid4()))
    await peer.put(f"{calendar}a.ics", text)
    return str((await peer.put(f"{calendar}a.ics", text, If_None_Match="*")).status)


@claim("a stale ETag, PUT and DELETE", "412, 412", "412, 412", "412, 412", "412, 412")
async def stale_etag(peer: Peer) -> str:
    calendar, uid = await peer.fresh(), str(uuid.uuid4())
    await peer.put(f"{calendar}a.ics", timed(uid))
    put = await peer.put(f"{calendar}a.ics", timed(uid, "SUMMARY:x"), If_Match='"stale"')
    deleted = await peer.call("DELETE", f"{calendar}a.ics", headers={"If-Match": '"stale"'})
    return f"{put.status}, {deleted.status}"


@claim(
    "a UID that the calendar has", "412", "403 no-uid-conflict", "409 no-uid-conflict", "412 no-uid-conflict"
)
async def same_uid_here(peer: Peer) -> str:
    calendar, uid = await peer.fresh(), str(uuid.uuid4())
    await peer.put(f"{calendar}a.ics", timed(uid))
    return status_and_condition(await peer.put(f"{calendar}b.ics", timed(uid), If_None_Match="*"))


@claim("a UID that another calendar has", "412", "403 no-uid-conflict", "201", "201")
async def same_uid_elsewhere(peer: Peer) -> str:
    first, second, uid = await peer.fresh(), await peer.fresh(), str(uuid.uuid4())
    await peer.put(f"{first}a.ics", timed(uid))
    return status_and_condition(await peer.put(f"{second}a.ics", timed(uid), If_None_Match="*"))


@claim("an event without an end", "404", "403", "201", "201")
async def endless(peer: Peer) -> str:
    return str((await peer.put(f"{await peer.fresh()}a.ics", event(str(uuid.uuid4()), end=None))).status)


@claim("an object with a METHOD", "403", "400", "201", "201")
async def method(peer: Peer) -> str:
    lines = timed(str(uuid.uuid4())).splitlines()[3:-1]
    return str((await peer.put(f"{await peer.fresh()}a.ics", ics("METHOD:REQUEST", *lines))).status)


@claim("a task in a calendar of events", "403", "403", "201", "403")
async def task_among_events(peer: Peer) -> str:
    task = ics("BEGIN:VTODO", f"UID:{uuid.uuid4()}", "DTSTAMP:20261101T000000Z", "SUMMARY:x", "END:VTODO")
    return str((await peer.put(f"{await peer.fresh()}a.ics", task)).status)


@claim("the name `a_b.ics`", "201", "403", "201", "201")
async def odd_name(peer: Peer) -> str:
    return str((await peer.put(f"{await peer.fresh()}a_b.ics", timed(str(uuid.uuid4())))).status)


@claim("DELETE with a Depth", "204", "400", "200", "204")
async def delete_depth(peer: Peer) -> str:
    calendar = await peer.fresh()
    await peer.put(f"{calendar}a.ics", timed(str(uuid.uuid4())))
    return str((await peer.call("DELETE", f"{calendar}a.ics", headers={"Depth": "infinity"})).status)


@claim("a weekly rule without BYDAY", "kept", "dropped", "kept", "kept")
async def weekly(peer: Peer) -> str:
    calendar = await peer.fresh()
    await peer.put(f"{calendar}a.ics", timed(str(uuid.uuid4()), "RRULE:FREQ=WEEKLY"))
    return "kept" if "RRULE" in (await peer.call("GET", f"{calendar}a.ics")).text else "dropped"


@claim("MOVE", "412", "412", "201", "412")
async def move(peer: Peer) -> str:
    calendar = await peer.fresh()
    await peer.put(f"{calendar}a.ics", timed(str(uuid.uuid4())))
    headers = {"Destination": f"{peer.url}{calendar}b.ics"}
    return str((await peer.call("MOVE", f"{calendar}a.ics", headers=headers)).status)


@claim("MKCALENDAR for tasks", "403", "403", "201", "201")
async def make_task_list(peer: Peer) -> str:
    component = (
        '<c:supported-calendar-component-set><c:comp name="VTODO"/></c:supported-calendar-component-set>'
    )
    body = f"<c:mkcalendar {XMLNS}><d:set><d:prop>{component}</d:prop></d:set></c:mkcalendar>"
    return str((await peer.call("MKCALENDAR", f"{peer.home}{uuid.uuid4()}/", body)).status)


@claim("extended MKCOL", "405", "405", "201", "201")
async def extended_mkcol(peer: Peer) -> str:
    kinds = "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype>"
    body = f"<d:mkcol {XMLNS}><d:set><d:prop>{kinds}</d:prop></d:set></d:mkcol>"
    return str((await peer.call("MKCOL", f"{peer.home}{uuid.uuid4()}/", body)).status)


@claim("MKCALENDAR with the id `x1`", "400", "400", "201", "201")
async def short_id(peer: Peer) -> str:
    return str((await peer.call("MKCALENDAR", f"{peer.home}x1/")).status)


@claim("a calendar deleted and made anew", "empty", "its old events", "empty", "empty")
async def made_anew(peer: Peer) -> str:
    calendar = await peer.fresh()
    await peer.put(f"{calendar}a.ics", timed(str(uuid.uuid4())))
    await peer.call("DELETE", calendar)
    await peer.call("MKCALENDAR", calendar)
    return "its old events" if members(await peer.sync(calendar), calendar) else "empty"


@claim("PROPPATCH of the name", "done", "done", "done", "done")
async def rename(peer: Peer) -> str:
    calendar = await peer.fresh()
    prop = "<d:set><d:prop><d:displayname>Other</d:displayname></d:prop></d:set>"
    await peer.call("PROPPATCH", calendar, f"<d:propertyupdate {XMLNS}>{prop}</d:propertyupdate>")
    found = await peer.find(calendar, "<d:displayname/>")
    return "done" if found.texts(".//d:displayname") == ["Other"] else "not done"


def _zoned(uid: str) -> str:
    return ics(
        *("BEGIN:VTIMEZONE", "TZID:Europe/Berlin", "X-MINE:1", "BEGIN:STANDARD", "DTSTART:19701025T030000"),
        *("TZOFFSETFROM:+0200", "TZOFFSETTO:+0100", "END:STANDARD", "END:VTIMEZONE", "BEGIN:VEVENT"),
        *(f"UID:{uid}", "DTSTAMP:20261101T000000Z", "DTSTART;TZID=Europe/Berlin:20261121T100000"),
        *("DTEND;TZID=Europe/Berlin:20261121T110000", "SUMMARY:Zoned", "END:VEVENT"),
    )


def _call(url: str, method: str, path: str, body: str, headers: dict[str, str]) -> Reply:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, body.encode(), headers)
        response = connection.getresponse()
        return Reply(response.status, response.getheaders(), response.read().decode())
    finally:
        connection.close()


def table() -> str:
    """As docs/standin.md shows it."""
    head = (
        "| what a client does or meets | stand-in, strict | stand-in, hostile | Radicale 3.9 | Xandikos 0.4 |"
    )
    rows = [f"| {each.what} | {' | '.join(each.expected)} |" for each in CLAIMS.values()]
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def manners_table() -> str:
    """Every switch, likewise."""
    rows = [
        f"| `{each.name.replace('_', '-')}` | {each.metadata['grade']} | {_shown(each.default)} "
        f"| {_shown(each.metadata['hostile'])} | {each.metadata['what']} |"
        for each in manners()
    ]
    return "\n".join(["| manner | grade | strict | hostile | what it is |", "|---|---|---|---|---|", *rows])


def _shown(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n\n{manners_table()}\n")
