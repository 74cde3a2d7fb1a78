"""Documents made up from the schema, right and wrong, sent to a running server: `python -m benchmarks.schema_fuzz`.

What must hold of every answer: no 5xx, JSON, each error with a code and a sentence of ours, nothing of INTERNAL. And of
the log: no traceback, no error, and one line a request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import httpx2
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.graphql import nodes

from benchmarks.arguments import at_least_one
from benchmarks.campaigns.connected import connect
from benchmarks.world import APPLE_ID, PASSWORD, World, world
from schema.errors import Code
from server.demo_seed import People, seed_in_loop

if TYPE_CHECKING:
    from schemathesis import Case

SDL = Path(__file__).resolve().parent.parent / "schema" / "schema.graphql"
_CODES = frozenset(map(str, Code)) - {Code.INTERNAL, Code.UNAVAILABLE}
_MOST_SAMPLES = 400  # Of each kind of id that answers gave.
_TOLD_OF_PYTHON = ("Traceback", "object at 0x", "<class ", "NoneType", "Exception")


@dataclass(slots=True)
class Found:
    """What came of it. `answers` counts by status and code; a failure is a sentence and the document."""

    sent: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    reseeded: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Known:
    """Texts that mean something to the server: what is sent is drawn from them as often as from chaos."""

    texts: list[str]
    random: Random

    def add(self, shown: object) -> None:
        for text in _texts(shown):
            if len(self.texts) < _MOST_SAMPLES:
                self.texts.append(text)
            else:
                self.texts[self.random.randrange(_MOST_SAMPLES)] = text


async def fuzz(folder: Path, *, count: int, seed_number: int) -> Found:
    """Raises AssertionError where the server does not start."""
    usual = {"SLOTWIRE_POLL_USUAL": "300", "SLOTWIRE_POLL_WATCHED": "300", "SLOTWIRE_LOG_FORMAT": "json"}
    async with world(folder, f"sqlite:///{folder / 'slotwire.sqlite3'}", settings=usual) as running:
        await connect(running)
        found = await asyncio.to_thread(_send_all, running, count, seed_number)
    found.failures += _complaints(running.servers[0].log, found.sent)
    return found


def _send_all(running: World, count: int, seed_number: int) -> Found:
    found, random = Found(), Random(seed_number)
    people = running.people
    known = _Known([people.user_id, people.booking_page, APPLE_ID, PASSWORD], random)
    keys = _keys(people)
    cases = _cases(known)
    with httpx2.Client(base_url=f"http://127.0.0.1:{running.ports[0]}", trust_env=False, timeout=60) as http:

        @seed(seed_number)
        @settings(
            max_examples=count,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(case=cases)
        def send(case: Case[Any]) -> None:
            nonlocal keys
            if found.sent == count:
                return
            found.sent += 1
            answer = _post(http, random.choice(keys), str(case.body), random)
            _look(answer, str(case.body), found)
            if answer.status_code == 401:
                # A document was right by chance, and removed the user or revoked the key.
                found.reseeded += 1
                keys = _keys(asyncio.run(_seed(running, number=found.reseeded)))
            elif answer.status_code == 200:
                known.add(answer.json().get("data"))

        while (
            found.sent < count
        ):  # A made-up case that could not be finished is not sent, and counts for Hypothesis.
            send()
    return found


def _keys(people: People) -> list[str]:
    return [people.admin_key, people.owner_key, people.booking_key]


async def _seed(running: World, *, number: int) -> People:
    return await seed_in_loop(running.servers[0].environment, name=f"Person {number}", zone="Europe/Berlin")


def _post(http: httpx2.Client, key: str, document: str, random: Random) -> httpx2.Response:
    headers = {
        "authorization": f"Bearer {key}",
        "accept": random.choice(["application/json", "application/graphql-response+json"]),
        # From many addresses, as guests are: the limits stand.
        "x-forwarded-for": f"198.51.{random.randrange(256)}.{random.randrange(256)}",
    }
    return http.post("/graphql", json={"query": document}, headers=headers)


def _look(answer: httpx2.Response, document: str, found: Found) -> None:
    if answer.status_code >= 500:
        found.failures.append(f"HTTP {answer.status_code}: {answer.text[:300]}: {document}")
        return
    shown = answer.json()
    errors = shown.get("errors", [])
    for error in errors:
        if problem := _problem(error):
            found.failures.append(f"{problem}: {error}: {document}")
    codes = sorted({str(error.get("extensions", {}).get("code")) for error in errors})
    found.answers[f"{answer.status_code} {' '.join(codes) or 'data'}"] += 1


def _problem(error: dict[str, Any]) -> str | None:
    if error.get("extensions", {}).get("code") not in _CODES:
        return "an error that is not the client's"
    if not error["message"].endswith(".") or any(word in error["message"] for word in _TOLD_OF_PYTHON):
        return "an error that is no sentence of ours"
    return None


def _complaints(log: Path, sent: int) -> Iterator[str]:
    lines = [line for line in log.read_text().splitlines() if line.strip()]
    if wrong := [line for line in lines if not line.startswith("{")]:
        yield f"the log holds {len(wrong)} lines that are no record: {wrong[0][:300]}"
    records = [json.loads(line) for line in lines if line.startswith("{")]
    for record in records:
        if record["level"] in {"ERROR", "CRITICAL"} or "trace" in record:
            yield f"the log tells of a fault: {json.dumps(record)[:600]}"
        if PASSWORD in json.dumps(record):
            yield "the log holds a password"
    requests = sum(record["logger"] == "server.requests" for record in records)
    if requests < sent:
        yield f"the log has {requests} lines for over {sent} requests"


def _cases(known: _Known) -> st.SearchStrategy[Case[Any]]:
    """Of every root field alike, three right ones to one that is wrong in some place."""
    _register(known)
    schema = schemathesis.graphql.from_path(str(SDL))
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    right = [operation.as_strategy() for operation in operations]
    wrong = [operation.as_strategy(generation_mode=GenerationMode.NEGATIVE) for operation in operations]
    return st.sampled_from([*right, *right, *right, *wrong]).flatmap(lambda strategy: strategy)


def _register(known: _Known) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    instants = [
        f"{now + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}" for hours in (*range(-24, 200), 2000, 9000)
    ]
    edges = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2026-10-25T02:30:00+01:00", "now", ""]
    # Drawn at each call: what answers gave is known only then.
    texts = st.builds(lambda: known.random.choice(known.texts))
    anything = st.text(max_size=60)
    made: dict[str, st.SearchStrategy[str]] = {
        "DateTime": st.one_of(st.sampled_from(instants), st.sampled_from(instants + edges), anything),
        "Date": st.one_of(st.dates().map(str), st.sampled_from(["2026-02-30", ""]), anything),
        "LocalTime": st.sampled_from(["00:00", "09:00", "17:00", "24:00", "25:00", "9:00", ""]),
        "TimeZone": st.sampled_from(["Europe/Paris", "UTC", "Mars/Base", "../../etc/passwd", ""]),
        "Cursor": st.one_of(texts, anything),
        "ID": st.one_of(texts, texts, anything),
        "String": st.one_of(
            texts, anything, st.text(min_size=190, max_size=210), st.just("Ada"), st.emails()
        ),
    }
    for name, strategy in made.items():
        schemathesis.graphql.scalar(name, strategy.map(nodes.String))


def _texts(shown: object) -> Iterable[str]:
    match shown:
        case dict():
            for name, value in shown.items():
                if isinstance(value, str) and name not in {"__typename", "message"}:
                    yield value
                else:
                    yield from _texts(value)
        case list():
            for item in shown:
                yield from _texts(item)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.schema_fuzz", description=__doc__)
    parser.add_argument("--count", type=at_least_one, default=10_000, help="documents to send")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(fuzz(Path(folder), count=asked.count, seed_number=asked.seed))
    print(f"{found.sent} documents, seed {asked.seed}: {len(found.failures)} failures")
    print(f"people made anew {found.reseeded} times")
    for answer, count in found.answers.most_common():
        print(f"{count:8} {answer}")
    for failure in found.failures[:20]:
        print(failure)
    return bool(found.failures)


if __name__ == "__main__":
    sys.exit(main())
