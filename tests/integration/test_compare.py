"""What deltas leave out is found by a full comparison, which itself believes nothing without asking."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from domain.accounts import AccountStatus
from models.bell import Bell
from models.database import Database
from sync.context import SyncContext
from sync.remote import (
    Changes,
    Discovery,
    ETag,
    Fetched,
    Forbidden,
    Href,
    Listed,
    RemoteError,
    ServerFailed,
    SyncToken,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from tests.fakes.calendar_server import APPLE_ID, HOME, PRINCIPAL, FakeAccount, FakeCalendar
from tests.integration.engine import DAY, HOUR, NOW, ZONE, Engine, at, engine_on, event


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    engine = await engine_on(database, bell)
    home = engine.server.calendars["/1/calendars/home/"]
    for day in range(3, 13):
        home.put(f"d{day}", event(f"d{day}", at(day, 9), at(day, 10)))
    await engine.choose("Home")
    return engine


@pytest.fixture
async def context(engine: Engine) -> SyncContext:
    """Read whole, held against a second listing, and a night later."""
    context = engine.context()
    await engine.poll(context)
    engine.now += engine.settings.first_comparison_after
    await engine.poll(context)
    engine.server.asked.clear()
    return context


async def tonight(engine: Engine, context: SyncContext) -> None:
    """A night later: the polls in between are left out."""
    engine.now = (await engine.calendar("Home")).compare_at or 0
    await engine.poll(context)


async def test_a_first_answer_in_part_is_made_whole_within_minutes(
    engine: Engine, home: FakeCalendar
) -> None:
    engine.server.untold |= set(list(home.texts)[4:])
    context = engine.context()
    await engine.poll(context)
    assert len(await engine.slots()) == 4
    engine.now += engine.settings.first_comparison_after
    await engine.poll(context)
    assert len(await engine.slots()) == 10
    assert (context.memory.compared, context.memory.missed) == (1, 6)


async def test_a_listing_after_a_refused_token_is_held_against_another_soon(
    engine: Engine, context: SyncContext, home: FakeCalendar
) -> None:
    """It may have been a part too."""
    engine.server.refused_tokens = True
    home.put("new", event("new", at(20, 9), at(20, 10)))
    await engine.poll(context)
    found = await engine.calendar("Home")
    assert found.compare_at == engine.now + engine.settings.first_comparison_after


async def test_a_comparison_without_a_difference_is_two_requests_and_no_word(
    engine: Engine, context: SyncContext
) -> None:
    position = await engine.position()
    await tonight(engine, context)
    assert engine.server.asked == ["discover", "list", "resources"]
    assert await engine.position() == position
    assert context.memory.missed == 0


async def test_what_deltas_tell_in_parts_is_not_missed(
    engine: Engine, context: SyncContext, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner makes five events while the comparison is under way."""
    engine.server.most_told = 2
    real = FakeAccount.list_resources

    async def meanwhile(self: FakeAccount, calendar: str) -> Changes:
        for number in range(0 if "new0" in str(home.texts) else 5):
            home.put(f"new{number}", event(f"new{number}", at(20, 9), at(20, 10)))
        return await real(self, calendar)

    monkeypatch.setattr(FakeAccount, "list_resources", meanwhile)
    await tonight(engine, context)
    assert context.memory.missed == 0
    assert (await engine.slots()).count((at(20, 9), at(20, 10))) == 5


async def test_it_is_made_once_a_day_in_the_owners_night(engine: Engine, context: SyncContext) -> None:
    nights = []
    for _ in range(3):
        due_at = (await engine.calendar("Home")).compare_at
        assert due_at is not None
        nights.append(due_at)
        await tonight(engine, context)
    await engine.poll(context)
    assert engine.server.asked.count("resources") == 3
    assert [later - sooner for sooner, later in pairwise(nights)] == [DAY, DAY]
    # Berlin's midnight is 23:00 in UTC in November.
    assert all(0 <= (night - (NOW - 9 * HOUR)) % DAY - HOUR <= 4 * HOUR for night in nights)


async def test_a_home_that_moved_and_whose_old_host_still_answers_is_followed_the_same_night(
    engine: Engine, context: SyncContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = Discovery(PRINCIPAL, "https://other.fake.test/1/calendars/", frozenset({"new@icloud.com"}))

    async def discover(_: FakeAccount) -> Discovery:
        engine.server.home_url = moved.home_url
        return moved

    monkeypatch.setattr(FakeAccount, "discover", discover)
    await tonight(engine, context)
    account = await engine.account()
    assert (account.home_url, account.addresses) == (moved.home_url, ["new@icloud.com"])
    assert account.status == AccountStatus.CONNECTED


async def test_an_address_that_the_owner_got_since_finds_the_answers_that_were_given_by_it(
    engine: Engine, context: SyncContext, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    declined = "ATTENDEE;PARTSTAT=DECLINED:mailto:alias@icloud.com"
    home.put("d3", event("d3", at(3, 9), at(3, 10), extra=declined))
    await engine.poll(context)
    assert len(await engine.slots()) == 10

    async def discover(_: FakeAccount) -> Discovery:
        return Discovery(PRINCIPAL, HOME, frozenset({APPLE_ID, PRINCIPAL, "alias@icloud.com"}))

    monkeypatch.setattr(FakeAccount, "discover", discover)
    engine.now += DAY
    await engine.poll(context)
    assert len(await engine.slots()) == 9
    assert (await engine.account()).expanded_zone == ZONE


@pytest.mark.parametrize("error", [UnexpectedAnswer(), Unreachable()])
async def test_an_entry_that_does_not_tell_where_the_home_is_changes_nothing(
    engine: Engine, context: SyncContext, error: Exception
) -> None:
    engine.server.failures["discover"] = [error]
    await tonight(engine, context)
    assert (await engine.account()).status == AccountStatus.CONNECTED
    assert context.memory.compared == 2


async def test_what_a_delta_left_out_is_found_told_and_mended(
    engine: Engine, context: SyncContext, home: FakeCalendar, caplog: pytest.LogCaptureFixture
) -> None:
    new = home.put("new", event("new", at(20, 9), at(20, 10)))
    moved = home.put("d3", event("d3", at(21, 9), at(21, 10)))
    told = home.put("told", event("told", at(22, 9), at(22, 10)))
    gone = next(href for href in home.texts if href.endswith("d4.ics"))
    home.delete(gone)
    engine.server.untold |= {new, moved, gone}
    await engine.poll(context)
    assert len(await engine.slots()) == 11
    with caplog.at_level(logging.WARNING):
        await tonight(engine, context)
    assert "3 resources differ that no delta told" in caplog.text
    assert context.memory.missed == 3
    assert (await engine.slots())[-3:] == [
        (at(20, 9), at(20, 10)),
        (at(21, 9), at(21, 10)),
        (at(22, 9), at(22, 10)),
    ]
    held = {resource.href: resource.etag for resource in await engine.resources()}
    assert held == {href: etag for href, (etag, _) in home.texts.items()}
    assert told in held


async def test_what_a_delta_and_then_an_answer_for_many_left_out_is_found_all_the_same(
    engine: Engine, context: SyncContext, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed = home.put("missed", event("missed", at(20, 9), at(20, 10)))
    engine.server.untold.add(missed)
    home.put("told", event("told", at(21, 9), at(21, 10)))
    await engine.poll(context)
    leave_out(missed, monkeypatch)
    await tonight(engine, context)
    assert context.memory.missed == 1
    assert (at(20, 9), at(20, 10)) in await engine.slots()


async def test_of_what_is_listed_and_never_there_others_are_asked_for_each_night(
    engine: Engine, context: SyncContext, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty are asked for, others each night."""
    never = {home.put(f"a{number}", event(f"a{number}", at(19, 9), at(19, 10))) for number in range(30)}
    missed = home.put("missed", event("missed", at(20, 9), at(20, 10)))
    del home.history[-31:]  # No token tells of them.
    engine.server.hidden |= never
    leave_out(missed, monkeypatch)
    await tonight(engine, replace(context, chance=lambda: 0.0))
    assert (at(20, 9), at(20, 10)) not in await engine.slots()
    await tonight(engine, context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()


@pytest.mark.parametrize("told", [Unreachable(), ServerFailed(), Forbidden()], ids=repr)
async def test_one_that_is_left_out_and_fails_by_itself_keeps_a_comparison_from_no_other(
    engine: Engine,
    context: SyncContext,
    home: FakeCalendar,
    monkeypatch: pytest.MonkeyPatch,
    told: RemoteError,
) -> None:
    odd = home.put("odd", event("odd", at(19, 9), at(19, 10)))
    home.put("missed", event("missed", at(20, 9), at(20, 10)))
    del home.history[-2:]  # No token tells of them.
    engine.server.spoiling[odd] = told
    leave_out(odd, monkeypatch)
    await tonight(engine, context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()


def leave_out(href: Href, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of answers for many."""
    real = FakeAccount.fetch

    async def without_it(self: FakeAccount, calendar: str, hrefs: Sequence[Href]) -> dict[Href, Fetched]:
        return await real(self, calendar, [each for each in hrefs if each != href])

    monkeypatch.setattr(FakeAccount, "fetch", without_it)


async def test_a_change_that_comes_meanwhile_is_not_called_missed(
    engine: Engine, context: SyncContext, home: FakeCalendar
) -> None:
    async def meanwhile(name: str, _: str) -> None:
        if name == "resources":
            engine.server.after = None
            home.put("new", event("new", at(20, 9), at(20, 10)))

    engine.server.after = meanwhile
    await tonight(engine, context)
    assert (context.memory.compared, context.memory.missed) == (2, 0)
    await engine.poll(context)
    assert len(await engine.slots()) == 11


@pytest.mark.parametrize("told_of_one_gone", [None, Unreachable(), Forbidden(), Throttled(1)], ids=repr)
async def test_what_an_old_answer_hid_is_read_on_from_its_token(
    engine: Engine,
    context: SyncContext,
    home: FakeCalendar,
    monkeypatch: pytest.MonkeyPatch,
    told_of_one_gone: RemoteError | None,
) -> None:
    """Also beside one that is gone and can't be asked for."""
    href, (etag, _) = next(iter(home.texts.items()))
    if told_of_one_gone is not None:
        gone = Href(f"{home.path}d12.ics")
        home.delete(gone)
        home.history.pop()  # No token tells of it.
        engine.server.spoiling[gone] = told_of_one_gone
    old = Changes((Listed(href, etag),), SyncToken(home.token))
    home.put("new", event("new", at(20, 9), at(20, 10)))

    async def as_it_was(*_: object) -> Changes:
        return old

    with monkeypatch.context() as lying:
        lying.setattr(FakeAccount, "list_changes", as_it_was)
        await engine.poll(context)
    assert len(await engine.slots()) == 10
    await tonight(engine, context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()
    assert context.memory.missed == 0


async def test_an_old_listing_takes_nothing_and_is_no_difference(
    engine: Engine, context: SyncContext, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = dict(home.texts)
    home.put("new", event("new", at(20, 9), at(20, 10)))
    home.put("d3", event("d3", at(21, 9), at(21, 10)))
    await engine.poll(context)
    real = FakeAccount.list_resources

    async def as_it_was(self: FakeAccount, calendar: str) -> Changes:
        now, home.texts = home.texts, old
        listed = await real(self, calendar)
        home.texts = now
        return listed

    with monkeypatch.context() as lying:
        lying.setattr(FakeAccount, "list_resources", as_it_was)
        await tonight(engine, context)
    assert context.memory.missed == 0
    assert (await engine.slots())[-2:] == [(at(20, 9), at(20, 10)), (at(21, 9), at(21, 10))]


@pytest.mark.parametrize("error", [UnexpectedAnswer(), Unreachable()])
async def test_a_comparison_that_fails_fails_no_poll_and_is_made_an_hour_later(
    engine: Engine, context: SyncContext, error: Exception
) -> None:
    engine.server.failures["resources"] = [error]
    await tonight(engine, context)
    account, calendar = await engine.account(), await engine.calendar("Home")
    assert (account.status, account.last_synced_at) == (AccountStatus.CONNECTED, engine.now)
    assert calendar.compare_at == engine.now + HOUR


async def odd_beside_a_missed_one(
    engine: Engine, context: SyncContext, home: FakeCalendar, told: RemoteError, *, is_held: bool
) -> None:
    """`is_held`: given once, and not to be read. Else it is missed as well."""
    odd = home.put("odd", "BEGIN:VCALENDAR" if is_held else event("odd", at(19, 9), at(19, 10)))
    if is_held:
        await engine.poll(context)
    else:
        home.history.pop()
    engine.server.spoiling[odd] = told
    home.put("missed", event("missed", at(20, 9), at(20, 10)))
    home.history.pop()  # No token tells of it.


@pytest.mark.parametrize("told", [ServerFailed(), Forbidden()], ids=repr)
@pytest.mark.parametrize("is_held", [True, False])
async def test_one_that_is_failed_at_for_good_keeps_a_comparison_from_no_other(
    engine: Engine, context: SyncContext, home: FakeCalendar, told: RemoteError, *, is_held: bool
) -> None:
    await odd_beside_a_missed_one(engine, context, home, told, is_held=is_held)
    await tonight(engine, context)
    for _ in range(8):
        assert (at(20, 9), at(20, 10)) in await engine.slots()
        engine.now += 60
        await engine.poll(context)
    assert (await engine.account()).last_synced_at == engine.now


@pytest.mark.parametrize("told", [Unreachable(), Throttled(1)], ids=repr)
@pytest.mark.parametrize("is_held", [True, False])
async def test_one_that_a_server_is_silent_on_for_good_keeps_a_comparison_from_no_other(
    engine: Engine, context: SyncContext, home: FakeCalendar, told: RemoteError, *, is_held: bool
) -> None:
    """It is soon asked for alone."""
    await odd_beside_a_missed_one(engine, context, home, told, is_held=is_held)
    await tonight(engine, context)
    for _ in range(8):
        engine.now += 60
        await engine.poll(context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()
    assert (await engine.account()).last_synced_at == engine.now


async def test_one_that_alone_is_missed_and_is_answered_for_by_nothing_is_gone_on_without(
    engine: Engine, context: SyncContext, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = home.put("odd", event("odd", at(19, 9), at(19, 10)))
    home.history.pop()  # No token tells of it.
    engine.server.spoiling[odd] = Unreachable()
    leave_out(odd, monkeypatch)
    await tonight(engine, context)
    for _ in range(8):
        engine.now += 60
        await engine.poll(context)
    assert (await engine.account()).last_synced_at == engine.now
    [ungiven] = [each for each in await engine.resources() if each.href == odd]
    assert (ungiven.etag, ungiven.is_readable) == ("", False)


@pytest.mark.parametrize("told", [Unreachable(), ServerFailed(), Forbidden()], ids=repr)
async def test_what_alone_is_missed_as_gone_and_could_not_be_asked_for_is_looked_for_an_hour_later(
    engine: Engine, context: SyncContext, home: FakeCalendar, told: RemoteError
) -> None:
    home.delete(Href(f"{home.path}d12.ics"))
    home.history.pop()  # No token tells of it.
    engine.server.failures["fetch"] = [told]
    await tonight(engine, context)
    assert (at(12, 9), at(12, 10)) in await engine.slots()
    engine.now += HOUR
    await engine.poll(context)
    assert (at(12, 9), at(12, 10)) not in await engine.slots()


async def test_a_comparison_that_is_throttled_does_not_starve_the_polls(
    engine: Engine, context: SyncContext
) -> None:
    engine.server.failures["resources"] = [Throttled(30.0)] * 5
    await tonight(engine, context)
    assert (await engine.account()).status == AccountStatus.UNREACHABLE
    engine.now += 60
    await engine.poll(context)
    assert (await engine.account()).status == AccountStatus.CONNECTED


async def test_much_that_a_comparison_misses_waits_for_a_second_look(
    engine: Engine, context: SyncContext, home: FakeCalendar
) -> None:
    for number in range(30):
        home.put(f"n{number}", event(f"n{number}", at(15, 9), at(15, 10)))
    await engine.poll(context)
    texts, home.texts = home.texts, {}
    await tonight(engine, context)
    assert len(await engine.slots()) == 40
    home.texts = texts
    engine.now += 61
    await engine.poll(context)
    assert len(await engine.slots()) == 40
    home.texts = {}
    await tonight(engine, context)
    engine.now += 61
    await engine.poll(context)
    assert await engine.slots() == []


async def test_a_mend_that_was_cut_off_goes_on(
    engine: Engine, context: SyncContext, home: FakeCalendar
) -> None:
    new = home.put("new", event("new", at(20, 9), at(20, 10)))
    engine.server.untold.add(new)
    for _ in range(7):
        engine.now += 15
        await engine.poll(context)
    engine.server.untold.clear()

    def kill(step: str) -> None:
        if step == "page read":
            raise SystemError

    other = home.put("other", event("other", at(22, 9), at(22, 10)))
    engine.server.untold.add(other)
    await engine.poll(context)
    engine.now = (await engine.calendar("Home")).compare_at or 0
    engine.server.untold.clear()
    with pytest.raises(SystemError):
        await engine.poll(engine.context("killed", kill))
    engine.now += engine.settings.lease + 1
    await engine.poll()
    assert (await engine.slots())[-2:] == [(at(20, 9), at(20, 10)), (at(22, 9), at(22, 10))]


async def test_a_change_that_nothing_is_told_of_is_asked_for_again(
    engine: Engine, context: SyncContext, home: FakeCalendar
) -> None:
    new = home.put("new", event("new", at(20, 9), at(20, 10)))
    engine.server.untold.add(new)
    synced_at = (await engine.calendar("Home")).last_synced_at
    await engine.poll(context)
    assert (await engine.calendar("Home")).last_synced_at == synced_at
    assert (await engine.account()).next_poll_at == engine.now + engine.settings.watched_every
    engine.server.untold.clear()
    engine.now += 15
    await engine.poll(context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()


async def test_a_change_that_came_while_a_poll_was_under_way_is_not_asked_for_again_and_again(
    engine: Engine, context: SyncContext, home: FakeCalendar
) -> None:
    home.put("a", event("a", at(20, 9), at(20, 10)))

    async def meanwhile(name: str, _: str) -> None:
        if name == "changes":
            engine.server.after = None
            home.put("b", event("b", at(21, 9), at(21, 10)))

    engine.server.after = meanwhile
    for asked in (["list", "changes", "fetch"], ["list", "changes"], ["list"]):
        engine.server.asked.clear()
        engine.now += 60
        await engine.poll(context)
        assert engine.server.asked == asked
    assert (at(21, 9), at(21, 10)) in await engine.slots()


async def test_a_change_that_is_never_told_is_found_by_a_comparison(
    engine: Engine, context: SyncContext, home: FakeCalendar
) -> None:
    engine.server.untold.add(home.put("new", event("new", at(20, 9), at(20, 10))))
    for _ in range(engine.settings.most_missing_polls + 1):
        engine.now += 15
        await engine.poll(context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()
    assert (await engine.calendar("Home")).last_synced_at == engine.now


async def test_what_lags_only_once_a_comparison_has_it_read_again_is_waited_for(
    engine: Engine, context: SyncContext, home: FakeCalendar
) -> None:
    """In one poll: something lags, is given at the second turn, and something else lags when all is read again."""
    await engine.choose("Home", "Work")
    await engine.settle(context)
    engine.now += 2 * DAY
    home.delete(next(iter(home.texts)))  # It may have moved to Work, so that Home has a second turn.
    untold = home.put("untold", event("untold", at(20, 9), at(20, 10)))
    engine.server.untold.add(untold)
    engine.server.hidden.add(home.put("late", event("late", at(21, 9), at(21, 10))))
    work = engine.server.calendars["/1/calendars/work/"]
    work.put("new", event("new", at(22, 9), at(22, 10)))
    asked = engine.server.asked
    asked.clear()

    async def meanwhile(name: str, _: str) -> None:
        if name == "changes" and asked.count("changes") == 2:  # Of Work.
            engine.server.hidden.clear()
        elif name == "changes" and asked.count("changes") == 5:  # Of Home, after a comparison.
            engine.server.hidden.add(untold)

    engine.server.after = meanwhile
    assert (await engine.poll(context)).error is None
    engine.server.after = None
    engine.server.hidden.clear()
    engine.server.untold.clear()
    engine.now += 15
    await engine.poll(context)
    assert {(at(day, 9), at(day, 10)) for day in (20, 21, 22)} <= set(await engine.slots())


async def test_a_token_that_moved_for_nothing_is_believed_after_a_comparison(
    engine: Engine, context: SyncContext, home: FakeCalendar
) -> None:
    renamed = Href(f"{home.path}")
    home.history.append(renamed)
    engine.server.untold.add(renamed)
    position = await engine.position()
    for _ in range(engine.settings.most_missing_polls + 1):
        engine.now += 15
        await engine.poll(context)
    engine.server.asked.clear()
    engine.now += 60
    await engine.poll(context)
    assert engine.server.asked == ["list"]
    assert (context.memory.missed, await engine.position()) == (0, position)


async def test_what_two_listings_leave_out_and_is_given_stays(
    engine: Engine, context: SyncContext, home: FakeCalendar
) -> None:
    left_out = next(iter(home.texts))
    engine.server.untold.add(left_out)
    engine.server.unlisted.add(left_out)
    engine.server.refused_tokens = True
    home.put("new", event("new", at(20, 9), at(20, 10)))
    await engine.poll(context)
    assert len(await engine.slots()) == 11


async def test_a_server_without_changes_is_not_asked_for_them_at_every_poll(
    engine: Engine, home: FakeCalendar
) -> None:
    engine.server.has_sync = False
    context = engine.context()
    await engine.poll(context)
    engine.server.asked.clear()
    for _ in range(5):
        engine.now += 60
        home.put("d3", event("d3", at(3, 12), at(3, 13)))
        await engine.poll(context)
    assert engine.server.asked == ["list", "resources", "fetch"] * 5
    await tonight(engine, context)
    engine.server.has_sync = True
    home.put("d3", event("d3", at(3, 14), at(3, 15)))
    engine.now += 60
    await engine.poll(context)
    assert "changes" in engine.server.asked
    assert (await engine.calendar("Home")).sync_token == SyncToken(home.token)
    assert home.texts[Href(f"{home.path}d3.ics")][0] == ETag('"16"')


async def test_a_password_revoked_at_night_is_tried_as_often_as_by_day(
    engine: Engine, context: SyncContext
) -> None:
    engine.server.passwords.clear()
    await tonight(engine, context)
    for _ in range(3):
        engine.now += HOUR
        await engine.poll(context)
        if (await engine.account()).status == AccountStatus.NEEDS_NEW_PASSWORD:
            break
    assert engine.server.asked == ["discover", "list", "discover"]
