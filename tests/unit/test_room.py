"""Places to work at, and who has them while iCloud says nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sync.room import Patient, Place, Room
from sync.settings import SyncSettings

AT_ONCE = SyncSettings(word_within=0.0)


async def asked(said: asyncio.Event) -> str:
    await said.wait()
    return "said"


async def turns() -> None:
    """What is due at once, and what follows from it, has had its turn."""
    for _ in range(10):
        await asyncio.sleep(0.001)


async def silent_one(room: Room, said: asyncio.Event, told: list[str]) -> None:
    place = Place(room)
    await place.take()
    told.append(await place.answer(asked(said)))
    place.leave()


async def test_who_waits_long_leaves_their_place_and_works_on_when_there_is_one_again() -> None:
    room, said, told = Room(AT_ONCE, 1), asyncio.Event(), list[str]()
    waiting = asyncio.create_task(silent_one(room, said, told))
    await turns()
    assert (room.free, room.silent) == (1, 1)
    other = Place(room)
    await other.take()
    said.set()
    await turns()
    assert (told, room.free) == ([], 0)
    other.leave()
    await waiting
    assert (told, room.free, room.silent) == (["said"], 1, 0)


async def test_where_too_many_are_silent_others_keep_their_place() -> None:
    room, said = Room(SyncSettings(word_within=0.0, most_silent=2), 3), asyncio.Event()
    waiting = [asyncio.create_task(silent_one(room, said, [])) for _ in range(3)]
    await turns()
    assert (room.free, room.silent) == (2, 2)
    said.set()
    await asyncio.gather(*waiting)
    assert (room.free, room.silent) == (3, 0)


async def test_what_is_asked_ahead_leaves_the_place_to_who_works_at_it() -> None:
    room, said = Room(AT_ONCE, 1), asyncio.Event()
    place = Place(room)
    await place.take()
    ahead = asyncio.create_task(place.answer(asked(said)))
    await turns()
    assert (room.free, room.silent) == (0, 0)
    said.set()
    await ahead


async def test_who_is_ended_while_silent_waits_for_no_place() -> None:
    room, waiting = Room(AT_ONCE, 1), asyncio.Event()
    ended = asyncio.create_task(silent_one(room, waiting, []))
    await turns()
    await Place(room).take()
    ended.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ended
    assert (room.free, room.silent) == (0, 0)


async def test_a_room_is_full_of_those_that_began_just_now_however_many_began_long_ago() -> None:
    room = Room(SyncSettings(word_within=60.0), 2)
    old, first, second = [room.begin() for _ in range(3)]
    room.new[old] -= 100
    is_full = [room.is_full_of_new]
    await first.take()
    is_full.append(room.is_full_of_new)
    room.begin()
    is_full.append(room.is_full_of_new)
    second.leave()
    is_full.append(room.is_full_of_new)
    assert is_full == [True, False, True, False]


async def test_a_place_is_given_back_once_and_by_who_has_it() -> None:
    room = Room(SyncSettings(), 2)
    taken, never = room.begin(), room.begin()
    await taken.take()
    for place in (never, taken, taken):
        place.leave()
    assert (room.free, room.turn._value, room.new) == (2, 2, {})


class Silent:
    """A signed-in account that says nothing until it is let, whatever it is asked."""

    def __init__(self, said: asyncio.Event) -> None:
        self._said = said

    def __getattr__(self, _: str) -> Any:
        async def ask(*_: object) -> str:
            return await asked(self._said)

        return ask


@pytest.mark.parametrize(
    ("name", "of_what"),
    [
        ("discover", ()),
        ("list_calendars", ("home",)),
        ("glance", ("home",)),
        ("list_changes", ("calendar", None)),
        ("list_resources", ("calendar",)),
        ("fetch", ("calendar", ("href",))),
        ("get", ("href",)),
        ("check_calendar", ("calendar",)),
        ("create", ("href", "body")),
        ("replace", ("href", "body", "etag")),
        ("remove", ("href", "etag")),
    ],
)
async def test_whatever_icloud_is_asked_it_is_waited_for_without_the_place(
    name: str, of_what: tuple[object, ...]
) -> None:
    room, said = Room(AT_ONCE, 1), asyncio.Event()
    place = Place(room)
    patient = Patient(Silent(said), place)

    async def work() -> None:
        await place.take()
        await getattr(patient, name)(*of_what)

    working = asyncio.create_task(work())
    await turns()
    assert (room.free, room.silent) == (1, 1)
    said.set()
    await working
    assert (room.free, room.silent) == (0, 0)


async def test_who_was_answered_in_time_keeps_the_place_whatever_comes_later() -> None:
    room = Room(SyncSettings(word_within=0.01), 1)
    place, said = Place(room), asyncio.Event()
    said.set()
    await place.take()
    assert await place.answer(asked(said)) == "said"
    await asyncio.sleep(0.05)
    assert (room.free, room.silent) == (0, 0)


async def test_who_is_told_hears_when_a_place_is_given_up() -> None:
    heard, said = asyncio.Event(), asyncio.Event()
    waiting = asyncio.create_task(silent_one(Room(AT_ONCE, 1, left=heard.set), said, []))
    await heard.wait()
    said.set()
    await waiting
