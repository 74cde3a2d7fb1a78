"""The change log: gapless, in order, held by the user's lock."""

from __future__ import annotations

import asyncio

import pytest

from domain.actor import UserRef
from domain.changes import BlockedSlotSource, ChangeKind, Slot
from models.bell import Bell
from models.changelog import NoSuchUserError, Timeline, changing, read_after, read_position, trim
from models.database import Database
from models.sql import Db, fetch

USER = UserRef("sub_1", "usr_1")


def slot(number: int) -> Slot:
    return Slot(f"blk_{number}", number, number + 1, False, BlockedSlotSource.MANUAL, None)


async def read_floor(db: Db, user: UserRef) -> int:
    """Up to where the log is trimmed."""
    return int((await Timeline.get(user_id=user.user, using_db=db)).floor)


@pytest.fixture(autouse=True)
async def timeline(database: Database) -> None:
    async with database.writing() as db:
        await Timeline.create(using_db=db, user_id=USER.user, subaccount_id=USER.subaccount)


async def test_concurrent_changes_are_numbered_without_gaps(database: Database, bell: Bell) -> None:
    async def change(number: int) -> None:
        async with changing(database, bell, USER, now=float(number)) as ledger:
            ledger.slot_added(slot(number))

    await asyncio.gather(*(change(number) for number in range(40)))
    async with database.reading() as db:
        rows = await read_after(db, USER, 0)
    assert [row.seq for row in rows] == list(range(1, 41))
    assert {row.slot.start for row in rows if row.slot} == set(range(40))


async def test_a_position_is_of_one_user_alone(database: Database, bell: Bell) -> None:
    """A number that the whole table shares would be no cursor: another user's rows come between."""
    other = UserRef("sub_1", "usr_2")
    async with database.writing() as db:
        await Timeline.create(using_db=db, user_id=other.user, subaccount_id=other.subaccount)
    for number in range(6):
        async with changing(database, bell, (USER, other)[number % 2], now=float(number)) as ledger:
            ledger.slot_added(slot(number))
    async with database.reading() as db:
        left = [[row.seq for row in await read_after(db, USER, after)] for after in range(4)]
    assert left == [[1, 2, 3], [2, 3], [3], []]


async def test_a_refusal_uses_no_number(database: Database, bell: Bell) -> None:
    async with changing(database, bell, USER, now=1.0):
        pass
    with pytest.raises(RuntimeError):
        await _fail_midway(database, bell)
    async with database.reading() as db:
        assert await read_position(db, USER) == 0
        assert await read_after(db, USER, 0) == []


async def _fail_midway(database: Database, bell: Bell) -> None:
    async with changing(database, bell, USER, now=1.0) as ledger:
        ledger.slot_added(slot(1))
        raise RuntimeError


async def test_over_500_slots_at_once_are_one_reset(database: Database, bell: Bell) -> None:
    async with changing(database, bell, USER, now=1.0) as ledger:
        ledger.note(ChangeKind.HOURS)
        for number in range(501):
            ledger.slot_added(slot(number))
    async with database.reading() as db:
        rows = await read_after(db, USER, 0)
    assert [row.kind for row in rows] == [ChangeKind.HOURS, ChangeKind.SLOTS_RESET]


async def test_a_removed_user_cannot_be_changed(database: Database, bell: Bell) -> None:
    with pytest.raises(NoSuchUserError):
        async with changing(database, bell, UserRef("sub_2", USER.user), now=1.0):
            raise AssertionError


async def test_a_listener_is_rung_after_the_commit(database: Database, bell: Bell) -> None:
    with bell.listen(USER.user) as rung:
        async with changing(database, bell, USER, now=1.0) as ledger:
            ledger.slot_added(slot(1))
            assert not rung.is_set()
        assert rung.is_set()


async def test_who_is_rung_finds_the_change(database: Database) -> None:
    class LooksAtOnce(Bell):
        position = 0

        async def ring(self, topic: str) -> None:
            async with database.reading() as db:
                self.position = await read_position(db, USER)

    bell = LooksAtOnce()
    async with changing(database, bell, USER, now=1.0) as ledger:
        ledger.slot_added(slot(1))
    assert bell.position == 1


async def test_a_snapshot_does_not_see_what_lands_after_it(database: Database, bell: Bell) -> None:
    async with database.reading() as db:
        assert await read_position(db, USER) == 0
        async with changing(database, bell, USER, now=1.0) as ledger:
            ledger.slot_added(slot(1))
        assert await read_position(db, USER) == 0
    async with database.reading() as db:
        assert await read_position(db, USER) == 1


async def test_trimming_remembers_where_it_cut(database: Database, bell: Bell) -> None:
    for moment in (1.0, 2.0, 3.0, 4.0):
        async with changing(database, bell, USER, now=moment) as ledger:
            ledger.slot_added(slot(int(moment)))
    await trim(database, before=2.5, most_rows=100)
    async with database.reading() as db:
        assert await read_floor(db, USER) == 2
    await trim(database, before=0.0, most_rows=1)
    async with database.reading() as db:
        assert await read_floor(db, USER) == 3
        assert [row.seq for row in await read_after(db, USER, 0)] == [4]


async def test_nothing_is_written_where_nothing_is_trimmed(database: Database, bell: Bell) -> None:
    """Beside another's transaction, which has the user's row, and on SQLite all there is to write."""
    async with changing(database, bell, USER, now=1.0) as ledger:
        ledger.slot_added(slot(1))
    async with changing(database, bell, USER, now=2.0), asyncio.timeout(60):
        await trim(database, before=1.0, most_rows=1)


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_a_user_can_be_changed_while_the_log_of_another_is_trimmed(
    database: Database, bell: Bell
) -> None:
    """The trimming waits for that other, and has nobody else's lock. SQLite has one writer."""
    other = UserRef("sub_1", "usr_2")
    async with database.writing() as db:
        await Timeline.create(using_db=db, user_id=other.user, subaccount_id=other.subaccount)
    async with changing(database, bell, other, now=1.0) as ledger:
        ledger.slot_added(slot(1))
    async with changing(database, bell, other, now=3.0) as held:
        trimming = asyncio.create_task(trim(database, before=2.0, most_rows=100))
        async with asyncio.timeout(60):
            while not await fetch(held.db, WAITING):
                await asyncio.sleep(0.01)
            async with changing(database, bell, USER, now=3.0) as ledger:
                ledger.slot_added(slot(2))
    await trimming
    async with database.reading() as db:
        assert await read_floor(db, other) == 1


WAITING = "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
"""Not by pg_stat_activity: a transaction goes on seeing what it showed first, and no connection that was made since."""
