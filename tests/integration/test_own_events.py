"""Our own events as their owner leaves them: edited, deleted, or found again where nobody put them."""

from __future__ import annotations

import pytest

from domain.changes import ChangeKind
from domain.copies import WriteState
from models.bell import Bell
from models.database import Database
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import Engine, at, linked_engine_on
from tests.integration.test_push import spans

BOOKED, MOVED = (at(3, 9), at(3, 10)), (at(3, 14), at(3, 15))
OURS = "slotwire-00000000000000000000000001"
IN_UTC = "DTSTART:20261103T090000Z\r\nDTEND:20261103T100000Z"


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await linked_engine_on(database, bell)


@pytest.fixture
async def name(engine: Engine) -> str:
    """Written and read."""
    name = await engine.book(*BOOKED)
    await engine.push()
    await engine.poll()
    return name


def only_body(calendar: FakeCalendar) -> str:
    [(_, body)] = calendar.texts.values()
    return body


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("DTSTART:20261103T090000Z", "DTSTART:20261103T083000Z"),
        ("DTEND:20261103T100000Z", "DTEND:20261103T103000Z"),
        ("SUMMARY:Intro", "SUMMARY:Lunch"),
        ("Second floor", "Third floor"),
        ("STATUS:CONFIRMED", "STATUS:CANCELLED"),
        (IN_UTC, "DTSTART:20261103T090000\r\nDTEND:20261103T100000"),
        (IN_UTC, "DTSTART;TZID=Nowhere:20261103T090000\r\nDTEND;TZID=Nowhere:20261103T100000"),
        ("SEQUENCE:0", "SEQUENCE:0\r\nRRULE:FREQ=DAILY;COUNT=2"),
    ],
)
async def test_an_edit_is_told_and_so_is_its_end(
    engine: Engine, work: FakeCalendar, name: str, before: str, after: str
) -> None:
    position, body = await engine.position(), only_body(work)
    assert before in body
    work.put(OURS, body.replace(before, after))
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.CHANGED_IN_ICLOUD
    assert (await engine.kinds(position)).count(ChangeKind.APPOINTMENT_WRITTEN) == 1
    work.put(OURS, body)
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert (await engine.kinds(position)).count(ChangeKind.APPOINTMENT_WRITTEN) == 2


async def test_blanks_that_a_device_sets_otherwise_are_no_edit(
    engine: Engine, work: FakeCalendar, name: str
) -> None:
    body = only_body(work)
    assert "Second floor" in body
    work.put(OURS, body.replace("Second floor", "Second  floor \\n"))
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN


async def test_a_deletion_is_told_and_the_next_change_makes_it_anew(
    engine: Engine, work: FakeCalendar, name: str
) -> None:
    position = await engine.position()
    work.delete(next(iter(work.texts)))
    await engine.poll()
    assert await engine.kinds(position) == [ChangeKind.APPOINTMENT_WRITTEN]
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    engine.server.asked.clear()
    await engine.push()
    assert (engine.server.asked, spans(work)) == (["create"], [MOVED])


async def test_a_deletion_that_is_read_while_a_change_waits_takes_no_write_away(
    engine: Engine, work: FakeCalendar, name: str
) -> None:
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    work.delete(next(iter(work.texts)))
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.PENDING
    await engine.push()
    assert (spans(work), (await engine.appointment(name)).write_state) == ([MOVED], WriteState.WRITTEN)


async def test_one_that_stands_as_it_should_after_a_disconnect_has_no_problem_any_more(
    engine: Engine,
) -> None:
    """Its write was stored, and nobody heard so before."""
    engine.server.drops_put_answers = 1
    name = await engine.book(*BOOKED)
    await engine.push()
    await engine.connect_anew()
    assert (await engine.appointment(name)).write_problem is not None
    await engine.choose(linked="Work")
    await engine.poll()
    own = await engine.appointment(name)
    assert (own.write_state, own.write_problem) == (WriteState.WRITTEN, None)


async def test_one_deleted_before_a_new_connection_reads_stands_nowhere_until_its_next_change(
    engine: Engine, work: FakeCalendar, name: str
) -> None:
    """Where it stood went with the old connection, so that nothing proves that it is gone."""
    await engine.connect_anew()
    work.delete(next(iter(work.texts)))
    await engine.choose(linked="Work")
    await engine.settle(engine.context())
    own = await engine.appointment(name)
    assert (own.write_state, own.calendar_id) == (WriteState.WRITTEN, None)
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    await engine.push()
    assert spans(work) == [MOVED]


async def test_one_that_comes_in_another_calendar_after_it_went_is_kept_up_there(
    engine: Engine, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    body = only_body(work)
    work.delete(next(iter(work.texts)))
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.DELETED_IN_ICLOUD
    moved = home.put("moved", body)
    await engine.poll()
    own = await engine.appointment(name)
    assert (own.write_state, own.href) == (WriteState.WRITTEN, moved)
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    await engine.push()
    assert (spans(home), spans(work)) == ([MOVED], [])


async def test_one_that_stands_in_a_calendar_that_takes_events_again_is_told_as_deleted_no_more(
    engine: Engine, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    [(href, (_, body))] = work.texts.items()
    work.delete(href)
    moved = home.put("moved", body)
    home.can_write = False
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.DELETED_IN_ICLOUD
    home.can_write = True
    position = await engine.position()
    await engine.poll()
    own = await engine.appointment(name)
    assert (own.write_state, own.href) == (WriteState.WRITTEN, moved)
    assert ChangeKind.APPOINTMENT_WRITTEN in await engine.kinds(position)


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize("where", ["home", "work"])
async def test_one_that_its_owner_moved_is_told_as_it_stands_there(
    engine: Engine, name: str, request: pytest.FixtureRequest, where: str, *, edited: bool
) -> None:
    """To a calendar that is read before, or within its own, where a device named it anew."""
    work: FakeCalendar = request.getfixturevalue("work")
    there: FakeCalendar = request.getfixturevalue(where)
    body = only_body(work)
    work.delete(next(iter(work.texts)))
    moved = there.put("moved", body.replace("T100000Z", "T113000Z") if edited else body)
    await engine.poll()
    own = await engine.appointment(name)
    state = WriteState.CHANGED_IN_ICLOUD if edited else WriteState.WRITTEN
    assert (own.write_state, own.href, own.etag) == (state, moved, there.texts[moved][0])


async def test_one_of_a_cancelled_appointment_goes_wherever_it_is_found(
    engine: Engine, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    body = only_body(work)
    await engine.change(name, status="CANCELLED")
    await engine.push()
    home.put("restored", body)
    await engine.poll()
    assert await engine.slots() == []
    await engine.push()
    assert (spans(home), spans(work)) == ([], [])
    assert (await engine.appointment(name)).write_state == WriteState.REMOVED
