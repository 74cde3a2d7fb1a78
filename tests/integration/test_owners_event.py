"""What its owner made of our event in iCloud is theirs: a change keeps it, and none of it is removed with ours."""

from __future__ import annotations

import pytest

from domain.copies import WriteState
from models.bell import Bell
from models.booking import Appointment
from models.calendar import Resource
from models.changelog import changing
from models.database import Database
from models.resources import settle_copies
from models.sql import execute
from sync.remote import ETag, Fetched, Href
from tests.fakes.calendar_server import FakeAccount, FakeCalendar
from tests.integration.engine import HOUR, USER, Engine, at, event, linked_engine_on
from tests.integration.test_carry_out import BOOKED, MOVED, OURS, moved, state, written
from tests.integration.test_push import spans

ADDED = (
    "LOCATION:Room 5\r\n"
    'ATTENDEE;CN="Bob; the first":mailto:bob@example.test\r\n'
    "ORGANIZER:mailto:a@icloud.com\r\n"
    "X-APPLE-TRAVEL-DURATION;VALUE=DURATION:PT45M\r\n"
    "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:x\r\nTRIGGER:-PT30M\r\nEND:VALARM\r\n"
)
THEIRS = event("theirs", at(9, 9), at(9, 10), "Surgery")


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await linked_engine_on(database, bell)


def text(work: FakeCalendar) -> str:
    [(_, body)] = work.texts.values()
    return body


def edit(work: FakeCalendar, before: str, after: str) -> None:
    """As the owner would, on a device."""
    assert before in text(work)
    work.put(OURS, text(work).replace(before, after))


async def change_time(engine: Engine, name: str) -> None:
    engine.now += 60
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    await engine.push()


# --- A change


@pytest.mark.parametrize("is_read", [True, False])
async def test_a_change_keeps_all_that_the_owner_added(
    engine: Engine, work: FakeCalendar, *, is_read: bool
) -> None:
    name = await written(engine)
    edit(work, "END:VEVENT", f"{ADDED}END:VEVENT")
    if is_read:
        await engine.poll()
    await change_time(engine, name)
    assert ADDED in text(work)
    assert (spans(work), await state(engine, name)) == ([MOVED], WriteState.WRITTEN)


async def test_a_change_of_what_is_read_needs_one_request(engine: Engine, work: FakeCalendar) -> None:
    name = await written(engine)
    edit(work, "END:VEVENT", f"{ADDED}END:VEVENT")
    await engine.poll()
    engine.server.asked.clear()
    await change_time(engine, name)
    assert engine.server.asked == ["replace"]


async def test_a_change_of_what_was_just_written_needs_one_request(
    engine: Engine, work: FakeCalendar
) -> None:
    """Nobody has read it since: it stands under the ETag that the write was answered with."""
    await change_time(engine, await written(engine))
    assert engine.server.asked == ["replace"]
    assert spans(work) == [MOVED]


async def test_a_change_keeps_the_owners_words_and_tells_that_they_differ(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await written(engine)
    edit(work, "SUMMARY:Intro with Gina", "SUMMARY:Gina\\, at last")
    await engine.poll()
    for _ in range(2):
        await change_time(engine, name)
        assert "SUMMARY:Gina\\, at last\r\n" in text(work)
        assert (spans(work), await state(engine, name)) == ([MOVED], WriteState.CHANGED_IN_ICLOUD)
        assert await engine.pending() == []
        await engine.poll()


async def test_a_change_that_stands_there_already_is_not_written_again(
    engine: Engine, work: FakeCalendar
) -> None:
    """Its answer was lost; the owner's words in it are no reason to write once more."""
    name = await written(engine)
    edit(work, "SUMMARY:Intro with Gina", "SUMMARY:Gina")
    await engine.poll()
    engine.server.drops_put_answers = 1
    await change_time(engine, name)
    engine.server.asked.clear()
    engine.now += HOUR
    await engine.push()
    assert engine.server.asked == ["replace", "get"]
    assert (spans(work), await state(engine, name)) == ([MOVED], WriteState.CHANGED_IN_ICLOUD)


async def test_a_change_keeps_what_the_owner_added_before_a_server_that_tells_no_etag_was_asked_for_it(
    engine: Engine, work: FakeCalendar
) -> None:
    async def add(_: str) -> None:
        engine.server.done = None
        edit(work, "END:VEVENT", f"{ADDED}END:VEVENT")

    engine.server.tells_etags, engine.server.done = False, add
    name = await written(engine)
    await change_time(engine, name)
    assert (spans(work), "LOCATION:Room 5" in text(work)) == ([MOVED], True)


async def test_what_is_anothers_when_a_server_that_tells_no_etag_is_asked_is_not_taken_for_ours(
    engine: Engine, work: FakeCalendar
) -> None:
    async def put(_: str) -> None:
        engine.server.done = None
        work.put(OURS, THEIRS)

    engine.server.tells_etags, engine.server.done = False, put
    await written(engine)
    async with engine.database.reading() as db:
        [own] = await Appointment.all().using_db(db)
        copies = await Resource.filter(appointment_id=own.id).using_db(db)
    assert own.etag is None
    assert [copy.body for copy in copies if "Surgery" in copy.body] == []


async def test_a_change_to_where_the_owners_floating_time_says_the_same_is_written(
    engine: Engine, work: FakeCalendar
) -> None:
    """Where the owner lives, that is another hour."""
    name = await written(engine)
    edit(
        work,
        "DTSTART:20261103T090000Z\r\nDTEND:20261103T100000Z",
        "DTSTART:20261103T140000\r\nDTEND:20261103T150000",
    )
    await change_time(engine, name)
    assert "DTSTART:20261103T140000Z\r\nDTEND:20261103T150000Z" in text(work)
    await engine.poll()
    assert (await engine.slots(), await state(engine, name)) == ([], WriteState.WRITTEN)


async def test_a_text_that_is_not_held_is_asked_for_before_it_is_written_over(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await written(engine)
    await engine.poll()
    edit(work, "END:VEVENT", "LOCATION:Room 5\r\nEND:VEVENT")
    await engine.poll()
    async with engine.database.writing() as db:
        await execute(db, "DELETE FROM event")
        await execute(db, "DELETE FROM resource")
    engine.server.asked.clear()
    await change_time(engine, name)
    assert engine.server.asked == ["get", "replace"]
    assert "LOCATION:Room 5" in text(work)


async def test_a_success_that_left_what_stood_there_is_none_though_the_owner_counted_on(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await written(engine)
    edit(work, "SEQUENCE:0", "SEQUENCE:7")
    await engine.poll()

    async def replace(self: FakeAccount, href: Href, body: str, etag: ETag) -> None:
        work.texts[href] = ETag('"touched"'), work.texts[href][1]

    with monkeypatch.context() as lying:
        lying.setattr(FakeAccount, "replace", replace)
        await change_time(engine, name)
    assert await state(engine, name) == WriteState.PENDING


# --- What is not ours alone


SERIES = "RRULE:FREQ=WEEKLY\r\nEND:VEVENT"


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("facts", [{"status": "CANCELLED"}, {"starts": MOVED[0], "ends": MOVED[1]}])
async def test_a_series_that_its_owner_made_of_it_stays_and_is_told(
    engine: Engine, work: FakeCalendar, facts: dict[str, object], *, is_read: bool
) -> None:
    name = await written(engine)
    edit(work, "END:VEVENT", SERIES)
    if is_read:
        await engine.poll()
    before = dict(work.texts)
    await engine.change(name, **facts)
    await engine.push()
    own = await engine.appointment(name)
    assert (work.texts, own.write_state) == (before, WriteState.FAILED)
    assert "repeats" in (own.write_problem or "")


BESIDE = THEIRS[THEIRS.index("BEGIN:VEVENT") :]


@pytest.mark.parametrize(
    "made", [f"END:VEVENT\r\n{BESIDE}", "EXRULE:FREQ=WEEKLY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"]
)
async def test_what_can_not_be_brought_to_its_time_alone_stays(
    engine: Engine, work: FakeCalendar, made: str
) -> None:
    """Beside others in its object, or with a part of a series."""
    name = await moved(engine)
    edit(work, "END:VEVENT\r\nEND:VCALENDAR\r\n", made)
    before = dict(work.texts)
    await engine.push()
    assert (work.texts, await state(engine, name)) == (before, WriteState.FAILED)


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("facts", [{"status": "CANCELLED"}, {"starts": MOVED[0], "ends": MOVED[1]}])
async def test_once_it_is_a_single_one_again_it_ends_as_asked(
    engine: Engine, work: FakeCalendar, facts: dict[str, object], *, is_read: bool
) -> None:
    name = await written(engine)
    edit(work, "END:VEVENT", SERIES)
    await engine.poll()
    await engine.change(name, **facts)
    await engine.push()
    edit(work, SERIES, "END:VEVENT")
    if is_read:
        await engine.poll()
    engine.now += HOUR
    await engine.push()
    is_cancelled = "status" in facts
    assert spans(work) == ([] if is_cancelled else [MOVED])
    assert await state(engine, name) == (WriteState.REMOVED if is_cancelled else WriteState.WRITTEN)


async def test_a_cancelled_ones_series_that_its_owner_deleted_is_removed(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await written(engine)
    edit(work, "END:VEVENT", SERIES)
    await engine.poll()
    await engine.change(name, status="CANCELLED")
    await engine.push()
    work.delete(next(iter(work.texts)))
    await engine.poll()
    engine.now += HOUR
    await engine.push()
    assert (await state(engine, name), await engine.pending()) == (WriteState.REMOVED, [])


# --- Another's event in its place


@pytest.mark.parametrize("is_read", [True, False])
async def test_a_cancellation_removes_nobody_elses_event(
    engine: Engine, work: FakeCalendar, *, is_read: bool
) -> None:
    name = await written(engine)
    await engine.poll()
    work.put(OURS, THEIRS)
    if is_read:
        await engine.poll()
    await engine.change(name, status="CANCELLED")
    await engine.push()
    for _ in range(2):
        assert (text(work), await state(engine, name)) == (THEIRS, WriteState.REMOVED)
        await engine.poll()
        assert await engine.push() == 0
    assert await engine.slots() == [(at(9, 9), at(9, 10))]


async def test_a_change_leaves_it_and_its_time_closed(engine: Engine, work: FakeCalendar) -> None:
    name = await written(engine)
    await engine.poll()
    work.put(OURS, THEIRS)
    await engine.poll()
    await change_time(engine, name)
    assert spans(work) == [MOVED, (at(9, 9), at(9, 10))]
    for _ in range(2):
        assert await engine.slots() == [(at(9, 9), at(9, 10))]
        own = await engine.appointment(name)
        assert (own.uid, own.write_state) == (f"{OURS}-1", WriteState.WRITTEN)
        await engine.poll()


async def test_a_change_whose_answer_was_lost_leaves_it_and_its_time_closed(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await written(engine)
    work.put(OURS, THEIRS)
    await engine.poll()
    engine.server.drops_put_answers = 1
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        await settle_copies(ledger, name)
    await engine.push()
    await engine.poll()
    for _ in range(2):
        engine.now += HOUR
        await engine.push()
        await engine.poll()
    assert spans(work) == [MOVED, (at(9, 9), at(9, 10))]
    assert (await engine.slots(), await state(engine, name)) == ([(at(9, 9), at(9, 10))], WriteState.WRITTEN)


async def test_a_change_into_the_time_of_an_event_that_took_its_place_conflicts_with_it(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await written(engine)
    await engine.poll()
    work.put(OURS, event("theirs", *MOVED))
    await engine.poll()
    await change_time(engine, name)
    assert (await engine.appointment(name)).has_conflict


async def test_what_took_the_place_of_a_cancelled_one_conflicts_with_who_was_booked_since(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await written(engine)
    await engine.poll()
    work.put(OURS, event("theirs", *BOOKED))
    await engine.poll()
    await engine.change(name, status="CANCELLED")
    other = await engine.book(*BOOKED, name="apt_00000000000000000000000002")
    await engine.push()
    assert (await engine.appointment(other)).has_conflict


# --- What can't be read


@pytest.mark.parametrize("is_seen", [True, False])
@pytest.mark.parametrize("facts", [{"status": "CANCELLED"}, {"starts": MOVED[0], "ends": MOVED[1]}])
async def test_what_can_not_be_read_is_looked_at_again_and_then_told(
    engine: Engine, work: FakeCalendar, facts: dict[str, object], *, is_seen: bool
) -> None:
    """Also where a poll met it: the text that it keeps is the one before."""
    name = await written(engine)
    await engine.poll()
    cut = text(work)[:-40]
    work.put(OURS, cut)
    if is_seen:
        await engine.poll()
    await engine.change(name, **facts)
    await engine.push()
    assert await state(engine, name) == WriteState.PENDING
    for _ in range(8):
        engine.now += HOUR
        await engine.push()
    assert (text(work), await state(engine, name)) == (cut, WriteState.FAILED)


async def test_half_an_answer_is_no_reason_to_leave_it(
    engine: Engine, work: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await moved(engine)
    edit(work, "END:VEVENT", "LOCATION:Room 5\r\nEND:VEVENT")

    async def get(self: FakeAccount, href: Href) -> Fetched:
        etag, body = work.texts[href]
        return Fetched(href, etag, body[:-40])

    with monkeypatch.context() as lying:
        lying.setattr(FakeAccount, "get", get)
        await engine.push()
    engine.now += HOUR
    await engine.push()
    assert "LOCATION:Room 5" in text(work)
    assert (spans(work), await state(engine, name)) == ([MOVED], WriteState.WRITTEN)
