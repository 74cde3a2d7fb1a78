"""Where an appointment's event stands when calendars come, go and turn read-only, and who may write when."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from domain.accounts import AccountStatus, ICloudProblemCode
from domain.actor import UserRef
from domain.copies import WriteState
from models.bell import Bell
from models.calendar import Calendar
from models.changelog import changing
from models.database import Database
from models.outbox import relink_writes, take_due
from models.polling import Stamp
from models.settle import settle_calendar
from models.sql import execute
from sync.quiet import look
from sync.remote import Forbidden, Href, RemoteError, Throttled, Unreachable
from tests.fakes.calendar_server import FakeCalendar, FakeServer
from tests.integration.engine import HOUR, USER, Engine, at, event, linked_engine_on
from tests.integration.test_push import spans
from tests.integration.test_quiet import leased


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    return await linked_engine_on(database, bell)


async def link(engine: Engine, name: str) -> None:
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        for calendar in await Calendar.all().using_db(ledger.db):
            calendar.is_linked = calendar.name == name
            calendar.is_conflict = calendar.is_linked
            await calendar.save(using_db=ledger.db)
            await settle_calendar(ledger, calendar)
        await relink_writes(ledger, await Calendar.filter(name=name).using_db(ledger.db).first())


async def test_one_moved_to_a_calendar_that_is_read_first_is_kept_up_there(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    [(href, (_, body))] = work.texts.items()
    work.delete(href)
    moved = home.put("moved", body)
    await engine.poll()
    own = await engine.appointment(name)
    assert (own.write_state, own.href) == (WriteState.WRITTEN, moved)
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    assert (spans(home), spans(work)) == ([(at(3, 14), at(3, 15))], [])
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert (spans(home), spans(work)) == ([], [])


def carry(work: FakeCalendar, home: FakeCalendar) -> Href:
    """As its owner would, with a place put to it; where it went."""
    [(href, (_, body))] = work.texts.items()
    work.delete(href)
    return home.put("moved", body.replace("END:VEVENT", "LOCATION:Room 5\r\nEND:VEVENT"))


async def test_one_that_its_owner_moves_before_a_lost_answer_is_looked_for_stays_with_all_they_added(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    engine.server.drops_put_answers = 1
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    moved = carry(work, home)
    await engine.poll()
    engine.now += HOUR
    for _ in range(2):
        await engine.push()
    await engine.poll()
    own = await engine.appointment(name)
    assert (own.write_state, own.href, work.texts) == (WriteState.WRITTEN, moved, {})
    assert "Room 5" in home.texts[moved][1]
    assert await engine.pending() == []


async def test_one_whose_owner_moved_it_to_where_no_writes_are_taken_any_more_goes_to_the_linked_one_soon(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    context = engine.context()
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push(context)
    moved = carry(work, home)
    await engine.poll(context)
    home.can_write = False
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push(context)
    assert (await engine.appointment(name)).write_state == WriteState.FAILED
    for _ in range(12):  # Until its name is known to be taken elsewhere.
        engine.now += 61
        await engine.poll(context)
        await engine.push(context)
    assert (spans(work), list(home.texts)) == ([(at(3, 14), at(3, 15))], [moved])
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_a_change_follows_its_owners_move_of_which_half_was_read(
    engine: Engine, home: FakeCalendar, work: FakeCalendar, *, is_deleted: bool
) -> None:
    """Unless they deleted it there since: then it is written anew."""
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    engine.server.untold |= set(work.texts)
    moved = carry(work, home)
    await engine.poll()
    if is_deleted:
        home.delete(moved)
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    for _ in range(2):
        await engine.push()
    wanted = [(at(3, 14), at(3, 15))]
    assert (spans(home), spans(work)) == (([], wanted) if is_deleted else (wanted, []))
    assert is_deleted or "Room 5" in home.texts[moved][1]
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN


async def test_a_refusal_that_was_the_servers_mistake_ends_in_a_write(
    engine: Engine, work: FakeCalendar
) -> None:
    engine.server.failures["create"] = [Forbidden()]
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.FAILED
    assert await engine.push() == 0
    engine.now += HOUR
    position = await engine.position()
    await engine.push()
    assert spans(work) == [(at(3, 9), at(3, 10))]
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert await engine.position() == position + 1


async def test_one_whose_calendar_is_gone_goes_to_the_linked_one(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    engine.server.failures["create"] = [Unreachable()]
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await link(engine, "Home")
    async with engine.database.writing() as db:
        await execute(db, "UPDATE calendar SET is_gone = TRUE WHERE name = 'Work'")
    engine.now += HOUR
    await engine.push()
    assert spans(home) == [(at(3, 9), at(3, 10))]
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN


@pytest.mark.parametrize("is_shown_again", [True, False])
async def test_one_in_a_calendar_that_is_read_no_more_stays_in_it_though_a_listing_misses_it(
    engine: Engine, home: FakeCalendar, work: FakeCalendar, *, is_shown_again: bool
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await link(engine, "Home")
    engine.server.unshown.add(work.path)
    await engine.poll()
    if is_shown_again:
        engine.server.unshown.clear()
        await engine.poll()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    assert (spans(home), spans(work)) == ([], [(at(3, 14), at(3, 15))])
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert (spans(home), spans(work)) == ([], [])


async def test_a_calendar_that_is_not_read_is_listed_until_it_is_proved_gone(
    engine: Engine, work: FakeCalendar
) -> None:
    """Its policy is kept with it. No answer but that it is not there says so, and none fails the poll."""
    await link(engine, "Home")
    context = engine.context()
    del engine.server.calendars[work.path]
    engine.server.failures["check"] = [Unreachable()]
    for wait in (0, 60, 59):
        engine.now += wait
        assert (await engine.poll(context)).error is None
        assert not (await engine.calendar("Work")).is_gone
    engine.now += 1
    await engine.poll(context)
    async with engine.database.reading() as db:
        assert [calendar.name for calendar in await Calendar.all().using_db(db)] == ["Home"]


async def test_one_cancelled_in_a_calendar_that_is_gone_is_removed(engine: Engine) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    async with engine.database.writing() as db:
        await execute(db, "UPDATE calendar SET is_gone = TRUE WHERE name = 'Work'")
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.REMOVED
    assert await engine.pending() == []


async def restored(engine: Engine, work: FakeCalendar, read_only: set[str]) -> tuple[str, list[FakeCalendar]]:
    """Its calendar went, and its owner puts it from a backup into two others; a change of it was given up."""
    kept = [engine.server.calendar_of("/1/calendars/home/x"), engine.server.add("Extra")]
    await engine.choose("Home", "Extra", linked="Work")
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    context = engine.context()
    await engine.poll(context)
    [(_, body)] = work.texts.values()
    del engine.server.calendars[work.path]
    for _ in range(3):
        await engine.poll(context)
        engine.now += 61
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.FAILED
    for calendar in kept:
        calendar.put("restored", body)
        calendar.can_write = calendar.name not in read_only
    await engine.poll(context)
    return name, kept


async def test_one_that_stands_under_another_of_its_names_is_kept_up_under_that(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    """Written twice as the first was not shown; its owner has gone over one, and deleted the other."""
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    [(href, (_, body))] = work.texts.items()
    uid = (await engine.appointment(name)).uid or ""
    home.put("other", body.replace(f"UID:{uid}", f"UID:{uid}-1"))
    await engine.poll()
    work.delete(href)
    await engine.poll()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    assert (spans(home), spans(work)) == ([(at(3, 14), at(3, 15))], [])
    assert (await engine.appointment(name)).uid == f"{uid}-1"


async def test_one_goes_to_its_own_users_linked_calendar(database: Database, bell: Bell) -> None:
    """Whoever else of the subaccount has one, and had it before."""
    first = Engine(database, bell, FakeServer(), user=UserRef("sub_1", "usr_0"), account_id="acc_0")
    second = Engine(database, bell, FakeServer())
    for engine in (first, second):
        engine.server.add("Work")
        await engine.set_up(identity=engine.account_id)
        await engine.choose(linked="Work")
    name = await second.book(at(3, 9), at(3, 10))
    await second.push()
    own = await second.appointment(name)
    async with database.reading() as db:
        assert (await Calendar.filter(id=own.calendar_id).using_db(db).get()).user_id == "usr_1"


@pytest.mark.parametrize(
    ("read_only", "gone", "state"),
    [
        ({"Home"}, ["Extra"], WriteState.REMOVED),
        ({"Extra"}, ["Home"], WriteState.REMOVED),
        ({"Home", "Extra"}, [], WriteState.FAILED),
    ],
)
async def test_one_cancelled_whose_calendar_is_gone_is_removed_where_its_owner_has_put_it(
    engine: Engine, work: FakeCalendar, read_only: set[str], gone: list[str], state: WriteState
) -> None:
    """Where none of that takes writes, the owner is told."""
    name, kept = await restored(engine, work, read_only)
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert [calendar.name for calendar in kept if not calendar.texts] == gone
    assert (await engine.appointment(name)).write_state == state


async def test_one_that_stands_where_its_owner_has_put_it_is_not_written_to_the_linked_calendar_too(
    engine: Engine, work: FakeCalendar
) -> None:
    name, [home, extra] = await restored(engine, work, {"Home"})
    home.delete(next(iter(home.texts)))
    home.can_write = True
    await engine.poll()
    await relinked(engine, "Extra")
    await engine.push()
    assert (spans(home), spans(extra)) == ([], [(at(3, 14), at(3, 15))])
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN


async def test_events_that_went_with_their_calendar_are_told_as_deleted(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    context = engine.context()
    await engine.poll(context)
    del engine.server.calendars[work.path]
    await engine.poll(context)
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    engine.now += 61
    await engine.poll(context)
    own = await engine.appointment(name)
    assert (own.write_state, own.status) == (WriteState.DELETED_IN_ICLOUD, "CONFIRMED")
    engine.server.calendars[work.path] = work
    await engine.poll(context)
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert await engine.slots() == []


async def test_a_move_that_a_disconnect_cut_short_is_written_after_a_new_connection(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.connect_anew()
    own = await engine.appointment(name)
    assert (own.write_state, own.href) == (WriteState.NOT_LINKED, None)
    assert own.write_problem is not None
    await engine.choose(linked="Work")
    await engine.poll()
    await engine.push()
    await engine.poll()
    own = await engine.appointment(name)
    assert (own.write_state, own.write_problem) == (WriteState.WRITTEN, None)
    assert spans(work) == [(at(3, 14), at(3, 15))]
    assert await engine.slots() == []


async def test_an_account_writes_one_thing_at_a_time(engine: Engine) -> None:
    for number in range(3):
        await engine.book(
            at(3 + number, 9), at(3 + number, 10), name=f"apt_0000000000000000000000000{number}"
        )
    async with engine.database.writing() as db:
        first = await take_due(db, now=engine.now, lease=30, limit=100)
        second = await take_due(db, now=engine.now, lease=30, limit=100)
    assert (len(first), second) == (1, [])
    async with engine.database.writing() as db:
        assert len(await take_due(db, now=engine.now + 31, lease=30, limit=100)) == 1


async def test_nothing_is_written_before_the_time_that_a_poll_was_told(
    engine: Engine, work: FakeCalendar
) -> None:
    engine.server.failures["list"] = [Throttled(120.0)]
    await engine.poll()
    account = await engine.account()
    assert (account.status, account.problem_code) == (AccountStatus.UNREACHABLE, ICloudProblemCode.THROTTLED)
    await engine.book(at(3, 9), at(3, 10))
    assert await engine.push() == 0
    assert account.retry_at is not None
    engine.now = account.retry_at
    assert await engine.push() == 1
    assert spans(work) == [(at(3, 9), at(3, 10))]


async def test_a_copy_in_a_calendar_that_turned_read_only_stays_where_it_is(
    engine: Engine, work: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    work.can_write = False
    await engine.poll()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.FAILED
    work.can_write = True
    await engine.poll()
    await engine.push()
    assert spans(work) == [(at(3, 14), at(3, 15))]
    assert Href((await engine.appointment(name)).href or "") in work.texts


async def relinked(engine: Engine, read: str = "Work") -> None:
    """To Home; another one is read on."""
    await engine.choose(read, linked="Home")
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        await relink_writes(ledger, await Calendar.filter(name="Home").using_db(ledger.db).get())


async def moved_where_nothing_is_taken(engine: Engine, work: FakeCalendar) -> str:
    """Written to nine, and moved to two once its calendar takes nothing."""
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    work.can_write = False
    await engine.poll()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    return name


async def test_unlinked_what_was_refused_is_not_taken_for_deleted_where_it_was_written_before(
    engine: Engine, work: FakeCalendar
) -> None:
    written = await moved_where_nothing_is_taken(engine, work)
    never = await engine.book(at(4, 9), at(4, 10), name="apt_00000000000000000000000002")
    for _ in range(2):
        await engine.push()
    assert {(await engine.appointment(name)).write_state for name in (written, never)} == {WriteState.FAILED}
    await link(engine, "None of them")
    found = [await engine.appointment(name) for name in (written, never)]
    assert [each.write_state for each in found] == [WriteState.NOT_LINKED] * 2
    assert [each.write_problem is None for each in found] == [False, True]
    assert spans(work) == [(at(3, 9), at(3, 10))]


async def test_a_copy_that_was_left_behind_goes_once_its_calendar_takes_writes_again(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    await moved_where_nothing_is_taken(engine, work)
    await engine.push()
    await relinked(engine)
    engine.server.asked.clear()
    for _ in range(3):
        await engine.push()
        engine.now += HOUR
    assert (spans(home), spans(work)) == ([(at(3, 14), at(3, 15))], [(at(3, 9), at(3, 10))])
    assert "remove" not in engine.server.asked, "Work is known to take nothing"
    work.can_write = True
    await engine.poll()
    await engine.push()
    assert (spans(home), spans(work)) == ([(at(3, 14), at(3, 15))], [])


async def test_a_deletion_is_told_also_where_an_older_copy_stands_in_a_calendar_that_takes_nothing(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    """Nobody moved it there."""
    name = await moved_where_nothing_is_taken(engine, work)
    await engine.push()
    await relinked(engine)
    for _ in range(3):
        await engine.push()
        engine.now += HOUR
    await engine.poll()
    [written], [(old, (_, body))] = home.texts, work.texts.items()
    home.delete(written)
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.DELETED_IN_ICLOUD
    work.put(old.rpartition("/")[2].removesuffix(".ics"), body)
    await engine.poll()
    own = await engine.appointment(name)
    assert (own.write_state, own.href) == (WriteState.DELETED_IN_ICLOUD, written)


async def test_one_that_is_to_be_written_elsewhere_never_takes_the_place_of_another_event(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    """Which stands under the name that was ours."""
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    theirs = event("theirs", at(9, 9), at(9, 10), "Surgery")
    [href] = work.texts
    work.put(href.rpartition("/")[2].removesuffix(".ics"), theirs)
    work.can_write = False
    await engine.poll()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    await relinked(engine)
    work.can_write = True
    await engine.poll()
    await engine.push()
    assert [body for _, body in work.texts.values()] == [theirs]
    assert spans(home) == [(at(3, 14), at(3, 15))]


async def test_one_that_was_sent_given_up_and_cancelled_stands_nowhere(
    engine: Engine, work: FakeCalendar
) -> None:
    engine.server.drops_put_answers = 1
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    work.can_write = False
    engine.now += HOUR
    await engine.push()
    await relinked(engine)
    await engine.change(name, status="CANCELLED")
    work.can_write = True
    await engine.poll()
    await engine.push()
    assert spans(work) == []
    assert (await engine.appointment(name)).write_state == WriteState.REMOVED


def meanwhile(engine: Engine, act: Callable[[], Awaitable[None]], met: RemoteError | None = None) -> None:
    """While the next event is written; then the server meets that."""

    async def once(step: str, _: str) -> None:
        if step == "create":
            engine.server.after = None
            await act()
            if met is not None:
                raise met

    engine.server.after = once


async def given_up(engine: Engine) -> str:
    """And due again."""
    engine.server.failures["create"] = [Forbidden()]
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    engine.now += HOUR
    return name


@pytest.mark.parametrize(("met", "attempts"), [(Forbidden(), 0), (Throttled(30.0), 1)])
async def test_another_linked_calendar_is_heeded_though_the_old_ones_refusal_comes_later(
    engine: Engine, home: FakeCalendar, met: RemoteError, attempts: int
) -> None:
    """It is tried at once, or when iCloud lets us; as anew."""
    name = await given_up(engine)
    meanwhile(engine, partial(relinked, engine), met)
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.PENDING
    [waits] = await engine.pending()
    assert waits.attempts == attempts
    engine.now += 30 * attempts
    await engine.push()
    assert spans(home) == [(at(3, 9), at(3, 10))]
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN


async def test_one_written_while_another_calendar_was_linked_is_known_where_it_stands(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    name = await given_up(engine)
    meanwhile(engine, partial(relinked, engine))
    await engine.push()
    await engine.push()
    own, stands = await engine.appointment(name), await engine.calendar("Work")
    assert (own.write_state, own.calendar_id) == (WriteState.WRITTEN, stands.id)
    assert (spans(home), spans(work)) == ([], [(at(3, 9), at(3, 10))])
    await engine.poll()
    work.delete(Href(own.href or ""))
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.DELETED_IN_ICLOUD


@pytest.mark.parametrize("ends_by", ["another calendar", "another try", "its cancellation"])
async def test_a_refusal_that_no_privilege_told_is_the_accounts_problem_until_it_is_over(
    engine: Engine, ends_by: str
) -> None:
    context = engine.context()
    await engine.settle(context)
    assert isinstance(await look(context, await leased(engine)), Stamp)
    engine.server.failures["create"] = [Forbidden()]
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push(context)
    assert not isinstance(await look(context, await leased(engine)), Stamp)
    for _ in range(2):
        await engine.poll(context)
        assert (await engine.account()).problem_code == ICloudProblemCode.LINKED_CALENDAR_UNUSABLE
    assert isinstance(await look(context, await leased(engine)), Stamp)
    if ends_by == "another calendar":
        await relinked(engine)
    elif ends_by == "another try":
        engine.now += HOUR
        await engine.push(context)
    else:
        await engine.change(name, status="CANCELLED")
        await engine.push(context)
        assert (await engine.appointment(name)).write_state == WriteState.REMOVED
    assert not isinstance(await look(context, await leased(engine)), Stamp)
    await engine.poll(context)
    assert (await engine.account()).problem_code is None
