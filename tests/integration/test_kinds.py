"""A chosen calendar that comes to be of another kind: its events are forgotten on proof alone."""

from __future__ import annotations

import pytest

from domain.accounts import AccountStatus, ICloudProblemCode
from domain.calendars import CalendarKind
from domain.copies import WriteState
from models.bell import Bell
from models.database import Database
from models.sql import execute
from sync.quiet import look
from sync.remote import Href
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import DAY, HOUR, Engine, at, engine_on, event
from tests.integration.test_push import spans
from tests.integration.test_quiet import leased


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    """Read, with one event."""
    engine = await engine_on(database, bell)
    home_of(engine).put("one", event("one", at(3, 9), at(3, 10)))
    await engine.choose(linked="Home")
    await engine.poll()
    engine.now += 60
    return engine


def home_of(engine: Engine) -> FakeCalendar:
    return engine.server.calendars["/1/calendars/home/"]


async def test_what_is_said_to_hold_no_events_goes_on_being_read_while_it_has_some(engine: Engine) -> None:
    home = home_of(engine)
    home.kind = CalendarKind.REMINDERS
    home.put("one", event("one", at(3, 11), at(3, 12)))
    await engine.poll()
    account = await engine.account()
    assert await engine.slots() == [(at(3, 11), at(3, 12))]
    assert account.last_synced_at == engine.now
    assert (account.status, account.problem_code) == (
        AccountStatus.CONNECTED,
        ICloudProblemCode.LINKED_CALENDAR_UNUSABLE,
    )


async def test_what_holds_no_events_any_more_closes_no_time(engine: Engine) -> None:
    home = home_of(engine)
    home.kind = CalendarKind.REMINDERS
    home.delete(Href(f"{home.path}one.ics"))
    await engine.poll()
    account = await engine.account()
    assert await engine.slots() == []
    assert account.last_synced_at == engine.now


async def test_what_holds_events_again_can_be_written_to_again(engine: Engine) -> None:
    for home_of(engine).kind in (CalendarKind.REMINDERS, CalendarKind.EVENTS):
        await engine.poll()
        engine.now += 60
    assert (await engine.account()).problem_code is None


async def test_what_turns_into_a_subscription_is_not_read_and_opens_no_time(engine: Engine) -> None:
    """An empty answer of one proves nothing. Not read, it grows old, and closes all the time."""
    home, context = home_of(engine), engine.context()
    engine.now += engine.settings.first_comparison_after
    await engine.poll(context)
    then = engine.now
    home.kind = CalendarKind.SUBSCRIPTION
    home.delete(Href(f"{home.path}one.ics"))
    engine.server.asked.clear()
    for _ in range(3):
        engine.now += 60
        await engine.poll(context)
    assert await look(context, await leased(engine)) is None
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    assert "changes" not in engine.server.asked
    assert (await engine.account()).last_synced_at == then


async def test_a_subscription_whose_comparison_is_never_made_costs_a_poll_no_more_than_another(
    engine: Engine,
) -> None:
    context = engine.context()
    await engine.settle(context)
    home_of(engine).kind = CalendarKind.SUBSCRIPTION
    await engine.poll(context)
    engine.now += 2 * DAY
    for _ in range(3):
        engine.server.asked.clear()
        engine.now += 60
        await engine.poll(context)
        assert engine.server.asked == ["list"]


async def test_the_owner_is_told_of_a_subscription_until_it_holds_events_again(engine: Engine) -> None:
    """Where it is the linked calendar, that is the problem."""
    await engine.choose("Home", linked="Work")
    told = []
    for kind in (CalendarKind.EVENTS, CalendarKind.SUBSCRIPTION, CalendarKind.EVENTS):
        home_of(engine).kind = kind
        await engine.poll()
        account = await engine.account()
        told.append((account.status, account.problem_code))
        engine.now += 60
    connected = AccountStatus.CONNECTED
    assert told == [
        (connected, None),
        (connected, ICloudProblemCode.CONFLICT_CALENDAR_UNREADABLE),
        (connected, None),
    ]
    await engine.choose(linked="Home")
    home_of(engine).kind = CalendarKind.SUBSCRIPTION
    await engine.poll()
    assert (await engine.account()).problem_code == ICloudProblemCode.LINKED_CALENDAR_UNUSABLE


async def test_a_subscription_that_is_gone_is_no_problem_any_more(engine: Engine) -> None:
    await engine.choose("Home", linked="Work")
    context, home = engine.context(), home_of(engine)
    await engine.poll(context)
    home.kind = CalendarKind.SUBSCRIPTION
    await engine.poll(context)
    del engine.server.calendars[home.path]
    for _ in range(3):
        engine.now += 61
        await engine.poll(context)
    assert (await engine.calendar("Home")).is_gone
    assert (await engine.account()).problem_code is None


async def test_one_that_was_never_read_before_it_turned_is_waited_for_no_more(engine: Engine) -> None:
    await engine.choose("Home", linked="Work")
    engine.server.calendars["/1/calendars/work/"].kind = CalendarKind.SUBSCRIPTION
    await engine.poll()
    account = await engine.account()
    assert account.status == AccountStatus.CONNECTED
    assert (account.next_poll_at or 0) - engine.now >= engine.settings.usual_every
    assert (await engine.calendar("Work")).last_synced_at is None


TAKES_NO_EVENTS = pytest.mark.parametrize("kind", [CalendarKind.REMINDERS, CalendarKind.SUBSCRIPTION])
BOOKED, MOVED = (at(4, 9), at(4, 10)), (at(4, 14), at(4, 15))


async def booked(engine: Engine) -> str:
    """To be written to Home."""
    name, home = await engine.book(*BOOKED), await engine.calendar("Home")
    async with engine.database.writing() as db:
        await execute(db, "UPDATE appointment SET calendar_id = $1 WHERE id = $2", home.id, name)
    return name


@TAKES_NO_EVENTS
async def test_what_waits_for_one_that_takes_no_events_is_written_once_it_does(
    engine: Engine, kind: CalendarKind
) -> None:
    home = home_of(engine)
    home.kind = kind
    await engine.poll()
    name = await booked(engine)
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.FAILED
    engine.now += 60
    home.kind = CalendarKind.EVENTS
    await engine.poll()
    await engine.push()
    assert BOOKED in spans(home)
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN


@TAKES_NO_EVENTS
async def test_one_that_is_moved_while_its_calendar_takes_no_events_goes_to_the_one_that_is_linked_since(
    engine: Engine, kind: CalendarKind
) -> None:
    """For its name is taken where it stood, it has another one there."""
    name = await booked(engine)
    await engine.push()
    home, work = home_of(engine), engine.server.calendars["/1/calendars/work/"]
    home.kind = kind
    await engine.poll()
    await engine.choose(linked="Work")
    await engine.change(name, starts=MOVED[0], ends=MOVED[1])
    for _ in range(3):
        await engine.push()
        engine.now += HOUR
    assert spans(work) == [MOVED]
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN


async def test_one_that_is_cancelled_goes_from_what_holds_no_events_any_more(engine: Engine) -> None:
    name = await booked(engine)
    await engine.push()
    home = home_of(engine)
    home.kind = CalendarKind.REMINDERS
    await engine.poll()
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert BOOKED not in spans(home)
    assert (await engine.appointment(name)).write_state == WriteState.REMOVED
