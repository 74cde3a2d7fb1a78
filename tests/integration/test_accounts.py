"""Connecting, renewing and disconnecting an iCloud account: nothing half done, the password nowhere."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from domain.accounts import AccountStatus
from domain.actor import UserRef
from domain.changes import ChangeKind
from domain.ids import Kind
from models.bell import SYNC
from models.booking import Appointment, PendingWrite
from models.seal import Secret
from resolvers import accounts, calendars, events, health, people
from resolvers.credentials import HELP_URL
from resolvers.outcomes import (
    AlreadyConnected,
    AppSpecificPasswordRequired,
    DifferentICloudAccount,
    ICloudAccountInUse,
    ICloudPasswordRefused,
    ICloudUnavailable,
    InvalidInput,
    NotFound,
    RateLimited,
    Refusal,
)
from resolvers.views import AccountView, Page, SyncHealthView, UserView
from sync.plan import describe
from sync.remote import (
    PasswordRefused,
    PasswordUnreadable,
    RemoteError,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from sync.service import RefreshOutcome
from tests.fakes.icloud import CALENDARS, OTHER_PASSWORD, PASSWORD, listed
from tests.integration.world import APPLE_ID, NOW, World, admin_of

WRONG = "zzzz-zzzz-zzzz-zzzz"


async def connect(
    world: World, user: UserRef | None = None, *, apple_id: str = APPLE_ID, password: str = PASSWORD
) -> AccountView | Refusal:
    user = user or world.anna
    return await world.run(
        admin_of(user.subaccount),
        accounts.connect,
        user_id=user.user,
        apple_id=apple_id,
        password=Secret(password),
    )


async def renew(world: World, password: str = OTHER_PASSWORD) -> AccountView | Refusal:
    return await world.owner(accounts.renew_password, user_id=world.anna.user, password=Secret(password))


async def refused_for_good(world: World) -> None:
    """As the loop leaves an account after three refusals."""
    await world.write(
        "UPDATE icloud_account SET status = 'NEEDS_NEW_PASSWORD', problem_code = 'PASSWORD_REFUSED',"
        " problem_message = 'Refused.', problem_since = $1, refusals = 3, failures = 3, next_poll_at = NULL",
        NOW,
    )


async def test_a_connected_account_shows_its_calendars_and_reads_nothing(world: World) -> None:
    account = await connect(world, apple_id=f"  {APPLE_ID} ")
    assert isinstance(account, AccountView)
    assert (account.apple_id, account.status, account.problem) == (
        APPLE_ID,
        AccountStatus.NEEDS_CALENDARS,
        None,
    )
    assert (account.connected_at, account.last_synced_at, account.next_sync_at) == (NOW, None, None)
    assert await world.admin(accounts.account, world.anna) == account
    assert await world.admin(accounts.account_by_id, account.id) == account
    assert list(await world.calendars()) == sorted(each.name for each in CALENDARS)
    assert [row.kind for row in await world.log()] == [ChangeKind.ACCOUNT]
    assert await world.audited("icloud.connected") == [account.id]


async def test_the_password_is_sealed_for_its_row_and_stands_nowhere_else(world: World) -> None:
    account = await connect(world)
    assert isinstance(account, AccountView)
    [row] = await world.rows("SELECT sealed_password FROM icloud_account")
    sealed = bytes(row["sealed_password"])
    assert world.services.sealer.unseal(sealed, row=account.id).reveal() == PASSWORD
    for table in ("icloud_account", "apple_principal", "audit_entry", "change", "calendar"):
        assert PASSWORD not in str(await world.rows(f"SELECT * FROM {table}"))


@pytest.mark.parametrize(
    "typed", [PASSWORD, f" {PASSWORD}\n", "abcdefghijklmnop", "abcd efgh ijkl mnop", "abcd-efgh- ijkl-mnop"]
)
async def test_a_password_is_asked_with_as_apple_writes_it(world: World, typed: str) -> None:
    assert isinstance(await connect(world, password=typed), AccountView)
    assert world.icloud.asked == [PASSWORD]


@pytest.mark.parametrize(
    "typed", ["Tr0ub4dor&3", "abcdefghijklmno", "abcd-efgh-ijkl-mno1", "abcd_efgh_ijkl_mnop"]
)
async def test_an_apple_ids_own_password_is_never_sent_nor_echoed(world: World, typed: str) -> None:
    refused = await connect(world, password=typed)
    assert isinstance(refused, AppSpecificPasswordRequired)
    assert refused.help_url == HELP_URL
    assert typed not in repr(refused)
    assert world.icloud.asked == []
    await world.connect()
    assert isinstance(await renew(world, typed), AppSpecificPasswordRequired)


async def test_another_server_takes_any_password(world: World) -> None:
    settings = dataclasses.replace(world.services.settings, app_specific_passwords_only=False)
    world.services = dataclasses.replace(world.services, settings=settings)
    world.icloud.passwords = frozenset({"pass word"})
    assert isinstance(await connect(world, password=" pass word "), AccountView)


@pytest.mark.parametrize(
    ("field", "apple_id", "password"),
    [
        ("appleId", " ", PASSWORD),
        ("appleId", "a" * 255, PASSWORD),
        ("appleId", "a:b@icloud.com", PASSWORD),
        ("appleId", "a\0@icloud.com", PASSWORD),
        ("appSpecificPassword", APPLE_ID, " "),
        ("appSpecificPassword", APPLE_ID, "a" * 257),
        ("appSpecificPassword", APPLE_ID, "abcd\0efgh"),
    ],
)
async def test_what_apple_cannot_be_asked_is_refused(
    world: World, field: str, apple_id: str, password: str
) -> None:
    refused = await connect(world, apple_id=apple_id, password=password)
    assert isinstance(refused, InvalidInput)
    assert refused.field == field
    assert world.icloud.asked == []


async def test_a_second_connection_is_refused_before_apple_is_asked(world: World) -> None:
    await connect(world)
    assert isinstance(await connect(world, apple_id="alias@icloud.com"), AlreadyConnected)
    assert len(world.icloud.asked) == 1


async def test_two_connects_of_one_user_at_once_leave_one_account(world: World) -> None:
    world.icloud.barrier = asyncio.Barrier(2)
    answers = await asyncio.gather(connect(world), connect(world))
    assert sorted(type(answer).__name__ for answer in answers) == ["AccountView", "AlreadyConnected"]
    assert len(await world.rows("SELECT id FROM icloud_account")) == 1
    assert len(await world.calendars()) == len(CALENDARS)


async def test_an_apple_account_is_in_one_subaccount_whatever_alias_names_it(world: World) -> None:
    _, otto = await world.other_subaccount()
    await connect(world)
    refused = await connect(world, otto, apple_id="alias@icloud.com")
    assert isinstance(refused, ICloudAccountInUse)
    assert world.anna.subaccount not in refused.message
    assert await world.rows("SELECT id FROM calendar WHERE user_id = $1", otto.user) == []
    assert await world.log(otto) == []
    assert isinstance(await connect(world, world.ben, apple_id="alias@icloud.com"), AccountView)


async def test_one_apple_account_connected_in_two_subaccounts_at_once_is_in_one(world: World) -> None:
    for number in range(25):
        _, otto = await world.other_subaccount()
        anna = await world.add_user(world.subaccount, f"Anna {number}")
        apple_id = f"{number}@icloud.com"
        world.icloud.people[apple_id] = f"/{number}/principal/"
        world.icloud.barrier = asyncio.Barrier(2)
        answers = await asyncio.gather(
            connect(world, anna, apple_id=apple_id), connect(world, otto, apple_id=apple_id)
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["AccountView", "ICloudAccountInUse"]


async def test_a_principal_outlives_a_disconnect_beside_a_connect(world: World) -> None:
    """The last to leave and the next to come, at once: whoever is connected holds the principal."""
    for _ in range(25):
        await world.connect(world.anna)
        await asyncio.gather(
            world.admin(accounts.disconnect, user_id=world.anna.user), connect(world, world.ben)
        )
        assert len(await world.rows("SELECT hmac FROM apple_principal")) == 1
        await world.admin(accounts.disconnect, user_id=world.ben.user)
        assert await world.rows("SELECT hmac FROM apple_principal") == []


@pytest.mark.parametrize(
    ("error", "retry_at"),
    [
        (Throttled(90), NOW + 90),
        (Throttled(None), NOW + 30),
        (Throttled(-90), NOW),
        (Throttled(999_999_999), NOW + 3600),
        (Unreachable(), NOW + 30),
        (UnexpectedAnswer(), None),
        (RemoteError(), None),
    ],
)
async def test_what_icloud_fails_in_says_when_to_come_back(
    world: World, error: RemoteError, retry_at: float | None
) -> None:
    world.icloud.error = error
    for _ in range(5):  # None of these is a refusal: the limit does not count them.
        refused = await connect(world)
        assert isinstance(refused, ICloudUnavailable)
        assert refused.retry_at == retry_at
    assert await world.rows("SELECT id FROM icloud_account") == []


async def test_three_refusals_an_hour_are_all_that_apple_hears(world: World) -> None:
    for _ in range(3):
        assert isinstance(await connect(world, password=WRONG), ICloudPasswordRefused)
    limited = await connect(world)
    assert isinstance(limited, RateLimited)
    assert limited.retry_at > NOW
    assert len(world.icloud.asked) == 3
    assert isinstance(await connect(world, world.ben), AccountView)
    world.clock.now = limited.retry_at + 0.001
    assert isinstance(await connect(world), AccountView)


async def test_no_transaction_or_snapshot_is_open_while_apple_is_asked(world: World) -> None:
    async def write() -> None:
        async with asyncio.timeout(60):
            await world.admin(events.create_blocked_slot, user_id=world.ben.user, start=1, end=2)
            assert world.services.database._readers.qsize() in {0, 4}

    world.icloud.meanwhile = write
    assert isinstance(await connect(world), AccountView)
    assert isinstance(await renew(world), AccountView)


async def test_a_new_password_heals_and_keeps_what_was_chosen(world: World) -> None:
    await connect(world)
    home = (await world.calendars())["Home"]
    await world.admin(calendars.set_linked, user_id=world.anna.user, calendar_id=home.id)
    await world.write("UPDATE calendar SET last_synced_at = $1 WHERE is_linked", NOW)
    await refused_for_good(world)
    await pending(world, write_state="PENDING", due_at=NOW + 900)
    world.clock.now += 60
    with world.services.bell.listen(SYNC) as rung:
        account = await renew(world)
        assert rung.is_set()
    assert isinstance(account, AccountView)
    assert (account.status, account.problem) == (AccountStatus.CONNECTED, None)
    assert account.next_sync_at == world.clock.now
    assert account == await world.owner(accounts.account, world.anna)
    assert (await world.calendars())["Home"].is_linked
    [row] = await world.rows("SELECT sealed_password, refusals, failures FROM icloud_account")
    assert (row["refusals"], row["failures"]) == (0, 0)
    unsealed = world.services.sealer.unseal(bytes(row["sealed_password"]), row=account.id)
    assert unsealed.reveal() == OTHER_PASSWORD
    assert await world.rows("SELECT due_at FROM pending_write") == [{"due_at": world.clock.now}]
    assert await world.audited("icloud.renewed") == [account.id]


@pytest.mark.parametrize("code", ["LINKED_CALENDAR_UNUSABLE", "CONFLICT_CALENDAR_UNREADABLE"])
async def test_a_new_password_heals_no_choice_of_calendars(world: World, code: str) -> None:
    await connect(world)
    await world.write("UPDATE icloud_account SET problem_code = $1", code)
    renewed = await renew(world)
    assert isinstance(renewed, AccountView)
    assert renewed.problem is not None
    assert renewed.problem.code == code


async def test_a_new_password_never_opens_what_was_never_read(world: World) -> None:
    await connect(world)
    await refused_for_good(world)
    unchosen = await renew(world)
    assert isinstance(unchosen, AccountView)
    assert (unchosen.status, unchosen.next_sync_at) == (AccountStatus.NEEDS_CALENDARS, None)
    home = (await world.calendars())["Home"]
    await world.admin(calendars.set_conflict, user_id=world.anna.user, calendar_ids=[home.id])
    await refused_for_good(world)
    unread = await renew(world)
    assert isinstance(unread, AccountView)
    assert unread.status is AccountStatus.SYNCING


@pytest.mark.parametrize("unread", ["is_gone = TRUE", "kind = 'SUBSCRIPTION'"])
async def test_a_new_password_waits_for_nothing_that_is_not_read_anyway(world: World, unread: str) -> None:
    await connect(world)
    known = await world.calendars()
    ids = [known[name].id for name in ("Home", "Work")]
    await world.admin(calendars.set_conflict, user_id=world.anna.user, calendar_ids=ids)
    await world.write("UPDATE calendar SET last_synced_at = $1 WHERE name = 'Home'", NOW)
    await world.write(f"UPDATE calendar SET {unread} WHERE name = 'Work'")
    await refused_for_good(world)
    renewed = await renew(world)
    assert isinstance(renewed, AccountView)
    assert renewed.status is AccountStatus.CONNECTED


async def test_an_empty_choice_outlives_a_refused_password(world: World) -> None:
    await connect(world)
    await world.admin(calendars.set_conflict, user_id=world.anna.user, calendar_ids=[])
    await refused_for_good(world)
    renewed = await renew(world)
    assert isinstance(renewed, AccountView)
    assert renewed.status is AccountStatus.CONNECTED
    assert renewed.next_sync_at == world.clock.now


async def test_a_choice_is_one_though_the_password_is_refused(world: World) -> None:
    await connect(world)
    await refused_for_good(world)
    await world.admin(calendars.set_conflict, user_id=world.anna.user, calendar_ids=[])
    renewed = await renew(world)
    assert isinstance(renewed, AccountView)
    assert renewed.status is not AccountStatus.NEEDS_CALENDARS


async def test_a_new_connection_has_chosen_nothing(world: World) -> None:
    await connect(world)
    await world.admin(calendars.set_conflict, user_id=world.anna.user, calendar_ids=[])
    await world.admin(accounts.disconnect, user_id=world.anna.user)
    again = await connect(world)
    assert isinstance(again, AccountView)
    assert again.status is AccountStatus.NEEDS_CALENDARS


@pytest.mark.parametrize("chosen", [["Home"], []])
async def test_a_new_password_leaves_it_to_the_poll_to_find_a_calendar_gone(
    world: World, chosen: list[str]
) -> None:
    await connect(world)
    known = await world.calendars()
    ids = [known[name].id for name in chosen]
    await world.admin(calendars.set_conflict, user_id=world.anna.user, calendar_ids=ids)
    world.icloud.calendars = (listed("Work"),)
    await renew(world)
    assert (await world.calendars())["Home"].why_not_conflict is None


async def test_the_password_of_another_apple_account_is_refused(world: World) -> None:
    await connect(world)
    world.icloud.people = {APPLE_ID: "/2/principal/"}
    assert isinstance(await renew(world), DifferentICloudAccount)
    [row] = await world.rows("SELECT id, sealed_password FROM icloud_account")
    assert world.services.sealer.unseal(bytes(row["sealed_password"]), row=row["id"]).reveal() == PASSWORD


async def test_what_is_not_connected_is_neither_renewed_nor_refreshed_nor_disconnected(world: World) -> None:
    user_id = world.anna.user
    for answer in (
        await renew(world),
        await world.owner(accounts.refresh, user_id=user_id),
        await world.owner(accounts.disconnect, user_id=user_id),
    ):
        assert answer == accounts.NOT_CONNECTED
    assert world.icloud.asked == []


async def pending(world: World, **fields: object) -> str:
    appointment_id = world.services.new_id(Kind.APPOINTMENT)
    of = {"subaccount_id": world.anna.subaccount, "user_id": world.anna.user}
    due_at = fields.pop("due_at", NOW)
    starts = int(NOW) + 3600 * (1 + len(await world.rows("SELECT id FROM appointment")))
    async with world.services.database.writing() as db:
        await Appointment.create(
            using_db=db,
            id=appointment_id,
            **of,
            title="Talk",
            starts=starts,
            ends=starts + 1800,
            guest_name="Gus",
            guest_email="gus@example.com",
            created_at=NOW,
            modified_at=NOW,
            **{"status": "CONFIRMED", "write_state": "PENDING", **fields},
        )
        await PendingWrite.create(
            using_db=db, appointment_id=appointment_id, **of, due_at=due_at, created_at=NOW
        )
    return appointment_id


async def test_the_loop_is_told_of_each_account_that_goes(world: World) -> None:
    """It may be signed in."""
    names = [(await world.connect(user)).id for user in (world.anna, world.ben)]
    await world.admin(accounts.disconnect, user_id=world.anna.user)
    await world.admin(people.remove_user, user_id=world.ben.user)
    assert world.icloud.forgotten == names


async def test_a_disconnect_takes_all_of_icloud_and_leaves_what_is_ours(world: World) -> None:
    await connect(world)
    home = (await world.calendars())["Home"]
    await world.admin(calendars.set_linked, user_id=world.anna.user, calendar_id=home.id)
    mine = await world.owner(events.create_blocked_slot, user_id=world.anna.user, start=1, end=2)
    assert not isinstance(mine, Refusal)
    await world.write(
        "INSERT INTO blocked_slot (id, subaccount_id, user_id, starts, ends, is_all_day, source, title, calendar_id)"
        " VALUES ('blk_icloud', $1, $2, 5, 9, FALSE, 'ICLOUD', 'Dentist', $3)",
        world.anna.subaccount,
        world.anna.user,
        home.id,
    )
    unsent = await pending(world, calendar_id=home.id)
    after = await world.position()
    answer = await world.owner(accounts.disconnect, user_id=world.anna.user)
    assert isinstance(answer, UserView)
    assert answer.ref == world.anna
    assert await world.owner(accounts.account, world.anna) is None
    for table in ("icloud_account", "apple_principal", "calendar", "pending_write"):
        assert await world.rows(f"SELECT * FROM {table}") == []
    page = await world.owner(events.blocked_slots, world.anna, 0, 100, 10, None)
    assert isinstance(page, Page)
    assert [view.slot.id for view in page.items] == [mine.slot.id]
    [row] = await world.rows("SELECT id, write_state, calendar_id FROM appointment")
    assert row == {"id": unsent, "write_state": "NOT_LINKED", "calendar_id": None}
    kinds = [row.kind for row in await world.log(after=after)]
    assert sorted(kinds) == sorted(
        [ChangeKind.APPOINTMENT_WRITTEN, ChangeKind.ACCOUNT, ChangeKind.SLOTS_RESET]
    )
    assert len(await world.audited("icloud.disconnected")) == 1
    assert isinstance(await connect(world), AccountView)


async def test_a_refresh_answers_what_the_poll_found(world: World) -> None:
    account = await connect(world)
    world.icloud.outcome = RefreshOutcome(False, 3, None)
    answer = await world.owner(accounts.refresh, user_id=world.anna.user)
    assert isinstance(account, AccountView)
    assert answer == accounts.Refreshed(account, 3, is_complete=False)
    assert world.icloud.polled == [world.anna]


async def test_a_second_refresh_waits_ten_seconds(world: World) -> None:
    await connect(world)
    await world.owner(accounts.refresh, user_id=world.anna.user)
    limited = await world.owner(accounts.refresh, user_id=world.anna.user)
    assert isinstance(limited, RateLimited)
    assert limited.retry_at == pytest.approx(NOW + 10)
    world.clock.now = NOW + 10
    assert isinstance(await world.owner(accounts.refresh, user_id=world.anna.user), accounts.Refreshed)


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (PasswordRefused(), ICloudPasswordRefused),
        (Throttled(5), ICloudUnavailable),
        (Unreachable(), ICloudUnavailable),
        (UnexpectedAnswer(), ICloudUnavailable),
    ],
)
async def test_a_poll_that_failed_says_why(world: World, error: RemoteError, refusal: type[Refusal]) -> None:
    await connect(world)
    world.icloud.outcome = RefreshOutcome(True, 0, error)
    assert isinstance(await world.owner(accounts.refresh, user_id=world.anna.user), refusal)


async def test_a_password_that_can_not_be_opened_is_told_as_such_and_not_as_apple_s_answer(
    world: World,
) -> None:
    await connect(world)
    error = PasswordUnreadable("no key")
    world.icloud.outcome = RefreshOutcome(True, 0, error)
    _, message = describe(error)
    assert await world.owner(accounts.refresh, user_id=world.anna.user) == ICloudPasswordRefused(message)
    await refused_for_good(world)
    await world.write("UPDATE icloud_account SET problem_message = $1", message)
    assert await world.owner(accounts.refresh, user_id=world.anna.user) == ICloudPasswordRefused(message)


async def test_a_password_refused_for_good_is_not_tried_again(world: World) -> None:
    await connect(world)
    await refused_for_good(world)
    assert isinstance(await world.owner(accounts.refresh, user_id=world.anna.user), ICloudPasswordRefused)
    assert world.icloud.polled == []
    account = await world.owner(accounts.account, world.anna)
    assert account is not None
    assert account.problem is not None
    assert (account.problem.code, account.problem.since) == ("PASSWORD_REFUSED", NOW)


async def test_a_throttled_account_is_left_alone_as_long_as_apple_asked(world: World) -> None:
    await connect(world)
    await world.write(
        "UPDATE icloud_account SET status = 'UNREACHABLE', problem_code = 'THROTTLED', retry_at = $1",
        NOW + 60,
    )
    refused = await world.owner(accounts.refresh, user_id=world.anna.user)
    assert isinstance(refused, ICloudUnavailable)
    assert refused.retry_at == NOW + 60
    world.clock.now += 60
    assert isinstance(await world.owner(accounts.refresh, user_id=world.anna.user), accounts.Refreshed)


async def test_progress_is_shown_while_the_first_sync_runs(world: World) -> None:
    await connect(world)
    await world.admin(calendars.set_conflict, user_id=world.anna.user, calendar_ids=[])
    await world.write("UPDATE icloud_account SET progress_done = 5, progress_total = 9")
    account = await world.owner(accounts.account, world.anna)
    assert account is not None
    assert account.progress is not None
    assert (account.progress.done, account.progress.total) == (5, 9)
    await world.write("UPDATE icloud_account SET status = 'CONNECTED'")
    account = await world.owner(accounts.account, world.anna)
    assert account is not None
    assert account.progress is None


async def test_the_loops_health_is_that_of_the_own_subaccount(world: World) -> None:
    _, otto = await world.other_subaccount()
    world.icloud.people["o@icloud.com"] = "/o/principal/"
    await connect(world, otto, apple_id="o@icloud.com")
    await connect(world)
    await connect(world, world.ben)
    await world.write("UPDATE icloud_account SET status = 'SYNCING' WHERE user_id = $1", world.ben.user)
    await pending(world)
    for name, user, created_at in (("newer", world.anna, NOW + 5), ("theirs", otto, NOW - 5)):
        await world.write(
            "INSERT INTO pending_write (appointment_id, subaccount_id, user_id, due_at, attempts, created_at)"
            " VALUES ($1, $2, $3, $4, 0, $4)",
            *(name, user.subaccount, user.user, created_at),
        )
    await world.write(
        "UPDATE icloud_account SET poll_lag = 900, last_polled_at = $1, next_poll_at = $2", NOW, NOW + 60
    )
    await world.write(
        "UPDATE icloud_account SET poll_lag = $1, next_poll_at = $2 WHERE subaccount_id = $3 AND user_id <> $4",
        *(2.0, NOW + 60, world.anna.subaccount, world.ben.user),
    )
    await world.write(
        "UPDATE icloud_account SET poll_lag = 7, next_poll_at = $1 WHERE user_id = $2",
        *(NOW + 60, world.ben.user),
    )
    found = await world.admin(health.sync_health)
    assert isinstance(found, SyncHealthView)
    assert (found.accounts, found.pending_writes, found.oldest_pending_write_at) == (2, 2, NOW)
    assert [status for status, _ in found.by_status] == list(AccountStatus)
    assert {status: number for status, number in found.by_status if number} == {
        AccountStatus.NEEDS_CALENDARS: 1,
        AccountStatus.SYNCING: 1,
    }
    assert (found.lag_p50, found.lag_p99) == (2, 7)


async def test_a_loop_that_stands_still_shows_as_lag_whichever_process_is_asked(world: World) -> None:
    await connect(world)
    await world.write("UPDATE icloud_account SET poll_lag = 1, last_polled_at = $1, next_poll_at = $1", NOW)
    world.clock.now += 40
    found = await world.admin(health.sync_health)
    assert isinstance(found, SyncHealthView)
    assert (found.lag_p50, found.lag_p99) == (40, 40)


@pytest.mark.parametrize(("due_for", "lag"), [(9, 1), (250, 250)])
async def test_what_a_process_took_and_does_not_poll_shows_as_lag_and_a_poll_under_way_does_not(
    world: World, due_for: float, lag: float
) -> None:
    await connect(world)
    await world.write("UPDATE icloud_account SET poll_lag = 1, last_polled_at = $1, next_poll_at = $1", NOW)
    world.clock.now += due_for
    await world.write("UPDATE icloud_account SET lease_until = $1", world.clock.now + 30)
    found = await world.admin(health.sync_health)
    assert isinstance(found, SyncHealthView)
    assert (found.lag_p50, found.lag_p99) == (lag, lag)


async def test_an_account_says_when_it_was_last_in_step_and_when_it_is_polled_next(world: World) -> None:
    await connect(world)
    await world.write(
        "UPDATE icloud_account SET last_synced_at = $1, last_polled_at = $2, next_poll_at = $3, retry_at = $4,"
        " problem_code = 'THROTTLED', problem_message = 'wait', problem_since = $5",
        *(NOW - 90, NOW - 10, NOW + 20, NOW + 30, NOW - 50),
    )
    account = await world.owner(accounts.account, world.anna)
    assert isinstance(account, AccountView)
    assert (account.last_synced_at, account.next_sync_at) == (NOW - 90, NOW + 20)
    assert account.problem is not None
    assert (account.problem.since, account.problem.retry_at) == (NOW - 50, NOW + 30)


async def test_a_lag_of_long_ago_is_no_lag(world: World) -> None:
    await connect(world)
    await world.write(
        "UPDATE icloud_account SET poll_lag = 50, last_polled_at = $1, next_poll_at = $2", NOW, NOW + 9000
    )
    world.clock.now += 301
    found = await world.admin(health.sync_health)
    assert isinstance(found, SyncHealthView)
    assert (found.lag_p50, found.lag_p99) == (0, 0)


@pytest.mark.parametrize(("lags", "median", "worst"), [([], 0, 0), ([3.0], 3, 3), ([1.0, 2.0], 1, 2)])
def test_percentiles_are_of_what_was_seen(lags: list[float], median: float, worst: float) -> None:
    assert (health.percentile(lags, 50), health.percentile(lags, 99)) == (median, worst)


async def test_another_subaccounts_user_is_not_connected(world: World) -> None:
    other_admin, _ = await world.other_subaccount()
    refused = await world.run(
        other_admin, accounts.connect, user_id=world.anna.user, apple_id=APPLE_ID, password=Secret(PASSWORD)
    )
    assert isinstance(refused, NotFound)
    assert world.icloud.asked == []
