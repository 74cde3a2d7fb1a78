"""Users: made, changed, removed, and seen by nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.actor import Role
from domain.changes import ChangeKind
from domain.hours import DEFAULT_HOURS
from domain.ids import Kind
from models.bell import SYNC, Bell
from models.booking import Appointment, PendingWrite
from models.changelog import NoSuchUserError
from models.database import Database
from models.people import Key
from resolvers import accounts, audit, calendars, events, health, keys, nodes, people
from resolvers.outcomes import Forbidden, HasUpcomingAppointments, InvalidInput, NotFound
from resolvers.views import Page, SubaccountView, UserView, ViewerView
from sync.service import Sync
from tests.integration.whole import whole_on
from tests.integration.world import NOW, World, booking_of, owner_of
from tests.machine.doom import Doom
from tests.machine.process import Door


async def book(world: World, *, starts: int, status: str = "CONFIRMED") -> str:
    appointment_id = world.services.new_id(Kind.APPOINTMENT)
    of = {"subaccount_id": world.anna.subaccount, "user_id": world.anna.user}
    async with world.services.database.writing() as db:
        await Appointment.create(
            using_db=db,
            id=appointment_id,
            **of,
            title="Talk",
            starts=starts,
            ends=starts + 1800,
            status=status,
            guest_name="Gus",
            guest_email="gus@example.com",
            created_at=NOW,
            modified_at=NOW,
            write_state="PENDING",
        )
        await PendingWrite.create(
            using_db=db, appointment_id=appointment_id, **of, due_at=NOW, created_at=NOW
        )
    return appointment_id


async def test_a_new_user_works_office_hours_in_its_own_zone(world: World) -> None:
    made = await world.admin(
        people.create_user, name="  Cleo\n", email=" c@example.com ", time_zone="Asia/Tokyo"
    )
    assert isinstance(made, UserView)
    assert (made.name, made.email, made.time_zone, made.hours) == (
        "Cleo",
        "c@example.com",
        "Asia/Tokyo",
        DEFAULT_HOURS,
    )
    assert await world.admin(people.user, made.ref.user) == made
    assert await world.log(made.ref) == []


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("name", {"name": " "}),
        ("name", {"name": "x" * 201}),
        ("email", {"email": "nobody"}),
        ("email", {"email": ""}),
        ("timeZone", {"time_zone": "Mars/Olympus"}),
        ("timeZone", {"time_zone": "europe/paris"}),
        ("timeZone", {"time_zone": "localtime"}),
        ("timeZone", {"time_zone": "../etc/passwd"}),
    ],
)
async def test_what_may_not_be_typed_is_named_by_its_field(
    world: World, field: str, given: dict[str, str]
) -> None:
    whole = {"name": "Cleo", "email": "c@example.com", "time_zone": "UTC", **given}
    made = await world.admin(people.create_user, **whole)
    changed = await world.admin(people.update_user, user_id=world.anna.user, **given)
    assert isinstance(made, InvalidInput)
    assert isinstance(changed, InvalidInput)
    assert made.field == changed.field == field


async def test_an_update_changes_what_is_given_and_null_clears_the_email_alone(world: World) -> None:
    async def update(**given: str | None) -> UserView | InvalidInput | NotFound:
        return await world.owner(people.update_user, user_id=world.anna.user, **given)

    first = await update(email="anna@example.com")
    assert isinstance(first, UserView)
    assert (first.name, first.email) == ("Anna", "anna@example.com")
    second = await update(name="Anna B", email=None)
    assert isinstance(second, UserView)
    assert (second.name, second.email) == ("Anna B", None)
    assert isinstance(await update(name=None), InvalidInput)
    assert isinstance(await update(time_zone=None), InvalidInput)


async def test_an_update_that_changes_nothing_is_no_change(world: World) -> None:
    await world.owner(people.update_user, user_id=world.anna.user, name="Anna", time_zone="Europe/Paris")
    assert await world.log() == []
    assert await world.audited("user.updated") == []


async def test_a_new_zone_moves_the_hours_and_has_icloud_looked_at(world: World) -> None:
    await world.connect()
    await world.admin(calendars.set_conflict, user_id=world.anna.user, calendar_ids=[])
    after = await world.position()
    world.clock.now += 100
    with world.services.bell.listen(SYNC) as rung:
        changed = await world.owner(people.update_user, user_id=world.anna.user, time_zone="Asia/Tokyo")
        assert rung.is_set()
    assert isinstance(changed, UserView)
    assert changed.time_zone == "Asia/Tokyo"
    assert {row.kind for row in await world.log(after=after)} == {ChangeKind.USER, ChangeKind.HOURS}
    assert world.icloud.polled == [world.anna]
    [row] = await world.rows("SELECT next_poll_at, poll_asked_at FROM icloud_account")
    assert row == {"next_poll_at": world.clock.now, "poll_asked_at": world.clock.now}


async def test_a_new_zone_does_not_outrun_what_apple_asked_to_wait(world: World) -> None:
    await world.connect()
    await world.admin(calendars.set_conflict, user_id=world.anna.user, calendar_ids=[])
    await world.write(
        "UPDATE icloud_account SET status = 'UNREACHABLE', problem_code = 'THROTTLED', retry_at = $1",
        NOW + 500,
    )
    await world.owner(people.update_user, user_id=world.anna.user, time_zone="Asia/Tokyo")
    assert await world.rows("SELECT next_poll_at FROM icloud_account") == [{"next_poll_at": NOW + 500}]
    assert world.icloud.polled == []


async def test_nothing_is_looked_at_where_nothing_is_read(world: World) -> None:
    await world.owner(people.update_user, user_id=world.anna.user, time_zone="Asia/Tokyo")
    await world.connect()
    await world.owner(people.update_user, user_id=world.anna.user, time_zone="UTC")
    assert world.icloud.polled == []
    assert await world.rows("SELECT next_poll_at FROM icloud_account") == [{"next_poll_at": None}]


async def test_each_role_is_told_who_it_is(world: World) -> None:
    subaccount = SubaccountView(world.subaccount, "Acme")
    assert await world.admin(people.viewer) == ViewerView(Role.ADMIN, subaccount, None)
    assert await world.owner(people.viewer) == ViewerView(
        Role.OWNER, subaccount, await world.admin(people.user, world.anna.user)
    )
    assert await world.run(booking_of(world.subaccount), people.viewer) == ViewerView(
        Role.BOOKING, subaccount, None
    )


async def test_nobody_reaches_a_user_that_is_not_theirs(world: World) -> None:
    other_admin, otto = await world.other_subaccount()
    for actor, user in [
        (owner_of(world.anna), world.ben),
        (owner_of(world.anna), otto),
        (other_admin, world.anna),
        (booking_of(world.subaccount), world.anna),
    ]:
        assert await world.run(actor, people.user, user.user) is None
        assert isinstance(await world.run(actor, people.update_user, user_id=user.user, name="X"), NotFound)
        assert isinstance(await world.run(actor, accounts.disconnect, user_id=user.user), NotFound)
        refused = await world.run(actor, events.create_blocked_slot, user_id=user.user, start=1, end=2)
        assert isinstance(refused, NotFound)
        assert await world.run(actor, nodes.node, user.user) is None
        assert await world.run(actor, calendars.calendars, user) == ()
        assert await world.run(actor, accounts.account, user) is None
    page = await world.run(other_admin, people.users, 10, None)
    assert isinstance(page, Page)
    assert [view.ref for view in page.items] == [otto]


@pytest.mark.parametrize(
    "user_id", ["", "usr_1", "key_" + "0" * 26, "usr_\0" + "0" * 25, "usr_" + "z" * 26, "ü"]
)
async def test_what_is_no_id_finds_nothing(world: World, user_id: str) -> None:
    assert await world.admin(people.user, user_id) is None
    assert await world.admin(nodes.node, user_id) is None
    assert isinstance(await world.admin(people.remove_user, user_id=user_id), NotFound)


async def test_only_an_admin_makes_removes_and_lists(world: World) -> None:
    for actor in (owner_of(world.anna), booking_of(world.subaccount)):
        answers = [
            await world.run(actor, people.create_user, name="X", email=None, time_zone="UTC"),
            await world.run(actor, people.remove_user, user_id=world.anna.user),
            await world.run(actor, people.users, 1, None),
            await world.run(actor, keys.keys, 1, None),
            await world.run(actor, keys.create_key, label="x", role=Role.ADMIN),
            await world.run(actor, keys.revoke_key, key_id="key_" + "0" * 26),
            await world.run(actor, audit.audit_log, 1, None),
            await world.run(actor, health.sync_health),
        ]
        assert all(isinstance(answer, Forbidden) for answer in answers)


async def test_a_user_with_appointments_to_come_is_not_removed(world: World) -> None:
    await book(world, starts=int(NOW) + 3600)
    await book(world, starts=int(NOW) - 7200)
    await book(world, starts=int(NOW) + 7200, status="CANCELLED")
    refused = await world.admin(people.remove_user, user_id=world.anna.user)
    assert isinstance(refused, HasUpcomingAppointments)
    assert refused.count == 1
    assert await world.admin(people.user, world.anna.user) is not None


async def test_a_removed_user_leaves_nothing_but_the_audit_log(world: World) -> None:
    await world.connect()
    await world.admin(keys.create_key, label="o", role=Role.OWNER, user_id=world.anna.user)
    await world.owner(events.create_blocked_slot, user_id=world.anna.user, start=1, end=2)
    await book(world, starts=int(NOW) + 3600)
    with world.services.bell.listen(world.anna.user) as rung:
        answer = await world.admin(people.remove_user, user_id=world.anna.user, cancel_upcoming=True)
        assert rung.is_set()
    assert answer == world.anna.user
    for table in (
        "timeline",
        "change",
        "api_key",
        "hold",
        "idempotent_call",
        "pending_write",
        "appointment",
        "appointment_type",
        "blocked_slot",
        "event",
        "resource",
        "calendar",
        "icloud_account",
    ):
        assert await world.rows(f"SELECT * FROM {table} WHERE user_id = $1", world.anna.user) == [], table
    assert await world.rows("SELECT * FROM apple_principal") == []
    assert await world.audited("user.removed") == [world.anna.user]
    assert await world.admin(people.user, world.anna.user) is None
    with pytest.raises(NoSuchUserError):
        await world.position()


async def test_what_comes_after_the_removal_finds_nobody(world: World) -> None:
    async def remove() -> None:
        await world.admin(people.remove_user, user_id=world.anna.user)

    world.icloud.meanwhile = remove
    with pytest.raises(AssertionError, match="no such user"):
        await world.connect()
    assert await world.rows("SELECT * FROM icloud_account") == []
    assert await world.rows("SELECT * FROM apple_principal") == []
    async with world.services.database.reading() as db:
        assert await Key.all().using_db(db).count() == 0


async def test_a_look_at_icloud_that_is_overtaken_by_the_removal_finds_nobody(
    database: Database, bell: Bell
) -> None:
    whole, doom = await whole_on(database, bell), Doom()
    world, context = whole.world, whole.sync.context

    async def remove(_: str) -> None:
        """Once the account was found, and is to be taken."""
        doom.between = None
        await world.admin(people.remove_user, user_id=world.anna.user)

    doom.between = remove
    sync = Sync(
        database=Door(database, doom),
        bell=bell,
        sealer=context.sealer,
        settings=context.settings,
        clock=context.clock,
        server=whole.server,
    )
    world.services = replace(world.services, icloud=sync)
    assert isinstance(await world.admin(accounts.refresh, user_id=world.anna.user), NotFound)
    assert doom.between is None


async def test_a_node_is_found_by_its_id_alone(world: World) -> None:
    account = await world.connect()
    slot = await world.owner(events.create_blocked_slot, user_id=world.anna.user, start=1, end=2)
    assert not isinstance(slot, InvalidInput | NotFound)
    made = await world.admin(keys.create_key, label="k", role=Role.ADMIN)
    assert isinstance(made, tuple)
    page = await world.admin(audit.audit_log, 1, None)
    assert isinstance(page, Page)
    calendar = (await world.calendars())["Home"]
    for view in (account, calendar, slot.slot, made[0], page.items[0]):
        found = await world.admin(nodes.node, view.id)
        assert found == (slot if view is slot.slot else view)
    for of_admin in (made[0].id, page.items[0].id):
        assert await world.owner(nodes.node, of_admin) is None
    for view in (account, calendar, slot.slot):
        assert await world.owner(nodes.node, view.id) is not None
        assert await world.run(owner_of(world.ben), nodes.node, view.id) is None
        assert await world.run(booking_of(world.subaccount), nodes.node, view.id) is None
    for actor in (owner_of(world.anna), booking_of(world.subaccount)):
        assert await world.run(actor, nodes.node, world.subaccount) == SubaccountView(
            world.subaccount, "Acme"
        )


async def test_the_audit_log_tells_the_newest_first_and_of_its_own_subaccount(world: World) -> None:
    other_admin, _ = await world.other_subaccount()
    for number in range(3):
        world.clock.now += 1
        await world.admin(people.update_user, user_id=world.anna.user, name=f"Anna {number}")
    page = await world.admin(audit.audit_log, 2, None)
    assert isinstance(page, Page)
    assert [entry.at for entry in page.items] == [NOW + 3, NOW + 2]
    assert {(entry.actor, entry.action) for entry in page.items} == {("back end", "user.updated")}
    rest = await world.admin(audit.audit_log, 200, page.cursors[-1])
    assert isinstance(rest, Page)
    assert len(rest.items) == 1 + 2 + 1
    theirs = await world.run(other_admin, audit.audit_log, 200, None)
    assert isinstance(theirs, Page)
    assert {entry.action for entry in theirs.items} == {"subaccount.created", "user.created"}


async def test_subaccounts_are_made_and_listed_by_name(world: World) -> None:
    await people.create_subaccount(world.services, " Zeta ")
    assert [each.name for each in await people.list_subaccounts(world.services)] == ["Acme", "Zeta"]
    assert isinstance(await people.create_subaccount(world.services, " "), InvalidInput)
