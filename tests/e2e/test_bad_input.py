"""What people and programs get wrong, over HTTP: each has its typed answer, a sentence to act on, and no effect."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from benchmarks.client import Client, GraphQLError, Json
from benchmarks.world import PASSWORD
from standin.seed import Owner
from tests.e2e import queries as q
from tests.e2e.mistakes import CASES, HUGE, Case, account_of
from tests.e2e.two_subaccounts import NOBODY, PAGE, Facts, ask, later, text_of, two_subaccounts

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

HUGE_PART = HUGE[:50]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def facts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Facts]:
    async with two_subaccounts(tmp_path_factory.mktemp("bad-input")) as made:
        yield made


_SENTENCE = re.compile(r"[A-Z][^\n]{10,240}\.")
# What to do is said in the imperative, at the start or after a colon, a comma, "or" or "and".
_IMPERATIVE = re.compile(
    r"(?:^|: |, |; |or |and )(?:then )?(?:give|choose|let|ask|make|check|use|list|leave|disconnect|connect"
    r"|shorten|write|try|wait|say|name|hold|book|find|look|put|change|delete|release|link)\b",
    re.IGNORECASE,
)


def is_a_sentence_that_says_what_to_do(message: str) -> bool:
    is_one = _SENTENCE.fullmatch(message) is not None and ". " not in message
    return is_one and _IMPERATIVE.search(message) is not None


_MORE = {
    "InvalidInput": "... on InvalidInput { field }",
    "SlotUnavailable": "... on SlotUnavailable { nextSlots { start end } }",
    "CalendarNotSelectable": "... on CalendarNotSelectable { calendarId reason }",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_it_is_refused_in_a_sentence_and_has_no_effect(facts: Facts, case: Case) -> None:
    before = await facts.state()
    client: Client = getattr(facts, case.who)
    input_type = f"{case.mutation[0].upper()}{case.mutation[1:]}Input!"
    answer = await client.mutate(case.mutation, _MORE.get(case.answer, ""), input_type, case.given(facts))
    assert answer["__typename"] == case.answer, answer
    assert answer.get("field") == case.field
    assert is_a_sentence_that_says_what_to_do(answer["message"]), answer["message"]
    assert PASSWORD not in answer["message"]
    assert HUGE_PART not in answer["message"]
    assert answer.get("nextSlots") != [], "what else is open is offered"
    assert await facts.state() == before


async def test_a_second_user_of_the_subaccount_may_share_the_apple_account_by_an_alias(facts: Facts) -> None:
    answer = await facts.ours.mutate(
        "connectICloud", q.CONNECTED, "ConnectICloudInput!", account_of(facts, appleId=Owner().alias)
    )
    assert answer["__typename"] == "ICloudConnected", answer
    value = {"userId": facts.second}
    gone = await facts.ours.mutate("disconnectICloud", "", "DisconnectICloudInput!", value)
    assert gone["__typename"] == "ICloudDisconnected", gone
    theirs = account_of(facts, userId=facts.other.user_id)
    refused = await facts.theirs.mutate("connectICloud", q.CONNECTED, "ConnectICloudInput!", theirs)
    assert refused["__typename"] == "ICloudAccountInUse", "the first user still has it"


# --- Questions


RANGES: dict[str, tuple[Json, str, str | None]] = {
    "a reversed range": (
        {"from": "2026-12-02T00:00:00Z", "to": "2026-12-01T00:00:00Z"},
        "InvalidInput",
        "to",
    ),
    "an empty range": ({"from": "2026-12-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}, "InvalidInput", "to"),
    "a year": ({"from": "2026-12-01T00:00:00Z", "to": "2027-12-01T00:00:00Z"}, "InvalidInput", "to"),
    "all of time": ({"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T00:00:00Z"}, "InvalidInput", "to"),
    "no slots": ({"firstSlots": 0}, "InvalidInput", "firstSlots"),
    "too many slots": ({"firstSlots": 1001}, "InvalidInput", "firstSlots"),
    "an unknown zone": ({"gridTimeZone": "Mars/Base"}, "InvalidInput", "gridTimeZone"),
    "no length": ({"durationMinutes": 0}, "InvalidInput", "durationMinutes"),
    "a step back": ({"stepMinutes": -15}, "InvalidInput", "stepMinutes"),
    "a buffer of a week": ({"bufferAfterMinutes": 10_080}, "InvalidInput", "bufferAfterMinutes"),
    "a staleness of no time": ({"maxStalenessSeconds": 0}, "InvalidInput", "maxStalenessSeconds"),
    "no page and no users": ({"bookingPage": None}, "InvalidInput", "bookingPage"),
    "no users": ({"bookingPage": None, "userIds": []}, "InvalidInput", "userIds"),
    "21 users": ({"bookingPage": None, "userIds": [NOBODY] * 21}, "InvalidInput", "userIds"),
    "one user twice": ({"bookingPage": None, "userIds": [NOBODY] * 2}, "InvalidInput", "userIds.1"),
    "nobody": ({"bookingPage": None, "userIds": [NOBODY]}, "NotFound", None),
    "a type that there is not": (
        {"appointmentTypeId": "typ_01m5vj1jg0fjf9tdykgmttpyfb"},
        "InvalidInput",
        "appointmentTypeId",
    ),
    "a token that there is not": ({"manageToken": "x.y"}, "NotFound", None),
    "a page that there is not": ({"bookingPage": "nothing"}, "NotFound", None),
}


@pytest.mark.parametrize("name", RANGES)
async def test_a_wrong_question_about_free_time_names_its_field(facts: Facts, name: str) -> None:
    given, typename, field = RANGES[name]
    query = q.AVAILABILITY.replace("... on UserError", "... on InvalidInput { field } ... on UserError")
    today = datetime.now(UTC)
    within = {"from": text_of(today), "to": text_of(today + timedelta(days=1))}
    asked = {"bookingPage": PAGE, **within, **given}
    answer = (await facts.ours.call(query, input=asked))["availability"]
    assert (answer["__typename"], answer.get("field")) == (typename, field), answer
    assert is_a_sentence_that_says_what_to_do(answer["message"]), answer["message"]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-11-30T00:00:00Z"])
async def test_the_ends_of_time_are_closed(facts: Facts, at: str) -> None:
    for client in (facts.ours, facts.guest):
        answer = await ask(client, **{"from": at, "to": later(at, days=31)})
        assert (answer["__typename"], answer["windows"], answer["slotStarts"]) == ("Availability", [], [])


async def test_a_guest_may_ask_by_a_page_alone(facts: Facts) -> None:
    for more in (
        {"bookingPage": None, "userIds": [facts.user]},
        {"onStale": "SERVE_LAST_KNOWN"},
        {"stepMinutes": 5},
    ):
        answer = await ask(facts.guest, **more)
        assert answer["__typename"] == "Forbidden", answer
        assert is_a_sentence_that_says_what_to_do(answer["message"]), answer["message"]


async def test_another_subaccounts_ids_are_nothing(facts: Facts) -> None:
    for kind, id_ in facts.ids.items():
        query = "query ($id: ID!) { node(id: $id) { id } }"
        assert (await facts.theirs.call(query, id=id_)) == {"node": None}, kind
        assert (await facts.ours.call(query, id=id_)) == {"node": {"id": id_}}, kind
    assert await facts.theirs.call("query ($id: ID!) { user(id: $id) { id } }", id=facts.user) == {
        "user": None
    }
    query = "query ($token: String!) { booking(manageToken: $token) { id } }"
    assert await facts.their_guest.call(query, token=facts.token) == {"booking": None}
    for asked in (
        {"bookingPage": None, "userIds": [facts.user]},
        {"bookingPage": None, "userIds": [facts.other.user_id], "appointmentTypeId": facts.ids["type"]},
        {"appointmentId": facts.ids["appointment"]},
        {"manageToken": facts.token},
    ):
        answer = await ask(facts.theirs, **asked)
        assert answer["__typename"] == "NotFound", answer


async def test_another_subaccounts_hold_frees_and_releases_nothing(facts: Facts) -> None:
    before = await facts.state()
    query = "mutation ($input: ReleaseHoldInput!) { releaseHold(input: $input) { __typename } }"
    await facts.their_guest.call(query, input={"token": facts.hold})
    assert await facts.state() == before


@pytest.mark.parametrize(
    "query",
    [
        "users(first: 5, after: $after) { edges { cursor } }",
        "keys(first: 5, after: $after) { edges { cursor } }",
        "auditLog(first: 5, after: $after) { edges { cursor } }",
    ],
    ids=lambda query: query[:8],
)
async def test_a_cursor_of_no_page_is_told(facts: Facts, query: str) -> None:
    foreign = base64.urlsafe_b64encode(b'["slots",1,"x"]').decode()
    for after in ("x", "%%%", "\x00", foreign, base64.urlsafe_b64encode(b"[" * 5000).decode()):
        answer = (await facts.ours.post(f"query ($after: String) {{ {query} }}", after=after)).json()
        assert "errors" in answer, answer
        [error] = answer["errors"]
        assert error["extensions"]["code"] == "BAD_REQUEST", after
        assert error["extensions"]["field"] == "after"
        assert is_a_sentence_that_says_what_to_do(error["message"]), error["message"]


async def test_a_subscriber_with_a_cursor_of_another_or_of_nothing_is_told(facts: Facts) -> None:
    theirs = (await facts.theirs.call(q.CURSOR, user=facts.other.user_id))["user"]["cursor"]
    for after in (theirs, "garbage", base64.urlsafe_b64encode(b"e." + facts.user.encode() + b".-1").decode()):
        async with (
            facts.ours.socket() as socket,
            aclosing(socket.subscribe(q.SLOT_CHANGES, user=facts.user, after=after)) as frames,
        ):
            with pytest.raises(GraphQLError) as refused:
                await asyncio.wait_for(anext(frames), 60)
        assert refused.value.codes == ["BAD_REQUEST"], after
    async with (
        facts.theirs.socket() as socket,
        aclosing(socket.subscribe(q.SLOT_CHANGES, user=facts.user, after=None)) as frames,
    ):
        with pytest.raises(GraphQLError) as refused:
            await asyncio.wait_for(anext(frames), 60)
    assert refused.value.codes == ["NOT_FOUND"]


NINES = "9" * 5000


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (f"{{ users(first: {NINES}) {{ edges {{ cursor }} }} }}", {}),
        ("query ($n: Int) { users(first: $n) { edges { cursor } } }", {"n": 10**18}),
        ("query ($n: Int) { users(first: $n) { edges { cursor } } }", {"n": 1e300}),
        ("query ($n: Int) { users(first: $n) { edges { cursor } } }", {"n": True}),
        (q.CURSOR.replace("ID!", "DateTime!"), {"user": "2026-13-01T00:00:00Z"}),
        (q.AVAILABILITY, {"input": {"bookingPage": PAGE, "from": "10000-01-01T00:00:00Z", "to": "x"}}),
        (q.AVAILABILITY, {"input": {"bookingPage": PAGE, "from": 5, "to": None}}),
    ],
    ids=["5000 digits", "10^18", "1e300", "a boolean", "a 13th month", "the year 10000", "no instants"],
)
async def test_what_is_no_value_of_its_type_is_a_bad_request(
    facts: Facts, query: str, variables: Any
) -> None:
    answer = await facts.ours.post(query, **variables)
    assert answer.status_code < 500
    assert {error["extensions"]["code"] for error in answer.json()["errors"]} == {"BAD_REQUEST"}
    assert NINES[:100] not in answer.text


async def test_a_key_that_is_none_is_refused(facts: Facts) -> None:
    for key in ("x", facts.running.people.admin_key[:-1], "sw_admin_" + "A" * 43, "sw_owner_ a b"):
        async with Client(facts.running.graphql_url(), key) as nobody:
            answer = await nobody.post("{ viewer { role } }")
        assert answer.status_code == 401, key
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
