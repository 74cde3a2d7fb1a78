"""Choosing calendars and their policy: refused with a reason, or done as a whole."""

from __future__ import annotations

import json
from typing import Unpack

import pytest

from domain.accounts import AccountStatus
from domain.busy import BusyPolicy, BusyRule
from domain.calendars import NotSelectableReason
from domain.changes import ChangeKind
from domain.ids import Kind
from models.bell import SYNC
from models.booking import Appointment, PendingWrite
from models.calendar import Calendar, Event, Resource, calendars_of, store_listing
from models.icloud import ICloudAccount
from resolvers import accounts, calendars, events
from resolvers.calendars import PolicyRules
from resolvers.inputs import UNSET
from resolvers.outcomes import CalendarNotSelectable, InvalidInput, NotFound, Refusal
from resolvers.views import AccountView, CalendarView, EventProblemView, Page, UserView
from tests.fakes.icloud import CALENDARS
from tests.integration.world import NOW, World, booking_of, owner_of


async def link(world: World, name: str | None) -> UserView | Refusal:
    calendar_id = None if name is None else (await world.calendars())[name].id
    return await world.owner(calendars.set_linked, user_id=world.anna.user, calendar_id=calendar_id)


async def read(world: World, *names: str) -> UserView | Refusal:
    known = await world.calendars()
    return await world.owner(
        calendars.set_conflict, user_id=world.anna.user, calendar_ids=[known[name].id for name in names]
    )


async def chosen(world: World) -> tuple[str | None, list[str]]:
    known = (await world.calendars()).values()
    linked = next((view.name for view in known if view.is_linked), None)
    return linked, [view.name for view in known if view.is_conflict]


async def account_of(world: World) -> AccountView:
    found = await world.owner(accounts.account, world.anna)
    assert found is not None
    return found


async def fill(world: World, name: str, *spans: tuple[int, int], **facts: object) -> None:
    """Stores one resource with an event a span, as a sync would, their slots apart."""
    calendar = (await world.calendars())[name]
    of = {"subaccount_id": world.anna.subaccount, "user_id": world.anna.user, "calendar_id": calendar.id}
    async with world.services.database.writing() as db:
        resource = await Resource.create(
            using_db=db,
            id=world.services.new_id(Kind.RESOURCE),
            **of,
            href=f"{name}{len(spans)}{facts}",
            etag="1",
            uid="u",
            body="",
        )
        for start, end in spans:
            await Event.create(
                using_db=db,
                **of,
                **{
                    "id": world.services.new_id(Kind.EVENT),
                    "resource_id": resource.id,
                    "uid": "u",
                    "key": str(start),
                    "title": "Dentist",
                    "starts": start,
                    "ends": end,
                    "busy_starts": start,
                    "busy_ends": end,
                    "is_all_day": False,
                    "is_recurring": False,
                    "show_as": "BUSY",
                    "status": "CONFIRMED",
                    "blocks": False,
                    **facts,
                },
            )
        await Calendar.filter(id=calendar.id).using_db(db).update(sync_token="s1", last_synced_at=NOW)


async def slots(world: World) -> list[tuple[int, int]]:
    page = await world.owner(events.blocked_slots, world.anna, 0, 86_400, 200, None)
    assert isinstance(page, Page)
    return [(view.slot.start, view.slot.end) for view in page.items]


async def test_the_linked_calendar_is_a_conflict_calendar_and_starts_the_first_sync(world: World) -> None:
    await world.connect()
    world.clock.now += 5
    with world.services.bell.listen(SYNC) as rung:
        assert isinstance(await link(world, "Home"), UserView)
        assert rung.is_set()
    assert await chosen(world) == ("Home", ["Home"])
    account = await account_of(world)
    assert (account.status, account.next_sync_at) == (AccountStatus.SYNCING, NOW + 5)
    assert [row.kind for row in await world.log()][1:] == [ChangeKind.CALENDARS, ChangeKind.ACCOUNT]
    assert await world.audited("calendars.chosen") == [world.anna.user]


async def test_an_empty_choice_is_a_first_choice_and_unlinking_nothing_is_none(world: World) -> None:
    await world.connect()
    await link(world, None)
    assert (await account_of(world)).status is AccountStatus.NEEDS_CALENDARS
    await read(world)
    assert (await account_of(world)).status is AccountStatus.SYNCING
    assert await chosen(world) == (None, [])


@pytest.mark.parametrize(
    ("name", "for_linked", "for_conflict"),
    [
        ("Team", NotSelectableReason.READ_ONLY, None),
        ("Holidays", NotSelectableReason.SUBSCRIPTION, NotSelectableReason.SUBSCRIPTION),
        ("Reminders", NotSelectableReason.HOLDS_NO_EVENTS, NotSelectableReason.HOLDS_NO_EVENTS),
        ("Home", None, None),
    ],
)
async def test_what_cannot_be_chosen_says_why_before_and_after(
    world: World, name: str, for_linked: NotSelectableReason | None, for_conflict: NotSelectableReason | None
) -> None:
    await world.connect()
    view = (await world.calendars())[name]
    assert (view.why_not_linked, view.why_not_conflict) == (for_linked, for_conflict)
    for answer, reason in (
        (await read(world, "Work", name), for_conflict),
        (await link(world, name), for_linked),
    ):
        if reason is None:
            assert isinstance(answer, UserView)
        else:
            assert isinstance(answer, CalendarNotSelectable)
            assert (answer.calendar_id, answer.reason) == (view.id, reason)
            assert name in answer.message


async def test_a_refused_choice_is_not_half_done(world: World) -> None:
    await world.connect()
    after = await world.position()
    await read(world, "Home", "Work", "Holidays")
    assert await chosen(world) == (None, [])
    assert await world.position() == after
    assert (await account_of(world)).status is AccountStatus.NEEDS_CALENDARS


async def test_the_linked_calendar_stays_in_every_set_and_the_one_before_it_too_until_taken_out(
    world: World,
) -> None:
    await world.connect()
    await link(world, "Home")
    await read(world, "Work", "Work", "Team")
    assert await chosen(world) == ("Home", ["Home", "Team", "Work"])
    await link(world, "Work")
    assert await chosen(world) == ("Work", ["Home", "Team", "Work"])
    await read(world)
    assert await chosen(world) == ("Work", ["Work"])
    await link(world, None)
    assert await chosen(world) == (None, ["Work"])


async def test_a_choice_that_stands_already_is_no_change(world: World) -> None:
    await world.connect()
    await link(world, "Home")
    await world.write("UPDATE icloud_account SET status = 'CONNECTED'")
    after = await world.position()
    await link(world, "Home")
    await read(world, "Home")
    assert await world.position() == after
    assert (await account_of(world)).status is AccountStatus.CONNECTED


async def test_a_calendar_that_joins_is_read_for_the_first_time_and_one_that_leaves_is_not(
    world: World,
) -> None:
    await world.connect()
    await link(world, "Home")
    await world.write("UPDATE icloud_account SET status = 'CONNECTED'")
    await read(world, "Home", "Work")
    assert (await account_of(world)).status is AccountStatus.SYNCING
    await world.write("UPDATE icloud_account SET status = 'CONNECTED'")
    await read(world, "Home")
    assert (await account_of(world)).status is AccountStatus.CONNECTED


@pytest.mark.parametrize("status", ["NEEDS_NEW_PASSWORD", "UNREACHABLE"])
async def test_a_choice_does_not_hide_what_keeps_the_account_from_being_read(
    world: World, status: str
) -> None:
    await world.connect()
    await link(world, "Home")
    await world.write(
        "UPDATE icloud_account SET status = $1, problem_code = 'THROTTLED', retry_at = $2, next_poll_at = NULL",
        *(status, NOW + 90),
    )
    await read(world, "Work")
    account = await account_of(world)
    assert account.status == status
    assert account.next_sync_at == (None if status == "NEEDS_NEW_PASSWORD" else NOW + 90)


async def test_what_leaves_takes_its_events_and_slots_along(world: World) -> None:
    await world.connect()
    await read(world, "Home", "Work")
    await fill(world, "Home", (100, 200), (300, 400))
    await fill(world, "Work", (150, 250))
    for name in ("Home", "Work"):
        calendar_id = (await world.calendars())[name].id
        # A change of policy and back decides the slots from what is stored.
        await policy(world, calendar_id, travel_time=BusyRule.IGNORE)
    assert await slots(world) == [(100, 200), (150, 250), (300, 400)]
    assert await count(world, "Home") == 2
    after = await world.position()
    await read(world, "Work")
    assert await slots(world) == [(150, 250)]
    assert await count(world, "Home") == 0
    assert [row.kind for row in await world.log(after=after)].count(ChangeKind.SLOT_REMOVED) == 2
    rows = await world.rows(
        "SELECT name, sync_token, last_synced_at FROM calendar WHERE is_conflict OR name = 'Home'"
    )
    assert sorted((row["name"], row["sync_token"]) for row in rows) == [("Home", None), ("Work", "s1")]
    assert (await world.calendars())["Home"].last_synced_at is None


async def count(world: World, name: str) -> int:
    calendar_id = (await world.calendars())[name].id
    counts = await world.owner(calendars.event_counts, [calendar_id, "cal_none"])
    for actor in (owner_of(world.ben), booking_of(world.subaccount)):
        assert await world.run(actor, calendars.event_counts, [calendar_id]) == {}
    return counts.get(calendar_id, 0)


async def vanish(world: World, name: str) -> None:
    """iCloud lists all but this one from now on."""
    async with world.services.database.writing() as db:
        account = await ICloudAccount.all().using_db(db).get()
        left = [each for each in CALENDARS if each.name != name]
        await store_listing(db, account, left, now=NOW)
        assert any(each.is_gone for each in await calendars_of(db, account))


async def test_a_calendar_that_is_gone_can_only_be_left_and_is_then_no_longer_listed(world: World) -> None:
    await world.connect()
    await read(world, "Home", "Work")
    await vanish(world, "Home")
    refused = await read(world, "Home", "Work")
    assert isinstance(refused, CalendarNotSelectable)
    assert refused.reason is NotSelectableReason.GONE
    await read(world, "Work")
    assert "Home" not in await world.calendars()


async def test_a_linked_calendar_that_is_gone_stays_until_another_takes_its_place(world: World) -> None:
    await world.connect()
    await link(world, "Home")
    await vanish(world, "Home")
    await world.write(
        "UPDATE icloud_account SET status = 'CONNECTED', problem_code = 'LINKED_CALENDAR_UNUSABLE', problem_since = 1"
    )
    assert isinstance(await read(world, "Home", "Work"), UserView)
    assert await chosen(world) == ("Home", ["Home", "Work"])
    assert (await account_of(world)).problem is not None
    await link(world, "Work")
    assert (await account_of(world)).problem is None
    assert await chosen(world) == ("Work", ["Home", "Work"])


async def test_a_conflict_calendar_that_cannot_be_read_is_a_problem_until_it_is_taken_out(
    world: World,
) -> None:
    await world.connect()
    await read(world, "Home", "Work")
    await world.write("UPDATE calendar SET kind = 'SUBSCRIPTION' WHERE name = 'Work'")
    await world.write(
        "UPDATE icloud_account SET status = 'CONNECTED', problem_code = 'CONFLICT_CALENDAR_UNREADABLE'"
    )
    await link(world, "Home")
    assert (await account_of(world)).problem is not None
    await read(world, "Home")
    assert (await account_of(world)).problem is None


async def booked(world: World, **fields: object) -> str:
    """An appointment whose write is pending, with the linked calendar as it is."""
    appointment_id = world.services.new_id(Kind.APPOINTMENT)
    of = {"subaccount_id": world.anna.subaccount, "user_id": world.anna.user}
    starts = int(NOW) + 3600 * (1 + len(await world.rows("SELECT id FROM appointment")))
    linked = next((view for view in (await world.calendars()).values() if view.is_linked), None)
    async with world.services.database.writing() as db:
        await Appointment.create(
            using_db=db,
            id=appointment_id,
            **of,
            **{
                "title": "Talk",
                "starts": starts,
                "ends": starts + 1800,
                "guest_name": "Gus",
                "guest_email": "gus@example.com",
                "created_at": NOW,
                "modified_at": NOW,
                "status": "CONFIRMED",
                "write_state": "PENDING",
                "calendar_id": None if linked is None else linked.id,
                **fields,
            },
        )
        if fields.get("write_state") not in {"WRITTEN", "NOT_LINKED"}:
            await PendingWrite.create(using_db=db, appointment_id=appointment_id, **of, created_at=NOW)
    return appointment_id


async def test_unsent_and_failed_appointments_to_come_go_to_the_new_linked_calendar(world: World) -> None:
    await world.connect()
    await link(world, "Home")
    known = await world.calendars()
    unsent = await booked(world)
    failed = await booked(world, write_state="FAILED", href="/x.ics", etag='"1"', write_problem="Gone.")
    written = await booked(world, write_state="WRITTEN", href="/y.ics", etag='"2"')
    past = await booked(world, starts=int(NOW) - 7200, ends=int(NOW) - 3600)
    unlinked = await booked(world, write_state="NOT_LINKED", calendar_id=None)
    world.clock.now += 9
    await link(world, "Work")
    rows = {row["id"]: row for row in await world.rows("SELECT * FROM appointment")}
    for moved in (unsent, failed):
        row = rows[moved]
        assert (row["calendar_id"], row["href"], row["etag"]) == (known["Work"].id, None, None)
        assert (row["write_state"], row["write_problem"]) == ("PENDING", None)
    assert rows[written]["calendar_id"] == rows[past]["calendar_id"] == known["Home"].id
    assert rows[unlinked]["calendar_id"] is None
    due = {row["appointment_id"]: row["due_at"] for row in await world.rows("SELECT * FROM pending_write")}
    assert due == {unsent: NOW + 9, failed: NOW + 9, past: None}


async def test_calendars_of_others_are_not_there(world: World) -> None:
    await world.connect()
    world.icloud.people["b@icloud.com"] = "/2/principal/"
    await world.connect(world.ben, apple_id="b@icloud.com")
    theirs = (await world.calendars(world.ben))["Home"].id
    user_id = world.anna.user
    for calendar_id in (theirs, "cal_none", "\0"):
        linked = await world.admin(calendars.set_linked, user_id=user_id, calendar_id=calendar_id)
        assert isinstance(linked, NotFound)
        conflict = await world.admin(calendars.set_conflict, user_id=user_id, calendar_ids=[calendar_id])
        assert isinstance(conflict, NotFound)
    assert await world.owner(calendars.calendar, theirs) is None
    refused = await world.owner(calendars.set_policy, calendar_id=theirs, declined=BusyRule.BLOCK)
    assert isinstance(refused, NotFound)
    assert await world.owner(calendars.problems, [theirs], 5) == {}


async def test_absent_is_not_null_for_the_linked_calendar(world: World) -> None:
    refused = await world.owner(calendars.set_linked, user_id=world.anna.user, calendar_id=UNSET)
    assert isinstance(refused, InvalidInput)
    assert refused.field == "calendarId"


async def test_nothing_is_chosen_where_nothing_is_connected(world: World) -> None:
    user_id = world.anna.user
    assert (
        await world.owner(calendars.set_conflict, user_id=user_id, calendar_ids=[]) == accounts.NOT_CONNECTED
    )
    assert (
        await world.owner(calendars.set_linked, user_id=user_id, calendar_id=None) == accounts.NOT_CONNECTED
    )


async def policy(world: World, calendar_id: str, **rules: Unpack[PolicyRules]) -> CalendarView | Refusal:
    return await world.owner(calendars.set_policy, calendar_id=calendar_id, **rules)


async def test_a_policy_decides_anew_at_once_from_what_is_stored(world: World) -> None:
    await world.connect()
    await read(world, "Home")
    home = (await world.calendars())["Home"]
    await fill(world, "Home", (100, 200), participation="DECLINED")
    answer = await policy(world, home.id, declined=BusyRule.BLOCK)
    assert isinstance(answer, CalendarView)
    assert answer.policy == BusyPolicy(declined=BusyRule.BLOCK)
    assert await slots(world) == [(100, 200)]
    await policy(world, home.id, declined=BusyRule.IGNORE)
    assert await slots(world) == []
    kinds = [row.kind for row in await world.log()]
    assert kinds.count(ChangeKind.SLOT_ADDED) == kinds.count(ChangeKind.SLOT_REMOVED) == 1


async def test_a_policy_keeps_what_is_not_given_and_stores_only_what_differs(world: World) -> None:
    await world.connect()
    home = (await world.calendars())["Home"]
    await policy(world, home.id, all_day_free=BusyRule.BLOCK, tentative=BusyRule.IGNORE)
    answer = await policy(world, home.id, all_day_free=BusyRule.IGNORE, unanswered=BusyRule.BLOCK)
    assert isinstance(answer, CalendarView)
    assert answer.policy == BusyPolicy(tentative=BusyRule.IGNORE)
    [row] = await world.rows("SELECT policy FROM calendar WHERE id = $1", home.id)
    assert json.loads(row["policy"]) == {"tentative": "IGNORE"}
    after = await world.position()
    await policy(world, home.id, tentative=BusyRule.IGNORE)
    assert await world.position() == after


async def test_a_rule_is_not_cleared_by_null(world: World) -> None:
    await world.connect()
    refused = await policy(world, (await world.calendars())["Home"].id, all_day_busy=None)
    assert isinstance(refused, InvalidInput)
    assert refused.field == "allDayBusy"


async def test_problems_are_listed_by_uid_and_no_more_than_asked_for(world: World) -> None:
    await world.connect()
    home = (await world.calendars())["Home"].id
    of = {"subaccount_id": world.anna.subaccount, "user_id": world.anna.user, "calendar_id": home}
    async with world.services.database.writing() as db:
        for uid, blocked in (("b", [1, 2]), (None, None), ("a", [3, 4])):
            problem = {"uid": uid, "code": "UNREADABLE", "message": "It is broken.", "blocked": blocked}
            await Resource.create(
                using_db=db,
                id=world.services.new_id(Kind.RESOURCE),
                **of,
                href=f"/{uid}",
                etag="1",
                uid=uid,
                body="",
                problems=[problem],
                has_problems=True,
            )
    answer = await world.owner(calendars.problems, [home, "cal_none"], 50)
    assert not isinstance(answer, InvalidInput)
    [(_, found)] = answer.items()
    assert [(view.uid, view.blocked) for view in found] == [(None, None), ("a", (3, 4)), ("b", (1, 2))]
    assert found[0] == EventProblemView(None, "UNREADABLE", "It is broken.", None)
    assert await world.owner(calendars.problems, [home], 2) == {home: found[:2]}
    assert isinstance(await world.owner(calendars.problems, [home], 201), InvalidInput)


@pytest.mark.parametrize(
    ("problem", "wait"), [("UNEXPECTED_ANSWER", 0), ("UNREACHABLE", 0), ("THROTTLED", 900)]
)
async def test_a_choice_is_acted_on_at_once_unless_apple_asks_to_wait(
    world: World, problem: str, wait: float
) -> None:
    """What was taken out may be what failed: until the next poll all time is closed."""
    await world.connect()
    await read(world, "Home", "Work")
    await world.write(
        "UPDATE icloud_account SET status = 'UNREACHABLE', problem_code = $1, problem_message = 'it fails',"
        " failures = 9, retry_at = $2, next_poll_at = $2",
        *(problem, NOW + 900),
    )
    await read(world, "Home")
    assert (await account_of(world)).next_sync_at == NOW + wait
