"""Writes to the linked calendar: each confirmed appointment stands there exactly once, whatever happens on the way."""

from __future__ import annotations

import pytest

from domain.accounts import ICloudProblemCode
from domain.changes import ChangeKind
from domain.copies import WriteState
from models.bell import Bell
from models.booking import Appointment
from models.calendar import Calendar, Event, Resource
from models.changelog import changing
from models.clocks import CLOCKS_DIFFER
from models.database import Database
from models.outbox import queue_write, relink_writes
from sync.ical.resource import read_written
from sync.remote import ETag, Href, NotThere, Throttled, Unreachable
from tests.fakes.calendar_server import FakeAccount, FakeCalendar
from tests.integration.engine import HOUR, USER, Engine, at, engine_on, event

STEPS = ["outbox taken", "write sent", "write answered", "write marked"]


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
async def engine(database: Database, bell: Bell) -> Engine:
    engine = await engine_on(database, bell)
    await engine.choose("Work", linked="Home")
    await engine.poll()
    return engine


def spans(calendar: FakeCalendar) -> list[tuple[int, int]]:
    found = [read_written(body) for _, body in calendar.texts.values()]
    return sorted((each.start, each.end) for each in found if each is not None)


async def test_a_booking_is_written_with_its_guest_and_invites_nobody(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    [(href, (etag, body))] = home.texts.items()
    assert href == "/1/calendars/home/slotwire-00000000000000000000000001.ics"
    assert all(word in body for word in ("Intro with Gina", "gina@example.test", "+49 30 1", "Second floor"))
    assert "ATTENDEE" not in body
    own = await engine.appointment(name)
    assert (own.write_state, own.etag, own.href) == (WriteState.WRITTEN, etag, href)
    assert await engine.pending() == []
    assert (await engine.kinds())[-1] == ChangeKind.APPOINTMENT_WRITTEN


async def test_it_blocks_nothing_twice_when_seen_again(engine: Engine) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    position = await engine.position()
    assert [found.appointment_id for found in await engine.events()] == [name]
    await engine.poll()
    assert [found.appointment_id for found in await engine.events()] == [name]
    assert await engine.slots() == []
    assert await engine.position() == position


async def test_a_rescheduled_appointment_moves_its_event(engine: Engine, home: FakeCalendar) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    assert spans(home) == [(at(3, 14), at(3, 15))]
    assert await engine.slots() == []
    await engine.poll()
    assert await engine.slots() == []
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN


async def test_a_poll_between_a_change_and_its_write_blocks_nothing(engine: Engine) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.poll()
    assert await engine.slots() == []
    assert (await engine.appointment(name)).write_state == WriteState.PENDING


async def test_a_cancelled_appointment_is_removed(engine: Engine, home: FakeCalendar) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert home.texts == {}
    assert (await engine.appointment(name)).write_state == WriteState.REMOVED
    assert await engine.events() == []
    assert await engine.pending() == []


@pytest.mark.parametrize("question", ["remove", "get"])
async def test_a_stray_404_leaves_no_cancelled_event_behind(
    engine: Engine, home: FakeCalendar, question: str
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    if question == "get":
        await engine.change(name, status="CANCELLED", etag=None)
    else:
        await engine.change(name, status="CANCELLED")
    engine.server.failures[question] = [NotThere()]
    await engine.push()
    assert home.texts == {}
    assert (await engine.appointment(name)).write_state == WriteState.REMOVED


async def test_one_cancelled_before_it_was_written_never_is(engine: Engine, home: FakeCalendar) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert home.history == []
    assert (await engine.appointment(name)).write_state == WriteState.REMOVED
    assert (await engine.kinds())[-1] == ChangeKind.APPOINTMENT_WRITTEN


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_it_stands_once(engine: Engine, home: FakeCalendar, step: str) -> None:
    name = await engine.book(at(3, 9), at(3, 10))

    def kill(reached: str) -> None:
        if reached == step:
            raise Killed

    with pytest.raises(Killed):
        await engine.push(engine.context("killed", kill))
    engine.now += engine.settings.lease + 1
    await engine.push(engine.context("next"))
    assert spans(home) == [(at(3, 9), at(3, 10))]
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert await engine.pending() == []


@pytest.mark.parametrize("step", STEPS)
async def test_killed_while_moving_or_removing_it_ends_right(
    engine: Engine, home: FakeCalendar, step: str
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()

    def kill(reached: str) -> None:
        if reached == step:
            raise Killed

    for facts, left in (
        ({"starts": at(4, 9), "ends": at(4, 10)}, [(at(4, 9), at(4, 10))]),
        ({"status": "CANCELLED"}, []),
    ):
        await engine.change(name, **facts)
        if step != "write sent" or left:
            with pytest.raises(Killed):
                await engine.push(engine.context("killed", kill))
        engine.now += engine.settings.lease + 1
        await engine.push()
        assert spans(home) == left
        assert await engine.pending() == []


async def test_a_lost_answer_is_looked_for_and_adopted(engine: Engine, home: FakeCalendar) -> None:
    engine.server.drops_put_answers = 1
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.PENDING
    engine.now += HOUR
    await engine.push()
    own = await engine.appointment(name)
    assert len(home.history) == 1
    assert (own.write_state, own.etag) == (WriteState.WRITTEN, home.texts[Href(own.href or "")][0])


async def test_a_booking_moved_after_a_lost_answer_stands_once(engine: Engine, home: FakeCalendar) -> None:
    engine.server.drops_put_answers = 1
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    assert spans(home) == [(at(3, 14), at(3, 15))]


async def test_one_cancelled_after_a_lost_answer_is_removed(engine: Engine, home: FakeCalendar) -> None:
    engine.server.drops_put_answers = 1
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert spans(home) == []


async def test_a_change_during_the_write_is_written_next(engine: Engine, home: FakeCalendar) -> None:
    name = await engine.book(at(3, 9), at(3, 10))

    async def move(asked: str, _: str) -> None:
        if asked == "create":
            await engine.change(name, starts=at(3, 14), ends=at(3, 15))

    engine.server.after = move
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.PENDING
    await engine.push()
    assert spans(home) == [(at(3, 14), at(3, 15))]
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN


async def test_a_failed_write_waits_and_is_tried_again(engine: Engine, home: FakeCalendar) -> None:
    engine.server.failures["create"] = [Unreachable(), Throttled(120.0)]
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    [row] = await engine.pending()
    assert row.due_at is not None
    assert row.due_at > engine.now
    assert await engine.push() == 0
    engine.now = row.due_at
    await engine.push()
    [row] = await engine.pending()
    assert row.due_at is not None
    assert row.due_at >= engine.now + 120
    engine.now = row.due_at
    await engine.push()
    own = await engine.appointment(name)
    assert (own.write_state, own.write_attempts, own.write_problem) == (WriteState.WRITTEN, 3, None)


async def test_a_server_that_tells_no_etag_is_asked(engine: Engine, home: FakeCalendar) -> None:
    engine.server.tells_etags = False
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    own = await engine.appointment(name)
    assert own.etag == home.texts[Href(own.href or "")][0]


def replaces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says that it did, without an ETag."""

    async def replace(*_: object) -> None: ...

    monkeypatch.setattr(FakeAccount, "replace", replace)


async def test_a_success_that_replaced_nothing_is_none(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    with monkeypatch.context() as lying:
        replaces_nothing(lying)
        await engine.push()
        assert (await engine.appointment(name)).write_state == WriteState.PENDING
        engine.server.hidden |= set(home.texts)
        engine.now += HOUR
        await engine.push()
        assert (await engine.appointment(name)).write_state == WriteState.PENDING
    engine.server.hidden.clear()
    engine.now += HOUR
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert spans(home) == [(at(3, 14), at(3, 15))]


async def test_a_success_whose_event_stands_as_wanted_is_one_though_its_etag_stayed(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose ETags are made of the text: the same text again keeps its ETag."""
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.change(name, notes="Third floor")
    await engine.change(name, notes="Second floor")
    replaces_nothing(monkeypatch)
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert await engine.pending() == []


async def test_a_success_that_replaced_nothing_is_none_though_the_etag_changed_by_itself(
    engine: Engine, home: FakeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    [(href, (_, body))] = home.texts.items()
    home.texts[href] = ETag('"touched"'), body
    with monkeypatch.context() as lying:
        replaces_nothing(lying)
        await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.PENDING
    engine.now += HOUR
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert spans(home) == [(at(3, 14), at(3, 15))]


async def pushed_for_minutes_and_then_shown(engine: Engine) -> None:
    for _ in range(60):
        await engine.push()
        engine.now += 5
    engine.server.after = None
    engine.server.hidden.clear()
    engine.now += HOUR
    await engine.push()


async def test_an_event_that_is_not_shown_for_minutes_after_a_change_gets_no_second_one(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    engine.server.tells_etags = False
    engine.server.hidden |= set(home.texts)
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await pushed_for_minutes_and_then_shown(engine)
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert spans(home) == [(at(3, 14), at(3, 15))]


async def test_an_event_that_was_never_shown_yet_gets_no_second_one_when_it_is_changed(
    engine: Engine, home: FakeCalendar
) -> None:
    engine.server.tells_etags = False

    async def hide(step: str, _: str) -> None:
        if step == "get":
            engine.server.hidden |= set(home.texts)

    engine.server.after = hide
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await pushed_for_minutes_and_then_shown(engine)
    assert spans(home) == [(at(3, 14), at(3, 15))]


async def test_a_uid_taken_elsewhere_gets_another_after_some_tries(
    engine: Engine, home: FakeCalendar
) -> None:
    work = engine.server.calendars["/1/calendars/work/"]
    work.put("copy", event("slotwire-00000000000000000000000001", at(9, 9), at(9, 10)))
    name = await engine.book(at(3, 9), at(3, 10))
    for _ in range(3):
        await engine.push()
        engine.now += HOUR
    own = await engine.appointment(name)
    assert own.uid == "slotwire-00000000000000000000000001-1"
    assert own.write_state == WriteState.WRITTEN
    assert spans(home) == [(at(3, 9), at(3, 10))]


async def test_a_stored_write_that_is_not_shown_yet_is_not_written_twice(
    engine: Engine, home: FakeCalendar
) -> None:
    engine.server.drops_put_answers = 1
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    engine.server.hidden |= set(home.texts)
    engine.now += HOUR
    await engine.push()
    engine.server.hidden.clear()
    engine.now += HOUR
    await engine.push()
    assert len(home.texts) == 1
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN


async def test_a_read_only_calendar_fails_until_the_owner_acts(engine: Engine, home: FakeCalendar) -> None:
    home.can_write = False
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    own = await engine.appointment(name)
    assert own.write_state == WriteState.FAILED
    assert "choose another" in (own.write_problem or "")
    assert await engine.push() == 0
    await engine.poll()
    assert (await engine.account()).problem_code == ICloudProblemCode.LINKED_CALENDAR_UNUSABLE
    home.can_write = True
    await engine.poll()
    assert (await engine.account()).problem_code is None
    await engine.push()
    assert spans(home) == [(at(3, 9), at(3, 10))]


async def test_a_calendar_that_is_gone_fails_the_write(engine: Engine) -> None:
    del engine.server.calendars["/1/calendars/home/"]
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    assert (await engine.appointment(name)).write_state == WriteState.FAILED


async def _link(engine: Engine, name: str | None) -> None:
    async with changing(engine.database, engine.bell, USER, now=engine.now) as ledger:
        linked = None
        for calendar in await Calendar.all().using_db(ledger.db):
            calendar.is_linked = calendar.name == name
            await calendar.save(using_db=ledger.db)
            linked = calendar if calendar.is_linked else linked
        await relink_writes(ledger, linked)


async def test_failed_and_unsent_writes_go_to_the_new_linked_calendar(
    engine: Engine, home: FakeCalendar
) -> None:
    await engine.book(at(3, 9), at(3, 10))
    home.can_write = False
    await engine.push()
    await engine.book(at(4, 9), at(4, 10), name="apt_00000000000000000000000002")
    await _link(engine, "Work")
    await engine.push()
    work = engine.server.calendars["/1/calendars/work/"]
    assert spans(work) == [(at(3, 9), at(3, 10)), (at(4, 9), at(4, 10))]
    assert spans(home) == []


async def test_written_appointments_are_kept_up_where_they_are(engine: Engine, home: FakeCalendar) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await _link(engine, "Work")
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    assert spans(home) == [(at(3, 14), at(3, 15))]
    assert spans(engine.server.calendars["/1/calendars/work/"]) == []


async def test_of_one_in_a_calendar_that_is_read_no_more_nothing_is_stored_when_it_is_moved(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.choose(linked="Work")
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    assert spans(home) == [(at(3, 14), at(3, 15))]
    assert (await engine.resources(), await engine.events()) == ([], [])


async def test_without_a_linked_calendar_nothing_is_written(engine: Engine, home: FakeCalendar) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await _link(engine, None)
    assert await engine.push() == 0
    assert (await engine.appointment(name)).write_state == WriteState.NOT_LINKED
    assert home.history == []


async def test_one_that_was_sent_to_a_calendar_that_is_gone_and_linked_no_more_is_written_nowhere(
    engine: Engine, home: FakeCalendar
) -> None:
    engine.server.drops_put_answers = 1
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await _link(engine, None)
    del engine.server.calendars[home.path]
    for _ in range(2):  # It is chosen no more, and so it is forgotten.
        await engine.choose("Work")
    engine.now += HOUR
    assert await engine.push() == 1
    assert (await engine.appointment(name)).write_state == WriteState.NOT_LINKED
    assert await engine.pending() == []


async def test_the_owners_move_is_seen_and_blocks_what_lies_outside(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    [(href, (_, body))] = home.texts.items()
    home.put(href.rpartition("/")[2].removesuffix(".ics"), body.replace("T100000Z", "T113000Z"))
    await engine.poll()
    own = await engine.appointment(name)
    assert own.write_state == WriteState.CHANGED_IN_ICLOUD
    assert (own.starts, own.ends, own.status) == (at(3, 9), at(3, 10), "CONFIRMED")
    assert await engine.slots() == [(at(3, 10), at(3, 11, 30))]
    home.put(href.rpartition("/")[2].removesuffix(".ics"), body)
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert await engine.slots() == []


async def test_cancelling_what_the_owner_moved_removes_it(engine: Engine, home: FakeCalendar) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    [(href, (_, body))] = home.texts.items()
    home.put(href.rpartition("/")[2].removesuffix(".ics"), body.replace("T100000Z", "T113000Z"))
    await engine.poll()
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert home.texts == {}
    assert await engine.slots() == []


async def test_a_change_over_the_owners_edit_is_the_last_word(engine: Engine, home: FakeCalendar) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    [(href, (_, body))] = home.texts.items()
    home.put(href.rpartition("/")[2].removesuffix(".ics"), body.replace("T100000Z", "T113000Z"))
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    assert spans(home) == [(at(3, 14), at(3, 15))]


async def test_the_owners_deletion_is_confirmed_and_the_booking_stands(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    home.delete(next(iter(home.texts)))
    engine.server.asked.clear()
    await engine.poll()
    assert "get" in engine.server.asked
    own = await engine.appointment(name)
    assert (own.write_state, own.status) == (WriteState.DELETED_IN_ICLOUD, "CONFIRMED")
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    assert spans(home) == [(at(3, 14), at(3, 15))]


async def test_one_the_owner_moved_to_another_calendar_is_kept_up_there(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    [(href, (_, body))] = home.texts.items()
    home.delete(href)
    work = engine.server.calendars["/1/calendars/work/"]
    work.put("moved", body)
    await engine.poll()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    assert spans(home) + spans(work) == [(at(3, 14), at(3, 15))]
    assert await engine.slots() == []


async def test_a_touch_without_a_change_is_no_change(engine: Engine, home: FakeCalendar) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    [(href, (_, body))] = home.texts.items()
    home.put(
        href.rpartition("/")[2].removesuffix(".ics"), body.replace("END:VEVENT", "X-APPLE-A:b\r\nEND:VEVENT")
    )
    await engine.poll()
    own = await engine.appointment(name)
    assert (own.write_state, own.etag) == (WriteState.WRITTEN, ETag('"2"'))


async def test_an_old_text_given_after_our_write_is_no_edit_of_the_owners(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    [(href, old)] = home.texts.items()
    position = await engine.position()

    async def write(asked: str, _: str) -> None:
        if asked == "changes":
            engine.server.after = None
            engine.now += 1
            await engine.change(name, starts=at(3, 14), ends=at(3, 15))
            await engine.push()
            engine.server.lagging[href] = old

    home.put("other", event("other", at(9, 9), at(9, 10)))
    engine.server.after = write
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert await engine.slots() == [(at(9, 9), at(9, 10))]
    assert (await engine.kinds(position)).count(ChangeKind.SLOT_ADDED) == 1


async def test_an_old_text_given_in_place_of_the_listed_one_is_no_edit_of_the_owners(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    [(href, old)] = home.texts.items()
    await engine.change(name, starts=at(3, 14), ends=at(3, 15))
    await engine.push()
    position = await engine.position()
    engine.server.lagging[href] = old
    engine.now += 60
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert ChangeKind.SLOT_ADDED not in await engine.kinds(position)


async def test_an_edit_that_is_never_given_as_it_is_listed_is_seen_in_the_end(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    [(href, (_, body))] = home.texts.items()
    engine.server.lagging[href] = ETag('"another"'), body.replace("T100000Z", "T120000Z")
    home.put(href.rpartition("/")[2].removesuffix(".ics"), body)
    context = engine.context()
    for _ in range(engine.settings.most_missing_polls + 4):
        engine.now += 60
        await engine.poll(context)
    assert (await engine.appointment(name)).write_state == WriteState.CHANGED_IN_ICLOUD


async def test_an_edit_of_the_owners_is_seen_though_the_clock_was_set_back(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.poll()
    engine.now -= HOUR
    own = await engine.appointment(name)
    moved = (
        home.texts[Href(own.href or "")][1].replace("T090000Z", "T120000Z").replace("T100000Z", "T130000Z")
    )
    home.put(Href(own.href or "").rpartition("/")[2].removesuffix(".ics"), moved)
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.CHANGED_IN_ICLOUD


async def test_an_old_text_is_no_edit_of_the_owners_though_another_clock_is_ahead_that_wrote_since(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    position = await engine.position()

    async def write(step: str, _: str) -> None:
        if step == "fetch":
            engine.server.after = None
            await engine.change(name, starts=at(3, 14), ends=at(3, 15))
            engine.now += CLOCKS_DIFFER / 2
            old = {**home.texts}
            await engine.push(engine.context("process-2"))
            engine.server.lagging |= old
            engine.now -= CLOCKS_DIFFER / 2

    engine.server.after = write
    await engine.poll()
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert ChangeKind.SLOT_ADDED not in await engine.kinds(position)


async def test_after_a_new_connection_it_is_known_by_its_uid(engine: Engine, home: FakeCalendar) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.connect_anew()
    own = await engine.appointment(name)
    assert (own.write_state, own.calendar_id, own.href) == (WriteState.WRITTEN, None, None)
    await engine.choose(linked="Home")
    await engine.poll()
    own = await engine.appointment(name)
    assert own.href in home.texts
    assert await engine.slots() == []
    await engine.change(name, status="CANCELLED")
    await engine.push()
    assert home.texts == {}


async def test_a_copy_of_a_cancelled_appointment_is_removed_when_found(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    [(href, (_, body))] = home.texts.items()
    await engine.change(name, status="CANCELLED")
    await engine.push()
    home.put(href.rpartition("/")[2].removesuffix(".ics"), body)  # A write that came late.
    await engine.poll()
    assert await engine.slots() == []
    await engine.push()
    assert home.texts == {}


async def test_another_users_event_of_the_same_uid_is_an_ordinary_one(
    engine: Engine, home: FakeCalendar
) -> None:
    async with engine.database.writing() as db:
        await Appointment.create(
            using_db=db,
            id="apt_00000000000000000000000002",
            subaccount_id=USER.subaccount,
            user_id="usr_2",
            title="x",
            starts=at(3, 9),
            ends=at(3, 10),
            status="CONFIRMED",
            guest_name="g",
            guest_email="g",
            created_at=0,
            modified_at=0,
            write_state=WriteState.WRITTEN,
            uid="slotwire-00000000000000000000000002",
        )
    home.put("theirs", event("slotwire-00000000000000000000000002", at(3, 9), at(3, 10)))
    await engine.poll()
    assert await engine.slots() == [(at(3, 9), at(3, 10))]
    assert (await engine.events())[0].appointment_id is None


async def test_a_copy_under_its_first_uid_is_still_known_after_it_was_written_under_another(
    engine: Engine, home: FakeCalendar
) -> None:
    work = engine.server.calendars["/1/calendars/work/"]
    name = await engine.book(at(3, 9), at(3, 10))
    work.put("copy", event("slotwire-00000000000000000000000001", at(3, 9), at(3, 11)))
    for _ in range(3):
        await engine.push()
        engine.now += HOUR
    assert (await engine.appointment(name)).uid == "slotwire-00000000000000000000000001-1"
    await engine.poll()
    known = await engine.slots()
    assert known == [(at(3, 10), at(3, 11))]
    await engine.choose(linked="Home")
    await engine.choose("Work", linked="Home")
    await engine.poll()
    assert await engine.slots() == known


async def test_what_was_written_after_the_backup_is_known_when_it_is_restored(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    async with engine.database.writing() as db:
        facts = {"uid": None, "href": None, "etag": None, "calendar_id": None, "write_state": "PENDING"}
        await Appointment.filter(id=name).using_db(db).update(**facts)
        await queue_write(db, USER, name, now=engine.now)
        for table in (Resource, Event):
            await table.all().using_db(db).delete()
        await Calendar.all().using_db(db).update(sync_token=None, listed_token=None)
    await engine.poll()
    await engine.push()
    assert len(home.texts) == 1
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
    assert await engine.slots() == []


async def test_one_that_waited_for_the_database_until_its_lease_was_over_overwrites_no_later_change(
    engine: Engine, home: FakeCalendar
) -> None:
    name = await engine.book(at(3, 9), at(3, 10))
    await engine.push()
    await engine.change(name, starts=at(3, 12), ends=at(3, 13))

    def wait(step: str) -> None:
        if step == "outbox taken":
            engine.now += engine.settings.lease

    async def change(step: str, _: str) -> None:
        if step == "replace":
            engine.server.after = None
            await engine.change(name, starts=at(3, 14), ends=at(3, 15))
            await engine.push(engine.context("another"))

    engine.server.after = change
    await engine.push(engine.context("late", wait))
    for _ in range(2):
        engine.now += HOUR
        await engine.push()
    assert spans(home) == [(at(3, 14), at(3, 15))]
    assert (await engine.appointment(name)).write_state == WriteState.WRITTEN
