"""Polls of an account: what is in its calendars becomes events, blocked slots and log rows."""

from __future__ import annotations

import gc
import random
import weakref
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from domain.accounts import AccountStatus, ICloudProblemCode
from domain.changes import ChangeKind
from models.bell import Bell
from models.blocked import BlockedSlot
from models.changelog import changing
from models.database import Database
from models.icloud import ICloudAccount
from models.people import User
from models.polling import Lease, Places, lease_account, trade_leases
from sync.icloud.guard import LONGEST
from sync.poll import begin
from sync.remote import (
    Discovery,
    Forbidden,
    ForeignHost,
    Href,
    NameTooLong,
    NotThere,
    PasswordRefused,
    RemoteError,
    ServerFailed,
    SyncToken,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from sync.settings import SyncSettings
from tests.fakes.calendar_server import PRINCIPAL, FakeAccount
from tests.integration.engine import DAY, HOUR, NOW, USER, ZONE, Engine, at, engine_on, event


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await engine_on(database, bell)


async def test_the_first_poll_reads_the_chosen_calendars_alone(engine: Engine) -> None:
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    engine.server.calendars["/1/calendars/work/"].put("b", event("b", at(3, 12), at(3, 13)))
    await engine.choose("Home")
    outcome = await engine.poll()
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    assert (outcome.is_complete, outcome.changes, outcome.error) == (True, 1, None)
    account = await engine.account()
    assert account.status == AccountStatus.CONNECTED
    assert account.last_synced_at == NOW
    assert (await engine.calendar("Home")).last_synced_at == NOW
    assert (await engine.calendar("Work")).last_synced_at is None


async def test_nothing_is_read_before_a_choice(engine: Engine) -> None:
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.poll()
    assert engine.server.asked == ["list"]
    account = await engine.account()
    assert (account.status, account.next_poll_at) == (AccountStatus.NEEDS_CALENDARS, None)


async def test_a_poll_without_news_asks_once_and_notes_nothing(engine: Engine) -> None:
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home", "Work")
    await engine.poll()
    engine.server.asked.clear()
    position = await engine.position()
    engine.now += 60
    await engine.poll()
    assert engine.server.asked == ["list"]
    assert await engine.position() == position
    assert (await engine.account()).last_synced_at == engine.now
    assert (await engine.calendar("Work")).last_synced_at == engine.now


async def test_the_next_poll_comes_by_the_last_change_and_by_who_watches(engine: Engine) -> None:
    async def next_after() -> float:
        await engine.poll()
        return ((await engine.account()).next_poll_at or 0) - engine.now

    await engine.choose("Home")
    assert await next_after() == 60
    engine.now += 2 * DAY
    assert await next_after() == 300
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(6, 9), at(6, 10)))
    assert await next_after() == 60
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(watched_until=engine.now + 1)
    assert await next_after() == 15


async def test_added_moved_and_deleted_events_are_noted(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    await engine.choose("Home")
    await engine.poll()
    after = await engine.position()
    href = home.put("a", event("a", at(3, 9), at(3, 10)))
    await engine.poll()
    home.put("a", event("a", at(3, 11), at(3, 12)))
    await engine.poll()
    home.delete(href)
    await engine.poll()
    added, changed, removed = [row for row in await engine.log(after) if row.kind.startswith("slot")]
    assert [added.kind, changed.kind, removed.kind] == [
        ChangeKind.SLOT_ADDED,
        ChangeKind.SLOT_CHANGED,
        ChangeKind.SLOT_REMOVED,
    ]
    assert added.subject_id == changed.subject_id == removed.subject_id
    assert changed.slot is not None
    assert changed.previous is not None
    assert (changed.previous.start, changed.slot.start) == (at(3, 9), at(3, 11))
    assert await engine.slots() == []
    assert await engine.events() == []


async def test_an_event_that_moves_to_another_calendar_closes_its_time_all_the_while(engine: Engine) -> None:
    """Whichever of the two is read first."""
    home, work = engine.server.calendars.values()
    href, body = home.put("a", event("a", at(3, 9), at(3, 10))), event("a", at(3, 9), at(3, 10))
    await engine.choose("Home", "Work")
    await engine.poll()
    closed = []

    async def look(_: str, __: str) -> None:
        closed.append(bool(await engine.slots()))

    engine.server.after = look
    home.delete(href)
    href = work.put("a", body)
    await engine.poll()
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    work.delete(href)
    home.put("a", body)
    await engine.poll()
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    assert all(closed)


async def test_much_that_is_gone_is_gone_a_minute_later_though_another_calendar_changes_at_every_poll(
    engine: Engine,
) -> None:
    home, work = engine.server.calendars.values()
    for number in range(30):
        home.put(f"{number}", event(f"{number}", at(3, 9) + number * HOUR, at(3, 10) + number * HOUR))
    await engine.choose("Home", "Work")
    context = engine.context()
    await engine.poll(context)
    for href in list(home.texts):
        home.delete(href)
    for left in (31, 1):
        home.put("new", event("new", at(5, 9), at(5, 10), title=f"{engine.now}"))
        work.put("b", event("b", at(6, 9), at(6, 10), free=True, title=f"{engine.now}"))
        await engine.poll(context)
        assert len(await engine.slots()) == left
        engine.now += 61


async def test_a_free_event_is_kept_and_blocks_nothing(engine: Engine) -> None:
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10), free=True))
    await engine.choose("Home")
    await engine.poll()
    [found] = await engine.events()
    assert not found.blocks
    assert await engine.slots() == []


async def test_a_series_is_expanded_over_the_horizon(engine: Engine) -> None:
    daily = event("a", at(1, 9), at(1, 10), extra="RRULE:FREQ=DAILY")
    engine.server.calendars["/1/calendars/home/"].put("a", daily)
    await engine.choose("Home")
    await engine.poll()
    slots = await engine.slots()
    assert slots[0] == (at(1, 9), at(1, 10))
    assert len(slots) == 401
    until = (await engine.account()).expanded_until
    assert until is not None
    assert slots[-1][0] < until <= slots[-1][0] + DAY


@pytest.mark.parametrize("is_all_day", [False, True])
async def test_the_daily_roll_adds_a_day_without_a_word(engine: Engine, is_all_day: bool) -> None:
    """A day that is busy as a whole ends where the window begins, and begins where the one before ended."""
    daily = event("a", at(1, 9), at(1, 10), extra="RRULE:FREQ=DAILY")
    if is_all_day:
        daily = daily.replace("DTSTART:20261101T090000Z", "DTSTART;VALUE=DATE:20261101")
        daily = daily.replace("DTEND:20261101T100000Z", "DTEND;VALUE=DATE:20261102")
    engine.server.calendars["/1/calendars/home/"].put("a", daily)
    await engine.choose("Home")
    await engine.poll()
    position, before = await engine.position(), await engine.slots()
    engine.now += DAY
    await engine.poll()
    after = await engine.slots()
    assert await engine.position() == position
    assert after[:-1] == before[1:]
    assert after[-1][0] == before[-1][0] + DAY


async def test_what_the_way_home_closes_goes_with_its_event(engine: Engine) -> None:
    """The event ended before the window that begins at midnight, and its travel time after it."""
    home = engine.server.calendars["/1/calendars/home/"]
    way = "X-APPLE-TRAVEL-RETURN-DURATION;VALUE=DURATION:PT30M"
    home.put("a", event("a", at(1, 22), at(1, 22, 50), extra=way))
    await engine.choose("Home")
    await engine.poll()
    engine.now += DAY
    await engine.poll()
    assert await engine.slots() == [(at(1, 22), at(1, 23, 20))]
    home.delete(Href(f"{home.path}a.ics"))
    await engine.poll()
    assert await engine.slots() == []


async def test_an_event_beyond_the_horizon_comes_with_the_roll(engine: Engine) -> None:
    far = int(NOW) + 401 * DAY
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", far, far + HOUR))
    await engine.choose("Home")
    await engine.poll()
    assert await engine.slots() == []
    engine.now += 3 * DAY
    await engine.poll()
    assert await engine.slots() == [(far, far + HOUR)]


async def test_a_conflict_that_comes_with_the_roll_is_told(engine: Engine) -> None:
    """It was booked before a calendar took part, for an hour that was not expanded yet."""
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("daily", event("daily", at(3, 23), at(3, 23) + HOUR, extra="RRULE:FREQ=DAILY"))
    beyond = at(2, 23) + 399 * DAY
    name = await engine.book(beyond, beyond + HOUR)
    await engine.choose("Home")
    await engine.poll()
    assert (await engine.account()).expanded_until == beyond
    before = await engine.position()
    engine.now += DAY
    await engine.poll()
    assert await engine.kinds(before) == [ChangeKind.CONFLICT_DETECTED]
    assert (await engine.appointment(name)).has_conflict


async def test_another_zone_moves_what_is_bound_to_it(engine: Engine) -> None:
    floating = event("a", at(3, 9), at(3, 10)).replace("T090000Z", "T090000").replace("T100000Z", "T100000")
    engine.server.calendars["/1/calendars/home/"].put("a", floating)
    engine.server.calendars["/1/calendars/home/"].put("b", event("b", at(3, 15), at(3, 16)))
    await engine.choose("Home")
    await engine.poll()
    assert await engine.slots() == [(at(3, 8), at(3, 9)), (at(3, 15), at(3, 16))]
    position = await engine.position()
    await move_to(engine, "America/New_York")
    await engine.poll()
    assert await engine.slots() == [(at(3, 14), at(3, 15)), (at(3, 15), at(3, 16))]
    assert await engine.kinds(position) == [ChangeKind.SLOT_CHANGED]
    assert (await engine.account()).expanded_zone == "America/New_York"


async def test_what_another_zone_moves_over_an_appointment_is_a_conflict(engine: Engine) -> None:
    floating = event("a", at(3, 9), at(3, 10)).replace("T090000Z", "T090000").replace("T100000Z", "T100000")
    engine.server.calendars["/1/calendars/home/"].put("a", floating)
    await engine.choose("Home")
    await engine.poll()
    name = await engine.book(at(3, 14), at(3, 15))
    position = await engine.position()
    await move_to(engine, "America/New_York")
    await engine.poll()
    assert (await engine.appointment(name)).has_conflict
    assert await engine.kinds(position) == [ChangeKind.SLOT_CHANGED, ChangeKind.CONFLICT_DETECTED]


async def move_to(engine: Engine, zone: str) -> None:
    async with engine.database.writing() as db:
        await User.filter(id=USER.user).using_db(db).update(time_zone=zone)


async def test_an_owner_who_turns_back_midway_finds_their_days_where_they_were(engine: Engine) -> None:
    class TurnsBack:
        async def send(self, _: str) -> None:
            await move_to(engine, ZONE)

    home = engine.server.calendars["/1/calendars/home/"]
    for day in (3, 4):
        body = event(f"{day}", at(day, 9), at(day, 10))
        home.put(f"{day}", body.replace("T090000Z", "T090000").replace("T100000Z", "T100000"))
    engine.settings = SyncSettings(batch=1)
    await engine.choose("Home")
    await engine.poll()
    before = await engine.slots()
    await move_to(engine, "America/New_York")
    engine.bell.wire = TurnsBack()
    assert not (await engine.poll()).is_complete
    assert await engine.slots() == [(at(3, 14), at(3, 15)), before[1]]
    await engine.poll()
    assert await engine.slots() == before


async def test_a_refused_token_lists_anew_and_fetches_only_what_changed(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    gone = home.put("a", event("a", at(3, 9), at(3, 10)))
    home.put("b", event("b", at(3, 11), at(3, 12)))
    await engine.choose("Home")
    await engine.poll()
    home.delete(gone)
    home.put("c", event("c", at(3, 13), at(3, 14)))
    engine.server.refused_tokens = True
    engine.server.asked.clear()
    await engine.poll()
    assert engine.server.asked == ["list", "changes", "changes", "resources", "fetch", "fetch"]
    assert await engine.slots() == [(at(3, 11), at(3, 12)), (at(3, 13), at(3, 14))]


async def test_a_server_without_changes_is_read_by_its_listing(engine: Engine) -> None:
    engine.server.has_sync = False
    home = engine.server.calendars["/1/calendars/home/"]
    href = home.put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    await engine.poll()
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    home.delete(href)
    await engine.poll()
    assert await engine.slots() == []


async def test_what_is_listed_and_not_given_holds_the_token_back(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    href = home.put("a", event("a", at(3, 9), at(3, 10)))
    engine.server.hidden.add(href)
    await engine.choose("Home")
    context = engine.context()
    await engine.poll(context)
    assert (await engine.calendar("Home")).last_synced_at is None
    assert (await engine.account()).status == AccountStatus.SYNCING
    engine.server.hidden.clear()
    await engine.poll(context)
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    assert (await engine.account()).status == AccountStatus.CONNECTED


async def test_what_is_never_given_holds_the_calendar_back_a_while_only(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("b", event("b", at(4, 9), at(4, 10)))
    engine.server.hidden.add(home.put("a", event("a", at(3, 9), at(3, 10))))
    await engine.choose("Home")
    context = engine.context()
    for _ in range(engine.settings.most_missing_polls + 1):
        await engine.poll(context)
    assert (await engine.account()).status == AccountStatus.CONNECTED


async def test_an_interrupted_first_read_goes_on_where_it_was(engine: Engine) -> None:
    engine.settings = SyncSettings(answers_stored_at_once=1)
    home = engine.server.calendars["/1/calendars/home/"]
    for number in range(120):
        home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    pages = 0

    def stop(step: str) -> None:
        nonlocal pages
        pages += step == "page stored"
        if step == "page stored" and pages == 2:
            raise Unreachable("stopped here")

    await engine.poll(engine.context(at=stop))
    assert len(await engine.resources()) == 100
    account = await engine.account()
    assert (account.status, account.progress_done, account.progress_total) == (
        AccountStatus.UNREACHABLE,
        100,
        120,
    )
    engine.server.asked.clear()
    await engine.poll()
    assert engine.server.asked.count("fetch") == 1
    assert len(await engine.slots()) == 120
    assert (await engine.account()).progress_done is None


async def test_a_first_read_that_is_told_in_parts_goes_on_from_the_last_part_stored(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    for number in range(120):
        home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10)))
    engine.server.most_told = 50
    await engine.choose("Home")
    await engine.poll(engine.context(at=_stops_at_saved_tokens(2)))
    found = await engine.calendar("Home")
    assert (found.sync_token, found.last_synced_at) == (f"{home.path}#100", None)
    account = await engine.account()
    assert (account.progress_done, account.progress_total) == (100, 100)
    engine.server.asked.clear()
    home.put("n7", event("n7", at(4, 9), at(4, 10)))
    await engine.poll()
    assert engine.server.asked == ["list", "changes", "fetch"]
    assert len(await engine.slots()) == 120
    assert (at(4, 9), at(4, 10)) in await engine.slots()
    found = await engine.calendar("Home")
    assert (found.sync_token, found.last_synced_at) == (home.token, engine.now)
    assert found.compare_at == engine.now + engine.settings.first_comparison_after


async def test_a_part_of_a_first_read_of_which_some_is_not_given_is_told_once_more(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    hrefs = [home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10))) for number in range(9)]
    engine.server.most_told = 2
    engine.server.hidden.add(hrefs[2])
    await engine.choose("Home")
    context = engine.context()
    await engine.poll(context)
    assert (await engine.calendar("Home")).sync_token == f"{home.path}#2"
    engine.server.hidden.clear()
    engine.now += 60
    await engine.poll(context)
    assert len(await engine.slots()) == 9
    assert (await engine.calendar("Home")).last_synced_at == engine.now


async def test_what_went_while_a_first_read_was_interrupted_closes_no_time(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    hrefs = [home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10))) for number in range(9)]
    engine.server.most_told = 3
    await engine.choose("Home")
    stop = _stops_at_saved_tokens(2, 4)
    await engine.poll(engine.context(at=stop))
    for href in hrefs[:4]:
        home.delete(href)
    for _ in range(2):
        engine.now += 60
        await engine.poll(engine.context(at=stop))
    assert len(await engine.slots()) == 5
    assert (await engine.calendar("Home")).sync_token == home.token


async def test_a_name_too_long_in_a_part_of_a_first_read_is_told_until_it_is_gone(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("n" * LONGEST, event("long", at(3, 9), at(3, 10)))
    for number in range(5):
        home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10)))
    engine.server.most_told = 2
    await engine.choose("Home")
    await engine.poll(engine.context(at=_stops_at_saved_tokens(2)))
    engine.now += 60
    assert isinstance((await engine.poll()).error, NameTooLong)
    assert len(await engine.slots()) == 5


def _stops_at_saved_tokens(*numbers: int) -> Callable[[str], None]:
    """Each counted over all polls."""
    saved = 0

    def stop(step: str) -> None:
        nonlocal saved
        saved += step == "token saved"
        if step == "token saved" and saved in numbers:
            raise Unreachable("stopped here")

    return stop


async def test_what_came_before_a_broken_answer_is_stored(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    for number in range(300):
        home.put(f"n{number:03}", event(f"n{number}", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    answers = 0

    async def break_off(name: str, _: str) -> None:
        nonlocal answers
        answers += name == "fetch"
        if name == "fetch" and answers == 4:
            raise Unreachable("broken")

    engine.server.after = break_off
    await engine.poll()
    assert len(await engine.resources()) == 150


async def test_what_a_part_does_not_give_counts_once_however_often_it_is_asked_for(engine: Engine) -> None:
    home, work = (engine.server.calendars[f"/1/calendars/{name}/"] for name in ("home", "work"))
    hrefs = [home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10))) for number in range(8)]
    work.put("a", event("a", at(4, 9), at(4, 10)))
    engine.server.most_told, engine.server.hidden = 3, {hrefs[0]}
    await engine.choose("Home", "Work")
    await engine.poll()
    account = await engine.account()
    assert account.status == AccountStatus.SYNCING
    assert (account.progress_done, account.progress_total) == (8, 9)
    await engine.poll()
    account = await engine.account()
    assert (account.progress_done, account.progress_total) == (7, 8)


async def test_progress_is_told_a_page_at_a_time(engine: Engine) -> None:
    engine.settings = SyncSettings(answers_stored_at_once=1)
    home = engine.server.calendars["/1/calendars/home/"]
    for number in range(120):
        home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    await engine.poll()
    assert (await engine.kinds()).count(ChangeKind.ACCOUNT) == 5


async def test_over_half_gone_at_once_waits_for_a_second_look(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    hrefs = [home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10))) for number in range(30)]
    await engine.choose("Home")
    context = engine.context()
    await engine.poll(context)
    for href in hrefs:
        home.delete(href)
    await engine.poll(context)
    assert len(await engine.slots()) == 30
    account = await engine.account()
    assert account.next_poll_at is not None
    assert account.next_poll_at <= engine.now + 60
    engine.now += 30
    await engine.poll(context)
    assert len(await engine.slots()) == 30
    assert (await engine.account()).next_poll_at == engine.now + 30
    engine.now += 31
    await engine.poll(context)
    assert await engine.slots() == []


async def test_of_much_gone_at_once_what_the_second_look_alone_leaves_out_stays(engine: Engine) -> None:
    """Deleted since, or only not listed: the next poll tells the two apart."""
    home = engine.server.calendars["/1/calendars/home/"]
    hrefs = [
        home.put(f"n{number}", event(f"n{number}", at(number, 9), at(number, 10))) for number in range(1, 29)
    ]
    await engine.choose("Home")
    context = engine.context()
    await engine.poll(context)
    for href in hrefs[:24]:
        home.delete(href)
    await engine.poll(context)
    missed, deleted, *_ = hrefs[24:]
    home.delete(deleted)
    engine.server.untold.add(missed)
    engine.server.unlisted.add(missed)
    engine.now += 61
    await engine.poll(context)
    assert await engine.slots() == [(at(number, 9), at(number, 10)) for number in range(25, 29)]
    account = await engine.account()
    assert account.next_poll_at is not None
    assert account.next_poll_at <= engine.now + 1
    engine.now += 1
    await engine.poll(context)
    assert await engine.slots() == [(at(number, 9), at(number, 10)) for number in (25, 27, 28)]
    assert (await engine.account()).last_synced_at == engine.now


async def test_a_calendar_that_is_replaced_again_and_again_is_read_each_minute(engine: Engine) -> None:
    home, context = engine.server.calendars["/1/calendars/home/"], engine.context()
    await engine.choose("Home")
    began = engine.now
    for turn in range(12):
        for href in list(home.texts):
            home.delete(href)
        for number in range(1, 25):
            home.put(f"n{turn}-{number}", event(f"n{turn}-{number}", at(number, 9), at(number, 10)))
        await engine.poll(context)
        engine.now += 15
    assert (await engine.account()).last_synced_at == began + 150
    assert set(await engine.slots()) == {(at(number, 9), at(number, 10)) for number in range(1, 25)}


@pytest.mark.parametrize("listed_on", [0, 1, 20])
async def test_a_calendar_that_lost_much_and_then_nearly_all_waits_once_more(
    engine: Engine, listed_on: int
) -> None:
    home, context = engine.server.calendars["/1/calendars/home/"], engine.context()
    hrefs = [home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10))) for number in range(100)]
    await engine.choose("Home")
    await engine.poll(context)
    for href in hrefs[:52]:
        home.delete(href)
    await engine.poll(context)
    lost = set(sorted(home.texts)[listed_on:])
    engine.server.unlisted |= lost
    engine.server.untold |= lost
    engine.server.hidden |= lost
    engine.now += 61
    await engine.poll(context)
    assert len(await engine.slots()) == 48


async def test_what_is_much_and_less_than_half_of_its_calendar_is_gone_at_once(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    hrefs = [home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10))) for number in range(50)]
    await engine.choose("Home")
    context = engine.context()
    await engine.poll(context)
    for href in hrefs[:24]:
        home.delete(href)
    await engine.poll(context)
    assert len(await engine.slots()) == 26


async def test_a_mass_removal_that_was_a_mistake_removes_nothing(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    for number in range(30):
        home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    context = engine.context()
    await engine.poll(context)
    texts, home.texts = home.texts, {}
    home.history += list(texts)
    await engine.poll(context)
    home.texts = texts
    engine.now += 61
    await engine.poll(context)
    assert len(await engine.slots()) == 30


async def test_a_mass_removal_that_a_plain_listing_denies_removes_nothing(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    hrefs = [home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10))) for number in range(30)]
    await engine.choose("Home")
    context = engine.context()
    await engine.poll(context)
    engine.server.refused_tokens = True
    engine.server.untold |= set(hrefs)
    for number in range(5):
        home.put(f"new{number}", event(f"new{number}", at(4, 9), at(4, 10)))
        await engine.poll(context)
        engine.now += 61
    assert len(await engine.slots()) == 35


async def test_an_unreadable_event_goes_on_blocking_as_it_was(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    await engine.poll()
    home.put("a", "BEGIN:VCALENDAR\r\nnot one")
    home.put("b", event("b", at(3, 11), at(3, 12)))
    await engine.poll()
    assert await engine.slots() == [(at(3, 9), at(3, 10)), (at(3, 11), at(3, 12))]
    first, _ = await engine.resources()
    assert (first.is_readable, first.has_problems, first.problems[0]["code"]) == (False, True, "UNREADABLE")
    home.put("a", event("a", at(4, 9), at(4, 10)))
    await engine.poll()
    assert await engine.slots() == [(at(3, 11), at(3, 12)), (at(4, 9), at(4, 10))]
    assert not (await engine.resources())[0].has_problems


async def test_an_unreadable_event_survives_the_roll(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("a", event("a", at(1, 9), at(1, 10), extra="RRULE:FREQ=DAILY"))
    await engine.choose("Home")
    await engine.poll()
    home.put("a", "BEGIN:VCALENDAR\r\nbroken")
    await engine.poll()
    engine.now += DAY
    await engine.poll()
    assert len(await engine.slots()) == 401
    assert (await engine.resources())[0].has_problems


async def test_two_resources_of_one_uid_both_block(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("a", event("same", at(3, 9), at(3, 10)))
    href = home.put("b", event("same", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    await engine.poll()
    assert await engine.slots() == [(at(3, 9), at(3, 10))] * 2
    home.delete(href)
    await engine.poll()
    assert await engine.slots() == [(at(3, 9), at(3, 10))]


@pytest.mark.parametrize("letters", ["漢", "\U00020000"])
async def test_no_uid_is_too_long_to_be_kept(engine: Engine, letters: str) -> None:
    """One index entry of PostgreSQL holds 2,704 bytes, and what is all alike is packed."""
    chance = random.Random(1)
    uid = "".join(chr(ord(letters) + chance.randrange(8000)) for _ in range(3000))
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("a", event(uid, at(3, 9), at(3, 10)))
    home.put("b", event(uid, at(3, 11), at(3, 12)))
    await engine.choose("Home")
    assert (await engine.poll()).error is None
    assert await engine.slots() == [(at(3, 9), at(3, 10)), (at(3, 11), at(3, 12))]


async def test_a_calendar_that_is_gone_twice_a_minute_apart_loses_its_events(engine: Engine) -> None:
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    context = engine.context()
    await engine.poll(context)
    del engine.server.calendars["/1/calendars/home/"]
    engine.server.asked.clear()
    for _ in range(2):
        await engine.poll(context)
        engine.now += 30
    assert engine.server.asked == ["list", "check"] * 2
    assert len(await engine.slots()) == 1
    account = await engine.account()
    assert (account.status, account.last_synced_at) == (AccountStatus.CONNECTED, NOW)
    assert account.next_poll_at == NOW + 60
    await engine.poll(context)
    assert await engine.slots() == []
    assert (await engine.calendar("Home")).is_gone
    assert (await engine.account()).status == AccountStatus.CONNECTED


async def test_a_calendar_that_one_listing_misses_is_not_gone(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    await engine.poll()

    async def miss_once(name: str, _: str) -> None:
        if engine.server.calendars.pop(home.path, None) is None:
            engine.server.calendars[home.path] = home

    engine.server.after = miss_once
    await engine.poll()
    assert not (await engine.calendar("Home")).is_gone
    assert await engine.slots() == [(at(3, 9), at(3, 10))]


async def test_a_calendar_that_comes_back_is_read_from_the_start(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    await engine.poll()
    del engine.server.calendars[home.path]
    context = engine.context()
    await engine.poll(context)
    engine.now += 61
    await engine.poll(context)
    assert await engine.slots() == []
    engine.server.calendars[home.path] = home
    await engine.poll()
    assert await engine.slots() == [(at(3, 9), at(3, 10))]


async def test_a_linked_calendar_that_turns_read_only_is_a_problem(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    await engine.choose(linked="Home")
    await engine.poll()
    home.can_write = False
    await engine.poll()
    account = await engine.account()
    assert (account.status, account.problem_code) == (
        AccountStatus.CONNECTED,
        ICloudProblemCode.LINKED_CALENDAR_UNUSABLE,
    )
    home.can_write = True
    await engine.poll()
    assert (await engine.account()).problem_code is None


async def test_what_is_wrong_with_a_choice_is_told_while_another_calendar_is_read(engine: Engine) -> None:
    home, work = (engine.server.calendars[f"/1/calendars/{name}/"] for name in ("home", "work"))
    await engine.choose("Work", linked="Home")
    home.can_write = False
    del engine.server.calendars[work.path]
    context = engine.context()
    for _ in range(2):
        await engine.poll(context)
        engine.now += 61
    before = await engine.account()
    assert (before.status, before.problem_code) == (
        AccountStatus.CONNECTED,
        ICloudProblemCode.LINKED_CALENDAR_UNUSABLE,
    )
    engine.server.calendars[work.path] = work
    work.put("a", event("a", at(3, 9), at(3, 10)))
    during: list[ICloudAccount] = []

    async def look(asked: str, _: str) -> None:
        if asked == "fetch":
            during.append(await engine.account())

    engine.server.after = look
    await engine.poll(context)
    assert [(each.status, each.problem_code) for each in during] == [
        (AccountStatus.SYNCING, ICloudProblemCode.LINKED_CALENDAR_UNUSABLE)
    ]


@pytest.mark.parametrize("error", [NotThere(), Forbidden(), ForeignHost(), UnexpectedAnswer()])
async def test_a_home_that_moved_is_found_again(engine: Engine, error: RemoteError) -> None:
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    engine.server.home_url = "https://other.fake.test/1/calendars/"
    engine.server.failures["list"] = [error]
    await engine.poll()
    assert (await engine.account()).home_url == engine.server.home_url
    assert await engine.slots() == [(at(3, 9), at(3, 10))]


async def test_the_home_of_another_account_is_not_gone_to(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is another's would close this one's time, and this one's guests would be written there."""
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    before = (await engine.account()).home_url
    engine.server.home_url = "https://other.fake.test/2/calendars/"

    async def discover(_: FakeAccount) -> Discovery:
        return Discovery("/2/principal/", engine.server.home_url, frozenset())

    monkeypatch.setattr(FakeAccount, "discover", discover)
    outcome = await engine.poll()
    assert isinstance(outcome.error, UnexpectedAnswer)
    assert ((await engine.account()).home_url, await engine.slots()) == (before, [])


@pytest.mark.parametrize("error", [NotThere(), ServerFailed(), Unreachable()])
async def test_a_home_that_moved_is_found_though_the_host_it_left_shows_it_on(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, error: RemoteError
) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    await engine.choose("Home")
    await engine.poll()
    engine.now += engine.settings.first_comparison_after
    await engine.poll()  # Which would ask the entry where the home is.
    home.put("a", event("a", at(3, 9), at(3, 10)))
    engine.server.failures["changes"] = [error] * 10

    async def discover(_: FakeAccount) -> Discovery:
        engine.server.home_url = "https://other.fake.test/1/calendars/"
        engine.server.failures.clear()
        return Discovery(PRINCIPAL, engine.server.home_url, frozenset())

    monkeypatch.setattr(FakeAccount, "discover", discover)
    for _ in range(3):
        engine.now += 120
        await engine.poll()
    account = await engine.account()
    assert (account.status, account.home_url) == (AccountStatus.CONNECTED, engine.server.home_url)
    assert await engine.slots() == [(at(3, 9), at(3, 10))]


async def test_each_failure_tells_when_the_account_is_tried_again(engine: Engine) -> None:
    await engine.choose("Home")
    await engine.poll()
    position = await engine.position()
    engine.server.failures["list"] = [Unreachable(), Unreachable(), Unreachable()]
    for tried in (1, 2, 3):
        engine.now += 600
        await engine.poll()
        assert await engine.kinds(position) == [ChangeKind.ACCOUNT] * tried


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unreachable(), ICloudProblemCode.UNREACHABLE),
        (Throttled(90.0), ICloudProblemCode.THROTTLED),
        (UnexpectedAnswer(), ICloudProblemCode.UNEXPECTED_ANSWER),
    ],
)
async def test_a_failed_poll_keeps_what_is_known_and_says_so(
    engine: Engine, error: Exception, code: ICloudProblemCode
) -> None:
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    await engine.poll()
    position = await engine.position()
    engine.server.failures["list"] = [error]
    engine.now += 60
    outcome = await engine.poll()
    account = await engine.account()
    assert outcome.error is error
    assert (account.status, account.problem_code) == (AccountStatus.UNREACHABLE, code)
    assert account.next_poll_at == account.retry_at
    assert account.retry_at is not None
    assert account.retry_at >= engine.now + (90 if code is ICloudProblemCode.THROTTLED else 30)
    assert account.last_synced_at == NOW
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    assert await engine.kinds(position) == [ChangeKind.ACCOUNT]
    await engine.poll()
    account = await engine.account()
    assert (account.status, account.problem_code, account.failures) == (AccountStatus.CONNECTED, None, 0)


@pytest.mark.parametrize("failing", ["list", "changes"])
async def test_what_a_failed_poll_read_is_let_go_at_once(engine: Engine, failing: str) -> None:
    """It may be an answer of 64 MB, and the collector waits until many thousand small things are made."""

    class Answer: ...

    answers: list[weakref.ref[Answer]] = []

    async def fail(name: str, _: str) -> None:
        answer = Answer()
        answers.append(weakref.ref(answer))
        if name == failing:
            raise UnexpectedAnswer

    await engine.choose("Home")
    engine.server.after = fail
    gc.disable()
    try:
        outcome = await engine.poll()
        assert isinstance(outcome.error, UnexpectedAnswer)
        assert [answer() for answer in answers] == [None] * len(answers)
    finally:
        gc.enable()


async def test_after_three_refusals_the_password_is_asked_no_more(engine: Engine) -> None:
    await engine.choose("Home")
    await engine.poll()
    engine.server.passwords.clear()
    statuses = []
    for _ in range(3):
        outcome = await engine.poll()
        assert isinstance(outcome.error, PasswordRefused)
        statuses.append((await engine.account()).status)
    assert statuses == ["UNREACHABLE", "UNREACHABLE", "NEEDS_NEW_PASSWORD"]
    assert (await engine.account()).next_poll_at is None


async def test_one_stray_refusal_is_forgotten(engine: Engine) -> None:
    await engine.choose("Home")
    engine.server.failures["list"] = [PasswordRefused(), PasswordRefused()]
    for _ in range(3):
        await engine.poll()
    account = await engine.account()
    assert (account.status, account.refusals) == (AccountStatus.CONNECTED, 0)


@pytest.mark.parametrize("error", [NotThere(), ServerFailed(), UnexpectedAnswer()])
async def test_one_calendar_that_fails_does_not_hold_up_the_others(
    engine: Engine, error: RemoteError
) -> None:
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    engine.server.calendars["/1/calendars/work/"].put("b", event("b", at(3, 11), at(3, 12)))
    await engine.choose("Home", "Work")
    engine.server.failures["changes"] = [error]
    await engine.poll()
    assert await engine.slots() == [(at(3, 11), at(3, 12))]
    assert (await engine.account()).status == AccountStatus.UNREACHABLE
    assert (await engine.account()).last_synced_at is None


async def test_a_calendar_that_refuses_whom_the_home_lets_in_is_no_refused_password(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.server.calendars["/1/calendars/work/"].put("b", event("b", at(3, 12), at(3, 13)))
    await engine.choose("Home", "Work")
    for _ in range(4):
        engine.server.failures["changes"] = [PasswordRefused()]
        outcome = await engine.poll()
        assert isinstance(outcome.error, UnexpectedAnswer)
        engine.now += HOUR
    assert await engine.slots() == [(at(3, 12), at(3, 13))]
    account = await engine.account()
    assert (account.status, account.refusals) == (AccountStatus.UNREACHABLE, 0)
    assert f"calendar {(await engine.calendar('Home')).id} refuses" in caplog.text


async def test_a_password_that_is_revoked_amid_a_poll_counts_as_refused(engine: Engine) -> None:
    await engine.choose("Home", "Work")

    async def revoke(name: str, _: str) -> None:
        if name == "list":
            engine.server.passwords.clear()

    engine.server.after = revoke
    outcome = await engine.poll()
    assert isinstance(outcome.error, PasswordRefused)
    assert engine.server.asked[1:] == ["list", "changes", "list"]
    assert (await engine.account()).refusals == 1


async def test_what_was_left_out_of_the_choice_meanwhile_is_not_stored(engine: Engine) -> None:
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    await engine.poll()
    engine.server.calendars["/1/calendars/home/"].put("b", event("b", at(3, 11), at(3, 12)))

    context = engine.context()

    async def leave_at_fetch(name: str, _: str) -> None:
        if name == "fetch":
            await engine.choose("Work")
            await engine.choose("Home", "Work")

    engine.server.after = leave_at_fetch
    outcome = await engine.poll(context)
    assert not outcome.is_complete
    assert await engine.slots() == []
    engine.server.after = None
    await engine.poll()
    assert await engine.slots() == [(at(3, 9), at(3, 10)), (at(3, 11), at(3, 12))]


async def test_a_first_read_goes_on_with_nothing_where_its_calendar_was_chosen_anew_meanwhile(
    engine: Engine,
) -> None:
    """What it had stored went then, and would be told by no delta."""
    engine.settings = SyncSettings(batch=1, answers_stored_at_once=1, requests_in_flight=1)
    home = engine.server.calendars["/1/calendars/home/"]
    for number in range(3):
        home.put(f"n{number}", event(f"n{number}", at(3, 9), at(3, 10)))
    await engine.choose("Home")

    async def choose_anew(step: str, _: str) -> None:
        if step == "fetch" and await engine.slots():
            engine.server.after = None
            await engine.choose()
            await engine.choose("Home")

    engine.server.after = choose_anew
    await engine.poll()
    await engine.poll()
    assert len(await engine.slots()) == 3


async def test_a_process_that_lost_its_lease_stores_nothing(engine: Engine) -> None:
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")

    async def overtaken(name: str, _: str) -> None:
        if name == "fetch":
            engine.server.after = None
            engine.now += 31
            await engine.poll(engine.context("quick"))

    engine.server.after = overtaken
    position = await engine.position()
    outcome = await engine.poll(engine.context("slow"))
    assert not outcome.is_complete
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    assert (await engine.kinds(position)).count(ChangeKind.SLOT_ADDED) == 1


def ends_well(_: str) -> None:
    """Dies at no step."""


def dies_before_its_end(step: str) -> None:
    if step == "token saved":
        raise Killed


@pytest.mark.parametrize("other", [ends_well, dies_before_its_end])
async def test_a_process_that_lost_its_lease_and_got_it_back_stores_nothing_older(
    engine: Engine, other: Callable[[str], None]
) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    href = home.put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")

    async def overtaken(name: str, _: str) -> None:
        if name == "fetch":
            engine.server.after = None
            given = home.texts[href]
            home.put("a", event("a", at(3, 14), at(3, 15)))
            engine.now += 31
            with pytest.raises(Killed) if other is dies_before_its_end else nullcontext():
                await engine.poll(engine.context("quick", other))
            engine.now += 31
            async with engine.database.writing() as db:
                await lease_account(db, engine.account_id, owner="slow", now=engine.now, lease=30)
            engine.server.lagging[href] = given

    engine.server.after = overtaken
    outcome = await engine.poll(engine.context("slow"))
    assert not outcome.is_complete
    assert await engine.slots() == [(at(3, 14), at(3, 15))]


async def test_a_process_that_lost_its_lease_does_not_move_the_home(engine: Engine) -> None:
    """Where it was told long ago that the account is now."""
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")
    engine.server.home_url = "https://new.fake.test/1/calendars/"

    async def overtaken(name: str, _: str) -> None:
        if name == "discover":
            engine.server.after = None
            engine.now += 31
            await engine.poll(engine.context("quick"))
            engine.server.home_url = "https://old.fake.test/1/calendars/"

    engine.server.after = overtaken
    outcome = await engine.poll(engine.context("slow"))
    assert not outcome.is_complete
    assert (await engine.account()).home_url == "https://new.fake.test/1/calendars/"


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_nobody_takes_an_account_of_which_a_page_is_being_stored(engine: Engine) -> None:
    """They would read what is held before it is, and never forget what only that page brought."""
    await engine.choose("Home")

    async def taken(owner: str) -> list[Lease]:
        async with engine.database.writing() as db:
            now, places = engine.now, Places(healthy=1)
            return await trade_leases(db, owner=owner, now=now, lease=30, until=now, places=places)

    [lease] = await taken("slow")
    poll = await begin(engine.context("slow"), lease)
    assert poll is not None
    async with poll.changing(poll.chosen[0]):
        engine.now += 31
        assert await taken("quick") == []
    assert [each.account_id for each in await taken("quick")] == [engine.account_id]


async def test_disconnecting_during_a_poll_leaves_nothing_behind(engine: Engine) -> None:
    engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9), at(3, 10)))
    await engine.choose("Home")

    async def disconnect(name: str, _: str) -> None:
        if name == "fetch":
            async with engine.database.writing() as db:
                await ICloudAccount.all().using_db(db).delete()

    engine.server.after = disconnect
    await engine.poll()
    assert await engine.slots() == []


async def test_a_new_block_over_an_appointment_is_a_conflict_until_it_goes(engine: Engine) -> None:
    await engine.choose("Home")
    await engine.poll()
    name = await engine.book(at(3, 9), at(3, 10))
    position = await engine.position()
    href = engine.server.calendars["/1/calendars/home/"].put("a", event("a", at(3, 9, 30), at(3, 11)))
    await engine.poll()
    assert (await engine.appointment(name)).has_conflict
    engine.server.calendars["/1/calendars/home/"].delete(href)
    await engine.poll()
    assert not (await engine.appointment(name)).has_conflict
    assert await engine.kinds(position) == [
        ChangeKind.SLOT_ADDED,
        ChangeKind.CONFLICT_DETECTED,
        ChangeKind.SLOT_REMOVED,
        ChangeKind.CONFLICT_RESOLVED,
    ]


async def test_many_new_slots_at_once_are_one_reset(engine: Engine) -> None:
    await engine.choose("Home")
    await engine.poll()
    position = await engine.position()
    for number in range(2):
        body = event(f"n{number}", at(1, 9), at(1, 10), extra="RRULE:FREQ=DAILY")
        engine.server.calendars["/1/calendars/home/"].put(f"n{number}", body)
    await engine.poll()
    assert await engine.kinds(position) == [ChangeKind.SLOTS_RESET]


async def test_a_poll_asked_for_while_one_runs_is_due_at_once(engine: Engine) -> None:
    await engine.choose("Home")

    async def ask(name: str, _: str) -> None:
        if name == "changes":
            async with engine.database.writing() as db:
                await ICloudAccount.all().using_db(db).update(poll_asked_at=NOW + 1, next_poll_at=NOW + 1)

    engine.server.after = ask
    await engine.poll()
    assert (await engine.account()).next_poll_at == NOW + 1


async def test_recovery_equals_a_fresh_read(engine: Engine) -> None:
    home = engine.server.calendars["/1/calendars/home/"]
    for number in range(60):
        home.put(f"n{number}", event(f"n{number}", at(3 + number % 20, 9), at(3 + number % 20, 10)))
    await engine.choose("Home")
    stops = iter(["page read", "page stored", "token saved"])
    for stop in stops:

        def crash(step: str, stop: str = stop) -> None:
            if step == stop:
                raise SystemError(stop)

        with pytest.raises(SystemError):
            await engine.poll(engine.context(f"crash at {stop}", crash))
        home.put(f"after {stop}", event(f"after {stop}", at(25, 9), at(25, 10)))
        engine.now += engine.settings.lease + 1
    await engine.poll()
    recovered = await engine.slots()
    async with engine.database.writing() as db:
        await BlockedSlot.all().using_db(db).delete()
    async with changing(engine.database, engine.bell, USER, now=engine.now):
        pass
    await engine.choose("Work")
    await engine.choose("Home")
    await engine.poll()
    assert await engine.slots() == recovered
    assert len(recovered) == 63


async def test_a_token_is_text_and_nothing_else(engine: Engine) -> None:
    await engine.choose("Home")
    await engine.poll()
    assert (await engine.calendar("Home")).sync_token == SyncToken("/1/calendars/home/#0")
