"""The stand-in's state: who can sign in, their calendars, and how a change reaches Radicale and the journal."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from standin.backend import Backend, Stored
from standin.catalog import Account, Calendar, CalendarFacts, Resource, digest
from standin.faults import Faults
from standin.ics import housekept
from standin.journal import Journal, new_epoch
from standin.lagging import Unsettled

_MOST_DELETED = 20  # Calendars of an account whose texts are kept, for those that may come back with them.


class TakenError(ValueError):
    """An account, or one of its calendars, is there already."""


@dataclass(slots=True)
class Member:
    """An account, with what changes about it."""

    account: Account
    app_passwords: set[str]
    calendars: dict[str, Calendar] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    mails: int = 0  # Invitations that iCloud would have sent.
    old_host: str = "serves"  # What a partition host does that the account has left.
    unsettled: Unsettled = field(default_factory=Unsettled)
    deleted: dict[str, Mapping[str, str]] = field(default_factory=dict)  # Texts of calendars that were.

    @property
    def resources(self) -> int:
        return sum(len(calendar.names) for calendar in self.calendars.values())

    def calendar(self, wanted: str) -> Calendar:
        """By id, else by name."""
        named = (known for known in self.calendars.values() if known.facts.name == wanted)
        found = self.calendars.get(wanted) or next(named, None)
        if found is None:
            raise LookupError(f"{self.account.apple_id} has no calendar {wanted!r}")
        return found

    def calendar_at(self, path: str) -> Calendar | None:
        """The one whose collection this is."""
        return next((known for known in self.calendars.values() if known.path == path), None)

    def holder_of(self, uid: str) -> tuple[str, str] | None:
        """The calendar and the name of the resource that has `uid`, anywhere in the account."""
        for calendar in self.calendars.values():
            name = calendar.holder_of(uid)
            if name is not None:
                return calendar.facts.id, name
        return None


class Cloud:
    def __init__(self, backend: Backend, journal: Journal, *, clock: Callable[[], float] = time.time) -> None:
        self.backend = backend
        self.clock = clock
        self.writing = asyncio.Lock()  # Held from the look at the preconditions to the index's change.
        self._journal = journal
        self._members: dict[str, Member] = {}
        self._dsids: dict[str, str] = {}  # By sign-in name.

    @classmethod
    def open(cls, folder: Path) -> Self:
        folder.mkdir(parents=True, exist_ok=True)
        journal = Journal(folder / "standin.sqlite3")
        cloud = cls(Backend(folder), journal)
        for account in journal.accounts():
            member = cloud._admit(account, journal.app_passwords(account.dsid))
            member.calendars = {known.facts.id: known for known in journal.calendars(account.dsid)}
            for calendar in member.calendars.values():
                cloud._reconcile(calendar)
        return cloud

    def close(self) -> None:
        self.backend.close()
        self._journal.close()

    def members(self) -> Iterator[Member]:
        yield from self._members.values()

    def member(self, sign_in_name: str) -> Member:
        dsid = self._dsids.get(sign_in_name.casefold())
        if dsid is None:
            raise LookupError(f"nobody signs in as {sign_in_name!r}")
        return self._members[dsid]

    def by_dsid(self, dsid: str) -> Member | None:
        return self._members.get(dsid)

    def holds(self, calendar: Calendar) -> bool:
        """Whether it is still there, and no other of its id: who waited to write may have waited for its deletion."""
        return self._members[calendar.dsid].calendars.get(calendar.facts.id) is calendar

    def _require(self, calendar: Calendar) -> None:
        if not self.holds(calendar):
            raise LookupError(f"{calendar.path} is gone")

    def sign_in(self, name: str, password: str, *, on_own_device: bool = False) -> Member | None:
        """App-specific passwords only: the account's own is as wrong as any other, but on the owner's devices."""
        dsid = self._dsids.get(name.casefold(), "")
        member = self._members.get(dsid)
        if member is None or digest(password) in member.app_passwords:
            return member
        main = member.account.main_password
        return member if on_own_device and main and password == main else None

    def add_account(
        self, account: Account, app_passwords: Iterable[str], calendars: Iterable[CalendarFacts] = ()
    ) -> Member:
        taken = [name for name in account.sign_in_names if name.casefold() in self._dsids]
        if taken or account.dsid in self._members:
            raise TakenError(f"{', '.join(taken) or account.dsid} is there already")
        self._journal.add_account(account)
        member = self._admit(account, set())
        self.allow(member, *app_passwords)
        for facts in calendars:
            self.add_calendar(member, facts)
        return member

    def allow(self, member: Member, *app_passwords: str) -> None:
        member.app_passwords |= {digest(password) for password in app_passwords}
        self._journal.set_app_passwords(member.account.dsid, member.app_passwords)

    def revoke(self, member: Member, *app_passwords: str) -> None:
        """Those passwords; all of them where none is named, as when the owner changes the account's own."""
        revoked = {digest(password) for password in app_passwords} or set(member.app_passwords)
        member.app_passwords -= revoked
        self._journal.set_app_passwords(member.account.dsid, member.app_passwords)

    def add_calendar(self, member: Member, facts: CalendarFacts) -> Calendar:
        if facts.id in member.calendars:
            raise TakenError(f"{member.account.apple_id} has a calendar {facts.id!r} already")
        calendar = Calendar(member.account.dsid, facts, new_epoch())
        member.calendars[facts.id] = calendar
        self._journal.save(calendar)
        return calendar

    def move_partition(self, member: Member, partition: int) -> None:
        member.account = replace(member.account, partition=partition)
        self._journal.save_account(member.account)

    def describe(self, calendar: Calendar, **changed: str | int | bool | None) -> None:
        calendar.facts = replace(calendar.facts, **changed)  # type: ignore[arg-type]
        self._journal.save(calendar)

    def load(self, calendar: Calendar, texts: Mapping[str, str]) -> None:
        """Store many resources at once, as changes like any other."""
        stored = self.backend.load(calendar.dsid, calendar.facts, texts)
        self._journal.save(calendar, *[self._placed(calendar, one) for one in stored])

    def note_put(self, calendar: Calendar, one: Stored) -> Resource:
        resource = self._placed(calendar, one)
        self._journal.save(calendar, resource)
        return resource

    def note_delete(self, calendar: Calendar, name: str) -> None:
        self._journal.save(calendar, calendar.remove(name))

    def touch(self, calendar: Calendar, names: Iterable[str] = ()) -> None:
        """New ETags for the same content, as after the server's own housekeeping."""
        touched = [
            calendar.place(held.name, uid=held.uid, stored=held.stored) for held in _named(calendar, names)
        ]
        self._journal.save(calendar, *touched)

    async def housekeep(self, calendar: Calendar, names: Iterable[str] = ()) -> None:
        """What the server itself adds to objects, under new ETags."""
        async with self.writing:
            self._require(calendar)
            wanted = [held.name for held in _named(calendar, names)]
            texts = await self.backend.bodies(calendar.dsid, calendar.facts.id, wanted)
            self.load(calendar, {name: housekept(text) for name, text in texts.items()})

    def purge_tokens(self, calendar: Calendar) -> None:
        calendar.purge()
        self._journal.save(calendar)

    async def delete_calendar(self, member: Member, calendar: Calendar) -> None:
        async with self.writing:
            self._require(calendar)
            names = [resource.name for resource in calendar.present()]
            texts = await self.backend.bodies(calendar.dsid, calendar.facts.id, names)
            member.deleted.pop(calendar.facts.id, None)
            member.deleted[calendar.facts.id] = texts
            for forgotten in list(member.deleted)[:-_MOST_DELETED]:
                del member.deleted[forgotten]
            await self.backend.delete(calendar.dsid, calendar.facts.id)
            del member.calendars[calendar.facts.id]
            self._journal.drop(calendar)

    def _admit(self, account: Account, app_passwords: set[str]) -> Member:
        member = Member(account, app_passwords)
        self._members[account.dsid] = member
        self._dsids.update({name.casefold(): account.dsid for name in account.sign_in_names})
        return member

    def _placed(self, calendar: Calendar, one: Stored) -> Resource:
        return calendar.place(one.name, uid=one.uid, stored=one.etag)

    def _reconcile(self, calendar: Calendar) -> None:
        """Catch up with writes that a killed process stored without noting them."""
        there = {one.name: one for one in self.backend.stored(calendar.dsid, calendar.facts.id)}
        gone = [resource.name for resource in calendar.present() if resource.name not in there]
        changed = [calendar.remove(name) for name in gone]
        for one in there.values():
            held = calendar.get(one.name)
            if held is None or held.stored != one.etag:
                changed.append(self._placed(calendar, one))
        if changed:
            self._journal.save(calendar, *changed)


def _named(calendar: Calendar, names: Iterable[str]) -> list[Resource]:
    """Those of these names, or all that there are; raises LookupError where one is not there."""
    wanted = set(names)
    found = [held for held in calendar.present() if not wanted or held.name in wanted]
    if missing := wanted - {held.name for held in found}:
        raise LookupError(f"{calendar.path} has no {min(missing)!r}")
    return found


def new_account(
    apple_id: str,
    *,
    dsid: str | None,
    full_name: str,
    aliases: Iterable[str],
    main_password: str | None,
) -> Account:
    """With a number and a password of its own where none is given."""
    return Account(
        apple_id=apple_id,
        dsid=dsid or new_dsid(),
        full_name=full_name,
        aliases=tuple(aliases),
        main_password=main_password or secrets.token_urlsafe(12),
    )


def new_dsid() -> str:
    return str(100_000_000 + secrets.randbelow(900_000_000))
