"""The engine against real servers: the stand-in for iCloud with its manners, and a plain Radicale."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.accounts import AccountStatus, ICloudProblemCode
from domain.calendars import CalendarKind
from domain.copies import WriteState
from models.bell import Bell
from models.calendar import store_listing
from models.changelog import changing
from models.database import Database
from models.icloud import ICloudAccount
from models.seal import Secret
from standin.catalog import CalendarFacts, Kind
from standin.log import Seen
from standin.manners import MODES
from standin.messages import Request
from standin.server import StandIn
from sync.icloud.guard import Guard
from sync.icloud.server import ICloud
from sync.remote import Href, RemoteCalendars
from sync.settings import SyncSettings
from tests.contracts import radicale_server
from tests.fakes.calendar_server import FakeServer
from tests.integration.engine import USER, Engine, at, event

APPLE_ID, PASSWORD = "a@icloud.com", "abcd-efgh-ijkl-mnop"


@dataclass
class Connected:
    engine: Engine
    account: RemoteCalendars
    listed: dict[str, str]
    "Paths by name."


async def connected(database: Database, bell: Bell, server: ICloud, name: str, password: str) -> Connected:
    engine = Engine(database, bell, FakeServer(), remote=server)
    account = server.sign_in(name, Secret(password))
    found = await account.discover()
    listed = await account.list_calendars(found.home_url)
    await engine.set_up(home_url=found.home_url, apple_id=name, principal=found.principal_path)
    async with changing(database, bell, USER, now=engine.now) as ledger:
        row = await ICloudAccount.all().using_db(ledger.db).get()
        row.sealed_password = engine.sealer.seal(Secret(password), row=row.id)
        await row.save(using_db=ledger.db)
        await store_listing(ledger.db, row, listed, now=engine.now)
    return Connected(engine, account, {each.name: each.path for each in listed})


@pytest.fixture(params=MODES)
async def icloud(request: pytest.FixtureRequest) -> AsyncIterator[StandIn]:
    async with StandIn(manners=MODES[request.param]) as icloud:
        icloud.add_account(APPLE_ID, PASSWORD)
        yield icloud


@pytest.fixture
async def apple(icloud: StandIn, database: Database, bell: Bell) -> AsyncIterator[Connected]:
    server = ICloud(Guard(icloud.entry_url, icloud.hosts))
    yield await connected(database, bell, server, APPLE_ID, PASSWORD)
    await server.close()


def hours(start: int, end: int) -> tuple[datetime, datetime]:
    """Of the third of November."""
    day = datetime(2026, 11, 3, tzinfo=UTC)
    return day.replace(hour=start), day.replace(hour=end)


async def settled(icloud: StandIn, engine: Engine) -> None:
    """As many polls as it takes until the server gives what it tells of."""
    for _ in range(1 + icloud.manners.lag_polls):
        await engine.poll()


async def test_what_the_phone_does_is_seen(icloud: StandIn, apple: Connected) -> None:
    phone = icloud.phone(APPLE_ID)
    engine = apple.engine
    await engine.choose("Home", "Work")
    await engine.poll()
    nine = datetime(2026, 11, 3, 9, tzinfo=UTC)
    path = await phone.add("Home", "Dentist", nine, nine + timedelta(hours=1), travel=timedelta(minutes=20))
    await phone.add("Work", "Open house", nine, nine + timedelta(hours=1), free=True)
    await settled(icloud, engine)
    assert await engine.slots() == [(at(3, 8, 40), at(3, 10))]
    assert len(await engine.events()) == 2
    await phone.move(path, nine + timedelta(days=1), nine + timedelta(days=1, hours=2))
    await settled(icloud, engine)
    assert await engine.slots() == [(at(4, 8, 40), at(4, 11))]
    await phone.delete(path)
    await settled(icloud, engine)
    assert await engine.slots() == []


async def test_a_poll_without_news_is_one_request(icloud: StandIn, apple: Connected) -> None:
    await apple.engine.choose("Home", "Work")
    await apple.engine.poll()
    before = len(icloud.requests)
    await apple.engine.poll()
    assert len(icloud.requests) == before + 1


async def test_texts_are_asked_for_fifty_at_a_time_two_requests_under_way(
    icloud: StandIn, apple: Connected
) -> None:
    home = icloud.cloud.member(APPLE_ID).calendar("Home")
    icloud.cloud.load(home, {f"n{n}.ics": event(f"n{n}", at(3, 9), at(3, 10)) for n in range(320)})
    icloud.faults(APPLE_ID).slow(0.05)  # So that what can be under way at once is.
    await apple.engine.choose("Home")
    await apple.engine.poll()
    asked = [seen for seen in icloud.requests if seen.report == "calendar-multiget"]
    assert sorted(seen.hrefs for seen in asked) == [20] + [50] * 6
    for one in asked:
        assert sum(other.at <= one.at < other.at + other.seconds for other in asked) <= 2


@pytest.mark.parametrize("old_host", ["serves", "redirects", "missing", "refuses", "resets"])
async def test_an_account_is_followed_to_another_partition(
    icloud: StandIn, apple: Connected, old_host: str
) -> None:
    engine, faults = apple.engine, icloud.faults(APPLE_ID)
    await engine.choose("Home", linked="Work")
    await engine.poll()
    engine.now += engine.settings.first_comparison_after
    await engine.poll()  # Which would ask the entry where the home is.
    faults.move_partition(old_host=old_host)
    await icloud.phone(APPLE_ID).add("Home", "Gym", *hours(9, 10))
    name = await engine.book(at(4, 9), at(4, 10))
    for _ in range(5):
        engine.now += 300
        await engine.poll()
        await engine.push()
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    account = await engine.account()
    assert (account.status, account.refusals) == (AccountStatus.CONNECTED, 0)


@pytest.mark.parametrize("what", ["booked", "moved", "cancelled"])
async def test_a_host_that_the_account_left_misleads_no_write(
    icloud: StandIn, apple: Connected, what: str
) -> None:
    """It answers 404 for all that there is: nothing is gone, and no calendar either."""
    engine = apple.engine
    await engine.choose(linked="Home")
    await engine.poll()
    name = await engine.book(at(3, 9), at(3, 10))
    if what != "booked":
        await engine.push()
    match what:
        case "moved":
            await engine.change(name, starts=at(3, 14), ends=at(3, 15))
        case "cancelled":
            await engine.change(name, status="CANCELLED")
    icloud.faults(APPLE_ID).move_partition(old_host="missing")
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.PENDING
    engine.now += 60
    await engine.poll()
    await engine.push()
    state = WriteState.REMOVED if what == "cancelled" else WriteState.WRITTEN
    assert (await engine.appointment(name)).write_state == state
    wanted = {"booked": ["20261103T090000Z"], "moved": ["20261103T140000Z"], "cancelled": []}[what]
    standing = [event.text for event in await icloud.phone(APPLE_ID).events("Home")]
    assert [re.findall(r"DTSTART:(\S+)", text) for text in standing] == [[start] for start in wanted]


async def test_a_booking_stands_once_though_its_answer_was_lost(icloud: StandIn, apple: Connected) -> None:
    engine = apple.engine
    await engine.choose(linked="Home")
    await engine.poll()
    icloud.faults(APPLE_ID).drop_put_answers(1)
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.PENDING
    engine.now += 60
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    phone = icloud.phone(APPLE_ID)
    assert len(await phone.events("Home")) == 1
    await engine.poll()
    assert await engine.slots() == []
    assert icloud.faults(APPLE_ID).mails == 0


async def test_the_owners_move_and_deletion_of_our_event(icloud: StandIn, apple: Connected) -> None:
    engine = apple.engine
    await engine.choose(linked="Home")
    await engine.poll()
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    phone = icloud.phone(APPLE_ID)
    path = (await engine.appointment(name)).href
    assert path is not None
    moved = datetime(2026, 11, 3, 15, tzinfo=UTC)
    await phone.move(path, moved, moved + timedelta(hours=1))
    engine.now += 60
    await settled(icloud, engine)
    assert (await engine.appointment(name)).write_state == WriteState.CHANGED_IN_ICLOUD
    assert await engine.slots() == [(at(3, 15), at(3, 16))]
    await phone.delete(path)
    await settled(icloud, engine)
    assert (await engine.appointment(name)).write_state == WriteState.DELETED_IN_ICLOUD
    assert await engine.slots() == []


async def test_a_touch_by_the_server_is_no_change(icloud: StandIn, apple: Connected) -> None:
    engine = apple.engine
    await engine.choose(linked="Home")
    await engine.poll()
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    icloud.faults(APPLE_ID).touch("home")
    engine.now += 60
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.REMOVED


async def test_purged_tokens_read_anew(icloud: StandIn, apple: Connected) -> None:
    engine = apple.engine
    phone = icloud.phone(APPLE_ID)
    nine = datetime(2026, 11, 3, 9, tzinfo=UTC)
    path = await phone.add("Home", "Dentist", nine, nine + timedelta(hours=1))
    await engine.choose("Home")
    await engine.poll()
    await phone.delete(path)
    icloud.faults(APPLE_ID).purge_tokens("home")
    await engine.poll()
    assert await engine.slots() == []


async def test_throttling_and_revoking_are_told_apart(icloud: StandIn, apple: Connected) -> None:
    engine, faults = apple.engine, icloud.faults(APPLE_ID)
    await engine.choose("Home")
    faults.throttle(times=1, retry_after=50)
    await engine.poll()
    account = await engine.account()
    assert (account.problem_code, account.status) == (ICloudProblemCode.THROTTLED, AccountStatus.UNREACHABLE)
    assert account.retry_at is not None
    assert account.retry_at >= engine.now + 50
    faults.revoke()
    for _ in range(3):
        await engine.poll()
    assert (await engine.account()).status == AccountStatus.NEEDS_NEW_PASSWORD


async def test_what_a_home_shows_is_listed_as_it_is(icloud: StandIn, apple: Connected) -> None:
    for facts in (
        CalendarFacts(id="ro", name="Team", kind=Kind.SHARED, writable=False),
        CalendarFacts(id="sub", name="Holidays", kind=Kind.SUBSCRIBED),
        CalendarFacts(id="todo", name="Reminders", kind=Kind.REMINDERS),
    ):
        icloud.add_calendar(APPLE_ID, facts)
    await apple.engine.poll()
    kinds = {name: (await apple.engine.calendar(name)) for name in ("Home", "Team", "Holidays", "Reminders")}
    assert {name: (each.kind, bool(each.can_write)) for name, each in kinds.items()} == {
        "Home": (CalendarKind.EVENTS, True),
        # Where the privileges are not told, trying is what is left.
        "Team": (CalendarKind.EVENTS, icloud.manners.shared_privileges_missing),
        "Holidays": (CalendarKind.SUBSCRIPTION, False),
        "Reminders": (CalendarKind.REMINDERS, True),
    }


async def test_a_plain_server_is_kept_in_step_too(database: Database, bell: Bell, tmp_path: Path) -> None:
    async with radicale_server.plain_radicale(tmp_path) as url:
        server = ICloud(Guard(url))
        plain = await connected(database, bell, server, radicale_server.NAME, radicale_server.PASSWORD)
        engine = plain.engine
        await engine.choose("Work", linked="Home")
        await plain.account.create(plain.listed["Work"] + "x.ics", event("x", at(3, 12), at(3, 13)))  # type: ignore[arg-type]
        name = await engine.book(at(3, 9), at(3, 10))
        await asyncio.sleep(0)
        await engine.poll()
        await engine.push()
        await engine.poll()
        assert await engine.slots() == [(at(3, 12), at(3, 13))]
        await engine.change(name, starts=at(4, 9), ends=at(4, 10))
        await engine.push()
        await engine.change(name, status="CANCELLED")
        await engine.push()
        assert (await engine.appointment(name)).write_state == WriteState.REMOVED
        assert (await plain.account.list_resources(plain.listed["Home"])).items == ()
        await server.close()


async def test_a_first_reading_that_is_cut_off_fetches_nothing_twice(
    icloud: StandIn, apple: Connected
) -> None:
    engine = apple.engine
    engine.settings = SyncSettings(batch=10, answers_stored_at_once=2)
    for number in range(80):
        path = Href(f"{apple.listed['Home']}n{number}.ics")
        await apple.account.create(path, event(f"n{number}", at(3, 9), at(3, 10)))
    await engine.choose("Home")

    under_way = 0

    async def asked(_: Request) -> None:
        nonlocal under_way
        under_way += 1

    def heard(_: Seen) -> None:
        nonlocal under_way
        under_way -= 1

    icloud.front.asked, icloud.front.heard = asked, heard

    def kill(step: str) -> None:
        if step == "page stored":
            polling.cancel()

    polling = asyncio.create_task(engine.poll(engine.context("killed", kill)))
    with pytest.raises(asyncio.CancelledError):
        await polling
    # What was under way when it was cut off is in the log then.
    await asyncio.sleep(0.5)
    async with asyncio.timeout(60):
        while under_way:
            await asyncio.sleep(0.02)
    held = len(await engine.slots())
    assert 0 < held < 80
    before = len(icloud.requests)
    engine.now += engine.settings.lease + 1
    context = engine.context("next")
    await engine.poll(context)
    reports = Counter(seen.report for seen in icloud.requests[before:])
    # A hostile iCloud holds some of a page back, so that what is left fills no whole pages.
    assert (reports["sync-collection"], reports["calendar-multiget"]) == (1, -(-(80 - held) // 10))
    for _ in range(4):  # A hostile iCloud gives some of them later.
        engine.now += 16
        await engine.poll(context)
    assert len(await engine.slots()) == 80
