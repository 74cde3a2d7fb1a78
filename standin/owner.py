"""The owner's phone: makes and changes events in the stand-in over plain CalDAV, as a device does."""

import asyncio
import base64
import http.client
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote, unquote, urlsplit
from xml.sax.saxutils import escape

from standin import edits, markup
from standin.event_text import Event, as_text, escaped, moment, resource, unescaped
from standin.ics import unfolded
from standin.markup import c, cs, d
from standin.messages import OWNERS_DEVICE

_XMLNS = f'xmlns="{markup.DAV}" xmlns:C="{markup.CALDAV}" xmlns:CS="{markup.CS}" xmlns:I="{markup.ICAL}"'
_HOME_PROPS = f'<propfind xmlns="{markup.DAV}"><prop><displayname/><resourcetype/></prop></propfind>'
_QUERY = (
    f'<C:calendar-query xmlns="{markup.DAV}" xmlns:C="{markup.CALDAV}"><prop><getetag/><C:calendar-data/></prop>'
    '<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"/></C:comp-filter></C:filter>'
    "</C:calendar-query>"
)


class PhoneError(Exception):
    """The server refused what the phone did."""

    def __init__(self, what: str, status: int) -> None:
        why = ": the Apple ID or the password is wrong" if status == 401 else ""
        super().__init__(f"{what} was answered {status}{why}")
        self.status = status


@dataclass(frozen=True, slots=True)
class PhoneEvent:
    """An event as the phone's list shows it: the master's title and times, as they are written."""

    path: str
    etag: str
    title: str
    start: str
    end: str
    text: str


class Phone:
    """`add` gives the new event's path, which everything else takes.

    It is Apple's own device: no fault meets it, no manner in dispute, and the account's own password opens too.
    What it writes lags for others all the same.
    """

    def __init__(self, base_url: str, apple_id: str, password: str) -> None:
        if not base_url.startswith("http://"):
            raise ValueError("the phone talks to the stand-in alone, over plain http")
        self._base = base_url
        signed = base64.b64encode(f"{apple_id}:{password}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {signed}",
            "User-Agent": "iOS/19.1 (standin) dataaccessd/1.0",
            OWNERS_DEVICE: "yes",
        }
        self._calendars: dict[str, str] = {}

    async def calendars(self) -> dict[str, str]:
        """Path by name, of the calendars that hold events or reminders."""
        if not self._calendars:
            listed = await self._xml("PROPFIND", await self._home(), _HOME_PROPS, {"Depth": "1"})
            self._calendars = {
                markup.text_of(response.find(f".//{d('displayname')}")): _path(response)
                for response in listed.iter(d("response"))
                if response.find(f".//{c('calendar')}") is not None
                or response.find(f".//{cs('subscribed')}") is not None
            }
        return self._calendars

    async def add(
        self,
        calendar: str,
        title: str,
        start: date | datetime,
        end: date | datetime,
        *,
        free: bool = False,
        rule: str = "",
        travel: timedelta = timedelta(),
        status: str = "",
    ) -> str:
        """Dates make it all-day, naive moments floating. The resource's name is not its UID."""
        event = Event(
            uid=_new_id(),
            title=title,
            start=start,
            end=end,
            written=datetime.now(UTC),
            free=free,
            rule=rule,
            travel=travel,
            status=status,
            alarm="-PT15M",
        )
        path = f"{await self._calendar(calendar)}{_new_id()}.ics"
        await self._put(path, resource([event]), {"If-None-Match": "*"})
        return path

    async def events(self, calendar: str) -> list[PhoneEvent]:
        root = await self._xml("REPORT", await self._calendar(calendar), _QUERY, {"Depth": "1"})
        seen = (_seen(response) for response in root.iter(d("response")))
        return [event for event in seen if event is not None]

    async def read(self, path: str) -> tuple[str, str]:
        """The text and its ETag."""
        text, headers = await self._exchange("GET", path)
        return text, headers["etag"]

    async def delete(self, path: str) -> None:
        _, etag = await self.read(path)
        await self._exchange("DELETE", path, headers={"If-Match": etag})

    async def move(self, path: str, start: date | datetime, end: date | datetime) -> None:
        edit = {"DTSTART": f"DTSTART{moment(start)}", "DTEND": f"DTEND{moment(end)}", "DURATION": ""}
        await self._change(path, edits.setting(edit))

    async def carry(self, path: str, calendar: str) -> str:
        """To another calendar; the new path. A UID stands once in an account, so it goes before it comes."""
        text, etag = await self.read(path)
        new_path = f"{await self._calendar(calendar)}{_new_id()}.ics"
        await self._exchange("DELETE", path, headers={"If-Match": etag})
        try:
            await self._put(new_path, text, {"If-None-Match": "*"})
        except PhoneError:
            await self._put(path, text, {"If-None-Match": "*"})
            raise
        return new_path

    async def rename(self, path: str, title: str) -> None:
        await self._change(path, edits.setting({"SUMMARY": f"SUMMARY:{escaped(title)}"}))

    async def free(self, path: str, *, free: bool = True) -> None:
        await self._change(path, edits.setting({"TRANSP": f"TRANSP:{'TRANSPARENT' if free else 'OPAQUE'}"}))

    async def cancel(self, path: str) -> None:
        await self._change(path, edits.setting({"STATUS": "STATUS:CANCELLED"}))

    async def travel(self, path: str, minutes: int) -> None:
        """0 takes it away."""
        name = "X-APPLE-TRAVEL-DURATION"
        line = f"{name};VALUE=DURATION:PT{minutes}M" if minutes else ""
        await self._change(path, edits.setting({name: line}))

    async def decline(self, path: str, email: str) -> None:
        """The owner's own answer to an invitation."""
        await self._change(path, edits.declining(email))

    async def leave_out(self, path: str, occurrence: date | datetime) -> None:
        """Delete one occurrence of a series."""
        await self._change(path, edits.leaving_out(occurrence))

    async def override(
        self, path: str, occurrence: date | datetime, start: date | datetime, end: date | datetime
    ) -> None:
        """Move one occurrence of a series; `occurrence` is where it would have been."""
        await self._change(path, edits.overriding(occurrence, start, end))

    async def this_and_future(
        self, path: str, occurrence: date | datetime, start: date | datetime, end: date | datetime
    ) -> str:
        """End a series before `occurrence` and go on with another, the first of which is from `start` to `end`."""
        text, etag = await self.read(path)
        lines = list(unfolded(text))
        series = _new_id()
        event = Event(
            uid=_new_id(),
            title=unescaped(edits.value(edits.Object.of(lines).master, "SUMMARY")),
            start=start,
            end=end,
            written=datetime.now(UTC),
        )
        ended = edits.ending_before(occurrence, series)(lines)
        following = edits.going_on(lines, occurrence, series)
        await self._put(path, as_text(ended), {"If-Match": etag})
        new_path = f"{path.rpartition('/')[0]}/{_new_id()}.ics"
        new_lines = edits.adding(list(unfolded(resource([event]))), following)
        await self._put(new_path, as_text(new_lines), {"If-None-Match": "*"})
        return new_path

    # --- Calendars, by name

    async def make_calendar(self, name: str, *, color: str = "#1BADF8FF") -> str:
        """The new calendar's path."""
        path = f"{await self._home()}{_new_id()}/"
        body = f"<C:mkcalendar {_XMLNS}><set><prop>{_named(name, color)}</prop></set></C:mkcalendar>"
        await self._exchange("MKCALENDAR", path, body)
        self._calendars = {}
        return path

    async def rename_calendar(self, calendar: str, name: str) -> None:
        await self._patch(calendar, f"<displayname>{escape(name)}</displayname>")

    async def recolour(self, calendar: str, color: str) -> None:
        await self._patch(calendar, f"<I:calendar-color>{escape(color)}</I:calendar-color>")

    async def delete_calendar(self, calendar: str) -> None:
        await self._exchange("DELETE", await self._calendar(calendar))
        self._calendars = {}

    async def share(self, calendar: str, email: str) -> None:
        invited = f"<CS:set><href>mailto:{escape(email)}</href><CS:read-write/></CS:set>"
        await self._exchange(
            "POST", await self._calendar(calendar), f"<CS:share {_XMLNS}>{invited}</CS:share>"
        )

    async def unshare(self, calendar: str, email: str) -> None:
        left = f"<CS:remove><href>mailto:{escape(email)}</href></CS:remove>"
        await self._exchange("POST", await self._calendar(calendar), f"<CS:share {_XMLNS}>{left}</CS:share>")

    async def _patch(self, calendar: str, props: str) -> None:
        path = await self._calendar(calendar)
        body = f"<propertyupdate {_XMLNS}><set><prop>{props}</prop></set></propertyupdate>"
        await self._exchange("PROPPATCH", path, body)
        self._calendars = {}

    async def _change(self, path: str, edit: edits.Edit) -> None:
        text, etag = await self.read(path)
        await self._put(path, as_text(edit(list(unfolded(text)))), {"If-Match": etag})

    async def _home(self) -> str:
        principal = await self._href("/", d("current-user-principal"))
        return await self._href(principal, c("calendar-home-set"))

    async def _calendar(self, name: str) -> str:
        calendars = await self.calendars()
        if name not in calendars:
            raise LookupError(f"no calendar {name!r}; there are {', '.join(calendars)}")
        return calendars[name]

    async def _put(self, path: str, text: str, condition: Mapping[str, str]) -> None:
        await self._exchange("PUT", path, text, {"Content-Type": "text/calendar; charset=utf-8", **condition})

    async def _href(self, path: str, name: str) -> str:
        namespace, _, local = name[1:].partition("}")
        body = f'<propfind xmlns="{markup.DAV}"><prop><{local} xmlns="{namespace}"/></prop></propfind>'
        root = await self._xml("PROPFIND", path, body, {"Depth": "0"})
        return urlsplit(markup.text_of(root.find(f".//{name}/{d('href')}"))).path

    async def _xml(self, method: str, path: str, body: str, headers: Mapping[str, str]) -> markup.Element:
        text, _ = await self._exchange(method, path, body, {"Content-Type": "text/xml", **headers})
        return markup.parse(text.encode())

    async def _exchange(
        self, method: str, path: str, body: str = "", headers: Mapping[str, str] | None = None
    ) -> tuple[str, dict[str, str]]:
        return await asyncio.to_thread(self._exchange_now, method, path, body, headers or {})

    def _exchange_now(
        self, method: str, path: str, body: str, headers: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        connection = http.client.HTTPConnection(urlsplit(self._base).netloc, timeout=30)
        try:
            connection.request(
                method, quote(path, safe="/%@-._~"), body.encode(), {**self._headers, **headers}
            )
            response = connection.getresponse()
            text = response.read().decode()
        except OSError as error:
            raise ConnectionError(f"{self._base} can't be reached: {error}") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise PhoneError(f"{method} {path}", response.status)
        return text, {name.lower(): value for name, value in response.getheaders()}


def _seen(response: markup.Element) -> PhoneEvent | None:
    """None of what holds no event; what is deleted while it is listed comes without a text."""
    text = markup.text_of(response.find(f".//{c('calendar-data')}"))
    found = edits.Object.of(unfolded(text))
    if not found.events:
        return None
    etag = markup.text_of(response.find(f".//{d('getetag')}"))
    said = [edits.value(found.master, name) for name in ("SUMMARY", "DTSTART", "DTEND")]
    return PhoneEvent(_path(response), etag, said[0], said[1], said[2], text)


def _path(response: markup.Element) -> str:
    return unquote(markup.text_of(response.find(d("href"))))


def _named(name: str, color: str) -> str:
    return f"<displayname>{escape(name)}</displayname><I:calendar-color>{escape(color)}</I:calendar-color>"


def _new_id() -> str:
    return str(uuid.uuid4()).upper()
