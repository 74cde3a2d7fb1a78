"""The owner moves an event from one calendar to another in the midst of a poll: its time is closed all the while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from models.bell import Bell
from models.database import Database
from sync.remote import Href, ServerFailed
from sync.settings import SyncSettings
from tests.fakes.calendar_server import FakeCalendar
from tests.integration.engine import DAY, Engine, at, engine_on, event

X, Y = (at(3, 9), at(3, 10)), (at(4, 9), at(4, 10))
NEWS = event("news", at(5, 9), at(5, 10), free=True)


@dataclass
class Owner:
    """Does something each time that a question is the nth of its kind, and looks at X at every question."""

    engine: Engine
    does: dict[tuple[str, int], Callable[[], object]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    async def meanwhile(self, name: str, _: str) -> None:
        self.asked.append(name)
        if X not in await self.engine.slots():
            self.opened.append(f"{name} {self.asked.count(name)}")
        self.does.pop((name, self.asked.count(name)), lambda: None)()

    async def poll(self) -> None:
        self.asked.clear()
        self.engine.server.after = self.meanwhile
        await self.engine.poll()
        self.engine.server.after = None

    async def sees_x_closed(self) -> bool:
        """All the while, and in the end."""
        return not self.opened and X in await self.engine.slots()


@pytest.fixture(params=[0, 600], ids=["stale", "fresh"])
async def engine(database: Database, bell: Bell, request: pytest.FixtureRequest) -> Engine:
    """By whether the home's word is taken for old at once."""
    engine = await engine_on(database, bell)
    engine.settings = SyncSettings(listing_lasts=request.param)
    return engine


@pytest.fixture
def home(engine: Engine) -> FakeCalendar:
    """Read first."""
    return engine.server.calendars["/1/calendars/home/"]


@pytest.fixture
def work(engine: Engine) -> FakeCalendar:
    return engine.server.calendars["/1/calendars/work/"]


@pytest.fixture
def owner(engine: Engine) -> Owner:
    return Owner(engine)


def move(uid: str, span: tuple[int, int], source: FakeCalendar, target: FakeCalendar) -> None:
    target.put(uid, event(uid, *span))
    source.delete(Href(f"{source.path}{uid}.ics"))


async def read_both(engine: Engine) -> None:
    await engine.choose("Home", "Work")
    await engine.poll()
    assert X in await engine.slots()


async def test_from_the_one_read_last_to_the_one_read_before(
    engine: Engine, owner: Owner, home: FakeCalendar, work: FakeCalendar
) -> None:
    work.put("x", event("x", *X))
    await read_both(engine)
    home.put("news", NEWS)
    work.put("others", NEWS.replace("news", "others"))
    owner.does["changes", 2] = lambda: move("x", X, work, home)
    await owner.poll()
    assert await owner.sees_x_closed()
    assert owner.asked.count("list") == 2
    assert {row.calendar_id for row in await engine.events() if row.uid == "x"} == {
        (await engine.calendar("Home")).id
    }


async def test_from_the_one_between_to_the_one_read_before(
    engine: Engine, owner: Owner, home: FakeCalendar, work: FakeCalendar
) -> None:
    zoo = engine.server.add("Zoo")
    work.put("x", event("x", *X))
    await engine.choose("Home", "Work", "Zoo")
    await engine.poll()
    for each in (home, work, zoo):
        each.put(f"news of {each.name}", NEWS.replace("news", f"news of {each.name}"))
    owner.does["changes", 2] = lambda: move("x", X, work, home)
    await owner.poll()
    assert await owner.sees_x_closed()
    assert await engine.slots() == [X]


@pytest.mark.parametrize("engine", [0], indirect=True)
async def test_to_one_that_was_listed_as_unchanged_long_ago(
    engine: Engine, owner: Owner, home: FakeCalendar, work: FakeCalendar
) -> None:
    home.put("x", event("x", *X))
    await read_both(engine)
    home.put("news", NEWS)
    owner.does["changes", 1] = lambda: move("x", X, home, work)
    await owner.poll()
    assert await owner.sees_x_closed()
    await owner.poll()
    assert await owner.sees_x_closed()
    assert owner.asked == ["list"]


async def test_while_the_one_it_leaves_is_read_once_more(
    engine: Engine, owner: Owner, home: FakeCalendar, work: FakeCalendar
) -> None:
    """Y is told as gone, spared, and goes; X leaves after the other was read."""
    home.put("x", event("x", *X))
    home.put("y", event("y", *Y))
    await read_both(engine)
    move("y", Y, home, work)
    owner.does["changes", 3] = lambda: move("x", X, home, work)
    await owner.poll()
    assert await owner.sees_x_closed()
    assert await engine.slots() == [X, Y, Y]
    await owner.poll()
    assert await owner.sees_x_closed()
    assert await engine.slots() == [X, Y]


async def test_while_it_is_compared_in_full(
    engine: Engine, owner: Owner, home: FakeCalendar, work: FakeCalendar
) -> None:
    work.put("x", event("x", *X))
    await read_both(engine)
    engine.now += DAY
    owner.does["resources", 2] = lambda: move("x", X, work, home)
    await owner.poll()
    assert "resources" in owner.asked
    assert await owner.sees_x_closed()


async def test_to_one_that_can_not_be_read_then(
    engine: Engine, owner: Owner, home: FakeCalendar, work: FakeCalendar
) -> None:
    work.put("x", event("x", *X))
    await read_both(engine)
    home.put("news", NEWS)
    work.put("others", NEWS.replace("news", "others"))

    def move_it() -> None:
        move("x", X, work, home)
        engine.server.failures["changes"] = [ServerFailed()]

    # Work's own answer is on its way: Home's second one fails.
    owner.does["changes", 2] = move_it
    await owner.poll()
    assert await owner.sees_x_closed()
    assert engine.server.failures["changes"] == []
    engine.now += 60
    await owner.poll()
    assert await owner.sees_x_closed()
    assert await engine.slots() == [X]


async def test_a_deletion_alone_takes_no_more_than_it_must(
    engine: Engine, owner: Owner, home: FakeCalendar
) -> None:
    """Three requests; where the home's word is old, one more."""
    home.put("x", event("x", *X))
    await read_both(engine)
    home.delete(Href(f"{home.path}x.ics"))
    await owner.poll()
    assert await engine.slots() == []
    again = [] if engine.settings.listing_lasts else ["list"]
    assert owner.asked == ["list", "changes", *again, "fetch"]


async def test_beside_one_whose_token_moves_at_each_look_it_goes_once_that_is_believed(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    """The second look at the home, too, finds it changed, and nothing is told that did."""
    work.put("x", event("x", *X))
    await read_both(engine)
    work.delete(Href(f"{work.path}x.ics"))

    async def move_token(name: str, _: str) -> None:
        if name == "list":
            href = home.put("unseen", NEWS)
            engine.server.untold.add(href)
            engine.server.unlisted.add(href)

    engine.server.after = move_token
    context = engine.context()
    for _ in range(engine.settings.most_missing_polls + 1):
        assert X in await engine.slots()
        await engine.poll(context)
    assert await engine.slots() == []


async def test_beside_two_whose_tokens_move_at_each_look_it_goes_also_where_they_are_believed_in_turns(
    engine: Engine, home: FakeCalendar, work: FakeCalendar
) -> None:
    """In no poll were both of them believed."""
    work.put("x", event("x", *X))
    zoo = engine.server.add("Zoo")
    await engine.choose("Home", "Work", "Zoo")
    await engine.poll()
    restless = [home]

    async def move_tokens(name: str, _: str) -> None:
        for each in restless if name == "list" else ():
            href = each.put("unseen", NEWS)
            engine.server.untold.add(href)
            engine.server.unlisted.add(href)

    engine.server.after = move_tokens
    context = engine.context()
    await engine.poll(context)
    restless.append(zoo)
    await engine.poll(context)
    work.delete(Href(f"{work.path}x.ics"))
    for _ in range(2 * engine.settings.most_missing_polls):
        await engine.poll(context)
    assert await engine.slots() == []


async def test_where_nothing_else_is_read_the_home_is_asked_once(
    engine: Engine, owner: Owner, home: FakeCalendar, work: FakeCalendar
) -> None:
    home.put("x", event("x", *X))
    await engine.choose("Home")
    await engine.poll()
    move("x", X, home, work)
    await owner.poll()
    assert await engine.slots() == []
    assert owner.asked == ["list", "changes", "fetch"]


async def test_what_changed_elsewhere_while_much_was_read_is_looked_for_at_once(
    engine: Engine, owner: Owner, home: FakeCalendar, work: FakeCalendar
) -> None:
    work.put("x", event("x", *X))
    await engine.choose("Work")
    await engine.poll()
    home.put("y", event("y", *Y))
    await engine.choose("Home", "Work")

    def pass_an_hour() -> None:
        engine.now += 3600

    owner.does["changes", 1] = pass_an_hour
    await owner.poll()
    assert (await engine.account()).next_poll_at == engine.now
    engine.settings = SyncSettings()
    await owner.poll()
    assert (await engine.account()).next_poll_at == engine.now + 60


@pytest.mark.parametrize("beside", [True, False])
async def test_what_a_device_puts_elsewhere_a_moment_after_it_took_it_away_is_looked_for_soon(
    engine: Engine, home: FakeCalendar, *, beside: bool
) -> None:
    home.put("x", event("x", *X))
    await engine.choose("Home", *(["Work"] if beside else []))
    await engine.poll()
    home.delete(Href(f"{home.path}x.ics"))
    await engine.poll()
    assert await engine.slots() == []
    assert (await engine.account()).next_poll_at == engine.now + (2 if beside else 60)
    engine.now += 2
    await engine.poll()
    assert (await engine.account()).next_poll_at == engine.now + 60
