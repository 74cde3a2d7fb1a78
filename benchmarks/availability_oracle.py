"""Availability beside its definition, instant by instant over zoneinfo: `python -m benchmarks.availability_oracle`."""

from __future__ import annotations

from benchmarks.many import run
from domain.availability import Match, find_starts, find_windows
from tests.unit.availability_oracle import QUANTUM, World, worlds


def check(world: World) -> None:
    everyone = tuple(range(len(world.users)))
    free = {instant: world.free_to(instant) for instant in world.instants()}
    open_to = {instant: world.open_to(instant) for instant in world.instants()}
    for match, enough in ((Match.EVERYONE, len(everyone)), (Match.ANYONE, 1)):
        windows = find_windows(world.users, world.rules, within=world.within, now=world.now, match=match)
        given = [instant for start, end in windows for instant in range(start, end, QUANTUM)]
        assert given == [instant for instant, number in free.items() if number >= enough]
        starts = find_starts(world.users, world.rules, within=world.within, now=world.now, match=match)
        assert starts.at == [instant for instant, who in open_to.items() if len(who) >= enough]


if __name__ == "__main__":
    run("availability_oracle", worlds(most_users=3), check, count=5_000, of="calendars")
