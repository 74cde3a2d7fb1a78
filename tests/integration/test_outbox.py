"""The outbox: whose turn a write is, what it asks for, and what is told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.actor import UserRef
from domain.changes import ChangeKind
from domain.copies import WriteState
from models.bell import Bell
from models.database import Database
from models.outbox import (
    TakenWrite,
    free_writes,
    hasten_writes,
    hold_back,
    note_refusal,
    queue_tidying,
    refusing_calendars,
    take_due,
)
from models.polling import have_polled_whole
from models.sql import execute, fetch
from sync.push import LATER, push, put_off
from sync.remote import ETag, Href, Throttled, Unreachable
from tests.fakes.calendar_server import FakeAccount, FakeCalendar
from tests.integration.engine import HOUR, USER, Engine, at, event, linked_engine_on
from tests.integration.test_loop import add_account, add_calendar
from tests.integration.test_push import spans
from tests.integration.test_push_places import link

BOOKED, MOVED = (at(3, 9), at(3, 10)), (at(3, 14), at(3, 15))
OURS = "slotwire-00000000000000000000000001"


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await linked_engine_on(database, bell)


async def state(engine: Engine, name: str) -> str:
    return (await engine.appointment(name)).write_state


async def take(engine: Engine) -> TakenWrite:
    async with engine.database.writing() as db:
        [taken] = await take_due(db, now=engine.now, lease=engine.settings.lease, limit=10)
    return taken


# --- Whose it is


async def test_of_a_user_who_is_removed_meanwhile_nothing_is_written_and_nothing_breaks(
    engine: Engine,
) -> None:
    await engine.book(*BOOKED)
    taken = await take(engine)
    engine.server.asked.clear()
    async with engine.database.writing() as db:
        await execute(db, "DELETE FROM timeline")
    assert await push(engine.context(), taken) is None
    await put_off(engine.context(), taken)
    assert engine.server.asked == []


async def test_one_that_was_freed_and_taken_by_another_is_not_begun(engine: Engine) -> None:
    await engine.book(*BOOKED)
    first = await take(engine)
    async with engine.database.writing() as db:
        await free_writes(db)
    engine.now += 1
    second = await take(engine)
    engine.server.asked.clear()
    assert await push(engine.context("first"), first) is None
    assert engine.server.asked == []
    await push(engine.context("second"), second)
    assert engine.server.asked == ["create"]


async def test_an_answer_that_is_heard_after_another_took_it_is_put_on_record_by_that_one(
    engine: Engine, work: FakeCalendar
) -> None:
    """What it found says nothing of what the other is writing."""
    name = await engine.book(*BOOKED)
    others: list[TakenWrite] = []

    async def take_over(_: str) -> None:
        engine.server.done = None
        engine.now += engine.settings.lease
        others.append(await take(engine))

    engine.server.done = take_over
    await engine.push(engine.context("first"))
    assert await state(engine, name) == WriteState.PENDING
    [row] = await engine.pending()
    assert row.lease_until == others[0].lease_until
    await push(engine.context("second"), others[0])
    assert (spans(work), await state(engine, name), await engine.pending()) == (
        [BOOKED],
        WriteState.WRITTEN,
        [],
    )


async def test_while_one_is_written_no_other_begins_though_it_was_asked_for_anew(engine: Engine) -> None:
    """By then it is due later than the others of its account."""
    names = [await engine.book(*BOOKED), await engine.book(*MOVED, name="apt_00000000000000000000000002")]
    first = await take(engine)
    assert first.appointment_id == names[0]
    engine.now += 1
    await engine.change(names[0], notes="Third floor")
    async with engine.database.writing() as db:
        assert await take_due(db, now=engine.now, lease=engine.settings.lease, limit=10) == []
    await push(engine.context(), first)
    assert (await take(engine)).appointment_id == names[1]


async def test_what_is_due_longest_goes_first_whichever_account_it_is_of(engine: Engine) -> None:
    await add_account(engine, "other")
    await add_calendar(engine, "other", is_linked=True)
    theirs = replace(engine, user=UserRef("sub_1", "usr_other"))
    late = await engine.book(*BOOKED)
    engine.now += 5
    theirs.now = engine.now - 10
    early = await theirs.book(*BOOKED, name="apt_00000000000000000000000002")
    async with engine.database.writing() as db:
        taken = [await take_due(db, now=engine.now, lease=30, limit=1) for _ in range(2)]
    assert [write.appointment_id for [write] in taken] == [early, late]


async def test_what_one_write_was_told_to_wait_the_others_of_its_account_wait_too(
    engine: Engine, work: FakeCalendar
) -> None:
    engine.server.failures["create"] = [Throttled(120.0)]
    names = [await engine.book(*BOOKED), await engine.book(*MOVED, name="apt_00000000000000000000000002")]
    engine.server.asked.clear()
    while await engine.push():
        engine.now += 5
    assert engine.server.asked == ["create"]
    engine.now += 240
    while await engine.push():
        pass
    assert [await state(engine, name) for name in names] == [WriteState.WRITTEN] * 2
    assert sorted(spans(work)) == [BOOKED, MOVED]


async def test_one_that_is_told_to_wait_for_ever_keeps_no_other_back_for_ever(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = FakeAccount.create

    async def create_all_but_one(self: FakeAccount, href: Href, body: str) -> ETag | None:
        if OURS in href:
            raise Throttled(None)
        return await create(self, href, body)

    monkeypatch.setattr(FakeAccount, "create", create_all_but_one)
    names = [await engine.book(*BOOKED), await engine.book(*MOVED, name="apt_00000000000000000000000002")]
    for _ in range(3):
        await engine.push()
        engine.now += 60
    assert [await state(engine, name) for name in names] == [WriteState.PENDING, WriteState.WRITTEN]
    assert spans(work) == [MOVED]


@pytest.mark.parametrize(("retry_after", "held_back"), [(None, 300), (120.0, 300), (900.0, 900), (1e9, 3600)])
async def test_how_often_one_was_told_to_wait_is_not_held_against_a_booking_made_just_now(
    engine: Engine, retry_after: float | None, held_back: float
) -> None:
    late = await engine.book(*BOOKED)
    async with engine.database.writing() as db:
        await execute(db, "UPDATE pending_write SET attempts = 20")
    new = "apt_00000000000000000000000002"

    async def book(asked: str, _: str) -> None:
        if asked == "create":
            engine.server.after = None
            await engine.book(*MOVED, name=new)
            raise Throttled(retry_after)

    engine.server.after = book
    await engine.push()
    due = {each.appointment_id: each.due_at for each in await engine.pending()}
    assert due == {late: engine.now + 3600, new: engine.now + held_back}


async def test_a_second_event_that_is_found_postpones_no_write_that_waits(engine: Engine) -> None:
    name = await engine.book(*BOOKED)
    async with engine.database.writing() as db:
        await queue_tidying(db, USER, name, now=engine.now, wait=60)
    [waits] = await engine.pending()
    assert waits.due_at == engine.now


# --- Beside another user's


@pytest.fixture
async def theirs(engine: Engine) -> str:
    """What another user of the same subaccount has booked; it waits beside ours."""
    await add_account(engine, "other")
    await add_calendar(engine, "other", is_linked=True)
    await engine.book(*BOOKED)
    name = "apt_00000000000000000000000002"
    other = replace(engine, user=UserRef("sub_1", "usr_other"))
    return await other.book(*BOOKED, name=name)


async def due(engine: Engine) -> dict[str, float]:
    return {each.user_id: (each.due_at or 0) - engine.now for each in await engine.pending()}


async def test_what_one_waits_for_or_may_do_at_once_is_nothing_to_another_user(
    engine: Engine, theirs: str
) -> None:
    async with engine.database.writing() as db:
        await hold_back(db, USER, until=engine.now + 60)
    assert await due(engine) == {USER.user: 60, "usr_other": 0}
    async with engine.database.writing() as db:
        await hold_back(db, UserRef("sub_1", "usr_other"), until=engine.now + 30)
        await hasten_writes(db, USER, now=engine.now)
    assert await due(engine) == {USER.user: 0, "usr_other": 30}


async def test_a_calendar_that_refuses_another_users_writes_is_none_of_ours(
    engine: Engine, theirs: str
) -> None:
    async with engine.database.writing() as db:
        await execute(
            db,
            "UPDATE appointment SET write_state = 'FAILED', write_problem = 'no', calendar_id = 'cal_other'"
            " WHERE id = $1",
            theirs,
        )
        assert await refusing_calendars(db, USER, "no") == frozenset()
        assert await refusing_calendars(db, UserRef("sub_1", "usr_other"), "no") == {"cal_other"}


async def accounts(engine: Engine, fact: str) -> dict[str, int]:
    async with engine.database.reading() as db:
        rows = await fetch(db, f"SELECT user_id, {fact} AS fact FROM icloud_account")
    return {row["user_id"]: row["fact"] for row in rows}


@pytest.mark.usefixtures("theirs")
async def test_a_refusal_and_a_poll_count_for_the_account_of_one_user(engine: Engine) -> None:
    """Though both have the same password, sealed alike."""
    async with engine.database.writing() as db:
        await execute(db, "UPDATE icloud_account SET sealed_password = $1", b"sealed")
        await note_refusal(db, USER, password=b"sealed", look_by=engine.now)
    assert await accounts(engine, "refusals") == {USER.user: 1, "usr_other": 0}
    before = await accounts(engine, "revision")
    async with engine.database.writing() as db:
        await have_polled_whole(db, USER)
    after = await accounts(engine, "revision")
    assert after[USER.user] > before[USER.user]
    assert after["usr_other"] == before["usr_other"]


async def on_record(engine: Engine, statement: str, *values: object) -> None:
    async with engine.database.writing() as db:
        await execute(db, statement, *values)


@pytest.mark.parametrize(
    ("facts", "is_asked"),
    [
        ("refusals = 1", False),
        ("status = 'NEEDS_NEW_PASSWORD'", False),
        ("problem_code = 'THROTTLED', retry_at = $1", False),
        ("problem_code = 'THROTTLED', retry_at = $1 - 60", True),
        ("problem_code = 'UNREACHABLE', retry_at = $1", True),
    ],
)
async def test_no_write_is_sent_where_the_password_was_refused_or_icloud_asked_to_wait(
    engine: Engine, facts: str, is_asked: bool
) -> None:
    await engine.book(*BOOKED)
    await on_record(
        engine, f"UPDATE icloud_account SET {facts} WHERE CAST($1 AS double precision) > 0", engine.now + 30
    )
    async with engine.database.writing() as db:
        taken = await take_due(db, now=engine.now, lease=engine.settings.lease, limit=10)
    assert len(taken) == is_asked


async def test_a_password_that_was_refused_before_it_was_renewed_counts_for_nothing(engine: Engine) -> None:
    await on_record(engine, "UPDATE icloud_account SET sealed_password = $1", b"renewed")
    async with engine.database.writing() as db:
        await note_refusal(db, USER, password=b"before", look_by=engine.now)
    assert await accounts(engine, "refusals") == {USER.user: 0}


async def test_a_refusal_has_a_poll_look_soon_and_never_later_than_it_would(engine: Engine) -> None:
    planned = engine.now + 20
    await on_record(
        engine, "UPDATE icloud_account SET sealed_password = $1, next_poll_at = $2", b"sealed", planned
    )
    for look_by in (engine.now + 90, engine.now + 10):
        async with engine.database.writing() as db:
            await note_refusal(db, USER, password=b"sealed", look_by=look_by)
        assert await accounts(engine, "next_poll_at") == {USER.user: min(look_by, planned)}


async def test_a_refusal_has_no_poll_look_before_the_time_that_icloud_asked_to_wait(engine: Engine) -> None:
    waits_until = engine.now + 300
    await on_record(
        engine,
        "UPDATE icloud_account SET sealed_password = $1, next_poll_at = $2, retry_at = $2, problem_code = 'THROTTLED'",
        b"sealed",
        waits_until,
    )
    async with engine.database.writing() as db:
        await note_refusal(db, USER, password=b"sealed", look_by=engine.now + 60)
    assert await accounts(engine, "next_poll_at") == {USER.user: waits_until}


async def test_a_refusal_of_a_password_that_is_asked_no_more_asks_no_more(engine: Engine) -> None:
    await on_record(engine, "UPDATE icloud_account SET sealed_password = $1, next_poll_at = NULL", b"sealed")
    async with engine.database.writing() as db:
        await note_refusal(db, USER, password=b"sealed", look_by=engine.now + 60)
    assert await accounts(engine, "next_poll_at") == {USER.user: None}


async def test_what_is_overdue_keeps_its_age_when_all_is_due_at_once(engine: Engine) -> None:
    await engine.book(*BOOKED)
    engine.now += 40
    async with engine.database.writing() as db:
        await hasten_writes(db, USER, now=engine.now)
    assert await due(engine) == {USER.user: -40}


async def test_one_under_way_is_not_held_back_with_the_others(engine: Engine) -> None:
    names = [await engine.book(*BOOKED), await engine.book(*MOVED, name="apt_00000000000000000000000002")]
    first = await take(engine)
    async with engine.database.writing() as db:
        await hold_back(db, USER, until=engine.now + 60)
    rows = {each.appointment_id: (each.due_at or 0) - engine.now for each in await engine.pending()}
    assert rows == {first.appointment_id: 0, ({*names} - {first.appointment_id}).pop(): 60}


async def test_a_calendar_refuses_where_that_was_the_problem_and_no_other(engine: Engine) -> None:
    await engine.book(*BOOKED)
    await on_record(engine, "UPDATE appointment SET write_state = 'FAILED', write_problem = 'too long'")
    async with engine.database.reading() as db:
        assert await refusing_calendars(db, USER, "no") == frozenset()
        assert len(await refusing_calendars(db, USER, "too long")) == 1


# --- What it asks for


async def test_one_cancelled_before_it_was_written_asks_icloud_nothing(engine: Engine) -> None:
    name = await engine.book(*BOOKED)
    await engine.change(name, status="CANCELLED")
    engine.server.asked.clear()
    await engine.push()
    assert engine.server.asked == []
    assert await state(engine, name) == WriteState.REMOVED


async def test_a_calendar_that_is_known_to_take_nothing_is_not_asked(
    engine: Engine, work: FakeCalendar
) -> None:
    work.can_write = False
    await engine.poll()
    name = await engine.book(*BOOKED)
    engine.server.asked.clear()
    await engine.push()
    assert engine.server.asked == []
    assert await state(engine, name) == WriteState.FAILED


async def test_a_second_name_is_kept_over_a_new_connection(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    """By its first one, which is free by now, a second event would be made."""
    home.put("copy", event(OURS, at(9, 9), at(9, 10)))
    name = await engine.book(*BOOKED)
    for _ in range(3):
        await engine.push()
        engine.now += HOUR
    home.texts.clear()
    await engine.connect_anew()
    await engine.choose(linked="Work")
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    await engine.push()
    assert spans(work) == [MOVED]
    own = await engine.appointment(name)
    assert (own.uid, own.write_state) == (f"{OURS}-1", WriteState.WRITTEN)


# --- What is told and kept


async def test_one_that_is_given_up_is_told_once(engine: Engine, work: FakeCalendar) -> None:
    work.can_write = False
    await engine.book(*BOOKED)
    position = await engine.position()
    for _ in range(3):
        await engine.push()
        engine.now += HOUR
    assert await engine.kinds(position) == [ChangeKind.APPOINTMENT_WRITTEN]


async def test_a_removed_one_has_no_etag(engine: Engine) -> None:
    name = await engine.book(*BOOKED)
    await engine.push()
    await engine.change(name, status="CANCELLED")
    await engine.push()
    own = await engine.appointment(name)
    assert (own.write_state, own.etag) == (WriteState.REMOVED, None)


async def test_of_one_written_under_another_name_no_copy_stands_here_under_the_first(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await engine.book(*BOOKED)
    await engine.push()
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    work.put(OURS, event("theirs", at(9, 9), at(9, 10)))
    for _ in range(3):
        await engine.push()
        engine.now += HOUR
    own = await engine.appointment(name)
    assert (own.uid, own.write_state) == (f"{OURS}-1", WriteState.WRITTEN)
    assert [resource.href for resource in await engine.resources()] == [own.href]


async def test_a_copy_in_a_calendar_that_is_read_no_more_closes_nothing(
    engine: Engine, work: FakeCalendar
) -> None:
    """No poll would ever see it go."""
    name = await engine.book(*BOOKED)
    await engine.push()
    await link(engine, "Home")
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    await engine.push()
    assert spans(work) == [MOVED]
    assert (await engine.resources(), await engine.events()) == ([], [])


async def test_one_that_waits_is_told_once_and_why(engine: Engine) -> None:
    engine.server.failures["create"] = [Unreachable(), Unreachable()]
    name = await engine.book(*BOOKED)
    position = await engine.position()
    for attempts in (1, 2):
        await engine.push()
        own = await engine.appointment(name)
        assert (own.write_state, own.write_problem, own.write_attempts) == (
            WriteState.PENDING,
            LATER,
            attempts,
        )
        engine.now += HOUR
    assert await engine.kinds(position) == [ChangeKind.APPOINTMENT_WRITTEN]
    await engine.push()
    assert await state(engine, name) == WriteState.WRITTEN


# --- What stands here of what was written


async def test_what_a_server_made_of_it_is_read_though_its_etag_was_told(
    engine: Engine, work: FakeCalendar
) -> None:
    """An ETag told with a PUT may be that of another text than was sent."""
    name = await engine.book(*BOOKED)

    async def rewrite(_: str) -> None:
        [(href, (etag, body))] = work.texts.items()
        work.texts[href] = etag, body.replace("T100000Z", "T113000Z")

    engine.server.done = rewrite
    await engine.push()
    engine.server.done = None
    await engine.poll()
    assert await state(engine, name) == WriteState.CHANGED_IN_ICLOUD
    assert await engine.slots() == [(at(3, 10), at(3, 11, 30))]


async def test_a_write_over_the_owners_edit_resolves_what_that_was_in_conflict_with(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await engine.book(*BOOKED)
    await engine.push()
    [(_, body)] = work.texts.values()
    work.put(OURS, body.replace("T100000Z", "T113000Z"))
    other = await engine.book(at(3, 10), at(3, 11), name="apt_00000000000000000000000002")
    await engine.poll()
    assert (await engine.appointment(other)).has_conflict
    position = await engine.position()
    await engine.change(name, notes="Third floor")
    await engine.push()
    assert (await engine.slots(), (await engine.appointment(other)).has_conflict) == ([], False)
    assert ChangeKind.CONFLICT_RESOLVED in await engine.kinds(position)
