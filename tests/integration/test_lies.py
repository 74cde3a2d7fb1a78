"""A calendar never empties by mistake and nothing is missed for good, whatever the server says meanwhile."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from domain.accounts import AccountStatus, ICloudProblemCode
from domain.calendars import CalendarKind, ListedCalendar
from domain.copies import WriteState
from models.bell import Bell
from models.database import Database
from models.held import given_beside
from models.resources import forget_etags
from models.seal import Sealer
from sync.context import SyncContext
from sync.icloud.guard import LONGEST
from sync.remote import (
    Changes,
    ETag,
    Fetched,
    Forbidden,
    Gone,
    Href,
    Listed,
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
from tests.fakes.calendar_server import FakeAccount, FakeCalendar
from tests.integration.engine import DAY, HOUR, NOW, Engine, at, engine_on, event


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    engine = await engine_on(database, bell)
    home = engine.server.calendars["/1/calendars/home/"]
    for day in range(3, 13):
        home.put(f"d{day}", event(f"d{day}", at(day, 9), at(day, 10)))
    await engine.choose("Home")
    await engine.poll()
    return engine


def lie(monkeypatch: pytest.MonkeyPatch, name: str, answer: object) -> None:
    """The server says this in place of what is so; its own faults are told by `failures`."""

    async def said(*_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(FakeAccount, name, said)


async def test_an_empty_answer_with_a_token_empties_no_calendar(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.server.refused_tokens = True
    home.put("new", event("new", at(20, 9), at(20, 10)))
    with monkeypatch.context() as lying:
        real = FakeAccount.list_changes

        async def changes(self: FakeAccount, calendar: str, token: SyncToken | None) -> Changes:
            told = await real(self, calendar, token)
            return Changes((), told.token)

        lying.setattr(FakeAccount, "list_changes", changes)
        await engine.poll()
    assert len(await engine.slots()) == 11


async def test_an_empty_first_answer_is_not_believed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.server.calendars["/1/calendars/work/"].put("a", event("a", at(20, 9), at(20, 10)))
    with monkeypatch.context() as lying:
        lie(lying, "list_changes", Changes((), SyncToken("/1/calendars/work/#1")))
        await engine.choose("Home", "Work")
        await engine.poll()
    assert len(await engine.slots()) == 11


async def test_a_home_that_leaves_out_a_calendar_that_is_there_takes_nothing(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.put("new", event("new", at(20, 9), at(20, 10)))
    context = engine.context()
    with monkeypatch.context() as lying:
        lie(lying, "list_calendars", ())
        for _ in range(4):
            await engine.poll(context)
            engine.now += 60
    assert len(await engine.slots()) == 11
    assert (await engine.account()).status == AccountStatus.CONNECTED


@pytest.mark.parametrize("refusal", [NotThere(), UnexpectedAnswer(), Unreachable()])
async def test_a_home_that_shows_nothing_for_a_moment_takes_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, refusal: Exception
) -> None:
    with monkeypatch.context() as lying:
        lie(lying, "list_calendars", ())
        lie(lying, "check_calendar", refusal)
        await engine.poll()
        await engine.poll()
    assert len(await engine.slots()) == 10
    await engine.poll()
    assert len(await engine.slots()) == 10
    assert not (await engine.calendar("Home")).is_gone


async def seen_well_by_another(engine: Engine, *, every: float = 60) -> None:
    """For a while, in which the one that saw it missing has other accounts."""
    other = engine.context("process-2")
    for _ in range(3):
        engine.now += every
        await engine.poll(other)


async def test_a_calendar_that_is_missing_again_after_another_process_saw_it_waits_anew(
    engine: Engine, home: FakeCalendar
) -> None:
    context = engine.context()
    for _ in range(2):
        engine.now += 60
        del engine.server.calendars[home.path]
        await engine.poll(context)
        assert context.memory.missing_since
        engine.server.calendars[home.path] = home
        await seen_well_by_another(engine)
    assert len(await engine.slots()) == 10


async def test_one_that_nobody_reads_waits_anew_too_when_it_is_missing_again(
    engine: Engine, work: FakeCalendar
) -> None:
    context, before = engine.context(), await engine.calendar("Work")
    for _ in range(2):
        del engine.server.calendars[work.path]
        await engine.poll(context)
        engine.server.calendars[work.path] = work
        await seen_well_by_another(engine, every=HOUR)
    assert await engine.calendar("Work") == before


async def test_what_is_not_given_at_once_again_after_another_process_read_it_is_waited_for_anew(
    engine: Engine, home: FakeCalendar
) -> None:
    context, times = engine.context(), engine.settings.most_missing_polls
    await engine.settle(context)
    for number in range(2):
        href = home.put(f"new{number}", event(f"new{number}", at(20 + number, 9), at(20 + number, 10)))
        engine.server.hidden.add(href)
        for _ in range(times - 1):
            engine.now += 15
            await engine.poll(context)
        assert not context.memory.ungiven
        engine.server.hidden.clear()
        await seen_well_by_another(engine)


async def test_much_that_is_gone_again_after_another_process_saw_it_waits_anew(
    engine: Engine, home: FakeCalendar
) -> None:
    for number in range(30):
        home.put(f"e{number}", event(f"e{number}", at(20, 9), at(20, 10)))
    context, kept = engine.context(), dict(home.texts)
    await engine.settle(context)
    for _ in range(2):
        for href in list(kept)[:30]:
            home.delete(href)
        await engine.poll(context)
        assert context.memory.removals_since
        for href, (_, text) in kept.items():
            home.put(href.rpartition("/")[2].removesuffix(".ics"), text)
        await seen_well_by_another(engine)
    assert len(await engine.slots()) == 40


async def test_what_is_new_is_read_while_much_that_is_gone_waits(engine: Engine, home: FakeCalendar) -> None:
    for number in range(30):
        home.put(f"n{number}", event(f"n{number}", at(15, 9), at(15, 10)))
    context = engine.context()
    await engine.poll(context)
    for href in list(home.texts):
        home.delete(href)
    home.put("new", event("new", at(20, 9), at(20, 10)))
    await engine.poll(context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()
    assert len(await engine.slots()) == 41
    engine.now += 61
    await engine.poll(context)
    assert await engine.slots() == [(at(20, 9), at(20, 10))]


async def test_what_was_not_given_for_long_is_named_and_read_once_it_is_given(
    engine: Engine, home: FakeCalendar
) -> None:
    new = home.put("new", event("new", at(20, 9), at(20, 10)))
    moved = home.put("d3", event("d3", at(21, 9), at(21, 10)))
    engine.server.hidden |= {new, moved}
    context = engine.context()
    for _ in range(8):
        await engine.poll(context)
        engine.now += 15
    account = await engine.account()
    assert account.last_synced_at is not None
    assert account.last_synced_at > NOW
    assert (at(3, 9), at(3, 10)) in await engine.slots()
    named = [each.href for each in await engine.resources() if each.has_problems]
    assert named == sorted([new, moved])
    engine.server.hidden.clear()
    await engine.poll(engine.context("after a restart"))
    slots = await engine.slots()
    assert slots[-2:] == [(at(20, 9), at(20, 10)), (at(21, 9), at(21, 10))]
    assert len(slots) == 11
    assert not any(each.has_problems for each in await engine.resources())
    engine.server.asked.clear()
    await engine.poll()
    await engine.poll()
    assert engine.server.asked[-1:] == ["list"]


async def test_what_was_not_given_is_asked_for_though_a_poll_ended_when_its_old_text_was_stored(
    engine: Engine, home: FakeCalendar
) -> None:
    engine.settings = SyncSettings(
        batch=1, answers_stored_at_once=1, requests_in_flight=1, first_comparison_after=DAY
    )
    before = home.texts[Href(f"{home.path}d3.ics")]
    moved = home.put("d3", event("d3", at(21, 9), at(21, 10)))
    engine.server.hidden.add(moved)
    context = engine.context()
    for _ in range(8):
        await engine.poll(context)
        engine.now += 60
    engine.server.hidden.clear()
    engine.server.lagging[moved] = before
    home.put("new", event("new", at(20, 9), at(20, 10)))

    def end(step: str) -> None:
        if step == "page stored":
            raise Unreachable("stopped here")

    await engine.poll(engine.context(at=end))
    assert (at(20, 9), at(20, 10)) not in await engine.slots()
    engine.server.lagging.clear()
    engine.now += 60
    await engine.poll(engine.context("after a restart"))
    assert (at(21, 9), at(21, 10)) in await engine.slots()


@pytest.mark.parametrize("circle", [["same"], ["one", "two", "three"]])
async def test_a_list_of_changes_that_goes_round_in_circles_ends(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch, circle: list[str]
) -> None:
    home.put("new", event("new", at(20, 9), at(20, 10)))
    asked: list[SyncToken | None] = []

    async def changes(_: FakeAccount, __: str, token: SyncToken | None) -> Changes:
        asked.append(token)
        return Changes((), SyncToken(circle[(len(asked) - 1) % len(circle)]), is_truncated=True)

    with monkeypatch.context() as lying:
        lying.setattr(FakeAccount, "list_changes", changes)
        outcome = await engine.poll()
    assert isinstance(outcome.error, UnexpectedAnswer)
    assert len(asked) == 1 + len(circle)


async def test_an_edit_of_the_owners_right_after_our_write_is_not_missed(
    engine: Engine, home: FakeCalendar
) -> None:
    await engine.choose(linked="Home")
    await engine.poll()
    name = await engine.book(at(20, 9), at(20, 10))
    engine.now += 60

    async def meanwhile(asked: str, _: str) -> None:
        if asked == "changes":
            engine.server.after = None
            engine.now += 1
            await engine.push()
            own = await engine.appointment(name)
            href = Href(own.href or "")
            home.put(
                href.rpartition("/")[2].removesuffix(".ics"),
                home.texts[href][1].replace("T100000Z", "T113000Z"),
            )

    home.put("other", event("other", at(22, 9), at(22, 10)))
    engine.server.after = meanwhile
    context = engine.context()
    await engine.poll(context)
    engine.now += 15
    await engine.poll(context)
    assert (at(20, 10), at(20, 11, 30)) in await engine.slots()


async def test_a_password_that_cannot_be_opened_is_a_problem_that_is_told(engine: Engine) -> None:
    sealer, engine.sealer = engine.sealer, Sealer({"other": bytes(32)}, "other")
    engine.now += 60
    engine.server.asked.clear()
    await engine.poll()
    account = await engine.account()
    assert engine.server.asked == []
    assert (account.status, account.problem_code) == (
        AccountStatus.NEEDS_NEW_PASSWORD,
        ICloudProblemCode.PASSWORD_REFUSED,
    )
    assert "sealing keys" in (account.problem_message or "")
    assert account.retry_at == account.next_poll_at == engine.now + engine.settings.longest_outage_retry
    assert len(await engine.slots()) == 10
    engine.sealer = sealer
    await engine.poll()
    account = await engine.account()
    assert (account.status, account.problem_code) == (AccountStatus.CONNECTED, None)


async def test_refusals_count_through_what_says_nothing_about_the_password(engine: Engine) -> None:
    engine.server.failures["list"] = [
        PasswordRefused(),
        Throttled(1),
        PasswordRefused(),
    ]
    engine.server.failures["discover"] = [Unreachable(), PasswordRefused()]
    for _ in range(5):
        await engine.poll()
    assert (await engine.account()).status == AccountStatus.NEEDS_NEW_PASSWORD


async def test_half_an_answer_is_fetched_one_by_one(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.put("new", event("new", at(20, 9), at(20, 10)))
    engine.server.failures["fetch"] = [UnexpectedAnswer()]
    await engine.poll()
    assert (at(20, 9), at(20, 10)) in await engine.slots()


@pytest.mark.parametrize("error", [NotThere(), Forbidden(), ServerFailed(), UnexpectedAnswer()])
async def test_an_object_for_which_the_whole_answer_fails_costs_no_other(
    engine: Engine, home: FakeCalendar, error: RemoteError
) -> None:
    for hour in range(9, 15):
        home.put(f"h{hour}", event(f"h{hour}", at(20, hour), at(20, hour + 1)))
    engine.server.spoiling[Href(f"{home.path}h9.ics")] = error
    engine.now += 60
    await engine.poll()
    assert [slot for slot in await engine.slots() if slot[0] >= at(20, 0)] == [
        (at(20, hour), at(20, hour + 1)) for hour in range(10, 15)
    ]
    assert (await engine.calendar("Home")).last_synced_at == NOW
    assert (await engine.calendar("Home")).sync_token != home.token


async def test_one_that_the_server_fails_at_for_good_costs_no_other_for_good(
    engine: Engine, home: FakeCalendar
) -> None:
    """The others are stored in the first poll: from then on it is asked for alone."""
    context = engine.context()
    engine.server.spoiling[home.put("bad", event("bad", at(20, 9), at(20, 10)))] = ServerFailed()
    home.put("good", event("good", at(20, 14), at(20, 15)))
    for _ in range(engine.settings.most_missing_polls + 1):
        engine.now += 60
        await engine.poll(context)
    assert (await engine.slots())[-1] == (at(20, 14), at(20, 15))
    assert (await engine.calendar("Home")).last_synced_at == engine.now
    assert (await engine.account()).status == AccountStatus.CONNECTED
    engine.server.spoiling.clear()
    engine.now += engine.settings.longest_look
    await engine.poll(context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()


async def test_where_the_server_fails_at_all_texts_none_is_gone_on_without(
    engine: Engine, home: FakeCalendar
) -> None:
    context = engine.context()
    home.put("new", event("new", at(20, 9), at(20, 10)))
    engine.server.spoiling |= dict.fromkeys(home.texts, ServerFailed())
    for _ in range(2 * engine.settings.most_missing_polls):
        engine.now += 60
        await engine.poll(context)
    assert (await engine.calendar("Home")).last_synced_at == NOW
    assert (await engine.account()).status == AccountStatus.UNREACHABLE


async def test_any_one_that_is_given_tells_that_the_server_fails_at_the_others_alone(
    engine: Engine, home: FakeCalendar
) -> None:
    """Else the calendar would not be read for the sake of those, and all time would close."""
    calendar, hrefs = await engine.calendar("Home"), list(home.texts)
    async with engine.database.writing() as db:
        for href in hrefs:
            others = {each for each in hrefs if each != href}
            assert await given_beside(db, calendar, others, most=2) == [href]
        assert await given_beside(db, calendar, {*hrefs}, most=2) == []
        await forget_etags(db, calendar, hrefs[:1])
        assert await given_beside(db, calendar, {*hrefs[1:]}, most=2) == []


@pytest.mark.parametrize("told", ["gone", "not listed"])
async def test_what_a_server_fails_at_is_not_gone(engine: Engine, home: FakeCalendar, told: str) -> None:
    [href] = [href for href in home.texts if href.endswith("d3.ics")]
    engine.server.spoiling[href] = ServerFailed()
    home.delete(href)
    engine.server.refused_tokens = told == "not listed"
    context = engine.context()
    for _ in range(8):
        engine.now += 60
        await engine.poll(context)
    assert len(await engine.slots()) == 10
    assert (await engine.account()).status == AccountStatus.UNREACHABLE
    engine.server.spoiling.clear()
    engine.now += 300
    await engine.poll(context)
    assert len(await engine.slots()) == 9


async def test_an_older_state_is_asked_for_again(engine: Engine, home: FakeCalendar) -> None:
    [href] = [href for href in home.texts if href.endswith("d3.ics")]
    old = home.texts[href]
    home.put("d3", event("d3", at(21, 9), at(21, 10)))
    engine.server.lagging[href] = old
    context = engine.context()
    await engine.poll(context)
    assert (await engine.account()).next_poll_at == engine.now + engine.settings.watched_every
    for _ in range(7):
        await engine.poll(context)
    engine.server.lagging.clear()
    engine.now += engine.settings.first_comparison_after
    await engine.poll(context)
    assert (await engine.slots())[-1] == (at(21, 9), at(21, 10))


async def test_an_older_text_that_comes_without_its_etag_is_not_taken_for_what_is_listed(
    engine: Engine, home: FakeCalendar
) -> None:
    [href] = [href for href in home.texts if href.endswith("d3.ics")]
    engine.server.lagging[href] = ETag(""), home.texts[href][1]
    home.put("d3", event("d3", at(21, 9), at(21, 10)))
    await engine.poll()
    assert (await engine.slots())[-1] == (at(21, 9), at(21, 10))


@pytest.mark.parametrize("told", [NotThere(), Forbidden(), UnexpectedAnswer()], ids=repr)
async def test_nor_where_it_is_not_given_by_itself(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch, told: RemoteError
) -> None:
    context = engine.context()
    await engine.settle(context)
    [href] = [href for href in home.texts if href.endswith("d3.ics")]
    engine.server.lagging[href] = ETag(""), home.texts[href][1]
    home.put("d3", event("d3", at(21, 9), at(21, 10)))
    with monkeypatch.context() as failing:
        fails_by_itself(failing, [href], told)
        await engine.poll(context)
    engine.server.lagging.clear()
    engine.now += 15
    await engine.poll(context)
    assert (await engine.slots())[-1] == (at(21, 9), at(21, 10))


@pytest.mark.parametrize("name", ["d3", "new"])
@pytest.mark.parametrize("told", [NotThere(), Forbidden(), UnexpectedAnswer(), Unreachable()], ids=repr)
async def test_it_closes_time_though_it_is_never_given_by_itself(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch, told: RemoteError, name: str
) -> None:
    context = engine.context()
    await engine.settle(context)
    href = home.put(name, event(name, at(20, 9), at(20, 10)))
    engine.server.lagging[href] = ETag(""), home.texts[href][1]
    fails_by_itself(monkeypatch, [href], told)
    for _ in range(12):
        await engine.poll(context)
        assert (at(20, 9), at(20, 10)) in await engine.slots()
        engine.now = (await engine.account()).next_poll_at or 0
    assert context.memory.ungiven, "it is not asked for again"


@pytest.mark.parametrize("extra", ["", "BEGIN:VEVENT\r\nUID:x\r\nDTSTART:?\r\nEND:VEVENT\r\n"])
async def test_it_is_waited_for_in_a_first_reading_though_a_part_of_its_text_can_not_be_read(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    context = engine.context()
    work.put("other", event("other", at(21, 9), at(21, 10)))
    old = event("x", at(20, 9), at(20, 10)).replace("END:VCALENDAR", f"{extra}END:VCALENDAR")
    href = work.put("x", event("x", at(22, 9), at(22, 10)))
    engine.server.lagging[href] = ETag(""), old
    fails_by_itself(monkeypatch, [href], Forbidden())
    await engine.choose("Home", "Work")
    for _ in range(engine.settings.most_missing_polls):
        engine.now += 15
        await engine.poll(context)
        assert (at(20, 9), at(20, 10)) in await engine.slots()
        assert (await engine.calendar("Work")).last_synced_at is None


@pytest.mark.parametrize("uid", ["d3", "other"])
async def test_nor_is_it_taken_for_one_gone_on_without_where_another_was(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch, uid: str
) -> None:
    context = await resting(engine, home)
    last_read = (await engine.account()).last_synced_at
    undated = f"BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTART:?\r\nEND:VEVENT\r\nEND:VCALENDAR"
    href = home.put("d3", event("d3", at(22, 9), at(22, 10)))
    old = event("d3", at(21, 9), at(21, 10)).replace("END:VCALENDAR", undated)
    engine.server.lagging[href] = ETag(""), old
    fails_by_itself(monkeypatch, [href], Forbidden())
    for _ in range(engine.settings.most_missing_polls):
        engine.now += 15
        await engine.poll(context)
        assert (await engine.account()).last_synced_at == last_read
    engine.now += 15
    await engine.poll(context)
    assert (await engine.account()).last_synced_at == engine.now


@pytest.mark.parametrize("told", [Unreachable(), ServerFailed(), Throttled(1)], ids=repr)
async def test_one_that_comes_without_its_etag_and_not_by_itself_keeps_no_other_from_being_read(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch, told: RemoteError
) -> None:
    context = engine.context()
    await engine.settle(context)
    odd = [home.put(name, event(name, at(20, 9), at(20, 10))) for name in ("d3", "d4", "new")]
    engine.server.lagging |= {href: (ETag(""), home.texts[href][1]) for href in odd}
    fails_by_itself(monkeypatch, odd, told)
    home.put("other", event("other", at(21, 9), at(21, 10)))
    for _ in range(15):
        engine.now = (await engine.account()).next_poll_at or 0
        await engine.poll(context)
    assert (at(21, 9), at(21, 10)) in await engine.slots()
    assert (await engine.account()).last_synced_at == engine.now


async def test_the_text_that_is_held_is_not_taken_for_a_change_that_comes_without_its_etag(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    [href] = [href for href in home.texts if href.endswith("d3.ics")]
    engine.server.lagging[href] = home.texts[href]
    home.put("d3", event("d3", at(21, 9), at(21, 10)))
    real = FakeAccount.list_changes

    async def without_etags(self: FakeAccount, calendar: str, token: SyncToken | None) -> Changes:
        told = await real(self, calendar, token)
        return replace(told, items=tuple(Listed(item.href, None) for item in told.items))

    monkeypatch.setattr(FakeAccount, "list_changes", without_etags)
    await engine.poll()
    assert (await engine.slots())[-1] == (at(21, 9), at(21, 10))


async def test_what_is_never_given_is_asked_for_ever_more_seldom_and_all_is_listed_for_nothing_else(
    engine: Engine, home: FakeCalendar
) -> None:
    engine.server.hidden.add(home.put("new", event("new", at(20, 9), at(20, 10))))
    context = engine.context()
    for _ in range(8):
        await engine.poll(context)
        engine.now += 15
    assert (await engine.account()).last_synced_at == engine.now - 15
    listed = []
    for minute in range(6 * 60):
        engine.server.asked.clear()
        engine.now += 60
        await engine.poll(context)
        listed += [minute] * ("changes" in engine.server.asked)
    gaps = [later - sooner for sooner, later in pairwise(listed)]
    assert gaps == sorted(gaps)
    assert (gaps[0], gaps[-1]) == (4, 15)
    engine.server.hidden.clear()
    engine.now -= HOUR  # The clock was set back: as long as it had not been asked for then.
    await engine.poll(context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()


async def test_a_change_beside_what_is_not_given_is_read_at_once(engine: Engine, home: FakeCalendar) -> None:
    engine.server.hidden.add(home.put("new", event("new", at(20, 9), at(20, 10))))
    context = engine.context()
    for _ in range(12):
        await engine.poll(context)
        engine.now += 60
    home.put("other", event("other", at(21, 9), at(21, 10)))
    await engine.poll(context)
    assert (at(21, 9), at(21, 10)) in await engine.slots()


async def test_a_calendar_that_is_listed_without_a_token_does_not_rest_for_what_is_not_given(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = [ListedCalendar(home.path, "Home", "#FF2968", CalendarKind.EVENTS, can_write=True, token=None)]
    context = engine.context()
    await engine.settle(context)
    lie(monkeypatch, "list_calendars", without)
    engine.server.hidden.add(home.put("new", event("new", at(20, 9), at(20, 10))))
    for _ in range(8):
        await engine.poll(context)
        engine.now += 15
    assert context.memory.ungiven
    home.put("other", event("other", at(21, 9), at(21, 10)))
    await engine.poll(context)
    assert (at(21, 9), at(21, 10)) in await engine.slots()


async def test_a_calendar_that_is_listed_with_a_token_no_more_is_in_step_where_nothing_is_told(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would grow too old, and all time would close."""
    context = engine.context()
    await engine.settle(context)
    without = [ListedCalendar(home.path, "Home", "#FF2968", CalendarKind.EVENTS, can_write=True, token=None)]
    lie(monkeypatch, "list_calendars", without)
    for _ in range(3):
        engine.now += 60
        await engine.poll(context)
        assert (await engine.calendar("Home")).last_synced_at == engine.now


async def test_what_was_not_put_on_record_is_read_again_though_its_calendar_rests_for_what_is_not_given(
    engine: Engine, home: FakeCalendar
) -> None:
    context = await resting(engine, home)
    home.put("other", event("other", at(21, 9), at(21, 10)))

    def breaks() -> float:
        raise ConnectionError

    with pytest.raises(ConnectionError):  # In the transaction that stores the last of it.
        await engine.poll(replace(context, chance=breaks))
    assert (at(21, 9), at(21, 10)) not in await engine.slots()
    await engine.poll(context)
    assert (at(21, 9), at(21, 10)) in await engine.slots()


async def test_what_another_process_found_missing_is_read_though_its_calendar_rests_here(
    engine: Engine, home: FakeCalendar
) -> None:
    context, another = await resting(engine, home), engine.context("process-2")
    engine.server.untold.add(home.put("other", event("other", at(21, 9), at(21, 10))))
    home.history.pop()  # No token tells of it either.
    tonight = (await engine.calendar("Home")).compare_at or 0
    engine.now = tonight - 60
    await engine.poll(context)
    assert (at(21, 9), at(21, 10)) not in await engine.slots()
    engine.server.asked.clear()

    async def meanwhile(name: str, _: str) -> None:
        if name == "fetch" and "resources" in engine.server.asked:  # By now it knows that one is missing.
            engine.server.failures["changes"] = [ServerFailed()]

    engine.now = tonight
    engine.server.after = meanwhile
    await engine.poll(another)
    engine.server.after = None
    engine.server.untold.clear()
    await engine.poll(context)
    assert (at(21, 9), at(21, 10)) in await engine.slots()


async def resting(engine: Engine, home: FakeCalendar) -> SyncContext:
    """In step but for what is never given, and looked for in vain just now."""
    context = engine.context()
    await engine.settle(context)
    engine.server.hidden.add(home.put("new", event("new", at(20, 9), at(20, 10))))
    for _ in range(60):
        await engine.poll(context)
        engine.now += 60
    assert context.memory.ungiven
    engine.server.asked.clear()
    return context


@pytest.mark.parametrize(("listed", "given"), [(1, 0), (2, 0), (31, 10)])
async def test_where_all_or_much_is_listed_and_not_given_the_calendar_is_not_taken_for_read(
    engine: Engine, listed: int, given: int
) -> None:
    """Its time would be open: a page to sign in, for every text of a first read, told nothing and opened all."""
    work = engine.server.calendars["/1/calendars/work/"]
    hrefs = [work.put(f"w{number}", event(f"w{number}", at(20, 9), at(20, 10))) for number in range(listed)]
    engine.server.hidden |= set(hrefs[given:])
    await engine.choose("Home", "Work")
    context = engine.context()
    for _ in range(12):
        await engine.poll(context)
        engine.now = (await engine.account()).next_poll_at or 0
    account = await engine.account()
    assert (account.status, account.problem_code) == (
        AccountStatus.UNREACHABLE,
        ICloudProblemCode.UNEXPECTED_ANSWER,
    )
    assert (await engine.calendar("Work")).last_synced_at is None
    engine.server.hidden.clear()
    await engine.poll(context)
    assert (await engine.account()).status == AccountStatus.CONNECTED


async def test_one_that_is_not_given_is_waited_for_as_long_as_one_before_it(
    engine: Engine, home: FakeCalendar
) -> None:
    context, most = engine.context(), engine.settings.most_missing_polls
    await engine.settle(context)
    last_read = (await engine.account()).last_synced_at
    for name in ("first", "second"):
        engine.server.hidden.add(home.put(name, event(name, at(20, 9), at(20, 10))))
        for _ in range(most):
            await engine.poll(context)
            engine.now = (await engine.account()).next_poll_at or 0
            assert (await engine.account()).last_synced_at == last_read
    await engine.poll(context)
    assert (await engine.account()).last_synced_at == engine.now
    assert len([each for each in await engine.resources() if each.has_problems]) == 2


async def test_ever_new_ones_that_are_not_given_keep_their_calendar_from_being_read_for_minutes_alone(
    engine: Engine, home: FakeCalendar
) -> None:
    context = engine.context()
    await engine.settle(context)
    for number in range(60):
        engine.server.hidden.add(home.put(f"n{number}", event(f"n{number}", at(20, 9), at(20, 10))))
        await engine.poll(context)
        assert (await engine.account()).status == AccountStatus.CONNECTED
        assert engine.now - ((await engine.account()).last_synced_at or 0) < 300
        engine.now += 15


@pytest.mark.parametrize("polls", [2, 5, 50])
@pytest.mark.parametrize("left", ["first", "second"])
async def test_one_that_is_not_given_when_a_server_gives_the_others_again_is_waited_for(
    engine: Engine, home: FakeCalendar, left: str, polls: int
) -> None:
    context, most = engine.context(), engine.settings.most_missing_polls
    await engine.settle(context)
    home.put("first", event("first", at(20, 9), at(20, 10)))
    engine.server.hidden |= home.texts.keys()
    for _ in range(polls):
        engine.now += 60
        await engine.poll(context)
    assert ((await engine.account()).status == AccountStatus.UNREACHABLE) == (polls > most)
    last_read = (await engine.account()).last_synced_at
    home.put("second", event("second", at(21, 9), at(21, 10)))
    engine.server.hidden = {Href(f"{home.path}{left}.ics")}
    for _ in range(most):
        engine.now += 15
        await engine.poll(context)
        assert (await engine.account()).last_synced_at == last_read


async def test_what_was_gone_on_without_before_is_not_counted_with_what_is_not_given_now(
    engine: Engine, home: FakeCalendar
) -> None:
    context = engine.context()
    for day in (20, 21):
        hidden = [home.put(f"h{day}-{n}", event(f"h{day}-{n}", at(day, 9), at(day, 10))) for n in range(15)]
        engine.server.hidden |= set(hidden)
        for _ in range(engine.settings.most_missing_polls + 1):
            engine.now += 60
            await engine.poll(context)
        assert (await engine.calendar("Home")).last_synced_at == engine.now


async def test_what_we_wrote_is_nothing_that_was_given_of_a_calendar(
    engine: Engine, work: FakeCalendar
) -> None:
    """Where nothing else is there to be given, all of it went astray, and not one event."""
    await engine.choose("Home", linked="Work")
    context = engine.context()
    await engine.settle(context)
    await engine.book(at(19, 9), at(19, 10))
    await engine.push()
    read_at = (await engine.calendar("Work")).last_synced_at
    work.put("theirs", event("theirs", at(20, 9), at(20, 10)))
    engine.server.hidden |= work.texts.keys()
    for _ in range(engine.settings.most_missing_polls + 2):
        engine.now += 60
        await engine.poll(context)
    assert (await engine.calendar("Work")).last_synced_at == read_at
    assert (await engine.account()).status == AccountStatus.UNREACHABLE


@pytest.mark.parametrize("failure", [UnexpectedAnswer(), Unreachable(), None], ids=str)
async def test_what_moved_to_a_calendar_that_is_not_read_goes_on_closing_its_time(
    engine: Engine,
    home: FakeCalendar,
    work: FakeCalendar,
    monkeypatch: pytest.MonkeyPatch,
    failure: RemoteError | None,
) -> None:
    """`None`: it is listed there, and not given yet."""
    await engine.choose("Home", "Work")
    context = engine.context()
    await engine.settle(context)
    [href] = [href for href in home.texts if href.endswith("d3.ics")]
    home.delete(href)
    moved = work.put("moved", event("d3", at(3, 9), at(3, 10)))
    with monkeypatch.context() as lying:
        if failure is None:
            engine.server.hidden.add(moved)
        else:
            real = FakeAccount.list_changes

            async def changes(self: FakeAccount, calendar: str, token: SyncToken | None) -> Changes:
                if calendar == work.path:
                    raise failure
                return await real(self, calendar, token)

            lying.setattr(FakeAccount, "list_changes", changes)
        for _ in range(4):
            engine.now += 60
            await engine.poll(context)
            assert (at(3, 9), at(3, 10)) in await engine.slots()
    engine.server.hidden.clear()
    for _ in range(2):
        engine.now += HOUR
        await engine.poll(context)
    assert (await engine.slots()).count((at(3, 9), at(3, 10))) == 1
    work.delete(moved)
    engine.now += 60
    await engine.poll(context)
    assert (at(3, 9), at(3, 10)) not in await engine.slots()


async def test_what_moved_to_a_calendar_that_the_home_leaves_out_goes_on_closing_its_time(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    await engine.choose("Home", "Work")
    context = engine.context()
    await engine.settle(context)
    [href] = [href for href in home.texts if href.endswith("d3.ics")]
    home.delete(href)
    work.put("moved", event("d3", at(3, 9), at(3, 10)))
    del engine.server.calendars[work.path]
    await engine.poll(context)
    assert (at(3, 9), at(3, 10)) in await engine.slots()
    engine.server.calendars[work.path] = work
    engine.now += 15
    await engine.poll(context)
    assert (await engine.slots()).count((at(3, 9), at(3, 10))) == 1


@pytest.mark.parametrize("to", ["Home", "Work"])
async def test_what_moved_to_a_name_too_long_to_be_kept_goes_on_closing_its_time(
    engine: Engine, home: FakeCalendar, work: FakeCalendar, to: str
) -> None:
    """In another calendar, or in its own."""
    await engine.choose("Home", "Work")
    context = engine.context()
    await engine.settle(context)
    [href] = [href for href in home.texts if href.endswith("d3.ics")]
    home.delete(href)
    taking = home if to == "Home" else work
    moved = taking.put("m" * LONGEST, event("d3", at(3, 9), at(3, 10)))
    for _ in range(3):
        await engine.poll(context)
        assert (at(3, 9), at(3, 10)) in await engine.slots()
        engine.now += 60
    taking.delete(moved)
    for _ in range(8):
        await engine.poll(context)
        engine.now += 60
    assert (at(3, 9), at(3, 10)) not in await engine.slots()


async def test_what_moved_to_a_name_too_long_beside_something_gone_goes_on_closing_its_time(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    href, body = work.put("a", event("a", at(5, 12), at(5, 13))), event("a", at(5, 12), at(5, 13))
    await engine.choose("Home", "Work")
    context = engine.context()
    await engine.settle(context)
    home.delete(next(iter(home.texts)))
    work.delete(href)
    home.put("m" * LONGEST, body)
    await engine.poll(context)
    assert (at(5, 12), at(5, 13)) in await engine.slots()


async def test_what_is_gone_is_gone_once_the_calendar_that_the_home_leaves_out_is(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    await engine.choose("Home", "Work")
    context = engine.context()
    await engine.settle(context)
    home.delete(next(iter(home.texts)))
    del engine.server.calendars[work.path]
    await engine.poll(context)
    assert len(await engine.slots()) == 10
    engine.now += 61
    await engine.poll(context)
    assert len(await engine.slots()) == 9


async def test_what_moved_within_a_calendar_and_is_not_given_yet_goes_on_closing_its_time(
    engine: Engine, home: FakeCalendar
) -> None:
    [href] = [href for href in home.texts if href.endswith("d3.ics")]
    home.delete(href)
    engine.server.hidden.add(home.put("anew", event("d3", at(3, 9), at(3, 10))))
    context = engine.context()
    await engine.poll(context)
    assert (at(3, 9), at(3, 10)) in await engine.slots()
    engine.server.hidden.clear()
    await engine.poll(context)
    assert (await engine.slots()).count((at(3, 9), at(3, 10))) == 1


@pytest.mark.parametrize("failure", [Unreachable(), Throttled(30)], ids=str)
async def test_a_calendar_that_hangs_keeps_none_after_it_from_being_read(
    engine: Engine,
    home: FakeCalendar,
    work: FakeCalendar,
    monkeypatch: pytest.MonkeyPatch,
    failure: RemoteError,
) -> None:
    await engine.choose("Home", "Work")
    context = engine.context()
    await engine.settle(context)
    real = FakeAccount.list_changes

    async def changes(self: FakeAccount, calendar: str, token: SyncToken | None) -> Changes:
        if calendar == home.path:
            raise failure
        return await real(self, calendar, token)

    monkeypatch.setattr(FakeAccount, "list_changes", changes)
    home.put("new", event("new", at(20, 9), at(20, 10)))
    work.put("new", event("new", at(21, 9), at(21, 10)))
    for _ in range(2):
        engine.now += 60
        await engine.poll(context)
    assert (at(21, 9), at(21, 10)) in await engine.slots()
    assert (await engine.account()).status == AccountStatus.UNREACHABLE


@pytest.mark.parametrize("told", [Unreachable(), Throttled(1)], ids=repr)
@pytest.mark.parametrize("numbers", [[20], [5, 40], [5, 20, 40, 41, 55]], ids=len)
async def test_texts_that_are_never_answered_keep_no_other_from_being_read(
    engine: Engine, work: FakeCalendar, numbers: Sequence[int], told: RemoteError
) -> None:
    for number in range(60):
        work.put(f"w{number:02}", event(f"w{number}", at(20, 9), at(20, 10)))
    slow = [Href(f"{work.path}w{number:02}.ics") for number in numbers]
    engine.server.spoiling.update(dict.fromkeys(slow, told))
    await engine.choose("Home", "Work")
    context = engine.context()
    statuses = []
    for _ in range(40):
        await engine.poll(context)
        account = await engine.account()
        statuses.append(account.status)
        engine.now = account.next_poll_at or 0
    assert (await engine.slots()).count((at(20, 9), at(20, 10))) == 60 - len(slow)
    assert set(statuses[20:]) == {AccountStatus.CONNECTED}
    assert [each.href for each in await engine.resources() if each.has_problems] == slow


@pytest.mark.parametrize("is_given_by_itself", [True, False])
async def test_a_server_that_is_silent_on_all_texts_is_not_in_step_without_the_one_that_is_new(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch, *, is_given_by_itself: bool
) -> None:
    context = engine.context()
    await engine.settle(context)
    last_read = (await engine.account()).last_synced_at
    lie(monkeypatch, "fetch", Unreachable())
    if not is_given_by_itself:
        lie(monkeypatch, "get", Unreachable())
    home.put("new", event("new", at(20, 9), at(20, 10)))
    for _ in range(12):
        engine.now += 60
        await engine.poll(context)
    account = await engine.account()
    if is_given_by_itself:
        assert (at(20, 9), at(20, 10)) in await engine.slots()
        assert account.last_synced_at == engine.now
    else:
        assert (account.status, account.last_synced_at) == (AccountStatus.UNREACHABLE, last_read)


@pytest.mark.parametrize(
    "of_many", [Forbidden(), UnexpectedAnswer(), Unreachable(), Throttled(1), {}], ids=repr
)
@pytest.mark.parametrize(
    "of_one",
    [Forbidden(), UnexpectedAnswer(), NotThere(), Fetched(Href(""), ETag('"1"'), "<html>")],
    ids=repr,
)
async def test_a_server_that_gives_no_text_at_all_is_not_in_step_without_the_one_that_is_new(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch, of_many: object, of_one: object
) -> None:
    context = engine.context()
    await engine.settle(context)
    last_read = (await engine.account()).last_synced_at
    lie(monkeypatch, "fetch", of_many)
    lie(monkeypatch, "get", of_one)
    home.put("new", event("new", at(20, 9), at(20, 10)))
    for _ in range(12):
        engine.now += 60
        await engine.poll(context)
    account = await engine.account()
    assert (account.status, account.last_synced_at) == (AccountStatus.UNREACHABLE, last_read)


def fails_by_itself(
    monkeypatch: pytest.MonkeyPatch,
    hrefs: Sequence[Href],
    told: RemoteError,
    *,
    of_many: RemoteError | None = None,
) -> None:
    """`of_many`: what is told of any of them among others, and not what is so."""
    real, real_fetch = FakeAccount.get, FakeAccount.fetch

    async def get(self: FakeAccount, href: Href) -> Fetched:
        if href in hrefs:
            raise told
        return await real(self, href)

    async def fetch(self: FakeAccount, calendar: str, asked: Sequence[Href]) -> dict[Href, Fetched]:
        if of_many is not None and not {*hrefs}.isdisjoint(asked):
            raise of_many
        return await real_fetch(self, calendar, asked)

    monkeypatch.setattr(FakeAccount, "get", get)
    monkeypatch.setattr(FakeAccount, "fetch", fetch)


@pytest.mark.parametrize("told", [Unreachable(), NotThere(), Forbidden()], ids=repr)
async def test_a_text_that_no_answer_came_to_once_is_asked_for_among_many_too(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch, told: RemoteError
) -> None:
    """What is given in one way alone is given."""
    context = engine.context()
    await engine.settle(context)
    fails_by_itself(monkeypatch, [home.put("new", event("new", at(20, 9), at(20, 10)))], told)
    engine.server.failures["fetch"] = [Unreachable()]
    for _ in range(2):
        engine.now += 60
        await engine.poll(context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()


@pytest.mark.parametrize("of_many", [ServerFailed(), UnexpectedAnswer(), Unreachable()], ids=repr)
@pytest.mark.parametrize("told", [Unreachable(), Throttled(1)], ids=repr)
async def test_half_of_a_calendar_that_is_silent_by_itself_for_good_keeps_the_rest_from_nothing(
    engine: Engine,
    home: FakeCalendar,
    monkeypatch: pytest.MonkeyPatch,
    of_many: RemoteError,
    told: RemoteError,
) -> None:
    chances = itertools.cycle([0.0, 0.45, 0.9])
    context = replace(engine.context(), chance=lambda: next(chances))
    await engine.settle(context)
    changed = [home.put(f"d{day}", event(f"d{day}", at(day, 11), at(day, 12))) for day in range(3, 9)]
    fails_by_itself(monkeypatch, changed, told, of_many=of_many)
    home.put("new", event("new", at(20, 9), at(20, 10)))
    for _ in range(20):
        engine.now = (await engine.account()).next_poll_at or 0
        await engine.poll(context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()
    assert (await engine.account()).last_synced_at == engine.now


async def test_silent_ones_in_several_parts_of_a_first_answer_keep_the_rest_from_nothing(
    engine: Engine, work: FakeCalendar
) -> None:
    engine.server.most_told = 3
    hrefs = [work.put(f"w{day}", event(f"w{day}", at(day, 11), at(day, 12))) for day in range(3, 12)]
    engine.server.spoiling |= {hrefs[1]: Unreachable(), hrefs[5]: Unreachable()}
    await engine.choose("Work")
    context = engine.context()
    for _ in range(20):
        engine.now = max((await engine.account()).next_poll_at or 0, engine.now + 1)
        await engine.poll(context)
    assert len(await engine.slots()) == 7
    assert (await engine.account()).last_synced_at == engine.now
    for href in list(engine.server.spoiling):
        work.delete(href)
        del engine.server.spoiling[href]
    await engine.settle(context)
    assert not context.memory.slow, "what is gone is remembered for good"


async def test_silent_ones_that_are_deleted_are_remembered_of_no_calendar_that_is_never_read_to_its_end(
    engine: Engine, home: FakeCalendar
) -> None:
    context = engine.context()
    await engine.settle(context)
    engine.server.hidden |= {home.put(f"h{n}", event(f"h{n}", at(20, 9), at(20, 10))) for n in range(25)}
    for number in range(3):
        silent = home.put(f"s{number}", event(f"s{number}", at(21, 9), at(21, 10)))
        engine.server.spoiling = {silent: Unreachable()}
        for _ in range(8):
            await engine.poll(context)
            engine.now = (await engine.account()).next_poll_at or 0
        assert {silent} in [part for parts in context.memory.slow.values() for part in parts]
        home.delete(silent)
        await engine.poll(context)
        assert not [part for parts in context.memory.slow.values() for part in parts if silent in part]


@pytest.mark.parametrize("has_another", [True, False])
@pytest.mark.parametrize("told", [Forbidden(), ServerFailed(), NotThere(), Unreachable()], ids=repr)
async def test_whether_the_only_event_of_a_calendar_is_at_fault_another_calendars_tells(
    engine: Engine, home: FakeCalendar, work: FakeCalendar, told: RemoteError, *, has_another: bool
) -> None:
    """Where there is none, nothing tells: its time is not open."""
    work.put("only", event("only", at(20, 9), at(20, 10)))
    await engine.choose("Work", *["Home"] * has_another)
    context = engine.context()
    await engine.settle(context)
    last_read = (await engine.account()).last_synced_at
    engine.server.spoiling[work.put("only", event("only", at(21, 9), at(21, 10)))] = told
    for _ in range(12):
        engine.now += 60
        await engine.poll(context)
    assert (await engine.account()).last_synced_at == (engine.now if has_another else last_read)


@pytest.mark.parametrize("told", [Forbidden(), ServerFailed(), UnexpectedAnswer(), Unreachable()], ids=repr)
async def test_a_deleted_event_of_ours_that_can_not_be_asked_for_holds_up_no_other(
    engine: Engine, work: FakeCalendar, told: RemoteError
) -> None:
    await engine.choose("Home", linked="Work")
    context = engine.context()
    await engine.settle(context)
    name = await engine.book(at(25, 9), at(25, 10))
    await engine.push(context)
    await engine.poll(context)
    [href] = work.texts
    work.delete(href)
    engine.server.spoiling[href] = told
    work.put("new", event("new", at(20, 9), at(20, 10)))
    await engine.poll(context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()
    for _ in range(6):
        engine.now += 15
        await engine.poll(context)
    assert (await engine.account()).last_synced_at == engine.now
    assert (await engine.appointment(name)).write_state == "WRITTEN"
    engine.server.spoiling.clear()
    engine.now += DAY
    await engine.poll(context)
    assert (await engine.appointment(name)).write_state == "DELETED_IN_ICLOUD"


async def test_a_deletion_of_ours_that_was_not_told_of_for_a_moment_is_told_by_the_next_poll(
    engine: Engine, work: FakeCalendar
) -> None:
    await engine.choose("Home", linked="Work")
    context = engine.context()
    await engine.settle(context)
    name = await engine.book(at(25, 9), at(25, 10))
    await engine.push(context)
    await engine.poll(context)
    work.delete(*work.texts)
    engine.server.failures["get"] = [ServerFailed()]
    await engine.poll(context)
    assert (await engine.appointment(name)).write_state == "WRITTEN"
    await engine.poll(context)
    assert (await engine.appointment(name)).write_state == "DELETED_IN_ICLOUD"


async def ten_of_ours(
    engine: Engine, context: SyncContext, linked: FakeCalendar, *, are_deleted: bool
) -> list[str]:
    """Written, and deleted by their owner; or else never told of."""
    await engine.settle(context)
    names = [
        await engine.book(at(25, hour), at(25, hour + 1), name=f"apt_{hour:026}") for hour in range(8, 18)
    ]
    await engine.push(context)
    if are_deleted:
        await engine.poll(context)
        for href in list(linked.texts):
            linked.delete(href)
    else:
        engine.server.untold.update(linked.texts)
        engine.now += 61
    return names


@pytest.mark.parametrize("is_seen", [True, False])
async def test_many_deletions_of_ours_wait_for_no_more_than_a_few_that_are_not_answered_for(
    engine: Engine, work: FakeCalendar, *, is_seen: bool
) -> None:
    """Each takes 20 s, in which nothing else of the account is read."""
    await engine.choose("Home", linked="Work")
    context = engine.context()
    names = await ten_of_ours(engine, context, work, are_deleted=is_seen)
    engine.server.failures["get"] = [Unreachable() for _ in names]
    for asked in (3, 6, 9):
        before = engine.server.asked.count("get")
        await engine.poll(context)
        assert engine.server.asked.count("get") - before == 3
        assert len(engine.server.failures["get"]) == len(names) - asked
        engine.now += 1
    engine.server.failures.clear()
    await engine.poll(context)
    states = {(await engine.appointment(name)).write_state for name in names}
    assert states == {WriteState.DELETED_IN_ICLOUD if is_seen else WriteState.WRITTEN}


@pytest.mark.parametrize("is_seen", [True, False])
async def test_those_of_ours_that_are_never_answered_for_keep_the_others_from_nothing(
    engine: Engine, work: FakeCalendar, *, is_seen: bool
) -> None:
    await engine.choose("Home", linked="Work")
    chances = itertools.cycle([0.0, 0.45, 0.9])
    context = replace(engine.context(), chance=lambda: next(chances))
    await ten_of_ours(engine, context, work, are_deleted=is_seen)
    hung = sorted(set(work.history))[:4]
    engine.server.spoiling.update(dict.fromkeys(hung, Unreachable()))
    for _ in range(12):
        engine.now += 15
        await engine.poll(context)
    of_ours = [each for each in await engine.resources() if each.appointment_id is not None]
    assert sorted(each.href for each in of_ours if is_seen or not each.etag) == hung


@pytest.mark.parametrize("refusal", [PasswordRefused(), Throttled(None)], ids=str)
@pytest.mark.parametrize("is_read", [True, False])
async def test_a_calendar_that_is_not_listed_and_refuses_stops_no_account(
    engine: Engine,
    home: FakeCalendar,
    work: FakeCalendar,
    monkeypatch: pytest.MonkeyPatch,
    refusal: RemoteError,
    is_read: bool,
) -> None:
    if is_read:
        await engine.choose("Home", "Work")
        await engine.poll()
    engine.server.unshown.add(work.path)
    lie(monkeypatch, "check_calendar", refusal)
    home.put("new", event("new", at(20, 9), at(20, 10)))
    for _ in range(4):
        engine.now += HOUR
        await engine.poll()
    account = await engine.account()
    assert account.refusals == 0
    assert account.next_poll_at is not None
    assert is_read or (at(20, 9), at(20, 10)) in await engine.slots()


async def test_where_a_delta_tells_nothing_though_a_write_of_ours_was_made_it_is_asked_again(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll read between the write and its record, so that the next is to read from before it."""
    await engine.choose(linked="Home")
    context = engine.context()
    await engine.settle(context)
    await engine.book(at(20, 9), at(20, 10))

    async def meanwhile(_: str) -> None:
        engine.server.done = None
        home.put("y", event("y", at(21, 9), at(21, 10)))
        await engine.poll(context)

    engine.server.done = meanwhile
    await engine.push(context)
    assert (await engine.calendar("Home")).listed_token is None
    home.put("x", event("x", at(22, 9), at(22, 10)))
    with monkeypatch.context() as lying:
        lie(lying, "list_changes", Changes((), SyncToken((await engine.calendar("Home")).sync_token or "")))
        engine.now += 15
        await engine.poll(context)
    engine.now += 15
    await engine.poll(context)
    assert (at(22, 9), at(22, 10)) in await engine.slots()


async def test_a_page_in_place_of_a_text_is_no_text_of_it(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    href = home.put("d3", event("d3", at(20, 9), at(20, 10)))
    context = engine.context()
    with monkeypatch.context() as lying:
        lie(lying, "fetch", {href: Fetched(href, home.texts[href][0], "<html>Sign in</html>")})
        await engine.poll(context)
        assert not any(each.has_problems for each in await engine.resources())
    engine.now += 15
    await engine.poll(context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()


_PAGES = [
    "<html>Sign in</html>",
    "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:d3",
]


@pytest.mark.parametrize("garbage", _PAGES)
@pytest.mark.parametrize("name", ["new", "d3"])
async def test_something_else_given_once_in_an_events_place_is_not_believed_for_good(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch, garbage: str, name: str
) -> None:
    context = engine.context()
    await engine.settle(context)
    home.put(name, event(name, at(20, 9), at(20, 10)))
    with monkeypatch.context() as lying:
        real = FakeAccount.fetch

        async def fetch(self: FakeAccount, calendar: str, hrefs: Sequence[Href]) -> dict[Href, Fetched]:
            found = await real(self, calendar, hrefs)
            return {href: each._replace(body=garbage) for href, each in found.items()}

        lying.setattr(FakeAccount, "fetch", fetch)
        await engine.poll(context)
    for _ in range(2):
        engine.now += engine.settings.first_comparison_after + 1
        await engine.poll(context)
    assert (at(20, 9), at(20, 10)) in await engine.slots()
    assert not any(each.has_problems for each in await engine.resources())


async def test_what_is_told_as_gone_and_given_all_the_same_stays(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    [href] = [href for href in home.texts if href.endswith("d3.ics")]
    home.put("d3", event("d3", at(21, 9), at(21, 10)))
    context = engine.context()
    with monkeypatch.context() as lying:
        lie(lying, "list_changes", Changes((Gone(href),), SyncToken(home.token)))
        await engine.poll(context)
    assert (await engine.slots())[-1] == (at(21, 9), at(21, 10))
    assert (await engine.calendar("Home")).sync_token != home.token
    engine.now += 15
    await engine.poll(context)
    assert len(await engine.slots()) == 10
    assert (await engine.calendar("Home")).sync_token == home.token


async def test_what_is_told_as_gone_for_ever_and_given_all_the_same_stays(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    href = next(iter(home.texts))
    home.history.append(href)
    lie(monkeypatch, "list_changes", Changes((Gone(href),), SyncToken(home.token)))
    context = engine.context()
    for _ in range(engine.settings.most_missing_polls + 2):
        engine.now += 15
        await engine.poll(context)
        assert len(await engine.slots()) == 10
    assert (await engine.calendar("Home")).sync_token == home.token


async def test_much_that_is_told_as_gone_and_given_all_the_same_is_not_asked_for_one_by_one(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    hrefs = list(home.texts)
    home.history += hrefs
    lie(monkeypatch, "list_changes", Changes(tuple(map(Gone, hrefs)), SyncToken(home.token)))
    await engine.poll()
    assert len(await engine.slots()) == 10
    assert "get" not in engine.server.asked


async def test_an_old_text_of_ours_after_a_lie_that_it_is_gone_is_no_edit_of_the_owners(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.choose("Home", linked="Home")
    before, name = {*home.texts}, await engine.book(at(25, 9), at(25, 10))
    await engine.push()
    await engine.poll()
    [href] = home.texts.keys() - before
    old = home.texts[href]
    await engine.change(name, starts=at(25, 14), ends=at(25, 15))
    await engine.push()
    engine.server.lagging[href] = old
    engine.now += 60
    with monkeypatch.context() as lying:
        lie(lying, "list_changes", Changes((Gone(href),), SyncToken(home.token)))
        await engine.poll()
    assert (await engine.appointment(name)).write_state == "WRITTEN"


async def test_a_deletion_that_a_server_forgets_itself_is_believed_after_a_while(
    engine: Engine, home: FakeCalendar
) -> None:
    [href] = [href for href in home.texts if href.endswith("d3.ics")]
    engine.server.lagging[href] = home.texts[href]
    home.delete(href)
    context = engine.context()
    await engine.poll(context)
    assert len(await engine.slots()) == 10
    engine.server.lagging.clear()
    engine.now += 15
    await engine.poll(context)
    assert len(await engine.slots()) == 9
