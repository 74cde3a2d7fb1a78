"""What a poll's end puts on record of its account, and what it leaves to others."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from domain.accounts import AccountStatus, ICloudProblemCode
from domain.calendars import CalendarKind
from domain.changes import ChangeKind
from models.bell import Bell
from models.database import Database
from models.icloud import ICloudAccount
from models.polling import Lease, ask_for_poll, lease_account
from models.seal import Sealer, Secret
from models.sql import execute, fetch
from sync.context import SyncContext
from sync.pull import pull
from sync.record import give_up
from sync.remote import NameTooLong, PasswordRefused, RemoteError, Throttled, UnexpectedAnswer, Unreachable
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import DAY, HOUR, Engine, at, engine_on, event
from tests.integration.test_changelog import WAITING


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    engine = await engine_on(database, bell)
    await engine.choose("Home")
    await engine.poll()
    return engine


async def stands(engine: Engine, **facts: object) -> None:
    async with engine.database.writing() as db:
        await ICloudAccount.all().using_db(db).update(**facts)


async def leased(engine: Engine, context: SyncContext) -> Lease:
    async with engine.database.writing() as db:
        lease = await lease_account(
            db, engine.account_id, owner=context.owner, now=engine.now, lease=context.settings.lease
        )
    assert lease is not None
    return lease


# --- Given up: nothing is said, and others may go on at once


async def test_one_that_is_given_up_is_anybodys_and_due(engine: Engine) -> None:
    context = engine.context()
    await give_up(context, await leased(engine, context), due_at=7.0)
    account = await engine.account()
    assert (account.lease_owner, account.lease_until, account.next_poll_at) == (None, None, 7.0)


async def test_one_that_another_has_by_now_is_not_given_up(engine: Engine) -> None:
    context = engine.context()
    lease = await leased(engine, context)
    await stands(engine, lease_owner="another")
    planned = (await engine.account()).next_poll_at
    await give_up(context, lease, due_at=7.0)
    account = await engine.account()
    assert (account.lease_owner, account.next_poll_at) == ("another", planned)


async def test_one_that_is_polled_no_more_is_given_up_and_stays_so(engine: Engine) -> None:
    context = engine.context()
    lease = await leased(engine, context)
    await stands(engine, next_poll_at=None)
    await give_up(context, lease, due_at=7.0)
    account = await engine.account()
    assert (account.lease_owner, account.next_poll_at) == (None, None)


# --- By whose poll


async def test_a_poll_that_lost_its_account_at_its_end_says_nothing_of_it(engine: Engine) -> None:
    position, before = await engine.position(), await engine.account()

    async def take_over(step: str, _: str) -> None:
        if step == "list":
            await stands(engine, lease_owner="another")

    engine.server.after = take_over
    engine.server.failures["list"] = []
    engine.now += HOUR
    await engine.poll()
    after = await engine.account()
    assert (after.lease_owner, after.last_polled_at) == ("another", before.last_polled_at)
    assert (await engine.calendar("Home")).last_synced_at == before.last_synced_at
    assert await engine.position() == position


@pytest.mark.parametrize("error", [None, Unreachable()], ids=["went well", "failed"])
async def test_a_poll_that_won_its_account_back_says_nothing_of_what_another_told_since(
    engine: Engine, error: RemoteError | None
) -> None:
    """It stood still for longer than its lease, and by its end the account is its process's again."""
    told = {"status": AccountStatus.UNREACHABLE, "problem_code": ICloudProblemCode.THROTTLED, "failures": 1}
    since = engine.now + 60

    async def come_back(step: str, _: str) -> None:
        if step == "list":
            await stands(engine, **told, last_polled_at=since, last_synced_at=since)
            if error is not None:
                raise error

    engine.server.after = come_back
    await engine.poll()
    account = await engine.account()
    assert {name: getattr(account, name) for name in told} == told
    assert account.last_polled_at == account.last_synced_at == since
    assert (account.lease_owner, account.next_poll_at) == (None, engine.now)


async def test_a_failure_that_another_has_got_over_by_now_is_not_told(engine: Engine) -> None:
    position = await engine.position()

    async def take_over(step: str, _: str) -> None:
        if step == "list":
            await stands(engine, lease_owner="another")
            raise Unreachable

    engine.server.after = take_over
    await engine.poll()
    account = await engine.account()
    assert (account.status, account.failures, account.problem_code) == (AccountStatus.CONNECTED, 0, None)
    assert await engine.position() == position


async def test_a_failure_of_a_user_who_is_removed_meanwhile_is_nobodys(engine: Engine) -> None:
    async def remove(step: str, _: str) -> None:
        if step == "list":
            async with engine.database.writing() as db:
                await execute(db, "DELETE FROM timeline")
            raise Unreachable

    engine.server.after = remove
    await engine.poll()
    assert (await engine.account()).failures == 0


async def test_what_was_met_with_a_password_that_was_renewed_meanwhile_is_no_more_so(engine: Engine) -> None:
    async def renew(step: str, _: str) -> None:
        if step == "list":
            await stands(
                engine,
                sealed_password=engine.sealer.seal(Secret("wxyz-wxyz-wxyz-wxyz"), row=engine.account_id),
            )
            raise PasswordRefused

    engine.server.after = renew
    await engine.poll()
    account = await engine.account()
    assert (account.status, account.failures, account.refusals) == (AccountStatus.CONNECTED, 0, 0)
    assert account.lease_owner is None


async def test_one_that_is_asked_for_while_its_password_is_refused_for_good_is_polled_no_more(
    engine: Engine,
) -> None:
    await stands(engine, refusals=2)

    async def ask(step: str, _: str) -> None:
        if step == "discover":
            async with engine.database.writing() as db:
                await ask_for_poll(db, engine.account_id, now=engine.now)
            raise PasswordRefused

    engine.server.after = ask
    await engine.poll()
    account = await engine.account()
    assert (account.status, account.next_poll_at) == (AccountStatus.NEEDS_NEW_PASSWORD, None)


async def test_one_that_was_asked_for_before_its_poll_is_planned_as_ever(engine: Engine) -> None:
    await stands(engine, poll_asked_at=engine.now - 1)
    await engine.poll()
    assert (await engine.account()).next_poll_at == engine.now + 60


async def test_one_that_is_asked_for_while_icloud_tells_it_to_wait_is_polled_after_that(
    engine: Engine,
) -> None:
    async def ask(step: str, _: str) -> None:
        if step == "list":
            async with engine.database.writing() as db:
                await ask_for_poll(db, engine.account_id, now=engine.now)
            raise Throttled(120.0)

    engine.server.after = ask
    await engine.poll()
    account = await engine.account()
    assert account.next_poll_at == account.retry_at
    assert (account.retry_at or 0) >= engine.now + 120


@pytest.mark.parametrize(("due", "late"), [(-7, 7), (7, 0)])
async def test_how_late_a_poll_began_is_on_record(engine: Engine, due: int, late: int) -> None:
    """Where the clock was set back since it was planned, it was not early."""
    context = engine.context()
    lease = (await leased(engine, context))._replace(due_at=engine.now + due)
    await pull(context, lease)
    assert (await engine.account()).poll_lag == late


async def test_a_poll_is_as_old_as_its_beginning(engine: Engine) -> None:
    """Who asked for one while it lasted gets one that begins later."""
    began = engine.now

    async def last(*_: str) -> None:
        engine.now += 5

    engine.server.after = last
    await engine.poll()
    assert engine.now > began
    assert (await engine.account()).last_polled_at == began


async def test_an_account_that_was_quiet_since_it_was_connected_is_polled_less_often(engine: Engine) -> None:
    await stands(engine, connected_at=engine.now - 2 * DAY, last_changed_at=None)
    await engine.poll()
    assert (await engine.account()).next_poll_at == engine.now + engine.settings.quiet_every


async def test_one_that_is_asked_for_while_it_fails_is_polled_at_once(engine: Engine) -> None:
    async def ask(step: str, _: str) -> None:
        if step == "list":
            async with engine.database.writing() as db:
                await ask_for_poll(db, engine.account_id, now=engine.now)
            raise UnexpectedAnswer("a page of html")

    engine.server.after = ask
    await engine.poll()
    account = await engine.account()
    assert (account.status, account.next_poll_at) == (AccountStatus.UNREACHABLE, engine.now)


# --- What is told of a failure, and when it is over


async def test_a_problem_is_as_old_as_its_first_failure(engine: Engine) -> None:
    began = engine.now
    for error in (Unreachable(), Unreachable(), UnexpectedAnswer()):
        engine.server.failures["list"] = [error]
        engine.server.failures["discover"] = [error]
        await engine.poll()
        account = await engine.account()
        same = isinstance(error, Unreachable)
        assert account.problem_since == (began if same else engine.now)
        assert account.retry_at == account.next_poll_at
        engine.now += HOUR


async def test_a_problem_of_a_first_reading_is_as_old_as_the_first_that_failed(engine: Engine) -> None:
    """Each try takes it back until it fails too: by when it began an owner sees how long nothing was read."""
    work = engine.server.calendars["/1/calendars/work/"]
    for hour in (9, 11):
        work.put(f"at-{hour}", event(f"at-{hour}", at(3, hour), at(3, hour + 1)))
    await engine.choose("Home", "Work")
    began = engine.now
    for error in (Unreachable(), Unreachable(), Throttled(5.0)):
        engine.server.failures["fetch"] = [error]
        await engine.poll()
        account = await engine.account()
        assert account.status == AccountStatus.UNREACHABLE
        same = isinstance(error, Unreachable)
        assert account.problem_since == (began if same else engine.now)
        engine.now += HOUR


async def hang_at_the_second(engine: Engine, asked: str) -> None:
    """Of these in a poll, which is given up soon."""
    never, left = asyncio.Event(), 1

    async def hang(step: str, _: str) -> None:
        nonlocal left
        if step == asked:
            left -= 1
            if left < 0:
                await never.wait()

    engine.server.after = hang
    engine.settings = replace(engine.settings, poll_seconds=0.5)


async def test_a_poll_that_takes_too_long_is_told_where_it_stored_nothing(engine: Engine) -> None:
    await hang_at_the_second(engine, "list")
    for status in (AccountStatus.CONNECTED, AccountStatus.UNREACHABLE):
        await engine.poll()
        assert (await engine.account()).status == status


async def test_a_poll_that_takes_too_long_goes_on_from_what_it_stored(
    engine: Engine, home: FakeCalendar
) -> None:
    """A calendar that came back is not read yet, which is told though all was well before."""
    await engine.choose("Home", "Work")
    await engine.poll()
    work = engine.server.calendars.pop("/1/calendars/work/")
    context = engine.context()
    for _ in range(2):
        engine.now += 90
        await engine.poll(context)
    assert (await engine.account()).status == AccountStatus.CONNECTED
    engine.server.calendars[work.path] = work
    home.put("new", event("new", at(3, 9), at(3, 10)))
    await hang_at_the_second(engine, "changes")
    engine.now += HOUR
    await engine.poll()
    account = await engine.account()
    assert (account.status, account.problem_code) == (AccountStatus.SYNCING, None)
    assert account.next_poll_at == engine.now
    assert account.last_synced_at != engine.now
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    engine.server.after = None
    await engine.poll()
    assert (await engine.account()).status == AccountStatus.CONNECTED


async def test_another_problem_of_an_account_out_of_reach_is_told(engine: Engine) -> None:
    for error, code in (
        (Unreachable(), ICloudProblemCode.UNREACHABLE),
        (Throttled(5.0), ICloudProblemCode.THROTTLED),
    ):
        position = await engine.position()
        told = (await engine.account()).problem_message
        engine.server.failures["list"] = [error]
        await engine.poll()
        account = await engine.account()
        assert account.problem_code == code
        assert account.problem_message not in {told, None}
        assert await engine.position() == position + 1


async def test_what_there_is_to_do_is_told_where_another_problem_of_the_same_code_came_before(
    engine: Engine, home: FakeCalendar
) -> None:
    engine.server.failures["list"] = [UnexpectedAnswer("a page of html")]
    await engine.poll()
    home.put("new", event("new", at(3, 9), at(3, 10)))
    engine.server.failures["changes"] = [NameTooLong("an event's address"), NameTooLong("again")]
    position = await engine.position()
    for tries in (1, 2):
        await engine.poll()
        assert "delete the event there" in ((await engine.account()).problem_message or "")
        assert (
            await engine.kinds(position) == [ChangeKind.ACCOUNT] * tries
        )  # Each has its time of the next one.


async def test_after_a_success_nothing_is_left_of_failures(engine: Engine) -> None:
    engine.server.failures["list"] = [PasswordRefused()]
    await engine.poll()
    account = await engine.account()
    assert (account.failures, account.refusals) == (1, 1)
    assert account.retry_at is not None
    engine.now += HOUR
    await engine.poll()
    account = await engine.account()
    assert (account.failures, account.refusals, account.retry_at) == (0, 0, None)
    assert (account.status, account.problem_code) == (AccountStatus.CONNECTED, None)


async def test_what_is_wrong_after_a_success_is_not_told_to_be_tried_again(
    engine: Engine, home: FakeCalendar
) -> None:
    await engine.choose(linked="Home")
    engine.server.failures["list"] = [PasswordRefused()]
    home.can_write = False
    for _ in range(2):
        await engine.poll()
        engine.now += HOUR
    account = await engine.account()
    assert (account.problem_code, account.retry_at) == (ICloudProblemCode.LINKED_CALENDAR_UNUSABLE, None)


async def test_a_password_that_can_not_be_opened_says_nothing_of_those_that_were_refused(
    engine: Engine,
) -> None:
    await stands(engine, refusals=1)
    engine.sealer = Sealer({"k": bytes([1]) * 32}, "k")
    await engine.poll()
    account = await engine.account()
    assert (account.failures, account.refusals) == (1, 1)


async def test_what_was_read_to_its_end_shows_no_progress(engine: Engine) -> None:
    """Also of a first reading that was cut short, of an account that was in step before."""
    await stands(engine, progress_done=3, progress_total=9)
    position = await engine.position()
    await engine.poll()
    account = await engine.account()
    assert (account.progress_done, account.progress_total) == (None, None)
    assert await engine.position() == position + 1


async def test_the_same_choice_again_is_in_step_after_a_poll(engine: Engine) -> None:
    await engine.choose("Home")
    assert (await engine.account()).status == AccountStatus.SYNCING
    await engine.poll()
    assert (await engine.account()).status == AccountStatus.CONNECTED


async def test_a_poll_that_ends_with_what_it_read_makes_the_account_newer(
    engine: Engine, home: FakeCalendar
) -> None:
    """Else, where something changes at each poll, all of its owner's time would close in half an hour."""
    context = engine.context()
    await engine.settle(context)
    engine.now += HOUR
    home.put("new", event("new", at(3, 9), at(3, 10)))
    await engine.poll(context)
    assert (await engine.account()).last_synced_at == engine.now


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_poll_that_ends_with_what_it_read_of_one_makes_newer_what_it_saw_in_step_too(
    engine: Engine, home: FakeCalendar, *, is_gone: bool
) -> None:
    href = home.put("old", event("old", at(4, 9), at(4, 10)))
    await engine.choose("Home", "Work")
    context = engine.context()
    await engine.settle(context)
    engine.now += HOUR
    if is_gone:
        home.delete(href)
    else:
        home.put("new", event("new", at(3, 9), at(3, 10)))
    await engine.poll(context)
    assert (await engine.account()).last_synced_at == engine.now


@pytest.mark.parametrize("has_news", [False, True])
async def test_a_choice_that_was_made_while_a_poll_lasted_is_told_as_read_by_the_next(
    engine: Engine, home: FakeCalendar, *, has_news: bool
) -> None:
    context = engine.context()
    await engine.settle(context)

    async def choose(*_: str) -> None:
        engine.server.after = None
        await engine.choose("Home")

    engine.server.after = choose
    if has_news:
        home.put("new", event("new", at(3, 9), at(3, 10)))
    await engine.poll(context)
    assert (await engine.account()).status == AccountStatus.SYNCING
    position = await engine.position()
    await engine.poll(context)
    assert (await engine.account()).status == AccountStatus.CONNECTED
    assert await engine.kinds(position) == [ChangeKind.ACCOUNT]


async def test_a_calendar_that_takes_no_writes_is_no_problem_where_none_are_made(
    engine: Engine, home: FakeCalendar
) -> None:
    home.can_write = False
    await engine.poll()
    assert (await engine.account()).problem_code is None


async def test_a_calendar_that_was_left_and_chosen_anew_meanwhile_makes_nothing_newer(engine: Engine) -> None:
    context = engine.context()
    await engine.settle(context)
    before = (await engine.account()).last_synced_at

    async def choose_anew(*_: str) -> None:
        engine.server.after = None
        await engine.choose()
        await engine.choose("Home")

    engine.server.after = choose_anew
    engine.now += 60
    await engine.poll(context)
    account = await engine.account()
    assert account.last_synced_at == before
    assert (
        account.next_poll_at == engine.now + engine.settings.watched_every
    )  # It closes all time until then.


async def test_a_failed_poll_makes_nothing_newer_but_what_it_saw_in_step(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    await engine.choose("Home", "Work")
    await engine.poll()
    before = engine.now
    engine.now += HOUR
    work.put("new", event("new", at(3, 9), at(3, 10)))
    engine.server.failures["changes"] = [UnexpectedAnswer()]
    await engine.poll()
    assert (await engine.account()).last_synced_at == before
    assert (await engine.calendar("Work")).last_synced_at == before
    assert (await engine.calendar("Home")).last_synced_at == engine.now


async def test_a_calendar_that_is_gone_makes_the_others_no_older(engine: Engine, work: FakeCalendar) -> None:
    """Else all of its owner's time would close in half an hour, for good."""
    await engine.choose("Home", "Work")
    context = engine.context()
    await engine.poll(context)
    del engine.server.calendars[work.path]
    for _ in range(3):
        engine.now += 61
        await engine.poll(context)
    assert (await engine.calendar("Work")).is_gone
    assert (await engine.account()).last_synced_at == engine.now


async def test_a_subscription_that_is_gone_is_no_problem_any_more(engine: Engine, work: FakeCalendar) -> None:
    await engine.choose("Home", "Work")
    context = engine.context()
    await engine.poll(context)
    work.kind = CalendarKind.SUBSCRIPTION
    await engine.poll(context)
    assert (await engine.account()).problem_code == ICloudProblemCode.CONFLICT_CALENDAR_UNREADABLE
    del engine.server.calendars[work.path]
    for _ in range(3):
        engine.now += 61
        await engine.poll(context)
    assert (await engine.account()).problem_code is None


async def test_only_a_change_of_blocked_time_is_one(engine: Engine, home: FakeCalendar) -> None:
    """By it the cadence of a day later goes."""
    before = (await engine.account()).last_changed_at
    engine.now += HOUR
    await engine.poll()
    assert (await engine.account()).last_changed_at == before
    home.put("new", event("new", at(3, 9), at(3, 10)))
    await engine.poll()
    assert (await engine.account()).last_changed_at == engine.now


@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_a_poll_that_ends_and_a_choice_of_calendars_never_wait_for_each_other(engine: Engine) -> None:
    context = engine.context()
    await engine.settle(context)
    async with engine.database.writing() as db:
        # As a choice does, which counts itself on the account right after.
        await execute(db, "SELECT 1 FROM calendar FOR UPDATE")
        polling = asyncio.create_task(engine.poll(context))
        async with asyncio.timeout(60):
            while not await fetch(db, WAITING):
                await asyncio.sleep(0.01)
        await execute(db, "UPDATE calendar SET is_linked = TRUE WHERE name = 'Home'")
    assert (await polling).error is None
