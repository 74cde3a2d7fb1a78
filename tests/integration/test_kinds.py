"""A chosen calendar that comes to be of another kind: its events are forgotten on proof alone."""

from __future__ import annotations

import pytest

from domain.accounts import AccountStatus
from domain.calendars import CalendarKind
from models.bell import Bell
from models.database import Database
from sync.plan import ProblemCode
from sync.remote import Href
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import Engine, at, engine_on, event


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
        ProblemCode.LINKED_CALENDAR_UNUSABLE,
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
    home, then = home_of(engine), engine.now - 60
    home.kind = CalendarKind.SUBSCRIPTION
    home.delete(Href(f"{home.path}one.ics"))
    engine.server.asked.clear()
    await engine.poll()
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    assert "changes" not in engine.server.asked
    assert (await engine.account()).last_synced_at == then
