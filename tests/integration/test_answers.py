"""Whatever kind of answer a server gives to whichever question, no closed time opens, and the account says what is so.

Against the stand-in over HTTP, with its lies told once to each question that a poll asks.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from domain.accounts import AccountStatus, ICloudProblemCode
from models.bell import Bell
from models.database import Database
from standin.faults import Failing, Lie
from standin.owner import Phone
from standin.server import StandIn
from sync.context import SyncContext
from sync.icloud.guard import Guard
from sync.icloud.server import ICloud
from sync.icloud.settings import TransportSettings
from sync.remote import RemoteError
from tests.e2e.test_secrets import forms
from tests.integration.engine import Engine, at
from tests.integration.test_pull_servers import APPLE_ID, PASSWORD, Connected, connected

QUESTIONS = ("PROPFIND", "sync-collection", "calendar-multiget")
WRONG = (
    *(lie if lie is not Lie.GZIP_BOMB else "gzip-bomb:40" for lie in Lie),
    *(f"{Failing.STATUS}:{status}" for status in (400, 403, 404, 405, 409, 410, 412, 421, 500, 501, 507)),
    *(Failing.THROTTLE, Failing.TOO_MANY, Failing.UNAUTHORIZED, Failing.HALF, Failing.RESET, Failing.LOST),
    *(Failing.TWICE, f"{Failing.THROTTLE}:31536000", f"{Failing.THROTTLE}:soon", f"{Failing.SILENCE}:1"),
)
NINE = datetime(2026, 11, 15, 9, tzinfo=UTC)


@pytest.fixture
async def icloud() -> AsyncIterator[StandIn]:
    async with StandIn() as icloud:
        icloud.add_account(APPLE_ID, PASSWORD)
        yield icloud


@pytest.fixture
async def apple(icloud: StandIn, database: Database, bell: Bell) -> AsyncIterator[Connected]:
    server = ICloud(
        Guard(icloud.entry_url, icloud.hosts),
        TransportSettings(request_seconds=2.0, most_bytes=4 * 1024 * 1024),
    )
    yield await connected(database, bell, server, APPLE_ID, PASSWORD)
    await server.close()


async def until_well(engine: Engine, context: SyncContext) -> None:
    """What the loop would do, with the waiting left out: until a poll was whole, and the next comparison."""
    for _ in range(8):
        account = await engine.account()
        engine.now = max(engine.now + 16, account.retry_at or 0)
        await engine.poll(context)
        if (await engine.account()).last_synced_at == engine.now:
            break
    engine.now = max(engine.now, (await engine.calendar("Home")).compare_at or 0) + 1
    await engine.poll(context)


@pytest.mark.parametrize("wrong", [str(each) for each in WRONG])
async def test_no_answer_opens_time_and_every_one_is_got_over(
    icloud: StandIn, apple: Connected, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    engine, faults = apple.engine, icloud.faults(APPLE_ID)
    phone = Phone(icloud.entry_url, APPLE_ID, PASSWORD)
    for day in range(3):
        start = NINE + timedelta(days=day)
        await phone.add("Home", f"Kept {day}", start, start + timedelta(hours=1))
    await engine.choose("Home")
    context = engine.context()
    await engine.poll(context)
    closed = {(at(15 + day, 9), at(15 + day, 10)) for day in range(3)}
    for number, question in enumerate(QUESTIONS):
        start = NINE + timedelta(days=10 + number)
        await phone.add("Home", f"New {number}", start, start + timedelta(hours=1))
        faults.touch("home")
        faults.inject(wrong, on=question)
        engine.now += 61
        outcome = await engine.poll(context)
        assert closed <= set(await engine.slots()), (wrong, question)
        await _is_honest(engine, outcome.error)
        faults.clear()
        closed.add((at(25 + number, 9), at(25 + number, 10)))
        await until_well(engine, context)
        assert set(await engine.slots()) == closed, (wrong, question)
        account = await engine.account()
        assert (account.status, account.problem_code) == (AccountStatus.CONNECTED, None)
        assert account.last_synced_at == engine.now
    kept = caplog.text + repr([vars(row) for row in (await engine.account(), *await engine.resources())])
    assert "calendar" in kept
    assert [form for form in forms(PASSWORD) if form in kept.encode()] == []


async def _is_honest(engine: Engine, met: RemoteError | None) -> None:
    account, calendar = await engine.account(), await engine.calendar("Home")
    assert account.next_poll_at is not None
    assert account.next_poll_at > engine.now
    if met is None:
        assert (account.status, account.problem_code) == (AccountStatus.CONNECTED, None)
        return
    assert account.status == AccountStatus.UNREACHABLE
    assert account.problem_code in set(ICloudProblemCode)
    assert account.problem_message
    assert account.retry_at == account.next_poll_at
    assert account.retry_at <= engine.now + engine.settings.longest_retry
    assert (calendar.last_synced_at or 0) < engine.now
