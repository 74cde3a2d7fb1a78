"""What must hold: after each sync, and when faults have ended."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from domain.copies import WriteState, uid_of
from models.changelog import read_after
from models.database import Database
from models.sql import fetch
from sync.remote import Broken
from tests.machine import owner
from tests.machine.doom import Killed
from tests.machine.life import OURS, Life, uid_at

_UTC_SPAN = re.compile(r"^DTSTART:(\d{8}T\d{6})Z\r?\nDTEND:(\d{8}T\d{6})Z", re.MULTILINE)
Fresh = Callable[[Life], Awaitable[list[tuple[int, int, str]]]]
_ROUNDS = 16
_A_NIGHT = 25 * 3600


async def check_all(life: Life, fresh: Fresh) -> None:
    """Once faults have ended. `fresh`: what a full sync into an empty database gives."""
    await heal(life)
    await check_bookings(life)
    await check_copies(life)
    await check_slots(life)
    await check_conflicts(life)
    await check_log(life)
    assert await slots_by_uid(life.database, life.world.anna.user) == await fresh(life)


async def heal(life: Life) -> None:
    """Faults have ended: until two syncs a minute apart went well, and nothing is left to write."""
    life.cloud.heal()
    for calendar in life.cloud.calendars.values():
        calendar.can_write = True
    life.process.doom.points_left = None
    await owner.renew(life)
    if life.linked is not None and life.linked not in life.cloud.calendars:
        await _settle(life)
        await owner.link(life, 1)
    await _settle(life)
    if life.cloud.leaves_out:
        life.clock.now += _A_NIGHT
        await _settle(life)


async def _settle(life: Life) -> None:
    """Whatever the process still dies of: the next one is whole."""
    good = 0
    for _ in range(_ROUNDS):
        life.clock.now += 901
        outcome = await life.poll()
        [account] = await life.rows("SELECT last_synced_at, has_chosen FROM icloud_account")
        is_good = outcome.error is None and outcome.is_complete
        is_read = not life.chosen or account["last_synced_at"] == life.clock.now
        good = good + 1 if is_good and is_read else 0
        while await life.push():
            pass  # One at a time of an account, and none anew that failed.
        if good > 1 and not await _waiting(life):
            return
    left = await life.rows(
        "SELECT p.*, a.href, a.write_state, a.write_problem FROM pending_write p"
        " JOIN appointment a ON a.id = p.appointment_id"
    )
    raise AssertionError(f"never healed: {outcome}, {account}, {left}")


async def _waiting(life: Life) -> bool:
    """Where no calendar takes them, writes wait as FAILED for the owner to link one."""
    rows = await life.rows(
        "SELECT 1 FROM pending_write p JOIN appointment a ON a.id = p.appointment_id"
        " WHERE NOT (a.write_state = 'FAILED' AND $1)",
        life.linked not in life.cloud.calendars,
    )
    return bool(rows)


async def sync(life: Life) -> None:
    """A poll, and what holds after each. Nothing is settled by one in whose midst something else happened."""
    cloud, meddled = life.cloud, life.meddled
    tells_all = not (cloud.lies or cloud.hidden or cloud.lagging or cloud.leaves_out)
    is_honest = tells_all and not cloud.errors
    if not tells_all:
        # What it leaves out of a delta is believed until the next night: perhaps what has come from elsewhere.
        life.carried.clear()
    cloud.asked.clear()
    try:
        outcome = await life.poll()
    except Killed:
        await life.restart()
    else:
        assert not isinstance(outcome.error, Broken), "a fault of our own"
        # Whoever waits for a dead process's lease has asked nothing yet.
        is_read = outcome.is_complete and outcome.error is None and "list" in cloud.asked
        if is_honest and is_read and life.meddled == meddled:
            life.settled = {
                href
                for href in life.phone
                if life.reads(href) and cloud.calendar_of(href).path not in cloud.cut
            }
            life.read = set(life.chosen) - set(cloud.cut)
            life.carried = {href: spans for href, spans in life.carried.items() if href not in life.settled}
            if life.is_moving_zone:
                life.unsettle_zone()
    await check_settled(life)


async def check_settled(life: Life) -> None:
    """P8: what was read, and touched by nobody, stands, whatever the server says meanwhile."""
    rows = await life.rows("SELECT starts, ends FROM blocked_slot WHERE source = 'ICLOUD'")
    stored = Counter((row["starts"], row["ends"]) for row in rows)
    wanted = Counter(span for href in life.settled if life.reads(href) for span in life.expected(href))
    assert not wanted - stored, f"lost: {wanted - stored}"
    carried = Counter(span for spans in life.carried.values() for span in spans)
    assert not carried - stored, f"lost on the way from one calendar to another: {carried - stored}"


async def check_bookings(life: Life) -> None:
    """P1, P2, P4: what callers were told is what is stored, no more and no less, and nothing overlaps."""
    rows = await life.rows("SELECT id, starts, ends, status FROM appointment")
    stored = {row["id"]: (row["starts"], row["ends"], row["status"]) for row in rows}
    told = {
        number: (*known.span, "CANCELLED" if known.is_cancelled else "CONFIRMED")
        for number, known in life.told.items()
    }
    assert stored == told
    taken = sorted(span[:2] for span in stored.values() if span[2] == "CONFIRMED")
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(taken)), taken


async def check_copies(life: Life) -> None:
    """P3: each confirmed appointment stands once in iCloud, as it is; a cancelled one does not.

    What its owner did to it in a calendar that is read is told, and so is what they kept from being brought up to date.
    """
    found = await life.rows(
        "SELECT a.id, a.status, a.write_state, a.write_problem, c.path"
        " FROM appointment a LEFT JOIN calendar c ON c.id = a.calendar_id"
    )
    rows = {row["id"]: row for row in found}
    standing: Counter[str] = Counter()
    for calendar, href in life.copies():
        number = next(number for number in rows if uid_at(href).startswith(uid_of(number)))
        if uid_at(href) in life.touched and calendar.path not in life.chosen:
            continue  # Carried to where nobody reads.
        standing[number] += 1
        span = _span_of(calendar.texts[href][1])
        is_own = uid_at(href) not in life.touched
        is_left = (
            rows[number]["write_state"] == WriteState.NOT_LINKED and rows[number]["write_problem"] is not None
        )
        assert span == life.told[number].span or is_left or not is_own, f"{number} stands at {span}"
    for number, row in rows.items():
        is_owners = uid_of(number) in life.touched
        match row["status"], row["write_state"]:
            case "CANCELLED", _:
                assert not standing[number], f"{number} is cancelled, and stands in iCloud"
            case _, WriteState.WRITTEN | WriteState.CHANGED_IN_ICLOUD:
                is_watched = row["path"] in life.chosen
                assert standing[number] == 1 or (is_owners and not is_watched), (standing[number], dict(row))
            case _, WriteState.DELETED_IN_ICLOUD:
                assert is_owners, f"{number} was never deleted"
        assert standing[number] <= 1, f"{number} stands {standing[number]} times"


async def check_slots(life: Life) -> None:
    """P6, P8: by the plain model's own reckoning, and by hand-made slots."""
    rows = await life.rows("SELECT source, starts, ends FROM blocked_slot")
    stored = Counter((row["starts"], row["ends"]) for row in rows if row["source"] == "ICLOUD")
    wanted = Counter(span for href in life.phone if life.reads(href) for span in life.expected(href))
    wanted += Counter(span for span in _left_by_copies(life))
    assert stored == wanted, f"too many: {stored - wanted}, missing: {wanted - stored}"
    by_hand = Counter((row["starts"], row["ends"]) for row in rows if row["source"] == "MANUAL")
    assert by_hand == Counter(life.manual.values())


def _left_by_copies(life: Life) -> list[tuple[int, int]]:
    """What a copy that the owner moved closes beside its appointment."""
    left = []
    for calendar, href in life.copies():
        known = next(each for number, each in life.told.items() if uid_at(href).startswith(uid_of(number)))
        if calendar.path not in life.chosen or known.is_cancelled:
            continue
        start, end = _span_of(calendar.texts[href][1])
        pieces = [(start, min(end, known.span[0])), (max(start, known.span[1]), end)]
        left += [piece for piece in pieces if piece[0] < piece[1]]
    return left


async def check_conflicts(life: Life) -> None:
    wrong = await life.rows(
        "SELECT a.id FROM appointment a WHERE a.status = 'CONFIRMED' AND a.has_conflict <>"
        " EXISTS (SELECT 1 FROM blocked_slot b WHERE b.user_id = a.user_id AND b.starts < a.ends"
        " AND b.ends > a.starts)"
    )
    assert not wrong, "a conflict is shown exactly where there is one"


async def check_log(life: Life) -> None:
    """P5: numbered without gaps; every subscriber saw every change once."""
    async with life.database.reading() as db:
        log = await read_after(db, life.world.anna, 0, limit=100_000)
        [row] = await fetch(db, "SELECT seq, floor FROM timeline WHERE user_id = $1", life.world.anna.user)
    assert [each.seq for each in log] == list(range(row["floor"] + 1, row["seq"] + 1))
    for each in life.subscribers:
        each.connect(life.process.services)
        await each.check(log)


async def slots_by_uid(database: Database, user: str) -> list[tuple[int, int, str]]:
    """What iCloud's own events close; copies of our appointments are looked at for themselves."""
    async with database.reading() as db:
        rows = await fetch(
            db,
            "SELECT b.starts, b.ends, e.uid FROM blocked_slot b LEFT JOIN event e ON e.id = b.event_id"
            f" WHERE b.user_id = $1 AND b.source = 'ICLOUD' AND COALESCE(e.uid, '') NOT LIKE '{OURS}%'",
            user,
        )
    return sorted((row["starts"], row["ends"], row["uid"] or "") for row in rows)


def _span_of(body: str) -> tuple[int, int]:
    found = _UTC_SPAN.search(body)
    assert found is not None, body
    start, end = (datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC) for text in found.groups())
    return int(start.timestamp()), int(end.timestamp())
