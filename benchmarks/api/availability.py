"""Availability of 31 days beside the least it could cost, plain strawberry, and reading it live from CalDAV.

One worker each, all up at the same time, asked in turns by one client: medians of the rounds' CPU a request, and what a
request took by the clock. `warm`: the change log stands still, and the same is asked again. `new question`: the log
stands still, and what is asked was not asked before. `after a change`: something of the user's time changed each time.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import orjson

from benchmarks.api import data, live
from benchmarks.api.asking import Asked, Connection
from benchmarks.api.workers import Worker, worker
from benchmarks.percentile import p99
from schema.scalars import format_date_time
from server.demo_seed import People

SPANS = (22, 95, 278)
SHAPES = {"windows": "windows { start end }", "slots": "slots { start end }", "slotStarts": "slotStarts"}
FLOOR_TIMES = 4.0
PLAIN_TIMES = 5.0
LIVE_TIMES = 1000.0

_QUERY = (
    "query Free($input: AvailabilityInput!) {{ availability(input: $input) {{ __typename"
    " ... on UserError {{ message }} ... on Availability {{ {shape} }} }} }}"
)
_CREATE = (
    "mutation Block($input: CreateBlockedSlotInput!) { createBlockedSlot(input: $input) { __typename"
    " ... on UserError { message } } }"
)


@dataclass(slots=True)
class Line:
    """CPU seconds a request of each round, and what each request took."""

    cpu: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    @property
    def us(self) -> float:
        return median(self.cpu) * 1e6

    def shown(self) -> str:
        p50, most = median(self.took), p99(self.took)
        return f"{self.us:9.0f} us CPU   p50 {p50 * 1e3:7.2f} ms   p99 {most * 1e3:7.2f} ms"


@dataclass(frozen=True, slots=True)
class Case:
    people: People
    spans: int
    shape: str
    since: int

    @property
    def name(self) -> str:
        return f"{self.shape}-{self.spans}"

    def body(self, *, moved: int = 0) -> bytes:
        """`moved` by so many seconds, which is another question with as much in its answer."""
        asked: dict[str, object] = {
            "userIds": [self.people.user_id],
            "from": format_date_time(self.since + moved),
            "to": format_date_time(self.since + data.DAYS * data.DAY),
        }
        if self.shape != "windows":
            asked |= {"durationMinutes": 30, "stepMinutes": 15, "firstSlots": self.spans}
        query = _QUERY.format(shape=SHAPES[self.shape])
        return orjson.dumps({"query": query, "variables": {"input": asked}})

    def asked(self, *, moved: int = 0) -> Asked:
        return Asked.of("/graphql", self.body(moved=moved), self.people.owner_key)


async def run(*, rounds: int, requests: int) -> bool:
    """Whether each goal was met."""
    now = time.time()
    met: list[bool] = []
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        peer = await asyncio.to_thread(live.brought, folder)
        if isinstance(peer, str):
            print(f"left out: live from CalDAV: {peer}")
        for spans in SPANS:
            place = folder / str(spans)
            place.mkdir()
            environment = environment_of(place)
            people = await data.fill(environment, spans, now=now)
            cases = [Case(people, spans, shape, data.first_day(now)) for shape in SHAPES]
            taken_live = (
                None if isinstance(peer, str) else await live.measured(peer, spans, data.first_day(now))
            )
            async with _servers(place, environment, cases) as servers:
                compared = (
                    _compare(case, servers, taken_live, rounds=rounds, requests=requests) for case in cases
                )
                met += [await one for one in compared]
        print(_load())
    return all(met)


def environment_of(place: Path) -> dict[str, str]:
    return {
        "SLOTWIRE_DATABASE_URL": f"sqlite:///{place / 'slotwire.sqlite3'}",
        "SLOTWIRE_SEALING_KEY_FILE": str(place / "sealing.key"),
        # Nothing polls here: what was read a moment ago is to count as fresh to the end.
        "SLOTWIRE_STALENESS_LIMIT": "86400",
        # Thousands of sockets come from one address and with one key.
        "SLOTWIRE_CONNECTIONS_PER_ADDRESS": "10000",
        "SLOTWIRE_CONNECTIONS_PER_KEY": "10000",
    }


@dataclass(frozen=True, slots=True)
class Servers:
    ours: Worker
    plain: Worker
    floor: Worker


@asynccontextmanager
async def _servers(place: Path, environment: Mapping[str, str], cases: list[Case]) -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(worker("ours", place, environment))
        for case in cases:
            (place / f"{case.name}.json").write_bytes(await _answer(ours, case))
        plain = await stack.enter_async_context(worker("plain", place, environment))
        floor = await stack.enter_async_context(worker("floor", place))
        yield Servers(ours, plain, floor)


async def _answer(ours: Worker, case: Case) -> bytes:
    connection = await Connection.to(ours.port)
    status, body = await connection.ask(case.asked())
    connection.close()
    answered = json.loads(body)["data"]["availability"]
    assert status == 200
    assert len(answered[case.shape]) == case.spans, answered
    return body


async def _compare(
    case: Case, servers: Servers, taken_live: float | None, *, rounds: int, requests: int
) -> bool:
    floor, warm, plain, new, changed = Line(), Line(), Line(), Line(), Line()
    ours, bare, other = [await Connection.to(it.port) for it in (servers.ours, servers.floor, servers.plain)]
    same = case.asked()
    to_floor = Asked.of(f"/{case.name}", case.body(), case.people.owner_key)
    status, given = await other.ask(same)
    assert status == 200
    assert json.loads(given)["data"] == json.loads((await ours.ask(same))[1])["data"], "another answer"
    for place in range(rounds):
        await _round(floor, servers.floor, bare, [to_floor] * requests)
        await _round(warm, servers.ours, ours, [same] * requests)
        few = max(requests // 10, 5)
        await _round(plain, servers.plain, other, [same] * few)
        news = [case.asked(moved=-(1 + place * few + number)) for number in range(few)]
        await _round(new, servers.ours, ours, news)
        await _round_of_changes(changed, case, servers.ours, ours, place, few)
    for connection in (ours, bare, other):
        connection.close()
    print(f"\n{case.shape}, {case.spans} spans ({len(given):,} bytes)")
    lines = {
        "floor: bare Starlette": floor, "ours, warm": warm, "ours, new question": new,
        "ours, after a change": changed, "plain strawberry": plain,
    }  # fmt: skip
    for name, line in lines.items():
        print(f"  {name:26}{line.shown()}   {line.us / floor.us:7.1f} x floor")
    goals = [
        ("at most 4 x the floor", warm.us / floor.us, warm.us <= FLOOR_TIMES * floor.us),
        ("at least 5 x less than plain strawberry", plain.us / warm.us, plain.us >= PLAIN_TIMES * warm.us),
    ]
    if taken_live is not None:
        print(f"  {'live: tsdav and ical.js':26}{taken_live * 1e6:9.0f} us CPU")
        times = taken_live * 1e6 / warm.us
        goals.append(("at least 1,000 x less than live", times, times >= LIVE_TIMES))
    for goal, found, is_met in goals:
        print(f"  {goal}: {found:,.1f} x: {'met' if is_met else 'MISSED'}")
    return all(is_met for _, _, is_met in goals)


async def _round(line: Line, server: Worker, connection: Connection, asked: list[Asked]) -> None:
    before = await server.taken()
    took = []
    for each in asked:
        took += await connection.times(each, 1)
    line.cpu.append((await server.taken()).since(before).cpu / len(asked))
    line.took += took


async def _round_of_changes(
    line: Line, case: Case, server: Worker, connection: Connection, place: int, count: int
) -> None:
    """The change itself is not counted; the question after it is."""
    spent, took = 0.0, []
    for number in range(count):
        start = case.since + (200 + place) * data.DAY + number * 3600
        value = {
            "userId": case.people.user_id,
            "start": format_date_time(start),
            "end": format_date_time(start + 600),
        }
        body = orjson.dumps({"query": _CREATE, "variables": {"input": value}})
        status, told = await connection.ask(Asked.of("/graphql", body, case.people.owner_key))
        assert status == 200
        assert b"BlockedSlotCreated" in told, told
        before = await server.taken()
        took += await connection.times(case.asked(), 1)
        spent += (await server.taken()).since(before).cpu
    line.cpu.append(spent / count)
    line.took += took


def _load() -> str:
    return f"\nload of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
