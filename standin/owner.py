"""The owner's phone: makes and changes events in the stand-in over plain CalDAV, as a device does."""

import asyncio
import base64
import http.client
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

from standin import markup
from standin.event_text import Event, as_text, event_lines, moment, resource
from standin.markup import c, cs, d

_FOLD = re.compile(r"\r?\n[ \t]")
_HOME_PROPS = f'<propfind xmlns="{markup.DAV}"><prop><displayname/><resourcetype/></prop></propfind>'
_QUERY = (
    f'<C:calendar-query xmlns="{markup.DAV}" xmlns:C="{markup.CALDAV}"><prop><getetag/><C:calendar-data/></prop>'
    '<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"/></C:comp-filter></C:filter>'
    "</C:calendar-query>"
)


class PhoneError(Exception):
    """The server refused what the phone did."""

    def __init__(self, what: str, status: int) -> None:
        super().__init__(f"{what} was answered {status}")
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
    """`add` gives the new event's path, which everything else takes."""

    def __init__(self, base_url: str, apple_id: str, password: str) -> None:
        if not base_url.startswith("http://"):
            raise ValueError("the phone talks to the stand-in alone, over plain http")
        self._base = base_url
        signed = base64.b64encode(f"{apple_id}:{password}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {signed}",
            "User-Agent": "iOS/19.1 (standin) dataaccessd/1.0",
        }
        self._calendars: dict[str, str] = {}

    async def calendars(self) -> dict[str, str]:
        """Path by name, of the calendars that hold events or reminders."""
        if not self._calendars:
            principal = await self._href("/", d("current-user-principal"))
            home = await self._href(principal, c("calendar-home-set"))
            listed = await self._xml("PROPFIND", home, _HOME_PROPS, {"Depth": "1"})
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
            uid=str(uuid.uuid4()).upper(),
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
        path = f"{await self._calendar(calendar)}{str(uuid.uuid4()).upper()}.ics"
        await self._put(path, resource([event]), {"If-None-Match": "*"})
        return path

    async def events(self, calendar: str) -> list[PhoneEvent]:
        root = await self._xml("REPORT", await self._calendar(calendar), _QUERY, {"Depth": "1"})
        return [_seen(response) for response in root.iter(d("response"))]

    async def read(self, path: str) -> tuple[str, str]:
        """The text and its ETag."""
        text, headers = await self._exchange("GET", path)
        return text, headers["etag"]

    async def delete(self, path: str) -> None:
        _, etag = await self.read(path)
        await self._exchange("DELETE", path, headers={"If-Match": etag})

    async def move(self, path: str, start: date | datetime, end: date | datetime) -> None:
        await self._edit(path, {"DTSTART": f"DTSTART{moment(start)}", "DTEND": f"DTEND{moment(end)}"})

    async def rename(self, path: str, title: str) -> None:
        await self._edit(path, {"SUMMARY": f"SUMMARY:{title}"})

    async def free(self, path: str, *, free: bool = True) -> None:
        await self._edit(path, {"TRANSP": f"TRANSP:{'TRANSPARENT' if free else 'OPAQUE'}"})

    async def cancel(self, path: str) -> None:
        await self._edit(path, {"STATUS": "STATUS:CANCELLED"})

    async def travel(self, path: str, minutes: int) -> None:
        name = "X-APPLE-TRAVEL-DURATION"
        await self._edit(path, {name: f"{name};VALUE=DURATION:PT{minutes}M"})

    async def decline(self, path: str, email: str) -> None:
        """The owner's own answer to an invitation."""
        await self._change(path, lambda lines: [_declined(line, email) for line in lines])

    async def leave_out(self, path: str, occurrence: date | datetime) -> None:
        """Delete one occurrence of a series."""
        await self._change(path, lambda lines: _before_end(lines, [f"EXDATE{moment(occurrence)}"]))

    async def override(
        self, path: str, occurrence: date | datetime, start: date | datetime, end: date | datetime
    ) -> None:
        """Move one occurrence of a series; `occurrence` is where it would have been."""

        def overridden(lines: list[str]) -> list[str]:
            event = Event(
                uid=_value(lines, "UID"),
                title=_value(lines, "SUMMARY"),
                start=start,
                end=end,
                written=datetime.now(UTC),
                occurrence=occurrence,
            )
            return [*lines[:-1], *event_lines(event), lines[-1]]

        await self._change(path, overridden)

    async def _edit(self, path: str, properties: Mapping[str, str]) -> None:
        def edited(lines: list[str]) -> list[str]:
            first, last = lines.index("BEGIN:VEVENT"), lines.index("END:VEVENT")
            master = [line for line in lines[first:last] if _name(line) not in properties]
            return [*lines[:first], *master, *properties.values(), *lines[last:]]

        await self._change(path, edited)

    async def _change(self, path: str, change: Callable[[list[str]], list[str]]) -> None:
        text, etag = await self.read(path)
        lines = _FOLD.sub("", text).splitlines()
        await self._put(path, as_text(change(lines)), {"If-Match": etag})

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
        return await asyncio.to_thread(self._exchange_now, method, path, body, {**(headers or {})})

    def _exchange_now(
        self, method: str, path: str, body: str, headers: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        connection = http.client.HTTPConnection(urlsplit(self._base).netloc, timeout=30)
        try:
            connection.request(method, path, body.encode(), {**self._headers, **headers})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status >= 300:
            raise PhoneError(f"{method} {path}", response.status)
        return text, {name.lower(): value for name, value in response.getheaders()}


def _seen(response: markup.Element) -> PhoneEvent:
    text = markup.text_of(response.find(f".//{c('calendar-data')}"))
    lines = _FOLD.sub("", text).splitlines()
    lines = lines[lines.index("BEGIN:VEVENT") :]
    etag = markup.text_of(response.find(f".//{d('getetag')}"))
    said = [_value(lines, name) for name in ("SUMMARY", "DTSTART", "DTEND")]
    return PhoneEvent(_path(response), etag, said[0], said[1], said[2], text)


def _path(response: markup.Element) -> str:
    return markup.text_of(response.find(d("href")))


def _name(line: str) -> str:
    return re.split("[:;]", line, maxsplit=1)[0].upper()


def _value(lines: list[str], name: str) -> str:
    return next((line.partition(":")[2] for line in lines if _name(line) == name), "")


def _declined(line: str, email: str) -> str:
    if _name(line) != "ATTENDEE" or email.lower() not in line.lower():
        return line
    return re.sub(r"PARTSTAT=[A-Z-]+", "PARTSTAT=DECLINED", line)


def _before_end(lines: list[str], added: list[str]) -> list[str]:
    last = lines.index("END:VEVENT")
    return [*lines[:last], *added, *lines[last:]]
