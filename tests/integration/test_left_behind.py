"""Second events of one appointment, of our own making: they go by themselves, and nothing of the owner's with them."""

from __future__ import annotations

import pytest

from domain.copies import WriteState
from models.bell import Bell
from models.changelog import changing
from models.database import Database
from models.icloud import ICloudAccount
from models.settle import forget_account
from sync.context import SyncContext
from sync.places import READ_ONLY
from sync.remote import Href, NotThere, Unreachable
from tests.fakes.calendar_server import HOME, FakeCalendar
from tests.integration.engine import HOUR, USER, Engine, at, linked_engine_on
from tests.integration.test_push import spans
from tests.integration.test_push_places import relinked

BOOKED, MOVED = (at(3, 9), at(3, 10)), (at(3, 14), at(3, 15))
LONGER = (at(3, 14), at(3, 16, 30))


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await linked_engine_on(database, bell)


@pytest.fixture
def context(engine: Engine) -> SyncContext:
    return engine.context()


async def pass_minutes(engine: Engine, context: SyncContext) -> None:
    for _ in range(4):
        engine.now += 61
        await engine.poll(context)
        await engine.push(context)


def edit(calendar: FakeCalendar, before: str, after: str) -> None:
    """As its owner would, of the one event that stands there."""
    [(href, (_, body))] = calendar.texts.items()
    assert before in body
    calendar.put(href.rpartition("/")[2].removesuffix(".ics"), body.replace(before, after))


@pytest.fixture
async def name(engine: Engine, context: SyncContext, home: FakeCalendar, work: FakeCalendar) -> str:
    """Written to Work, told as gone, and so to Home; Work is back, with what it had, and not read yet."""
    name = await engine.book(*BOOKED)
    await engine.push()
    await engine.poll(context)
    del engine.server.calendars[work.path]
    await pass_minutes(engine, context)
    await relinked(engine)
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    await pass_minutes(engine, context)
    assert (spans(home), spans(work)) == ([MOVED], [BOOKED])
    engine.server.calendars[work.path] = work
    return name


async def test_what_a_calendar_that_comes_back_still_has_goes(
    engine: Engine, context: SyncContext, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    await engine.poll(context)
    assert await engine.slots() == [BOOKED]
    position, before = await engine.position(), dict(home.texts)
    await pass_minutes(engine, context)
    assert (spans(work), home.texts) == ([], before)
    assert await engine.slots() == []
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert await engine.position() == position + 1  # The slot that went.
    assert await engine.pending() == []


async def test_what_a_calendar_has_that_is_read_again_goes(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    await engine.choose(linked="Home")
    await engine.poll(context)
    await engine.choose("Work", linked="Home")
    await pass_minutes(engine, context)
    assert spans(work) == []


async def test_of_two_that_were_written_because_the_first_was_not_shown_one_goes(
    engine: Engine, context: SyncContext, work: FakeCalendar
) -> None:
    """Its answer proved nothing, and it was not there when it was looked for."""
    engine.server.drops_put_answers = 1

    async def hide(asked: str, _: str) -> None:
        if asked == "get":
            engine.server.hidden |= set(work.texts)

    engine.server.after = hide
    name = await engine.book(*BOOKED)
    for _ in range(3):
        await engine.push(context)
        engine.now += HOUR
    engine.server.after = None
    engine.server.hidden.clear()
    assert spans(work) == [BOOKED, BOOKED]
    await pass_minutes(engine, context)
    own = await engine.appointment(name)
    assert (list(work.texts), own.write_state) == ([own.href], WriteState.WRITTEN)


async def test_what_the_owner_does_meanwhile_to_the_other_is_seen_and_stays(
    engine: Engine, context: SyncContext, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    await engine.poll(context)
    edit(home, "T150000Z", "T163000Z")
    await engine.poll(context)
    assert (await engine.appointment(name)).write_state == WriteState.CHANGED_IN_ICLOUD
    await pass_minutes(engine, context)
    assert (spans(home), spans(work)) == ([LONGER], [])


async def test_an_edit_of_the_other_that_no_poll_has_seen_yet_stays(
    engine: Engine, context: SyncContext, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    await engine.poll(context)
    edit(home, "T150000Z", "T163000Z")
    engine.now += 61
    await engine.push(context)
    assert (spans(home), spans(work)) == ([LONGER], [])


async def test_one_that_the_owner_wrote_in_stays(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    edit(work, "Intro with Gina", "Intro with Gina and Gus")
    await pass_minutes(engine, context)
    assert (spans(work), await engine.slots()) == ([BOOKED], [BOOKED])


@pytest.mark.parametrize(
    ("added", "stays"),
    [
        ("LOCATION:Room 5\r\n", True),
        ("BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:x\r\nTRIGGER:-PT30M\r\nEND:VALARM\r\n", True),
        ("X-APPLE-CREATOR-IDENTITY:com.apple.mobilecal\r\nDTSTAMP:20261102T090000Z\r\n", False),
    ],
)
async def test_one_that_the_owner_put_something_to_stays_and_what_icloud_puts_there_is_none(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str, added: str, *, stays: bool
) -> None:
    edit(work, "END:VEVENT", f"{added}END:VEVENT")
    await pass_minutes(engine, context)
    assert (spans(work), await engine.slots()) == (([BOOKED], [BOOKED]) if stays else ([], []))


async def test_one_that_the_owner_writes_in_after_it_was_found_stays(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    await engine.poll(context)
    edit(work, "Intro with Gina", "Intro with Gina and Gus")
    await pass_minutes(engine, context)
    assert (spans(work), await engine.slots()) == ([BOOKED], [BOOKED])
    assert await engine.pending() == []


async def test_one_whose_calendar_turns_read_only_after_it_was_found_is_let_be(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    await engine.poll(context)
    work.can_write = False
    await engine.poll(context)
    engine.server.asked.clear()
    engine.now += 61
    assert await engine.push(context) == 1
    assert (engine.server.asked, await engine.pending()) == ([], [])


async def test_one_that_stands_under_a_name_that_a_device_gave_stays(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    [(href, (_, body))] = work.texts.items()
    work.delete(href)
    work.put("moved", body)
    await engine.poll(context)
    assert await engine.pending() == []
    await pass_minutes(engine, context)
    assert (spans(work), await engine.slots()) == ([BOOKED], [BOOKED])


async def test_for_one_in_a_calendar_that_takes_no_writes_none_waits(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    work.can_write = False
    await engine.poll(context)
    assert (await engine.slots(), await engine.pending()) == ([BOOKED], [])


async def test_one_of_a_cancelled_appointment_goes_though_the_other_is_in_a_calendar_that_takes_nothing(
    engine: Engine, context: SyncContext, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    """The other goes once it can."""
    home.can_write = False
    await engine.poll(context)
    await engine.change(name, status="CANCELLED")
    await pass_minutes(engine, context)
    assert (spans(home), spans(work)) == ([MOVED], [])
    own = await engine.appointment(name)
    assert (own.write_state, own.write_problem) == (WriteState.FAILED, READ_ONLY)
    home.can_write = True
    for _ in range(3):
        engine.now += HOUR
        await pass_minutes(engine, context)
    assert (spans(home), spans(work), await engine.slots()) == ([], [], [])
    assert (await engine.appointment(name)).write_state == WriteState.REMOVED


async def test_it_stays_where_the_other_is_gone_by_then(
    engine: Engine, context: SyncContext, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    """The owner's move, half of which was read: from now on that is its place."""
    await engine.poll(context)
    home.delete(next(iter(home.texts)))
    engine.now += 61
    await engine.push(context)
    await pass_minutes(engine, context)
    assert (spans(home), spans(work)) == ([], [BOOKED])
    assert Href((await engine.appointment(name)).href or "") in work.texts


async def test_it_goes_though_the_other_is_missed_once(
    engine: Engine, context: SyncContext, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    await engine.poll(context)
    engine.server.failures["get"] = [NotThere()]
    engine.now += 61
    await engine.push(context)
    assert (spans(home), spans(work)) == ([MOVED], [])


async def test_it_goes_though_the_account_was_moved_to_another_host_just_then(
    engine: Engine, context: SyncContext, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    await engine.poll(context)
    engine.server.failures["get"] = [NotThere(), NotThere()]
    engine.server.home_url = HOME.replace("fake", "p02-fake")
    engine.now += 61
    await engine.push(context)
    await pass_minutes(engine, context)
    assert (spans(home), spans(work)) == ([MOVED], [])


async def test_it_stays_where_anothers_event_stands_in_the_place_of_the_other(
    engine: Engine, context: SyncContext, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    """It is the last that is left of the appointment."""
    await engine.poll(context)
    edit(home, "UID:slotwire-", "UID:theirs-")
    engine.now += 61
    await engine.push(context)
    assert spans(work) == [BOOKED]


async def test_it_waits_for_the_other_half_of_a_move(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    await engine.poll(context)
    assert await engine.push(context) == 0
    assert spans(work) == [BOOKED]


async def test_a_booking_that_is_moved_meanwhile_is_written(
    engine: Engine, context: SyncContext, home: FakeCalendar, work: FakeCalendar, name: str
) -> None:
    await engine.poll(context)

    async def move(asked: str, _: str) -> None:
        if asked == "remove":
            engine.server.after = None
            await engine.change(name, starts=LONGER[0], ends=LONGER[1])

    engine.server.after = move
    engine.now += 61
    await engine.push(context)
    await engine.push(context)
    assert (spans(home), spans(work)) == ([LONGER], [])
    assert await engine.pending() == []


async def test_it_is_tried_again_and_the_appointment_is_told_as_written(
    engine: Engine, context: SyncContext, work: FakeCalendar, name: str
) -> None:
    await engine.poll(context)
    engine.server.failures["remove"] = [Unreachable()]
    engine.now += 61
    await engine.push(context)
    own = await engine.appointment(name)
    assert (own.write_state, own.write_problem, spans(work)) == (WriteState.WRITTEN, None, [BOOKED])
    await pass_minutes(engine, context)
    assert spans(work) == []


async def test_an_appointment_whose_second_event_waits_to_go_is_as_written_after_a_disconnect(
    engine: Engine, context: SyncContext, name: str
) -> None:
    await engine.poll(context)
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        await forget_account(ledger, await ICloudAccount.all().using_db(ledger.db).get())
    own = await engine.appointment(name)
    assert (own.write_state, own.write_problem) == (WriteState.WRITTEN, None)


async def test_the_one_that_can_be_kept_up_stays_where_the_other_stands_in_a_calendar_that_takes_nothing(
    engine: Engine, context: SyncContext, home: FakeCalendar, work: FakeCalendar
) -> None:
    """After a new connection the other can be found first, as it should be: its appointment was moved, and back."""
    name = await engine.book(*BOOKED)
    await relinked(engine)
    await pass_minutes(engine, context)
    home.can_write = False
    await engine.poll(context)
    await engine.choose("Home", linked="Work")
    for start, end in (MOVED, BOOKED):
        await engine.change(name, starts=start, ends=end)
        await pass_minutes(engine, context)
    assert (spans(home), spans(work)) == ([BOOKED], [BOOKED])
    await engine.connect_anew()
    await engine.choose("Home", linked="Work")
    for _ in range(3):
        await pass_minutes(engine, context)
    own = await engine.appointment(name)
    assert (spans(home), spans(work), own.write_state) == ([BOOKED], [BOOKED], WriteState.WRITTEN)
