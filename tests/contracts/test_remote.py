"""What every calendar server must do for us: the fake, plain Radicale and Xandikos, the stand-in in both its modes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from domain.calendars import CalendarKind
from domain.paths import path_key
from models.seal import Secret
from standin.catalog import CalendarFacts, Kind
from standin.manners import MODES
from standin.server import StandIn
from sync.ical.resource import AppointmentText, write_appointment
from sync.icloud.guard import Guard
from sync.icloud.server import ICloud
from sync.remote import (
    CalendarServer,
    ETag,
    Fetched,
    Gone,
    Href,
    Listed,
    NotThere,
    PasswordRefused,
    RemoteCalendars,
    StaleWrite,
    SyncToken,
    TokenRefused,
)
from tests.contracts import radicale_server, xandikos_server
from tests.fakes import calendar_server

APPLE_ID, APP_PASSWORD = "a@icloud.com", "abcd-efgh-ijkl-mnop"
START = 1_793_000_000 // 3600 * 3600


@dataclass
class Signed:
    """A server, a name and password that it takes, and one of its empty calendars."""

    server: CalendarServer
    name: str
    password: str
    account: RemoteCalendars
    home_url: str
    calendar: str


def text(uid: str, title: str = "Visit") -> str:
    return write_appointment(AppointmentText(uid, 0, START, START + 3600, title, "", START, START))


async def _signed(server: CalendarServer, name: str, password: str) -> Signed:
    account = server.sign_in(name, Secret(password))
    found = await account.discover()
    listed = await account.list_calendars(found.home_url)
    calendar = next(each.path for each in listed if each.name == "Home")
    return Signed(server, name, password, account, found.home_url, calendar)


SERVERS = ("fake", "radicale", "xandikos", "standin-strict", "standin-hostile")


@pytest.fixture(params=SERVERS)
async def signed(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Signed]:
    async with AsyncExitStack() as stack:
        hosts: frozenset[str] = frozenset()
        match request.param.split("-"):
            case ["fake"]:
                fake = calendar_server.FakeServer()
                fake.add("Home"), fake.add("Work"), fake.add("Tasks", CalendarKind.REMINDERS)
                yield await _signed(fake, calendar_server.APPLE_ID, calendar_server.PASSWORD)
                return
            case ["radicale"]:
                url = await stack.enter_async_context(radicale_server.plain_radicale(tmp_path))
                name, password = radicale_server.NAME, radicale_server.PASSWORD
            case ["xandikos"]:
                url = await stack.enter_async_context(xandikos_server.plain_xandikos(tmp_path))
                name, password = xandikos_server.NAME, xandikos_server.PASSWORD
            case _, mode:
                icloud = await stack.enter_async_context(_standin(mode))
                url, hosts = icloud.entry_url, icloud.hosts
                name, password = APPLE_ID, APP_PASSWORD
        server = ICloud(Guard(url, hosts))
        stack.push_async_callback(server.close)
        yield await _signed(server, name, password)


@asynccontextmanager
async def _standin(mode: str) -> AsyncIterator[StandIn]:
    async with StandIn(manners=MODES[mode]) as icloud:
        icloud.add_account(APPLE_ID, APP_PASSWORD)
        icloud.add_calendar(APPLE_ID, CalendarFacts(id="tasks", name="Tasks", kind=Kind.REMINDERS))
        yield icloud


def href(signed: Signed, name: str) -> Href:
    return Href(f"{signed.calendar}{name}.ics")


async def written(signed: Signed, name: str, title: str = "Visit") -> ETag:
    """A new object's ETag; a server that does not tell it is asked."""
    etag = await signed.account.create(href(signed, name), text(name, title))
    return etag or (await signed.account.get(href(signed, name))).etag


async def fetched(signed: Signed, hrefs: Sequence[Href]) -> dict[Href, Fetched]:
    """All of it; a server that lags, or leaves some out, is asked again for the rest."""
    found: dict[Href, Fetched] = {}
    for _ in range(12):
        left = [each for each in hrefs if each not in found]
        found |= await signed.account.fetch(signed.calendar, left) if left else {}
    return found


async def test_a_wrong_password_is_refused_as_such(signed: Signed) -> None:
    other = signed.server.sign_in(signed.name, Secret("wrong"))
    if signed.name == xandikos_server.NAME:
        assert (await other.discover()).home_url == signed.home_url  # Xandikos lets everybody in.
        return
    with pytest.raises(PasswordRefused):
        await other.discover()


async def test_an_account_is_found_from_the_entry_in_three_questions() -> None:
    async with _standin("strict") as icloud:
        server = ICloud(Guard(icloud.entry_url, icloud.hosts))
        await _signed(server, APPLE_ID, APP_PASSWORD)
        await server.close()
        dsid = icloud.cloud.member(APPLE_ID).account.dsid
        assert [(seen.method, seen.path, seen.depth) for seen in icloud.requests] == [
            ("PROPFIND", "/", "0"),
            ("PROPFIND", f"/{dsid}/principal/", "0"),
            ("PROPFIND", f"/{dsid}/calendars/", "1"),
        ]


async def test_the_listing_tells_what_holds_events(signed: Signed) -> None:
    listed = {each.name: each for each in await signed.account.list_calendars(signed.home_url)}
    assert listed["Home"].kind is CalendarKind.EVENTS
    assert listed["Home"].can_write
    assert listed["Tasks"].kind is CalendarKind.REMINDERS


async def test_the_listed_token_changes_with_the_content(signed: Signed) -> None:
    async def token() -> str | None:
        listed = await signed.account.list_calendars(signed.home_url)
        return next(each.token for each in listed if each.path == signed.calendar)

    before = await token()
    assert before == await token()
    await signed.account.create(href(signed, "one"), text("one"))
    assert await token() != before


async def test_a_new_object_is_listed_and_given(signed: Signed) -> None:
    etag = await written(signed, "one")
    changes = await signed.account.list_changes(signed.calendar, None)
    [listed] = changes.items
    assert isinstance(listed, Listed)
    assert listed.etag == etag
    found = await fetched(signed, [listed.href])
    assert found[listed.href].etag == etag
    assert "UID:one" in found[listed.href].body
    assert (await signed.account.get(listed.href)).etag == etag


async def test_a_plain_listing_tells_the_same(signed: Signed) -> None:
    await signed.account.create(href(signed, "one"), text("one"))
    by_sync = await signed.account.list_changes(signed.calendar, None)
    plainly = await signed.account.list_resources(signed.calendar)
    assert by_sync.items == plainly.items


async def test_changes_since_a_token_are_only_those(signed: Signed) -> None:
    first = await written(signed, "one")
    await signed.account.create(href(signed, "two"), text("two"))
    before = await signed.account.list_changes(signed.calendar, None)
    await signed.account.remove(href(signed, "one"), first)
    await signed.account.create(href(signed, "three"), text("three"))
    changes = await signed.account.list_changes(signed.calendar, before.token)
    gone = [each for each in changes.items if isinstance(each, Gone)]
    listed = [each for each in changes.items if isinstance(each, Listed)]
    assert [path_key(each.href) for each in gone] == [path_key(href(signed, "one"))]
    assert [path_key(each.href) for each in listed] == [path_key(href(signed, "three"))]
    assert changes.token != before.token


async def test_nothing_new_is_an_empty_answer(signed: Signed) -> None:
    await signed.account.create(href(signed, "one"), text("one"))
    before = await signed.account.list_changes(signed.calendar, None)
    assert (await signed.account.list_changes(signed.calendar, before.token)).items == ()


async def test_a_foreign_token_is_refused(signed: Signed) -> None:
    with pytest.raises(TokenRefused):
        await signed.account.list_changes(signed.calendar, SyncToken("made-up & <odd>"))


async def test_what_is_not_there_is_left_out_or_said(signed: Signed) -> None:
    assert await signed.account.fetch(signed.calendar, [href(signed, "none")]) == {}
    with pytest.raises(NotThere):
        await signed.account.get(href(signed, "none"))


async def test_a_second_create_is_refused(signed: Signed) -> None:
    await signed.account.create(href(signed, "one"), text("one"))
    with pytest.raises(StaleWrite):
        await signed.account.create(href(signed, "one"), text("one", "Other"))


async def test_a_stale_write_is_refused(signed: Signed) -> None:
    first = await written(signed, "one")
    second = await signed.account.replace(href(signed, "one"), text("one", "Second"), first)
    assert second != first
    with pytest.raises(StaleWrite):
        await signed.account.replace(href(signed, "one"), text("one", "Third"), first)
    with pytest.raises(StaleWrite):
        await signed.account.remove(href(signed, "one"), first)
    assert "Second" in (await signed.account.get(href(signed, "one"))).body


async def test_removing_what_is_gone_is_said(signed: Signed) -> None:
    with pytest.raises((NotThere, StaleWrite)):
        await signed.account.remove(href(signed, "none"), ETag('"x"'))


async def test_a_calendar_that_is_not_there_is_said(signed: Signed) -> None:
    await signed.account.check_calendar(signed.calendar)
    with pytest.raises(NotThere):
        await signed.account.check_calendar(signed.calendar.replace("home", "none"))


async def test_fifty_objects_are_asked_for_at_once(signed: Signed) -> None:
    for number in range(50):
        await signed.account.create(href(signed, f"n{number}"), text(f"n{number}"))
    listed = await signed.account.list_changes(signed.calendar, None)
    hrefs = [each.href for each in listed.items]
    assert len(await fetched(signed, hrefs)) == 50
