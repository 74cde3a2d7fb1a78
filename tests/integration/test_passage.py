"""What is read piece by piece from the log is what would be read whole, after any rows of it."""

from __future__ import annotations

import random

import pytest

from domain.changes import SLOT_KINDS, BlockedSlotSource, ChangeKind, Slot
from models.bell import Bell
from models.blocked import BlockedSlot
from models.changelog import Ledger, changing
from models.database import Database
from resolvers.standings import Standings
from resolvers.timelines import Timelines, read_busy
from resolvers.user_time import read_people_whole
from tests.integration.world import NOW, World, world_on

STEPS = 80
OTHER_KINDS = [kind for kind in ChangeKind if kind not in SLOT_KINDS]


class Walk:
    """Transactions that change a user's blocked slots, few or many at once, and rows of every other kind."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.slots: list[Slot] = []
        self.made = 0

    async def step(self) -> None:
        services, user = self.world.services, self.world.anna
        async with changing(services.database, services.bell, user, now=NOW) as ledger:
            for _ in range(self.chance.choice([1, 1, 1, 2, 5, 30])):
                await self.chance.choice([self.add, self.change, self.remove, self.remove, self.note])(ledger)
            if self.chance.random() < 0.05:
                ledger.reset_slots()
        if self.chance.random() < 0.05:
            await self.world.write("DELETE FROM change WHERE seq <= (SELECT MAX(seq) FROM change) - 2")

    async def add(self, ledger: Ledger) -> None:
        self.made += 1
        slot = self.slot(f"slot_{self.made}")
        self.slots.append(slot)
        await BlockedSlot.create(
            using_db=ledger.db,
            id=slot.id,
            subaccount_id=ledger.user.subaccount,
            user_id=ledger.user.user,
            starts=slot.start,
            ends=slot.end,
            source=slot.source,
        )
        ledger.slot_added(slot)

    async def change(self, ledger: Ledger) -> None:
        if self.slots:
            before = self.slots.pop(self.chance.randrange(len(self.slots)))
            slot = self.slot(before.id)
            self.slots.append(slot)
            row = BlockedSlot.filter(id=slot.id).using_db(ledger.db)
            await row.update(starts=slot.start, ends=slot.end)
            ledger.slot_changed(slot, before)

    async def remove(self, ledger: Ledger) -> None:
        if self.slots:
            before = self.slots.pop(self.chance.randrange(len(self.slots)))
            await BlockedSlot.filter(id=before.id).using_db(ledger.db).delete()
            ledger.slot_removed(before)

    async def note(self, ledger: Ledger) -> None:
        ledger.note(self.chance.choice(OTHER_KINDS))

    def slot(self, id_: str) -> Slot:
        """Touching, overlapping, far longer than others, or of no length at all."""
        start = int(NOW) + self.chance.randrange(40) * 600
        length = self.chance.choice([0, 600, 600, 1200, 6000, 24_000])
        return Slot(
            id=id_, start=start, end=start + length, is_all_day=False, source=BlockedSlotSource.MANUAL,
            title=None, event_id=None, calendar_id=None,
        )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
async def test_after_any_rows_what_is_spliced_is_what_is_merged_anew(
    database: Database, bell: Bell, seed: int
) -> None:
    world, chance = await world_on(database, bell), random.Random(seed)
    # Asked at moments of their own, they share what was merged.
    walk, timelines, all_standings = Walk(world, chance), Timelines(), (Standings(), Standings())
    for _ in range(STEPS):
        await walk.step()
        async with database.reading() as db:
            anew = await read_busy(db, world.anna)
            for standings in all_standings:
                if chance.random() < 0.6:
                    found = await read_people_whole(
                        db, [world.anna], standings=standings, timelines=timelines, now=NOW
                    )
                    assert found is not None
                    assert found[0].standing is not None
                    assert found[0].standing.busy == anew
