"""A write that was told as done and was not: it is looked for, and written again; nobody is said to have deleted it."""

from __future__ import annotations

import pytest

from domain.changes import ChangeKind
from domain.copies import WriteState, uid_of
from models.bell import Bell
from models.database import Database
from models.outbox import UNSENT
from models.polling import Stamp
from sync.places import NOT_KEPT
from sync.quiet import look
from sync.remote import ETag, Forbidden, Href, RemoteError, ServerFailed, Unreachable
from tests.fakes.calendar_server import FakeAccount, FakeCalendar
from tests.integration.engine import DAY, HOUR, Engine, at, event, linked_engine_on
from tests.integration.test_carry_out import BOOKED, MOVED, OURS, state
from tests.integration.test_push import spans
from tests.integration.test_quiet import leased


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    engine = await linked_engine_on(database, bell)
    await engine.settle(engine.context())
    return engine


TOLD = pytest.mark.parametrize("told", [ETag('"zz"'), None])


def keeps_nothing(lying: pytest.MonkeyPatch, told: ETag | None) -> None:
    async def create(self: FakeAccount, href: Href, body: str) -> ETag | None:
        await self._step("create")
        return told

    async def replace(self: FakeAccount, href: Href, body: str, etag: ETag) -> ETag | None:
        await self._step("replace")
        return told

    lying.setattr(FakeAccount, "create", create)
    lying.setattr(FakeAccount, "replace", replace)


async def later(engine: Engine, minutes: float = 2) -> None:
    context = engine.context()
    for _ in range(3):
        engine.now += minutes * 20
        await engine.poll(context)
        await engine.push(context)


@TOLD
async def test_what_was_not_kept_is_written_again(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch, told: ETag | None
) -> None:
    name = await engine.book(*BOOKED)
    with monkeypatch.context() as lying:
        keeps_nothing(lying, told)
        await engine.push()
    assert (spans(work), await state(engine, name)) == ([], WriteState.WRITTEN)
    await later(engine)
    await later(engine)
    assert (spans(work), await state(engine, name)) == ([BOOKED], WriteState.WRITTEN)


async def moved_and_not_kept(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> str:
    name = await engine.book(*BOOKED)
    await engine.push()
    await later(engine)
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    with monkeypatch.context() as lying:
        keeps_nothing(lying, ETag('"zz"'))
        await engine.push()
    return name


async def test_a_change_that_was_not_kept_is_written_again(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await moved_and_not_kept(engine, monkeypatch)
    assert spans(work) == [BOOKED]
    seen = set()
    for _ in range(3):
        await later(engine, minutes=1)
        seen.add(await state(engine, name))
    assert WriteState.CHANGED_IN_ICLOUD not in seen
    assert (spans(work), await state(engine, name)) == ([MOVED], WriteState.WRITTEN)


async def test_a_change_of_one_in_its_owners_words_that_was_not_kept_is_written_again(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await engine.book(*BOOKED)
    await engine.push()
    [(_, body)] = work.texts.values()
    work.put(OURS, body.replace("SUMMARY:Intro", "SUMMARY:Lunch"))
    await later(engine)
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    with monkeypatch.context() as lying:
        keeps_nothing(lying, ETag('"zz"'))
        await engine.push()
    await later(engine)
    await later(engine)
    assert (spans(work), await state(engine, name)) == ([MOVED], WriteState.CHANGED_IN_ICLOUD)


@pytest.mark.parametrize("facts", [{"status": "CANCELLED"}, {"starts": MOVED[0], "ends": MOVED[1]}])
async def test_one_that_is_changed_while_it_is_looked_for_is_not_told_as_not_kept(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, facts: dict[str, object]
) -> None:
    name = await engine.book(*BOOKED)
    with monkeypatch.context() as lying:
        keeps_nothing(lying, ETag('"zz"'))
        await engine.push()
    engine.now += 61

    async def change(asked: str, _: str) -> None:
        if asked == "get":
            engine.server.after = None
            await engine.change(name, **facts)

    engine.server.after = change
    await engine.poll()
    assert (await engine.appointment(name)).write_problem is None


async def test_what_the_owner_adds_while_a_change_is_missed_stays_when_it_is_written_again(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await moved_and_not_kept(engine, monkeypatch)

    async def add(asked: str, _: str) -> None:
        if asked == "get":
            engine.server.after = None
            [(_, body)] = work.texts.values()
            work.put(OURS, body.replace("END:VEVENT", "LOCATION:Room 5\r\nEND:VEVENT"))

    engine.server.after = add
    engine.now += 61
    await engine.poll()
    assert await state(engine, name) == WriteState.PENDING
    engine.now += 10
    await engine.push()
    assert (spans(work), await state(engine, name)) == ([MOVED], WriteState.WRITTEN)
    assert "LOCATION:Room 5" in next(iter(work.texts.values()))[1]


async def test_one_that_is_never_kept_is_tried_ever_less_often_and_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await engine.book(*BOOKED)
    keeps_nothing(monkeypatch, ETag('"zz"'))
    states = set()
    for _ in range(60):
        await later(engine)
        states.add(await state(engine, name))
    assert WriteState.DELETED_IN_ICLOUD not in states
    assert WriteState.FAILED in states
    assert engine.server.asked.count("create") < 15  # In two hours and 180 rounds.


async def test_one_that_is_never_kept_is_told_as_written_no_more_until_it_is_there(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await engine.book(*BOOKED)
    with monkeypatch.context() as lying:
        keeps_nothing(lying, ETag('"zz"'))
        for _ in range(20):
            await later(engine)
        asked, position = len(engine.server.asked), await engine.position()
        for _ in range(30):
            await later(engine)
        assert "create" in engine.server.asked[asked:]
    assert ChangeKind.APPOINTMENT_WRITTEN not in await engine.kinds(position)
    assert await state(engine, name) == WriteState.FAILED
    assert (await engine.appointment(name)).write_problem == NOT_KEPT
    for _ in range(30):
        await later(engine)
    assert (spans(work), await state(engine, name)) == ([BOOKED], WriteState.WRITTEN)
    assert (await engine.appointment(name)).write_problem is None


async def test_one_that_could_not_be_written_for_long_is_told_as_written_once_it_is(engine: Engine) -> None:
    """It is not one that was told so before: nothing there is to be seen first."""
    name = await engine.book(*BOOKED)
    engine.server.failures["create"] = [Unreachable()] * 8
    for _ in range(8):
        await engine.push()
        engine.now += HOUR
    assert await state(engine, name) == WriteState.PENDING
    engine.server.asked.clear()
    await engine.push()
    assert (engine.server.asked, await state(engine, name)) == (["create"], WriteState.WRITTEN)


async def test_one_that_is_shown_late_is_not_written_again(engine: Engine, work: FakeCalendar) -> None:
    name = await engine.book(*BOOKED)
    await engine.push()
    engine.server.hidden |= set(work.texts)
    engine.server.untold |= set(work.texts)
    await engine.poll()
    engine.now += 30
    await engine.poll()
    assert await state(engine, name) == WriteState.WRITTEN
    engine.server.hidden.clear()
    await engine.poll()
    assert [each.etag for each in await engine.resources()] == [work.texts[next(iter(work.texts))][0]]
    assert engine.server.asked.count("create") == 1


async def test_one_that_is_written_while_another_is_looked_for_has_its_time_to_be_shown(
    engine: Engine, work: FakeCalendar
) -> None:
    await engine.book(*BOOKED)
    await engine.push()
    engine.server.hidden |= set(work.texts)
    another = "apt_00000000000000000000000002"

    async def meanwhile(asked: str, _: str) -> None:
        if asked == "changes":
            engine.server.after = None
            engine.now += 5
            await engine.book(*MOVED, name=another)
            await engine.push()
            engine.server.hidden |= set(work.texts)

    engine.server.after = meanwhile
    await engine.poll()
    assert (await state(engine, another), await engine.pending()) == (WriteState.WRITTEN, [])


@pytest.mark.parametrize("told", [None, Forbidden()], ids=repr)
async def test_what_was_written_of_late_and_is_not_seen_is_looked_for_again_soon(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, told: RemoteError | None
) -> None:
    await engine.book(*BOOKED)
    with monkeypatch.context() as lying:
        keeps_nothing(lying, ETag('"zz"'))
        await engine.push()
    if told is not None:
        engine.server.spoiling |= {Href(each.href): told for each in await engine.resources()}
    context = engine.context()
    for _ in range(2):
        await engine.poll(context)
        assert (await engine.account()).next_poll_at == engine.now + engine.settings.watched_every
    assert not isinstance(await look(context, await leased(engine)), Stamp)


async def test_one_that_its_owner_deleted_before_it_was_read_is_told_as_deleted(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await engine.book(*BOOKED)
    await engine.push()
    work.delete(next(iter(work.texts)))
    await later(engine)
    assert await state(engine, name) == WriteState.DELETED_IN_ICLOUD


async def test_what_was_read_since_costs_no_poll_anything(engine: Engine) -> None:
    context = engine.context()
    await engine.book(*BOOKED)
    await engine.push(context)
    await later(engine)
    for _ in range(2):
        engine.now += 60
        await engine.poll(context)
    engine.server.asked.clear()
    engine.now += 60
    await engine.poll(context)
    assert engine.server.asked == ["list"]


async def test_a_full_listing_that_lacks_it_deletes_nothing_of_ours(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await engine.book(*BOOKED)
    with monkeypatch.context() as lying:
        keeps_nothing(lying, ETag('"zz"'))
        await engine.push()
    engine.server.refused_tokens = True
    work.history.append(Href("/moved"))
    engine.now += HOUR
    position = await engine.position()
    await engine.poll()
    assert await state(engine, name) == WriteState.PENDING
    assert await engine.kinds(position) == [ChangeKind.APPOINTMENT_WRITTEN]


async def test_what_was_not_kept_is_looked_for_though_icloud_tells_of_no_change(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = engine.context()
    for _ in range(2):
        await engine.poll(context)
    assert isinstance(await look(context, await leased(engine)), Stamp)
    await engine.book(*BOOKED)
    with monkeypatch.context() as lying:
        keeps_nothing(lying, ETag('"zz"'))
        await engine.push(context)
    assert not isinstance(await look(context, await leased(engine)), Stamp)


@pytest.mark.parametrize("told", [Forbidden(), ServerFailed(), Unreachable()], ids=repr)
async def test_one_that_can_not_be_asked_for_is_let_be_after_a_while_and_holds_up_nothing(
    engine: Engine, work: FakeCalendar, told: RemoteError
) -> None:
    context = engine.context()
    name = await engine.book(*BOOKED)
    await engine.push(context)
    [href] = work.texts
    engine.server.untold.add(href)
    engine.server.spoiling[href] = told
    for _ in range(45):
        engine.now += 15
        assert (await engine.poll(context)).error is None
    assert isinstance(await look(context, await leased(engine)), Stamp)
    engine.server.spoiling.clear()
    engine.now += DAY
    await engine.poll(context)
    assert await state(engine, name) == WriteState.WRITTEN
    assert [each.etag for each in await engine.resources()] == [work.texts[href][0]]


async def test_one_that_can_not_be_asked_for_has_no_calendar_listed_at_each_poll(
    engine: Engine, work: FakeCalendar
) -> None:
    """Beside an event that is listed and never given, which all of it is listed for, ever more seldom."""
    context = engine.context()
    work.put("given", event("given", at(20, 9), at(20, 10)))
    engine.server.hidden.add(work.put("never", event("never", at(21, 9), at(21, 10))))
    await engine.book(*BOOKED)
    await engine.push(context)
    [ours] = [href for href in work.texts if "slotwire" in href]
    engine.server.untold.add(ours)
    engine.server.spoiling[ours] = Unreachable()
    for _ in range(60):
        engine.now += 60
        await engine.poll(context)
    engine.server.asked.clear()
    for _ in range(12):
        engine.now += 60
        await engine.poll(context)
    assert engine.server.asked.count("changes") <= 1


async def test_what_was_not_kept_is_found_out_though_the_clock_was_set_back(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.now += 2 * DAY
    await engine.book(*BOOKED)
    with monkeypatch.context() as lying:
        keeps_nothing(lying, ETag('"zz"'))
        await engine.push()
    engine.now -= 2 * DAY
    await later(engine)
    await later(engine)
    assert spans(work) == [BOOKED]


@pytest.mark.parametrize("error", [Forbidden("full"), ServerFailed("broken")], ids=["failed", "waits"])
async def test_an_edit_that_no_delta_tells_of_is_found_though_our_next_write_is_not_taken(
    engine: Engine, work: FakeCalendar, error: RemoteError
) -> None:
    """Nobody had read what we wrote: it is held without an ETag."""
    context = engine.context()
    name = await engine.book(*BOOKED)
    await engine.push(context)
    [href] = work.texts
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    engine.server.failures["replace"] = [error]
    await engine.push(context)
    work.put(href.rpartition("/")[2].removesuffix(".ics"), event(uid_of(name), at(20, 9), at(20, 12)))
    engine.server.untold.add(href)
    for _ in range(engine.settings.most_missing_polls + 2):
        engine.now += 60
        await engine.poll(context)
    assert await state(engine, name) in UNSENT
    assert (at(20, 9), at(20, 12)) in await engine.slots()
