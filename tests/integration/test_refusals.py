"""Apple locks accounts that are asked on and on with a wrong password: three refusals, minutes apart, and no more."""

from __future__ import annotations

import pytest

from domain.accounts import AccountStatus, ICloudProblemCode
from domain.calendars import ListedCalendar
from domain.copies import WriteState
from models.bell import Bell
from models.database import Database
from models.icloud import ICloudAccount
from models.seal import Secret
from sync.remote import (
    Broken,
    PasswordRefused,
    RemoteError,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from tests.fakes.calendar_server import APPLE_ID, PASSWORD, FakeAccount
from tests.integration.engine import HOUR, Engine, at, engine_on


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    engine = await engine_on(database, bell)
    await engine.choose(linked="Home")
    await engine.poll()
    engine.server.asked.clear()
    return engine


async def live(engine: Engine, hours: float) -> None:
    """As the loop would, a minute at a time: writes that may be tried, and polls that are due."""
    until = engine.now + hours * HOUR
    while engine.now < until:
        await engine.push()
        account = await engine.account()
        if account.next_poll_at is not None and account.next_poll_at <= engine.now:
            await engine.poll()
        engine.now += 60


async def test_a_revoked_password_is_tried_three_times_the_last_at_the_entry(engine: Engine) -> None:
    engine.server.passwords.clear()
    await live(engine, 12)
    assert engine.server.asked == ["list", "list", "discover"]
    account = await engine.account()
    assert (account.status, account.next_poll_at) == (AccountStatus.NEEDS_NEW_PASSWORD, None)
    assert account.problem_code == ICloudProblemCode.PASSWORD_REFUSED
    assert account.last_polled_at is not None
    assert account.problem_since is not None
    assert account.last_polled_at - account.problem_since >= 180


async def test_twenty_writes_do_not_try_it_twenty_times(engine: Engine) -> None:
    engine.server.passwords.clear()
    for number in range(20):
        await engine.book(at(3, number), at(3, number + 1), name=f"apt_{number:026}")
    await live(engine, 12)
    assert len(engine.server.asked) == 3
    assert (await engine.account()).status == AccountStatus.NEEDS_NEW_PASSWORD
    assert {row.attempts for row in await engine.pending()} == {0, 1}


async def test_a_write_that_is_refused_once_waits_for_a_poll_and_is_written(engine: Engine) -> None:
    engine.server.failures["create"] = [PasswordRefused()]
    names = [await engine.book(at(3, hour), at(3, hour + 1), name=f"apt_{hour:026}") for hour in (9, 12)]
    await engine.push()
    assert engine.server.asked == ["create"]
    assert (await engine.account()).next_poll_at == engine.now + engine.settings.first_refusal_retry
    await live(engine, 0.5)
    assert engine.server.asked[1] == "list"
    assert {(await engine.appointment(name)).write_state for name in names} == {WriteState.WRITTEN}
    assert (await engine.account()).refusals == 0


@pytest.mark.parametrize(("planned", "then"), [(300, 60), (10, 10)])
async def test_a_poll_finds_out_soon_whether_a_refused_write_met_a_stray_refusal(
    engine: Engine, planned: float, then: float
) -> None:
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(next_poll_at=engine.now + planned)
    engine.server.failures["create"] = [PasswordRefused()]
    await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    assert (await engine.account()).next_poll_at == engine.now + then


async def test_nothing_is_written_while_the_password_can_not_be_opened(engine: Engine) -> None:
    """Nobody has refused it, and there is nothing to sign in with."""
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(status=AccountStatus.NEEDS_NEW_PASSWORD)
    await engine.book(at(3, 9), at(3, 10))
    assert await engine.push() == 0
    assert engine.server.asked == []


async def test_a_renewed_password_meanwhile_is_not_charged_with_the_old_ones_refusal(engine: Engine) -> None:
    async def renew(name: str, _: str) -> None:
        if name == "create":
            sealed = engine.sealer.seal(Secret("wxyz-wxyz-wxyz-wxyz"), row=engine.account_id)
            async with engine.database.writing() as db:
                await ICloudAccount.all().using_db(db).update(sealed_password=sealed)
            raise PasswordRefused

    engine.server.after = renew
    await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    assert (await engine.account()).refusals == 0


async def test_a_host_that_the_account_left_does_not_end_the_connection(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = engine.server.home_url, "https://other.fake.test/1/calendars/"
    real = FakeAccount.list_calendars

    async def list_calendars(self: FakeAccount, home_url: str) -> tuple[ListedCalendar, ...]:
        if home_url == old:
            raise PasswordRefused
        return await real(self, home_url)

    monkeypatch.setattr(FakeAccount, "list_calendars", list_calendars)
    engine.server.home_url = new
    await live(engine, 0.25)
    account = await engine.account()
    assert (account.status, account.home_url, account.refusals) == (AccountStatus.CONNECTED, new, 0)


async def test_a_home_that_refuses_whom_the_entry_lets_in_is_out_of_reach_and_no_more(
    engine: Engine,
) -> None:
    engine.server.failures["list"] = [PasswordRefused()] * 8
    await live(engine, 2)
    account = await engine.account()
    assert (account.status, account.problem_code) == (
        AccountStatus.UNREACHABLE,
        ICloudProblemCode.UNREACHABLE,
    )
    assert engine.server.asked.count("list") <= 8
    engine.server.failures.clear()
    await live(engine, 1.5)
    assert (await engine.account()).status == AccountStatus.CONNECTED


@pytest.mark.parametrize("times", [1, 2])
async def test_a_stray_refusal_is_got_over_without_its_owner(engine: Engine, times: int) -> None:
    engine.server.failures["list"] = [PasswordRefused()] * times
    await live(engine, 0.25)
    assert engine.server.passwords == {APPLE_ID: PASSWORD}
    account = await engine.account()
    assert (account.status, account.problem_code, account.refusals) == (AccountStatus.CONNECTED, None, 0)


@pytest.mark.parametrize(
    ("between", "status"),
    [
        (Unreachable(), AccountStatus.NEEDS_NEW_PASSWORD),
        (Throttled(1.0), AccountStatus.NEEDS_NEW_PASSWORD),
        (Broken(), AccountStatus.NEEDS_NEW_PASSWORD),
        (UnexpectedAnswer(), AccountStatus.UNREACHABLE),
    ],
    ids=["outage", "throttle", "fault of ours", "answer"],
)
async def test_what_is_met_without_a_look_at_the_password_takes_no_refusal_back(
    engine: Engine, between: RemoteError, status: AccountStatus
) -> None:
    for met in (PasswordRefused(), between, PasswordRefused(), between, PasswordRefused()):
        engine.server.failures["list"] = [met]
        engine.server.failures["discover"] = [met]
        await engine.poll()
        engine.now += HOUR
    assert (await engine.account()).status == status
