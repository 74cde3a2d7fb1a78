"""Slots decided anew from stored events, without asking iCloud."""

from __future__ import annotations

import pytest

from domain.busy import BusyPolicy, EventStatus, Occurrence, ShowAs
from domain.changes import ChangeKind
from domain.copies import WriteState
from domain.interval import Span
from models.bell import Bell
from models.blocked import BlockedSlot
from models.booking import Appointment
from models.calendar import Calendar
from models.changelog import changing
from models.database import Database
from models.icloud import ICloudAccount
from models.resources import settle_copies
from models.rows import OwnCopy, pieces
from models.settle import forget_account, settle_calendar, settle_conflicts
from tests.integration.engine import USER, Engine, at, engine_on, event


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    engine = await engine_on(database, bell)
    home = engine.server.calendars["/1/calendars/home/"]
    home.put("a", event("a", at(3, 9), at(3, 10)))
    declined = "ATTENDEE;PARTSTAT=DECLINED:mailto:a@icloud.com"
    home.put("b", event("b", at(3, 11), at(3, 12), extra=declined))
    await engine.choose(linked="Home")
    await engine.poll()
    engine.server.asked.clear()
    return engine


async def _settle(engine: Engine, **facts: object) -> None:
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        calendar = await Calendar.filter(name="Home").using_db(ledger.db).get()
        await calendar.update_from_dict(facts).save(using_db=ledger.db)
        await settle_calendar(ledger, calendar)


async def test_a_policy_decides_again_from_what_is_stored(engine: Engine) -> None:
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    position = await engine.position()
    await _settle(engine, policy={"declined": "BLOCK"})
    assert await engine.slots() == [(at(3, 9), at(3, 10)), (at(3, 11), at(3, 12))]
    assert await engine.kinds(position) == [ChangeKind.SLOT_ADDED]
    assert [found.blocks for found in await engine.events()] == [True, True]
    await _settle(engine, policy={})
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    assert engine.server.asked == []
    assert [found.blocks for found in await engine.events()] == [True, False]


@pytest.mark.parametrize("is_past", [True, False])
async def test_what_is_cancelled_or_over_conflicts_with_nothing(engine: Engine, *, is_past: bool) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    if is_past:
        engine.now = at(3, 10)
    else:
        await engine.change(name, status="CANCELLED")
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        await settle_conflicts(ledger)
    assert not (await engine.appointment(name)).has_conflict
    assert ChangeKind.CONFLICT_DETECTED not in await engine.kinds()


async def test_what_closes_or_opens_without_a_poll_is_a_conflict_or_none_any_more(engine: Engine) -> None:
    name = await engine.book(at(3, 11), at(3, 12))
    for facts, has_conflict in (
        ({"policy": {"declined": "BLOCK"}}, True),
        ({"policy": {}}, False),
        ({"policy": {"declined": "BLOCK"}}, True),
        ({"is_linked": False, "is_conflict": False}, False),
    ):
        position = await engine.position()
        await _settle(engine, **facts)
        assert (await engine.appointment(name)).has_conflict == has_conflict, facts
        kind = ChangeKind.CONFLICT_DETECTED if has_conflict else ChangeKind.CONFLICT_RESOLVED
        assert kind in await engine.kinds(position)


async def test_settling_what_is_settled_notes_nothing(engine: Engine) -> None:
    position = await engine.position()
    await _settle(engine)
    assert await engine.position() == position


async def test_a_calendar_that_leaves_takes_its_events_along(engine: Engine) -> None:
    position = await engine.position()
    await _settle(engine, is_linked=False, is_conflict=False)
    assert (await engine.slots(), await engine.events(), await engine.resources()) == ([], [], [])
    assert await engine.kinds(position) == [ChangeKind.SLOT_REMOVED]
    calendar = await engine.calendar("Home")
    assert not any((calendar.sync_token, calendar.listed_token, calendar.last_synced_at))


async def test_an_owners_copy_blocks_again_when_the_appointment_moves(engine: Engine) -> None:
    name = await engine.book(at(4, 9), at(4, 10))
    await engine.push()
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        await (
            Appointment.filter(id=name)
            .using_db(ledger.db)
            .update(starts=at(4, 12), ends=at(4, 13), write_state=WriteState.CHANGED_IN_ICLOUD)
        )
        await settle_copies(ledger, name)
    assert (at(4, 9), at(4, 10)) in await engine.slots()
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        await Appointment.filter(id=name).using_db(ledger.db).update(status="CANCELLED")
        await settle_copies(ledger, name)
    assert (at(4, 9), at(4, 10)) not in await engine.slots()


async def test_a_conflict_is_said_once_and_taken_back(engine: Engine) -> None:
    name = await engine.book(at(3, 9, 30), at(3, 10, 30))
    past = await engine.book(at(1, 9), at(1, 10), name="apt_00000000000000000000000009")
    position = await engine.position()
    for _ in range(2):
        async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
            await settle_conflicts(ledger)
    assert await engine.kinds(position) == [ChangeKind.CONFLICT_DETECTED]
    assert not (await engine.appointment(past)).has_conflict
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        await Appointment.filter(id=name).using_db(ledger.db).update(status="CANCELLED")
        await settle_conflicts(ledger)
    assert await engine.kinds(position) == [ChangeKind.CONFLICT_DETECTED, ChangeKind.CONFLICT_RESOLVED]


async def test_touching_is_no_conflict(engine: Engine) -> None:
    name = await engine.book(at(3, 10), at(3, 11))
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        await settle_conflicts(ledger)
    assert not (await engine.appointment(name)).has_conflict


async def test_a_disconnect_leaves_no_word_of_icloud(engine: Engine) -> None:
    written = await engine.book(at(4, 9), at(4, 10))
    await engine.push()
    unsent = await engine.book(at(3, 9), at(3, 10), name="apt_00000000000000000000000002")
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        await settle_conflicts(ledger)
    assert (await engine.appointment(unsent)).has_conflict
    position = await engine.position()
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        account = await ICloudAccount.all().using_db(ledger.db).get()
        await forget_account(ledger, account)
    assert (await engine.slots(), await engine.events(), await engine.resources()) == ([], [], [])
    assert await engine.pending() == []
    kinds = await engine.kinds(position)
    assert kinds.count(ChangeKind.SLOTS_RESET) == 1
    assert ChangeKind.SLOT_REMOVED not in kinds
    assert (await engine.appointment(unsent)).has_conflict is False
    assert ChangeKind.CONFLICT_RESOLVED in kinds
    assert all(row.slot is None and row.previous is None for row in await engine.log())
    states = {name: (await engine.appointment(name)).write_state for name in (written, unsent)}
    assert states == {written: WriteState.WRITTEN, unsent: WriteState.NOT_LINKED}
    assert (await engine.appointment(written)).calendar_id is None


def _occurrence(start: int, end: int) -> Occurrence:
    return Occurrence(
        "u", "k", start, end, Span(start, end), False, None, None, "t", False, ShowAs.BUSY, EventStatus.CONFIRMED,
        None, 0, 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("copy", "left"),
    [
        ((10, 20), []),
        ((12, 18), []),
        ((5, 20), [(0, Span(5, 10))]),
        ((10, 25), [(1, Span(20, 25))]),
        ((5, 25), [(0, Span(5, 10)), (1, Span(20, 25))]),
        ((0, 10), [(0, Span(0, 10))]),
        ((30, 40), [(1, Span(30, 40))]),
    ],
)
def test_a_copy_closes_only_what_its_appointment_does_not(
    copy: tuple[int, int], left: list[tuple[int, Span]]
) -> None:
    own = OwnCopy(Span(10, 20), is_confirmed=True, awaits_our_write=False)
    assert pieces(_occurrence(*copy), BusyPolicy(), own) == left
    assert pieces(_occurrence(*copy), BusyPolicy(), OwnCopy(Span(10, 20), False, False)) == []
    assert pieces(_occurrence(*copy), BusyPolicy(), OwnCopy(Span(10, 20), True, True)) == []
    assert pieces(_occurrence(*copy), BusyPolicy(), None) == [(0, Span(*copy))]


HOUR = 3600
LENGTHS = [1, HOUR, 25 * HOUR - 1, 25 * HOUR, 25 * HOUR + 1, 5 * 24 * HOUR, 300 * 24 * HOUR]


@pytest.mark.parametrize("length", LENGTHS)
async def test_slots_of_any_length_are_a_conflict_from_the_first_second_to_the_last(
    engine: Engine, length: int
) -> None:
    start, end = at(20, 9), at(20, 10)
    name = await engine.book(start, end)
    touching = [start - length, end]
    overlapping = [start - length + 1, start - length // 2, start, end - 1]
    for begins in [*touching, *overlapping]:
        async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
            await BlockedSlot.filter(source="MANUAL").using_db(ledger.db).delete()
            await BlockedSlot.create(
                using_db=ledger.db, id="blk_hand", subaccount_id=USER.subaccount, user_id=USER.user,
                starts=begins, ends=begins + length, source="MANUAL",
            )  # fmt: skip
            await settle_conflicts(ledger)
        assert (await engine.appointment(name)).has_conflict == (begins in overlapping), begins - start
