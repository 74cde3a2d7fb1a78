"""What the owner does, on the phone and in the dashboard."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import timedelta

from domain.busy import BusyRule
from models.seal import Secret
from resolvers import accounts, calendars, events, people
from resolvers.outcomes import AlreadyConnected, ICloudUnavailable, NotFound
from resolvers.views import AccountView, CalendarView, SlotView, UserView
from sync.ical.resource import AppointmentText, read_written, write_appointment
from tests.fakes.calendar_server import APPLE_ID
from tests.fakes.calendar_server import PASSWORD as FIRST_PASSWORD
from tests.fakes.icloud import OTHER_PASSWORD
from tests.machine.doom import Killed
from tests.machine.life import Life, instant, moment, uid_at
from tests.machine.phone import FLOATING, HOME_ZONE, PhoneEvent, Rules

MOST_EVENTS = 12
MOST_CALENDARS = 5
HALF_HOUR = timedelta(minutes=30)
ZONE_OF = {1: "UTC", 6: FLOATING}
LIVES_IN = (HOME_ZONE, "America/New_York", "Asia/Kolkata", "Pacific/Apia")
PASSWORDS = (FIRST_PASSWORD, OTHER_PASSWORD)


# --- The phone


def create(life: Life, which: int, place: int, halves: int, days: int, manner: int) -> None:
    if len(life.phone) >= MOST_EVENTS:
        return
    event = PhoneEvent(
        uid=f"phone-{life.number()}",
        start=moment(place),
        length=halves * HALF_HOUR,
        days=days,
        zone=ZONE_OF.get(manner, HOME_ZONE),
        travel=HALF_HOUR if manner == 2 else timedelta(0),
        is_all_day=manner == 3,
        is_free=manner == 4,
    )
    life.put(life.calendar(which), event)


def edit(life: Life, which: int, place: int, halves: int) -> None:
    if (found := life.event(which)) is not None:
        life.change(found[0], found[1].edited(moment(place), halves * HALF_HOUR))


def move_occurrence(life: Life, which: int, number: int, place: int) -> None:
    if (found := life.event(which)) is None:
        return
    href, event = found
    if event.days > 1 and not event.is_all_day:
        life.change(href, event.with_moved(number % event.days, moment(place)))


def delete_occurrence(life: Life, which: int, number: int) -> None:
    if (found := life.event(which)) is not None and found[1].days > 1:
        life.change(found[0], found[1].without(number % found[1].days))


def this_and_future(life: Life, which: int, number: int, place: int) -> None:
    if (found := life.event(which)) is None or found[1].days < 3:
        return
    href, event = found
    first, rest = event.split(1 + number % (event.days - 1), f"phone-{life.number()}", moment(place))
    life.change(href, first)
    life.put(life.cloud.calendar_of(href), rest)


def delete(life: Life, which: int) -> None:
    if (found := life.event(which)) is not None:
        life.delete(found[0])


def decline(life: Life, which: int, *, is_declined: bool) -> None:
    if (found := life.event(which)) is not None:
        life.change(found[0], found[1].answered(is_declined=is_declined))


def switch(life: Life, which: int, *, is_free: bool) -> None:
    if (found := life.event(which)) is not None:
        life.change(found[0], found[1].switched(is_free=is_free))


def move_to_calendar(life: Life, which: int, to: int) -> None:
    if (found := life.event(which)) is None:
        return
    before, event = found
    closed = life.expected(before) if before in life.settled else life.carried.get(before)
    life.delete(before)
    href = life.put(life.calendar(to), event)
    if closed is not None and life.is_read(href) and closed == life.expected(href):
        life.carried[href] = closed


def move_copy(life: Life, which: int, place: int) -> None:
    """One of our own events, by hand."""
    if not (copies := life.copies()):
        return
    calendar, href = copies[which % len(copies)]
    written = read_written(calendar.texts[href][1])
    assert written is not None
    start, now = instant(place), life.clock.now
    text = AppointmentText(uid_at(href), 9, start, start + 3600, written.title, written.description, now, now)
    calendar.put(uid_at(href), write_appointment(text))
    life.touched.add(uid_at(href))


def carry_copy(life: Life, which: int, to: int) -> None:
    """One of our own events to another calendar: a phone takes its name along."""
    if not (copies := life.copies()):
        return
    calendar, href = copies[which % len(copies)]
    other = life.calendar(to)
    if other is calendar or not (calendar.can_write and other.can_write):
        return
    _, body = calendar.texts[href]
    calendar.delete(href)
    other.put(uid_at(href), body)
    life.touched.add(uid_at(href))


def delete_copy(life: Life, which: int) -> None:
    if copies := life.copies():
        calendar, href = copies[which % len(copies)]
        calendar.delete(href)
        life.touched.add(uid_at(href))


def rename(life: Life, which: int) -> None:
    life.calendar(which).name = f"Renamed {life.number()}"


def share(life: Life, which: int) -> None:
    """Read-only for us from now on, or writable again."""
    calendar = life.calendar(which)
    calendar.can_write = not calendar.can_write


def add_calendar(life: Life) -> None:
    if len(life.cloud.calendars) < MOST_CALENDARS:
        life.cloud.add(f"Added{life.number()}")


def delete_calendar(life: Life, which: int) -> None:
    if len(life.cloud.calendars) < 2:
        return
    calendar = life.calendar(which)
    life.touched |= {uid_at(href) for each, href in life.copies() if each is calendar}
    for href in [href for href in life.phone if href in calendar.texts]:
        life.forget(href)
    del life.cloud.calendars[calendar.path]


# --- The dashboard


async def connect(life: Life, *, chosen: AbstractSet[str]) -> bool:
    """And chooses. Whether Apple let us."""
    answer = await life.insist(
        lambda: life.run(
            accounts.connect, user_id=life.world.anna.user, apple_id=APPLE_ID, password=password(life)
        )
    )
    if isinstance(answer, ICloudUnavailable):
        return False
    # Told a second time, where the process ended before it had told the first.
    assert isinstance(answer, AccountView | AlreadyConnected), answer
    life.is_connected = True
    await choose_these(life, chosen)
    return True


async def disconnect(life: Life) -> None:
    """What was chosen, and how it was to be read, is forgotten."""
    answer = await life.insist(lambda: life.run(accounts.disconnect, user_id=life.world.anna.user))
    assert isinstance(answer, UserView | NotFound), answer
    life.is_connected, life.was_disconnected = False, True
    life.chosen, life.linked = set(), None
    life.rules.clear()
    life.settled.clear()
    life.read.clear()
    life.carried.clear()


async def choose(life: Life, mask: int) -> None:
    known = await able(life)
    await choose_these(life, {path for number, path in enumerate(known) if mask >> number & 1})


async def able(life: Life) -> list[str]:
    """Paths of those that the dashboard offers to be read."""
    known = await _listed(life)
    return [path for path, each in known.items() if each.why_not_conflict is None]


async def choose_these(life: Life, wanted: AbstractSet[str]) -> None:
    known = await _listed(life)
    answer = await life.insist(
        lambda: life.run(
            calendars.set_conflict,
            user_id=life.world.anna.user,
            calendar_ids=[known[path].id for path in sorted(wanted)],
        )
    )
    assert isinstance(answer, UserView), answer
    life.chosen = {*wanted} | ({life.linked} if life.linked else set())
    life.settled = {href for href in life.settled if life.reads(href)}
    life.read &= life.chosen
    life.carried.clear()  # It may have come from one that is read no longer.


async def link(life: Life, which: int) -> None:
    """One that takes appointments; now and then none."""
    known = await _listed(life)
    able = [path for path, each in known.items() if each.why_not_linked is None]
    linked = able[which % len(able)] if able and which else None
    answer = await life.insist(
        lambda: life.run(
            calendars.set_linked,
            user_id=life.world.anna.user,
            calendar_id=known[linked].id if linked else None,
        )
    )
    assert isinstance(answer, UserView), answer
    life.linked = linked
    life.chosen |= {linked} if linked else set()


async def change_policy(life: Life, which: int, rules: Rules) -> None:
    known = await _listed(life)
    calendar = life.calendar(which)
    if calendar.path not in known:
        return
    answer = await life.insist(
        lambda: life.run(
            calendars.set_policy,
            calendar_id=known[calendar.path].id,
            all_day_busy=_rule(blocks=rules.all_day_busy),
            declined=_rule(blocks=rules.declined),
            travel_time=_rule(blocks=rules.travel_time),
        )
    )
    assert isinstance(answer, CalendarView), answer
    life.rules[calendar.path] = rules
    life.carried.clear()


async def move_zone(life: Life, zone: str) -> None:
    life.is_moving_zone = True
    life.unsettle_zone()
    answer = await life.insist(
        lambda: life.run(people.update_user, user_id=life.world.anna.user, time_zone=zone)
    )
    assert isinstance(answer, UserView), answer
    life.zone, life.is_moving_zone = zone, False


async def block(life: Life, place: int) -> None:
    start = instant(place)
    try:
        made = await life.run(
            events.create_blocked_slot, user_id=life.world.anna.user, start=start, end=start + 1800
        )
    except Killed:
        await life.restart()
        # Not told, and there or not: the owner looks.
        rows = await life.rows("SELECT id, starts, ends FROM blocked_slot WHERE source = 'MANUAL'")
        life.manual |= {row["id"]: (row["starts"], row["ends"]) for row in rows}
        return
    assert isinstance(made, SlotView), made
    life.manual[made.slot.id] = (made.slot.start, made.slot.end)


async def unblock(life: Life, which: int) -> None:
    if not life.manual:
        return
    slot = list(life.manual)[which % len(life.manual)]
    await life.insist(lambda: life.run(events.delete_blocked_slot, slot_id=slot))
    del life.manual[slot]


def revoke(life: Life) -> None:
    """Ends the password that is in use; the next one is made, and not given to us yet."""
    life.password = 1 - life.password
    life.cloud.passwords[APPLE_ID] = PASSWORDS[life.password]


def password(life: Life) -> Secret:
    return Secret(PASSWORDS[life.password])


async def renew(life: Life) -> None:
    await life.insist(
        lambda: life.run(
            accounts.renew_password,
            user_id=life.world.anna.user,
            password=password(life),
        )
    )


async def _listed(life: Life) -> dict[str, CalendarView]:
    """What the dashboard shows, by path."""
    rows = await life.rows("SELECT id, path FROM calendar ORDER BY path")
    views = await life.insist(lambda: life.run(calendars.calendars, user=life.world.anna))
    shown = {view.id: view for view in views}
    return {row["path"]: shown[row["id"]] for row in rows}


def _rule(*, blocks: bool) -> BusyRule:
    return BusyRule.BLOCK if blocks else BusyRule.IGNORE
