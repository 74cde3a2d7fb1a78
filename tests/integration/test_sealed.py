"""Nothing tells one subaccount a bit about another: what happens in one changes no answer in the other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from domain.actor import Role
from models.bell import Bell
from models.database import Database
from models.seal import Secret
from resolvers import accounts, keys, people, types
from resolvers.limits import RATES, Rule
from resolvers.outcomes import ICloudAccountInUse, ICloudPasswordRefused
from resolvers.views import SubaccountView
from tests.e2e.serving import Json, Served, receive, send, serving
from tests.fakes.icloud import PASSWORD
from tests.integration.subjects import Subjects, subjects_of, text_of
from tests.integration.world import NOW, admin_of, world_on

RANGE = {"from": text_of(int(NOW)), "to": text_of(int(NOW) + 20 * 86_400)}
EVERYTHING = """
query ($user: ID!, $slug: String!, $from: DateTime!, $to: DateTime!) {
  viewer { role subaccount { id name } }
  users(first: 20) { edges { cursor node { id name } } pageInfo { hasNextPage endCursor } }
  keys(first: 20) { edges { cursor node { id label } } pageInfo { hasNextPage endCursor } }
  auditLog(first: 100) { edges { cursor node { id action subjectId } } pageInfo { hasNextPage endCursor } }
  syncHealth { accounts pendingWrites oldestPendingWriteAt accountsByStatus { status count } }
  user(id: $user) {
    cursor
    events(from: $from, to: $to) { edges { node { id } } }
    blockedSlots(from: $from, to: $to) { edges { cursor node { id } } pageInfo { hasNextPage } }
    appointments(from: $from, to: $to) { edges { cursor node { id } } pageInfo { hasNextPage } }
  }
  availability(input: {bookingPage: $slug, from: $from, to: $to}) {
    ... on Availability { slotStarts windows { start } }
  }
}
"""


@pytest.fixture
async def served(database: Database, bell: Bell) -> AsyncIterator[Served]:
    async with serving(await world_on(database, bell)) as running:
        yield running


@pytest.fixture
async def subjects(served: Served) -> Subjects:
    return await subjects_of(served.world)


async def everything(served: Served, user: str, slug: str) -> Json:
    shown = await served.ask(served.admin, EVERYTHING, user=user, slug=slug, **RANGE)
    assert "errors" not in shown, shown
    return shown


async def test_what_happens_in_one_subaccount_changes_no_answer_in_another(
    served: Served, subjects: Subjects
) -> None:
    own = await subjects.make("own")
    before = await everything(served, own["user"], own["slug"])
    other = await subjects.make("other")
    admin = admin_of(other["subaccount"])
    for name in ("Zed", "Anna"):
        await served.world.add_user(other["subaccount"], name)
    await served.world.run(admin, keys.revoke_key, key_id=other["key"])
    # The same name and the same address of a page as ours: both are free over there.
    await served.world.run(
        admin, types.create_type, user_id=other["user"], name="T", slug=own["slug"], duration_minutes=5
    )
    await served.world.run(admin, accounts.disconnect, user_id=other["user"])
    assert isinstance(await people.create_subaccount(served.services, "Acme"), SubaccountView)
    assert await everything(served, own["user"], own["slug"]) == before


async def test_a_guest_who_asked_too_often_at_one_subaccount_is_served_at_another(
    served: Served, subjects: Subjects
) -> None:
    own, other = await subjects.make("own"), await subjects.make("other")
    made = await keys.issue_key(
        served.services, subaccount=other["subaccount"], label="page", role=Role.BOOKING
    )
    assert isinstance(made, tuple)
    query = "query ($input: AvailabilityInput!) { availability(input: $input) { __typename } }"

    async def ask(key: str, slug: str) -> str:
        shown = await served.ask(key, query, input={"bookingPage": slug, **RANGE})
        return str(shown["data"]["availability"]["__typename"])

    answers = [await ask(served.booking, own["slug"]) for _ in range(RATES[Rule.AVAILABILITY].calls + 1)]
    assert answers == ["Availability"] * RATES[Rule.AVAILABILITY].calls + ["RateLimited"]
    assert await ask(made[1], other["slug"]) == "Availability"


async def test_that_an_apple_account_is_in_use_elsewhere_is_told_to_who_has_its_password_alone(
    served: Served, subjects: Subjects
) -> None:
    own, other = await subjects.make("own"), await subjects.make("other")
    newcomer = await served.world.add_user(own["subaccount"], "Dora")
    their_apple_id = f"{other['user']}@icloud.com"

    async def connect(password: str, apple_id: str) -> object:
        return await served.world.admin(
            accounts.connect, user_id=newcomer.user, apple_id=apple_id, password=Secret(password)
        )

    wrong = await connect("wron-gpas-swor-dxyz", their_apple_id)
    assert isinstance(wrong, ICloudPasswordRefused)
    assert wrong == await connect("wron-gpas-swor-dxyz", "nobody@icloud.com")
    assert isinstance(await connect(PASSWORD, their_apple_id), ICloudAccountInUse)


async def test_a_position_in_anothers_log_is_refused_as_one_of_who_was_removed(
    served: Served, subjects: Subjects
) -> None:
    own, *others = [await subjects.make(relation) for relation in ("own", "other", "removed")]
    told = []
    async with served.socket(served.owner) as opened:
        for number, after in enumerate(other["cursor"] for other in others):
            query = (
                f'subscription {{ blockedSlotChanges(userId: "{own["user"]}", after: "{after}") {{ kind }} }}'
            )
            await send(opened, type="subscribe", id=str(number), payload={"query": query})
            frame = await receive(opened)
            assert frame["type"] == "error", frame
            told.append(frame["payload"])
    assert told[0] == told[1]
