"""A raw HTTP client for the stand-in's tests: what goes over the wire, and nothing of a CalDAV library."""

import asyncio
import base64
import http.client
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lxml import etree

from standin.catalog import Account, CalendarFacts, Kind
from standin.manners import STRICT, Manners
from standin.server import StandIn

APPLE_ID = "owner@icloud.example"
ALIAS = "owner@example.com"
PASSWORD = "abcd-efgh-ijkl-mnop"
MAIN_PASSWORD = "the-account-s-own"
NS = {
    "d": "DAV:",
    "c": "urn:ietf:params:xml:ns:caldav",
    "cs": "http://calendarserver.org/ns/",
    "i": "http://apple.com/ns/ical/",
}
CALENDARS = (
    CalendarFacts(id="home", name="Home", color="#1BADF8FF", order=1),
    CalendarFacts(id="work", name="Work", order=2),
    CalendarFacts(id="f" * 64, name="Team", kind=Kind.SHARED, writable=False, order=3),
    CalendarFacts(
        id="holidays", name="Holidays", kind=Kind.SUBSCRIBED, source="webcal://x.example/h", order=4
    ),
    CalendarFacts(id="tasks", name="Reminders", kind=Kind.REMINDERS, color=None, order=5),
)
HOME_PROPS = (
    "<d:resourcetype/><d:displayname/><c:supported-calendar-component-set/><d:current-user-privilege-set/>"
    "<cs:getctag/><d:sync-token/><i:calendar-color/><cs:source/>"
)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: list[tuple[str, str]]
    text: str

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def root(self) -> "etree._Element":
        return etree.fromstring(self.text.encode())

    @property
    def hrefs(self) -> list[str]:
        return self.texts("d:response/d:href")

    @property
    def token(self) -> str:
        return self.texts("d:sync-token")[0]

    @property
    def gone(self) -> list[str]:
        return [
            response.findtext("d:href", "", NS)
            for response in self.root.iterfind("d:response", NS)
            if "404" in response.findtext("d:status", "", NS)
        ]

    def texts(self, path: str) -> list[str]:
        return [found.text or "" for found in self.root.iterfind(path, NS)]

    def prop(self, href: str, name: str) -> "etree._Element | None":
        """A property that was found: those with a 404 are None."""
        for response in self.root.iterfind("d:response", NS):
            if response.findtext("d:href", "", NS) != href:
                continue
            for propstat in response.iterfind("d:propstat", NS):
                if "200" in propstat.findtext("d:status", "", NS):
                    return propstat.find(f"d:prop/{name}", NS)
        return None


@dataclass(frozen=True)
class Dav:
    icloud: StandIn
    account: Account

    @property
    def home(self) -> str:
        return self.account.home

    @property
    def authorization(self) -> str:
        return _basic(APPLE_ID, PASSWORD)

    async def exchange(
        self, port: int, request: bytes, *, enough: Callable[[bytes], bool] = lambda _: False
    ) -> bytes:
        """What a socket gives for these bytes, until it is `enough` or ends: say `Connection: close`."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = b""
        async with asyncio.timeout(60):
            while not enough(answer) and (more := await reader.read(1 << 16)):
                answer += more
        writer.close()
        await writer.wait_closed()
        return answer

    async def call(
        self,
        method: str,
        path: str,
        body: str = "",
        headers: Mapping[str, str] | None = None,
        *,
        user: str = APPLE_ID,
        password: str | None = PASSWORD,
        url: str = "",
    ) -> Reply:
        sent = dict(headers or {})
        if path.startswith("/-/"):
            sent.setdefault("Content-Type", "application/json")
        if password is not None:
            sent.setdefault("Authorization", _basic(user, password))
        return await asyncio.to_thread(_call, url or self.icloud.entry_url, method, path, body, sent)

    async def find(
        self,
        path: str,
        props: str,
        depth: str = "0",
        *,
        headers: Mapping[str, str] | None = None,
        password: str | None = PASSWORD,
        url: str = "",
    ) -> Reply:
        body = f"<d:propfind {_XMLNS}><d:prop>{props}</d:prop></d:propfind>"
        sent = {"Depth": depth, **(headers or {})}
        return await self.call("PROPFIND", path, body, sent, password=password, url=url)

    async def listing(self) -> Reply:
        return await self.find(self.home, HOME_PROPS, "1")

    async def sync(self, calendar: str, token: str = "", limit: str = "") -> Reply:
        body = (
            f"<d:sync-collection {_XMLNS}><d:sync-token>{token}</d:sync-token><d:sync-level>1</d:sync-level>"
            f"{limit}<d:prop><d:getetag/></d:prop></d:sync-collection>"
        )
        return await self.call("REPORT", f"{self.home}{calendar}/", body, {"Depth": "1"})

    async def multiget(self, calendar: str, *hrefs: str) -> Reply:
        listed = "".join(f"<d:href>{href}</d:href>" for href in hrefs)
        props = "<d:prop><d:getetag/><c:calendar-data/></d:prop>"
        body = f"<c:calendar-multiget {_XMLNS}>{props}{listed}</c:calendar-multiget>"
        return await self.call("REPORT", f"{self.home}{calendar}/", body, {"Depth": "1"})

    async def query(self, calendar: str, comp_filter: str) -> Reply:
        body = (
            f"<c:calendar-query {_XMLNS}><d:prop><d:getetag/></d:prop><c:filter>"
            f'<c:comp-filter name="VCALENDAR">{comp_filter}</c:comp-filter></c:filter></c:calendar-query>'
        )
        return await self.call("REPORT", f"{self.home}{calendar}/", body, {"Depth": "1"})

    async def put(self, path: str, text: str, **conditions: str) -> Reply:
        headers = {name.replace("_", "-"): value for name, value in conditions.items()}
        return await self.call("PUT", self.home + path, text, {"Content-Type": "text/calendar", **headers})


@asynccontextmanager
async def served(*, storage: Path | None = None, manners: Manners = STRICT) -> AsyncIterator[Dav]:
    """A stand-in with one account and a calendar of each kind; what `storage` has already is kept."""
    async with StandIn(storage=storage, manners=manners) as icloud:
        known = [member.account for member in icloud.cloud.members()]
        account = (
            known[0]
            if known
            else icloud.add_account(
                APPLE_ID, PASSWORD, aliases=[ALIAS], main_password=MAIN_PASSWORD, calendars=CALENDARS
            )
        )
        yield Dav(icloud, account)


def event(uid: str = "one", *lines: str, day: int = 21, end: str | None = "DTEND:202611{day}T110000Z") -> str:
    ends = [end.format(day=day)] if end else []
    return ics(
        "BEGIN:VEVENT",
        f"UID:{uid}",
        "DTSTAMP:20261101T000000Z",
        f"DTSTART:202611{day}T100000Z",
        *ends,
        *lines,
        "END:VEVENT",
    )


def ics(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *lines, "END:VCALENDAR", ""])


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


_XMLNS = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NS.items())


def _call(url: str, method: str, path: str, body: str, headers: dict[str, str]) -> Reply:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, body.encode(), headers)
        response = connection.getresponse()
        return Reply(response.status, response.getheaders(), response.read().decode())
    finally:
        connection.close()
