"""A year in a person's calendars: what the seed's owner has in theirs, told from (seed, today, zone) alone."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from standin.edits import adding, ending_before, going_on
from standin.event_text import Event, Guest, as_text, resource, task
from standin.ics import unfolded

_PAST_DAYS = 60
_COMING_DAYS = 120
_DAY = timedelta(days=1)
_HALF_HOUR = timedelta(minutes=30)
_COLLEAGUES = ("Priya Nair", "Jonas Weber", "Mei Tanaka", "Sam Okafor", "Lucía Ortega", "Tom Becker")
_FRIENDS = ("Nora", "Ben", "Amélie", "Chris", "Granny", "Uncle Rolf", "Dana", "Yusuf", "Ida", "Paul")
_MEETINGS = (
    *("Roadmap", "Pricing review", "Interview: backend", "Customer call", "Budget", "Design critique"),
    *("Architecture round", "Contract with Lindner & Söhne", "Hiring sync", "Support handover"),
)
_EVENINGS = ("Dinner with {}", "Cinema with {}", "Call with {}", "Board games at {}’s", "Concert with {}")
_ERRANDS = ("Dentist", "Haircut", "Physiotherapy", "Car inspection", "Eye doctor", "Bank appointment")
_OUTLOOK_UID = "040000008200E00074C5B7101A82E00800000000B0C1D2E3F4A5DC01000000000000000010000000"
_WINDOWS_NAMES = {
    "Europe/Berlin": "W. Europe Standard Time",
    "Europe/Paris": "Romance Standard Time",
    "America/New_York": "Eastern Standard Time",
}
_VENDOR = "/freeassociation.sourceforge.net/"
# Starts that leave the middle of the morning and the afternoon open on most days.
_STARTS = (time(10), time(11), time(11, 30), time(13, 30), time(14), time(16))
_ANSWERS = ("ACCEPTED", "ACCEPTED", "ACCEPTED", "TENTATIVE", "NEEDS-ACTION", "DECLINED")


@dataclass(frozen=True, slots=True)
class Story:
    """Where the telling takes its chances, its days and its owner from. Told twice, it is the same."""

    chances: random.Random
    today: date
    zone: ZoneInfo
    owner: Guest
    principal: str

    @property
    def days(self) -> list[date]:
        return [self.today + number * _DAY for number in range(-_PAST_DAYS, _COMING_DAYS)]

    def uid(self) -> str:
        return str(UUID(int=self.chances.getrandbits(128), version=4)).upper()

    def at(self, day: date, clock: time) -> datetime:
        return datetime.combine(day, clock, self.zone)

    def event(self, title: str, start: date | datetime, length: timedelta, **more: object) -> Event:
        written = datetime.combine(self.today - 70 * _DAY, time(9), UTC)
        event = Event(uid=self.uid(), title=title, start=start, end=start + length, written=written)
        return replace(event, **more)  # type: ignore[arg-type]

    def first(self, weekday: int, *, before: int = _PAST_DAYS) -> date:
        """The first such weekday of the story, or of its last `before` days."""
        from_day = self.today - before * _DAY
        return from_day + ((weekday - from_day.weekday()) % 7) * _DAY


def told(story: Story) -> dict[str, dict[str, str]]:
    """The resources of each calendar, by the calendar's id: name and text."""
    chapters = {"home": _home, "work": _work, "family": _family, "team": _team}
    calendars = {
        id_: {f"{story.uid()}.ics": resource(events) for events in chapter(story)}
        for id_, chapter in chapters.items()
    }
    calendars["work"] |= {f"{story.uid()}.ics": text for text in _from_elsewhere(story)}
    calendars["reminders"] = {f"{story.uid()}.ics": text for text in _reminders(story)}
    return calendars


def _work(story: Story) -> Iterator[list[Event]]:
    yield _stand_up(story)
    yield from _series(story)
    for day in story.days:
        if day.weekday() < 5:
            yield from ([meeting] for meeting in _meetings(story, day))
    trip = story.first(1, before=-18)
    yield [story.event("Offsite in Lisbon", trip, 3 * _DAY, alarm="-PT9H", place="Lisbon")]
    yield [story.event("Conference (maybe)", trip + 35 * _DAY, 2 * _DAY, status="TENTATIVE")]
    yield [story.event("Quarter ends", trip + 50 * _DAY, _DAY, free=True)]


def _from_elsewhere(story: Story) -> Iterator[str]:
    """What other programs left behind, in the past: their names of zones and their UIDs, and a series split in two."""
    zone = story.zone.key
    last_month = story.at(story.today - 30 * _DAY, time(11))
    invited = replace(_invitation(story, story.event("Tender", last_month, _HALF_HOUR)), uid=_OUTLOOK_UID)
    yield resource([invited]).replace(zone, _WINDOWS_NAMES.get(zone, zone))
    vendor = resource([story.event("Kick-off", last_month + 2 * _DAY, _HALF_HOUR)])
    yield vendor.replace(f"TZID:{zone}", f"TZID:{_VENDOR}{zone}").replace(
        f"TZID={zone}", f"TZID={_VENDOR}{zone}"
    )
    train = story.event("Train home", last_month + 3 * _DAY, 2 * _HALF_HOUR, travel=timedelta(minutes=15))
    back = "X-APPLE-TRAVEL-RETURN-DURATION;VALUE=DURATION:PT10M"
    yield as_text(adding(list(unfolded(resource([train]))), [back]))
    yield from _split(story)


def _split(story: Story) -> Iterator[str]:
    """A choir that from its third evening on is an hour later: two series that know each other."""
    start = story.at(story.first(3), time(17))
    ends = story.event("Choir", start, timedelta(hours=1), rule="FREQ=WEEKLY;COUNT=6;BYDAY=TH")
    old = list(unfolded(resource([ends])))
    series, third = story.uid(), start + 14 * _DAY
    goes_on = story.event("Choir", third + timedelta(hours=1), timedelta(hours=1))
    yield as_text(ending_before(third, series)(old))
    yield as_text(adding(list(unfolded(resource([goes_on]))), going_on(old, third, series)))


def _stand_up(story: Story) -> list[Event]:
    """Every working day; three left out, two moved, one of them to another day."""
    start = story.at(story.first(0), time(9, 15))
    quarter = timedelta(minutes=15)
    left_out = tuple(_next_working(story, start, days) for days in (10, 47, 68))
    rule = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"
    master = story.event("Stand-up", start, quarter, rule=rule, left_out=left_out, alarm="-PT5M")
    later, another_day = (_next_working(story, start, days) for days in (62, 75))
    moved = [(later, later + timedelta(hours=2)), (another_day, another_day + _DAY + timedelta(hours=1))]
    return [master, *(_moved(master, occurrence, to) for occurrence, to in moved)]


def _series(story: Story) -> Iterator[list[Event]]:
    hour = timedelta(hours=1)
    monday, tuesday, thursday = (story.at(story.first(day), time(14)) for day in (0, 1, 3))
    team = story.event("Team weekly", monday, hour, rule="FREQ=WEEKLY;BYDAY=MO", alarm="-PT10M")
    cancelled = monday + 63 * _DAY
    yield [team, replace(_moved(team, cancelled, cancelled), status="CANCELLED")]
    one_to_one = "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU"
    yield [story.event("1:1 Priya", tuesday.replace(hour=11), _HALF_HOUR, rule=one_to_one)]
    review = story.event("Sprint review", thursday, hour, rule="FREQ=WEEKLY;INTERVAL=2;BYDAY=TH")
    yield [review, _moved(review, thursday + 70 * _DAY, thursday + 70 * _DAY + timedelta(hours=2))]
    until = f"{datetime.combine(story.today - 10 * _DAY, time(22), UTC):%Y%m%dT%H%M%SZ}"
    old = f"FREQ=WEEKLY;BYDAY=MO;UNTIL={until}"
    yield [story.event("Migration check-in", monday.replace(hour=16), _HALF_HOUR, rule=old)]
    monthly = story.at(story.first(2), time(16))
    yield [story.event("All hands", monthly, hour, rule="FREQ=MONTHLY;BYDAY=1WE", alarm="-PT15M")]
    focus = story.at(story.first(4), time(9, 30))
    yield [story.event("Focus", focus, 2 * hour, rule="FREQ=WEEKLY;BYDAY=FR", free=True)]


def _meetings(story: Story, day: date) -> Iterator[Event]:
    """None to two a day, at most two hours of them."""
    many = story.chances.choices((0, 1, 2), weights=(3, 5, 2))[0]
    for clock in story.chances.sample(_STARTS, many):
        length = _HALF_HOUR * story.chances.choice((1, 2))
        title = story.chances.choice(_MEETINGS)
        kind = story.chances.random()
        event = story.event(title, story.at(day, clock), length, alarm="-PT10M")
        if kind < 0.45:
            yield _invitation(story, event)
        elif kind < 0.52:
            yield replace(event, status="CANCELLED")
        elif kind < 0.60:
            yield replace(event, place="Lindner & Söhne, Torstraße 12", travel=timedelta(minutes=25))
        elif kind < 0.66:
            yield replace(event, title=f"Hold: {title}", free=True)
        else:
            yield event


def _invitation(story: Story, event: Event) -> Event:
    names = story.chances.sample(_COLLEAGUES, 3)
    others = tuple(Guest(name, f"{name.split()[0].lower()}@lindner.example") for name in names)
    own = replace(story.owner, status=story.chances.choice(_ANSWERS))
    organizer = others[0]
    return replace(event, organizer=organizer, guests=(own, *others), principal=story.principal)


def _home(story: Story) -> Iterator[list[Event]]:
    gym = story.at(story.first(1), time(18, 30))
    yield [story.event("Gym", gym, timedelta(hours=1), rule="FREQ=WEEKLY;BYDAY=TU,TH")]
    # Floating: eight in the evening wherever the phone is.
    sunday = datetime.combine(story.first(6), time(20))
    yield [story.event("Call Mum", sunday, _HALF_HOUR, rule="FREQ=WEEKLY;BYDAY=SU")]
    holiday = story.first(5, before=-45)
    yield [story.event("Holiday in Denmark", holiday, 9 * _DAY, place="Rømø")]
    yield [story.event("Visit from the grandparents", story.today - 25 * _DAY, 4 * _DAY, free=True)]
    night = story.at(story.first(5, before=-10), time(23))
    yield [story.event("Night train", night, timedelta(hours=9), alarm="-PT1H")]
    for friend in _FRIENDS:
        yield [_birthday(story, friend)]
    for day in story.days:
        chance = story.chances.random()
        if day.weekday() >= 4 and chance < 0.55:
            yield [_evening(story, day)]
        elif chance < 0.16:
            yield [_errand(story, day)]


def _birthday(story: Story, friend: str) -> Event:
    day = story.chances.choice(story.days).replace(
        year=story.today.year - 1, day=story.chances.randint(1, 28)
    )
    return story.event(f"{friend}’s birthday", day, _DAY, rule="FREQ=YEARLY", free=True, alarm="PT9H")


def _evening(story: Story, day: date) -> Event:
    title = story.chances.choice(_EVENINGS).format(story.chances.choice(_FRIENDS))
    start = story.at(day, story.chances.choice((time(18, 30), time(19), time(20))))
    return story.event(title, start, timedelta(hours=story.chances.choice((2, 3))), alarm="-PT1H")


def _errand(story: Story, day: date) -> Event:
    start = story.at(day, story.chances.choice((time(8), time(12), time(17))))
    travel = timedelta(minutes=story.chances.choice((15, 20, 30)))
    errand = story.chances.choice(_ERRANDS)
    return story.event(errand, start, timedelta(minutes=45), travel=travel, alarm="-PT1H", place="Mitte")


def _family(story: Story) -> Iterator[list[Event]]:
    pick_up = story.at(story.first(2), time(15, 30))
    hour = timedelta(hours=1)
    series = story.event("Pick up Mia", pick_up, hour, rule="FREQ=WEEKLY;BYDAY=WE")
    yield [series, _moved(series, pick_up + 70 * _DAY, pick_up + 70 * _DAY - hour)]
    swimming = story.at(story.first(5), time(10))
    yield [story.event("Swimming", swimming, hour, rule="FREQ=WEEKLY;BYDAY=SA")]
    yield [story.event("School holidays", story.today + 40 * _DAY, 14 * _DAY, free=True)]
    for number, title in enumerate(("Parents’ evening", "School play", "Paediatrician", "Flea market")):
        start = story.at(story.today + (6 + 17 * number) * _DAY, time(17 + number % 2))
        yield [story.event(title, start, timedelta(minutes=90), alarm="-PT2H")]
    for day in story.days[::9]:
        friend = story.chances.choice(_FRIENDS)
        yield [story.event(f"Playdate with {friend}", story.at(day, time(16)), 2 * hour)]


def _team(story: Story) -> Iterator[list[Event]]:
    """Somebody else's calendar, shared with the owner to look at."""
    for number, monday in enumerate(story.days[::7]):
        name = _COLLEAGUES[number % len(_COLLEAGUES)]
        yield [story.event(f"On call: {name}", monday, 7 * _DAY, free=True)]
    for day in story.days[5::14]:
        yield [story.event("Release", story.at(day, time(10)), timedelta(hours=1))]
    for day in story.days[::13]:
        away = story.chances.choice(_COLLEAGUES)
        yield [story.event(f"{away} away", day, story.chances.randint(1, 4) * _DAY, free=True)]


def _reminders(story: Story) -> Iterator[str]:
    written = datetime.combine(story.today, time(8), UTC)
    for number, title in enumerate(("Pay the rent", "Water the plants", "Renew passport", "Return books")):
        yield task(story.uid(), title, story.at(story.today + number * _DAY, time(18)), written)


def _moved(master: Event, occurrence: datetime, to: datetime) -> Event:
    assert isinstance(master.start, datetime), "only timed series are moved here"
    assert isinstance(master.end, datetime)
    length = master.end - master.start
    return replace(master, start=to, end=to + length, occurrence=occurrence, rule="", left_out=())


def _next_working(story: Story, start: datetime, days: int) -> datetime:
    day = start.date() + timedelta(days=days)
    while day.weekday() >= 5:
        day += _DAY
    return story.at(day, start.time())
