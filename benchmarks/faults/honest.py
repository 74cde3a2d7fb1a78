"""What must hold after each poll and each write, and not only once all has healed: what is closed, and what is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from benchmarks.faults.account import Account, Slots
from benchmarks.faults.beside import Life
from benchmarks.fresh import OURS
from domain.accounts import AccountStatus, ICloudProblemCode
from domain.busy import BusyPolicy, blocked_span
from domain.copies import WriteState
from domain.interval import Span
from models.booking import Appointment
from models.calendar import Resource
from sync.ical.resource import read_resource, read_written
from sync.plan import plan_window
from tests.fakes.calendar_server import APPLE_ID
from tests.integration.engine import ZONE

Texts = Mapping[str, str]
"""What stands in iCloud, by path, as it is stored: nothing lies about that, and nothing lags."""
Standing = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Look:
    """How it stood when a poll or a write began."""

    began: float
    texts: Texts
    closed: Slots


async def look(known: Account) -> Look:
    return Look(known.engine.now, await texts_of(known), await known.slots())


async def texts_of(known: Account) -> Texts:
    cloud, found = known.icloud.cloud, dict[str, str]()
    for name in known.calendars:
        with suppress(LookupError):  # It is gone just now.
            calendar = cloud.member(APPLE_ID).calendar(name)
            names = [resource.name for resource in calendar.resources.values() if not resource.gone]
            texts = await cloud.backend.bodies(calendar.dsid, calendar.facts.id, names)
            found |= {calendar.path + each: text for each, text in texts.items()}
    return found


async def hold(life: Life, before: Look) -> None:
    """Raises AssertionError."""
    known = life.known
    texts, closed = await texts_of(known), await known.slots()
    lasting = {path: text for path, text in before.texts.items() if texts.get(path) == text}
    opened = (closes(known, lasting) & before.closed) - closed
    assert not opened, f"opened, though it stands as it stood: {opened}"
    if (await known.engine.account()).last_synced_at == before.began:
        changed = {*before.texts.items()} ^ {*texts.items()}
        await _hold_as_read(known, lasting, closed, moved={uid_of(text) for _, text in changed})
    await hold_as_said(life, await appointments(known), texts)


def lost(before: Look, closed: Slots) -> set[str | None]:
    """UIDs of what stands in iCloud, moved or not, and closed some of the time to come: now it closes none."""
    standing = {uid_of(text) for text in before.texts.values()}
    ahead = {uid for _, ends, uid in before.closed if ends > before.began}
    return (standing & ahead) - {uid for _, _, uid in closed}


async def _hold_as_read(known: Account, lasting: Texts, closed: Slots, *, moved: set[str | None]) -> None:
    """The poll says that it saw all there was: it closes that, and nothing else."""
    async with known.engine.database.reading() as db:
        problems = {row.href for row in await Resource.filter(has_problems=True).using_db(db)}
    wanted = closes(known, {path: text for path, text in lasting.items() if path not in problems})
    assert not wanted - closed, f"open after a poll that saw all: {wanted - closed}"
    told = moved | {uid_of(lasting[path]) for path in problems & lasting.keys()}
    extra = closed - wanted
    wrong = {slot: count for slot, count in extra.items() if slot[2] not in told}
    assert not wrong, f"closed by nothing after a poll that saw all: {wrong}"


async def hold_as_said(life: Life, owns: Sequence[Appointment], texts: Texts) -> None:
    """`texts`: read no sooner than `owns`, where something is written meanwhile."""
    standing, touched = copies(texts), life.touched
    for own in owns:
        found = standing.get(own.uid or "", [])
        wanted = [(own.starts, own.ends)] if own.status == "CONFIRMED" else []
        said = f"{own.id}, {own.status} from {own.starts} to {own.ends}, is {own.write_state}, and there is {found}"
        assert len(found) <= 1 or own.id in touched, f"twice: {said}"
        match own.write_state:
            case WriteState.REMOVED if life.is_vague:
                pass  # The next poll is told of what stands there still.
            case WriteState.WRITTEN | WriteState.REMOVED:
                assert found == wanted or own.id in touched, said
            case WriteState.CHANGED_IN_ICLOUD | WriteState.DELETED_IN_ICLOUD:
                assert own.id in touched, f"the owner left it alone: {said}"


async def hold_as_told(life: Life) -> None:
    """What the account says of itself is so, whatever it met."""
    account = await life.known.engine.account()
    match account.status:
        case AccountStatus.CONNECTED:
            assert account.problem_code in {None, ICloudProblemCode.LINKED_CALENDAR_UNUSABLE}, (
                account.problem_code
            )
        case AccountStatus.UNREACHABLE:
            assert account.problem_code, "unreachable, and it is not said why"
            assert account.next_poll_at, "unreachable, and never asked again"
        case AccountStatus.NEEDS_NEW_PASSWORD:
            assert account.next_poll_at is None, "asked again with a password that is refused"


async def appointments(known: Account) -> list[Appointment]:
    async with known.engine.database.reading() as db:
        return await Appointment.all().using_db(db)


async def standing_copies(known: Account) -> dict[str, list[Standing]]:
    return copies(await texts_of(known))


def copies(texts: Texts) -> dict[str, list[Standing]]:
    """Of appointments, by UID, in all calendars."""
    found: dict[str, list[Standing]] = {}
    for text in texts.values():
        written = read_written(text)
        if written is not None and written.uid.startswith(OURS):
            found.setdefault(written.uid, []).append((written.start, written.end))
    return found


def closes(known: Account, texts: Texts) -> Slots:
    window = plan_window(known.engine.now, ZONE, known.engine.settings)
    closed: Slots = Counter()
    for text in texts.values():
        closed.update(_closed_by(text, *window))
    return closed


@lru_cache(maxsize=1000)
def _closed_by(text: str, start: int, end: int) -> tuple[tuple[int, int, str], ...]:
    """By one of the owner's own. How a text is read is held to other promises: here the same reader does."""
    reading = read_resource(text, zone=ZONE, addresses=frozenset({APPLE_ID}), window=Span(start, end))
    spans = [(occurrence.uid, blocked_span(occurrence, BusyPolicy())) for occurrence in reading.occurrences]
    return tuple((span.start, span.end, uid) for uid, span in spans if span and not uid.startswith(OURS))


@lru_cache(maxsize=1000)
def uid_of(text: str) -> str | None:
    written = read_written(text)
    return None if written is None else written.uid
