"""What the stand-in knows in memory: accounts, calendars, and their resources in the order they changed."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Annotated

from standin.arguments import Form, Range

ISSUED_HERE = "HwoQEgwAA"  # How iCloud's tokens begin; what follows is ours.
_OLD_TOKEN = re.compile(r"FT=-@RU=([0-9a-f]{8})-0000-4000-8000-000000000000@S=(\d{1,18})")
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


ADDRESS = Form(r"[^\s/?#%:@<>&\"]{1,64}@[^\s/?#%:@<>&\"]{1,255}", "an e-mail address")
DSID = Form(r"[0-9]{1,20}", "1 to 20 digits")
SPECIAL = ("inbox", "outbox", "notification")  # What is in every home beside its calendars.
# As Apple's are: no part of a path that leads elsewhere, none of those names.
CALENDAR_ID = Form(
    rf"(?!(?:{'|'.join(SPECIAL)})\Z)[A-Za-z0-9][A-Za-z0-9._-]{{0,127}}",
    "up to 128 letters, digits, dots, hyphens and underscores, and not "
    f"{', '.join(SPECIAL[:-1])} or {SPECIAL[-1]}",
)


class Kind(StrEnum):
    OWN = auto()
    SHARED_OUT = auto()  # The owner's own, shared with others.
    SHARED = auto()  # Somebody else's, shared with the owner.
    SUBSCRIBED = auto()
    REMINDERS = auto()


class TokenRefusedError(Exception):
    """The sync token was not issued here, or its history is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarFacts:
    """What a calendar is, apart from what is in it."""

    id: Annotated[str, CALENDAR_ID]
    name: str
    kind: Kind = Kind.OWN
    color: str | None = "#1E4C63FF"
    order: Annotated[int, Range(0, 999_999_999)] = 1
    writable: bool = True
    source: str | None = None  # The address a subscription reads.

    @property
    def component(self) -> str:
        return "VTODO" if self.kind is Kind.REMINDERS else "VEVENT"


HOME_AND_WORK = (
    CalendarFacts(id="home", name="Home", color="#1BADF8FF", order=1),
    CalendarFacts(id="work", name="Work", color="#63DA38FF", order=2),
)


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource as it last changed. A removed one stays, so that a later sync can tell of it."""

    name: str
    etag: str
    uid: str
    stored: str  # Radicale's own ETag: tells at start what changed behind the journal's back.
    revision: int
    gone: bool = False


@dataclass(slots=True)
class Calendar:
    dsid: str
    facts: CalendarFacts
    epoch: bytes  # Four random bytes: a token counts for the calendar it was issued for.
    revision: int = 1
    floor: int = 1  # The oldest revision from which history is complete.
    resources: dict[str, Resource] = field(default_factory=dict)  # Ordered by revision.
    refusals: int = 0  # Tokens refused so far.
    names: dict[str, str] = field(init=False)  # Of what is there, by UID.

    def __post_init__(self) -> None:
        self.names = {held.uid: held.name for held in self.present()}

    @property
    def path(self) -> str:
        return f"/{self.dsid}/calendars/{self.facts.id}/"

    @property
    def etag(self) -> str:
        return short_etag(self.path, self.epoch.hex(), str(self.revision))

    def token(self, form: str = "new", *, at: int | None = None) -> str:
        """The sync token of now, or of an earlier revision."""
        revision = self.revision if at is None else at
        if form == "old":
            return f"FT=-@RU={self.epoch.hex()}-0000-4000-8000-000000000000@S={revision}"
        # 13 bytes, so that the base64 ends in `==` as iCloud's does.
        packed = b"\0" + self.epoch + revision.to_bytes(8, "big")
        return ISSUED_HERE + base64.b64encode(packed).decode()

    def get(self, name: str) -> Resource | None:
        resource = self.resources.get(name)
        return None if resource is None or resource.gone else resource

    def present(self) -> list[Resource]:
        return [resource for resource in self.resources.values() if not resource.gone]

    def holder_of(self, uid: str) -> str | None:
        return self.names.get(uid)

    def place(self, name: str, *, uid: str, stored: str) -> Resource:
        """Note that a resource is here with new content, or was touched."""
        self.revision += 1
        etag = short_etag(self.path, name, stored, str(self.revision))
        return self._put(Resource(name, etag, uid, stored, self.revision))

    def remove(self, name: str) -> Resource:
        self.revision += 1
        held = self.resources[name]
        return self._put(Resource(name, held.etag, held.uid, "", self.revision, gone=True))

    def purge(self) -> None:
        """Forget the history: every token issued so far is refused."""
        self.revision += 1
        self.floor = self.revision

    def since(self, token: str) -> list[Resource]:
        """What changed after `token`, oldest first; what is there now, for the empty token."""
        if not token:
            return self.present()
        after = self._revision_of(token)
        changed = list(self._newest_first_after(after))
        return changed[::-1]

    def _put(self, resource: Resource) -> Resource:
        before = self.resources.pop(resource.name, None)  # Keeps the dictionary in the order of revisions.
        if before is not None and self.names.get(before.uid) == before.name:
            del self.names[before.uid]
        self.resources[resource.name] = resource
        if not resource.gone:
            self.names[resource.uid] = resource.name
        return resource

    def _newest_first_after(self, revision: int) -> Iterator[Resource]:
        for resource in reversed(self.resources.values()):
            if resource.revision <= revision:
                return
            yield resource

    def _revision_of(self, token: str) -> int:
        epoch, revision = _read_old(token) if token.startswith("FT=") else _read_new(token)
        if epoch != self.epoch or not self.floor <= revision <= self.revision:
            raise TokenRefusedError
        return revision


def _read_new(token: str) -> tuple[bytes, int]:
    try:
        packed = base64.b64decode(token.removeprefix(ISSUED_HERE).encode(), validate=True)
    except ValueError as error:
        raise TokenRefusedError from error
    if not token.startswith(ISSUED_HERE) or len(packed) != 13:
        raise TokenRefusedError
    return packed[1:5], int.from_bytes(packed[5:], "big")


def _read_old(token: str) -> tuple[bytes, int]:
    found = _OLD_TOKEN.fullmatch(token)
    if found is None:
        raise TokenRefusedError
    return bytes.fromhex(found[1]), int(found[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who can sign in. Every sign-in name leads to the one principal."""

    apple_id: str
    dsid: str
    full_name: str = "Test User"
    aliases: tuple[str, ...] = ()
    main_password: str = ""
    partition: int = 180

    @property
    def sign_in_names(self) -> tuple[str, ...]:
        return (self.apple_id, *self.aliases)

    @property
    def principal(self) -> str:
        return f"/{self.dsid}/principal/"

    @property
    def home(self) -> str:
        return f"/{self.dsid}/calendars/"


def short_etag(*parts: str) -> str:
    """Eight characters in base 36, as iCloud's ETags are."""
    number = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:8], "big")
    digits = ""
    for _ in range(8):
        number, digit = divmod(number, 36)
        digits += _BASE36[digit]
    return digits


def digest(app_password: str) -> str:
    return hashlib.sha256(app_password.encode()).hexdigest()
