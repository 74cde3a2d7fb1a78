"""One write over the network: what each answer, and each silence, of the calendar server leads to."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from domain.copies import WriteState
from models.bell import Bell
from models.database import Database
from sync.remote import ETag, Fetched, Forbidden, Href, NotThere, RemoteError, StaleWrite, TooLong
from tests.fakes.calendar_server import FakeAccount, FakeCalendar
from tests.integration.engine import HOUR, Engine, at, event, linked_engine_on
from tests.integration.test_push import replaces_nothing, spans
from tests.integration.test_push_places import relinked

BOOKED, MOVED = (at(3, 9), at(3, 10)), (at(3, 14), at(3, 15))
OURS = "slotwire-00000000000000000000000001"


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await linked_engine_on(database, bell)


async def written(engine: Engine) -> str:
    name = await engine.book(*BOOKED)
    await engine.push()
    engine.server.asked.clear()
    return name


async def moved(engine: Engine) -> str:
    """Written, and to be written elsewhere."""
    name = await written(engine)
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    return name


async def state(engine: Engine, name: str) -> str:
    return (await engine.appointment(name)).write_state


# --- Within its lease


@pytest.mark.parametrize("part", [0.9, 1.0])
async def test_nothing_is_asked_where_the_lease_is_nearly_over(engine: Engine, part: float) -> None:
    name = await engine.book(*BOOKED)
    engine.server.asked.clear()

    def wait(step: str) -> None:
        if step == "outbox taken":
            engine.now += part * engine.settings.lease

    await engine.push(engine.context("late", wait))
    assert engine.server.asked == []
    assert await state(engine, name) == WriteState.PENDING


async def test_one_that_hangs_ends_with_its_lease_though_the_clock_was_set_back(
    engine: Engine, work: FakeCalendar
) -> None:
    engine.settings = replace(engine.settings, lease=0.1)
    name = await engine.book(*BOOKED)
    engine.server.hangs = asyncio.Event()

    def set_back(step: str) -> None:
        if step == "outbox taken":
            engine.now -= HOUR

    async with asyncio.timeout(60):
        await engine.push(engine.context("set back", set_back))
    assert await state(engine, name) == WriteState.PENDING
    engine.server.hangs.set()
    engine.now += 2 * HOUR
    await engine.push()
    assert spans(work) == [BOOKED]


# --- By the ETag that is known


async def test_a_change_and_a_removal_are_one_request_each(engine: Engine, work: FakeCalendar) -> None:
    name = await moved(engine)
    await engine.push()
    assert engine.server.asked == ["replace"]
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert engine.server.asked == ["replace", "remove"]
    assert spans(work) == []


async def test_a_cancelled_one_goes_though_it_was_edited_since_it_was_last_read(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await written(engine)
    [(_, body)] = work.texts.values()
    work.put(OURS, body.replace("T100000Z", "T113000Z"))
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert engine.server.asked == ["remove", "get", "remove"]
    assert (spans(work), await state(engine, name)) == ([], WriteState.REMOVED)


async def test_one_that_is_missed_twice_but_seen_between_is_not_gone(
    engine: Engine, work: FakeCalendar
) -> None:
    """A host that forgets and remembers by turns is asked again."""
    name = await written(engine)
    await engine.change(name, status="CANCELLED")
    engine.server.failures["remove"] = [NotThere(), StaleWrite()]

    async def forget(step: str, _: str) -> None:
        if step == "get" and engine.server.asked.count("get") == 2:
            raise NotThere

    engine.server.after = forget
    await engine.push()
    assert (spans(work), await state(engine, name)) == ([], WriteState.REMOVED)


async def test_what_its_owner_deleted_meanwhile_is_written_anew_when_it_is_changed(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await moved(engine)
    work.delete(next(iter(work.texts)))
    engine.server.failures["replace"] = [NotThere()]
    await engine.push()
    assert (spans(work), await state(engine, name)) == ([MOVED], WriteState.WRITTEN)


async def test_a_change_of_one_whose_calendar_is_gone_is_given_up(engine: Engine, work: FakeCalendar) -> None:
    name = await moved(engine)
    del engine.server.calendars[work.path]
    await engine.push()
    assert await state(engine, name) == WriteState.FAILED


# --- Where something stands there already


@pytest.mark.parametrize("is_written", [False, True])
async def test_an_event_of_another_uid_under_our_name_is_left_as_it_is(
    engine: Engine, work: FakeCalendar, *, is_written: bool
) -> None:
    name = await (written(engine) if is_written else engine.book(*BOOKED))
    if is_written:
        await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    theirs = event("theirs", at(9, 9), at(9, 10))
    href = work.put(OURS, theirs)
    for _ in range(3):
        await engine.push()
        engine.now += HOUR
    assert work.texts[href][1] == theirs
    assert spans(work) == [MOVED if is_written else BOOKED, (at(9, 9), at(9, 10))]
    own = await engine.appointment(name)
    assert (own.uid, own.write_state) == (f"{OURS}-1", WriteState.WRITTEN)


async def test_an_object_without_an_etag_is_no_answer(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing could be changed or removed by it."""
    engine.server.drops_put_answers = 1
    name = await engine.book(*BOOKED)
    await engine.push()
    engine.now += HOUR

    async def get(self: FakeAccount, href: Href) -> Fetched:
        return Fetched(href, ETag(""), work.texts[href][1])

    with monkeypatch.context() as untold:
        untold.setattr(FakeAccount, "get", get)
        await engine.push()
    assert await state(engine, name) == WriteState.PENDING
    engine.now += HOUR
    await engine.push()
    own = await engine.appointment(name)
    assert (own.write_state, own.etag) == (WriteState.WRITTEN, work.texts[Href(own.href or "")][0])
    assert spans(work) == [BOOKED]


async def test_a_success_that_left_the_owners_later_edit_as_it_was_is_none(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices count edits too: its sequence is higher than ours."""
    name = await written(engine)
    [(_, body)] = work.texts.values()
    work.put(OURS, body.replace("T100000Z", "T113000Z").replace("SEQUENCE:0", "SEQUENCE:7"))
    await engine.poll()
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    with monkeypatch.context() as lying:
        replaces_nothing(lying)
        await engine.push()
    assert await state(engine, name) == WriteState.PENDING
    engine.now += HOUR
    await engine.push()
    assert (spans(work), await state(engine, name)) == ([MOVED], WriteState.WRITTEN)


async def test_a_success_that_left_the_etag_as_it_was_is_none_though_what_is_given_then_can_not_be_read(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await moved(engine)

    async def get(self: FakeAccount, href: Href) -> Fetched:
        return Fetched(href, work.texts[href][0], "a page")

    with monkeypatch.context() as lying:
        replaces_nothing(lying)
        lying.setattr(FakeAccount, "get", get)
        await engine.push()
    assert (spans(work), await state(engine, name)) == ([BOOKED], WriteState.PENDING)
    engine.now += HOUR
    await engine.push()
    assert (spans(work), await state(engine, name)) == ([MOVED], WriteState.WRITTEN)


# --- Where it can't stand


async def test_a_404_from_a_calendar_that_is_there_is_tried_again(engine: Engine, work: FakeCalendar) -> None:
    engine.server.failures["create"] = [NotThere()]
    name = await engine.book(*BOOKED)
    await engine.push()
    assert await state(engine, name) == WriteState.PENDING
    engine.now += HOUR
    await engine.push()
    assert (spans(work), await state(engine, name)) == ([BOOKED], WriteState.WRITTEN)


@pytest.mark.parametrize("is_cancelled", [False, True])
@pytest.mark.parametrize("answer", [NotThere, Forbidden])
async def test_a_host_that_the_account_has_left_is_believed_in_nothing(
    engine: Engine, work: FakeCalendar, answer: type[RemoteError], *, is_cancelled: bool
) -> None:
    """It misses or forbids what stands at the other one, where a poll finds it."""
    name = await moved(engine)
    if is_cancelled:
        await engine.change(name, status="CANCELLED")
    here, engine.server.home_url = engine.server.home_url, "https://another.test/1/calendars/"
    engine.server.failures |= {each: [answer(), answer()] for each in ("replace", "remove", "get", "create")}
    engine.server.failures["check"] = [NotThere()]
    await engine.push()
    assert (spans(work), await state(engine, name)) == ([BOOKED], WriteState.PENDING)
    engine.server.home_url = here
    engine.server.failures.clear()
    engine.now += HOUR
    await engine.push()
    assert spans(work) == ([] if is_cancelled else [MOVED])


async def test_one_that_is_too_long_says_so(engine: Engine) -> None:
    engine.server.failures["create"] = [TooLong()]
    name = await engine.book(*BOOKED)
    await engine.push()
    own = await engine.appointment(name)
    assert own.write_state == WriteState.FAILED
    assert "too long" in (own.write_problem or "")


# --- Beside a second event of it


@pytest.fixture
async def doubled(engine: Engine, home: FakeCalendar, work: FakeCalendar) -> str:
    """To be moved in Home; one of before stands in Work, where it could not be followed for a time."""
    name = await written(engine)
    await engine.poll()
    work.can_write = False
    await engine.poll()
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    await engine.push()
    await relinked(engine)
    for _ in range(3):
        await engine.push()
        engine.now += HOUR
    assert (spans(home), spans(work)) == ([MOVED], [BOOKED])
    work.can_write = True
    await engine.poll()
    return name


async def test_while_the_second_one_changes_under_every_try_nothing_is_written(
    engine: Engine, doubled: str, home: FakeCalendar, work: FakeCalendar
) -> None:
    await engine.change(doubled)
    engine.server.failures["remove"] = [StaleWrite()] * 4
    before = dict(home.texts)
    await engine.push()
    assert (home.texts, spans(work)) == (before, [BOOKED])
    assert await state(engine, doubled) == WriteState.PENDING
    engine.now += HOUR
    await engine.push()
    assert (home.texts != before, spans(work)) == (True, [])
    assert await state(engine, doubled) == WriteState.WRITTEN


async def test_a_second_one_that_may_not_be_removed_keeps_nothing_from_being_written(
    engine: Engine, doubled: str, home: FakeCalendar, work: FakeCalendar
) -> None:
    await engine.change(doubled)
    engine.server.failures["remove"] = [Forbidden()]
    before = dict(home.texts)
    await engine.push()
    assert (home.texts != before, spans(work)) == (True, [BOOKED])
    assert await state(engine, doubled) == WriteState.WRITTEN


async def test_a_second_one_that_its_owner_made_a_series_of_stays_and_keeps_nothing_from_being_written(
    engine: Engine, doubled: str, home: FakeCalendar, work: FakeCalendar
) -> None:
    [(_, body)] = work.texts.values()
    work.put(OURS, body.replace("END:VEVENT", "RRULE:FREQ=WEEKLY\r\nEND:VEVENT"))
    await engine.change(doubled)
    before, series = dict(home.texts), dict(work.texts)
    await engine.push()
    assert (home.texts != before, work.texts) == (True, series)
    assert await state(engine, doubled) == WriteState.WRITTEN


async def test_a_second_one_that_a_host_misses_is_gone_only_where_the_home_is_there(
    engine: Engine, doubled: str, home: FakeCalendar, work: FakeCalendar
) -> None:
    await engine.change(doubled)
    before, texts = dict(home.texts), dict(work.texts)
    here, engine.server.home_url = engine.server.home_url, "https://another.test/1/calendars/"
    work.texts.clear()
    await engine.push()
    assert (home.texts, await state(engine, doubled)) == (before, WriteState.PENDING)
    engine.server.home_url = here
    work.texts |= texts
    engine.now += HOUR
    await engine.push()
    assert (home.texts != before, spans(work)) == (True, [])
