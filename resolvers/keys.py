"""The keys that speak for a subaccount or one of its users."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection, Iterator, Sequence

from domain.actor import Actor, Role, UserRef
from domain.ids import Kind
from domain.validate import Invalid, check_name
from models.changelog import NoSuchUserError, lock
from models.people import Key, Subaccount
from models.sql import Db, execute, fetch
from models.unavailable import where_it_can
from resolvers import audit, scope
from resolvers.context import Context, Services
from resolvers.inputs import invalid
from resolvers.origins import check_origins
from resolvers.outcomes import Forbidden, InvalidInput, NotFound
from resolvers.paging import page_of, read_page
from resolvers.people import COMMAND_LINE
from resolvers.views import KeyView, Page

_USE_NOTED_EVERY = 60.0
# SQLite takes 999 parameters in builds of old.
_LOOKED_AT_ONCE = 500
_PREFIXES = {Role.ADMIN: "sw_admin_", Role.OWNER: "sw_owner_", Role.BOOKING: "sw_booking_"}
# 32 random bytes in base64url.
_SECRET = re.compile(r"sw_(?:admin|owner|booking)_[A-Za-z0-9_-]{43}")

_KEYS = (
    "SELECT id FROM api_key WHERE subaccount_id = $1"
    ' AND (label COLLATE "C" > $2 OR (label = $2 AND id > $3)) ORDER BY label COLLATE "C", id LIMIT $4'
)


async def keys(
    ctx: Context, first: int | None, after: str | None
) -> Page[KeyView] | InvalidInput | Forbidden:
    """By label, then id; revoked ones too."""
    if refusal := scope.admin_only(ctx):
        return refusal
    asked = read_page("keys", first, after, start=("", ""))
    if isinstance(asked, InvalidInput):
        return asked
    db = await ctx.db()
    ids = [row["id"] for row in await fetch(db, _KEYS, ctx.actor.subaccount, *asked.after, asked.first + 1)]
    found = await Key.in_bulk(ids, using_db=db)
    return page_of(asked, [found[id_] for id_ in ids], keys=lambda row: (row.label, row.id), view=_view)


async def key(ctx: Context, key_id: str) -> KeyView | None:
    row = await scope.key(ctx, key_id)
    return None if isinstance(row, NotFound) else _view(row)


async def create_key(
    ctx: Context,
    *,
    label: str,
    role: Role,
    user_id: str | None = None,
    allowed_origins: Sequence[str] | None = None,
) -> tuple[KeyView, str] | InvalidInput | NotFound | Forbidden:
    """The key and its secret, which is never shown again."""
    if refusal := scope.admin_only(ctx):
        return refusal
    if user_id is not None and role is Role.OWNER:
        known = await scope.user(ctx, user_id)
        if isinstance(known, NotFound):
            return known
    await ctx.renew()
    return await _issue(
        ctx.services,
        by=ctx.actor.label,
        subaccount=ctx.actor.subaccount,
        label=label,
        role=role,
        user_id=user_id,
        origins=allowed_origins,
    )


async def issue_key(
    services: Services,
    *,
    subaccount: str,
    label: str,
    role: Role,
    user_id: str | None = None,
    origins: Sequence[str] | None = None,
) -> tuple[KeyView, str] | InvalidInput | NotFound:
    """For whoever runs the server: no key is needed to make one."""
    async with services.database.reading() as db:
        if not await Subaccount.filter(id=subaccount).using_db(db).exists():
            return NotFound("There is no such subaccount: list them with `python -m server subaccounts`.")
    return await _issue(
        services,
        by=COMMAND_LINE,
        subaccount=subaccount,
        label=label,
        role=role,
        user_id=user_id,
        origins=origins,
    )


async def revoke_key(ctx: Context, *, key_id: str) -> str | NotFound | Forbidden:
    """Revoking twice answers twice alike."""
    if refusal := scope.admin_only(ctx):
        return refusal
    found = await scope.key(ctx, key_id)
    if isinstance(found, NotFound):
        return found
    await ctx.renew()
    async with ctx.services.database.writing() as db:
        if await execute(
            db, "UPDATE api_key SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL", ctx.now, key_id
        ):
            await audit.note(db, ctx, "key.revoked", key_id)
    ctx.services.keyring.forget(found.secret_hash)
    return key_id


async def authenticate(services: Services, secret: str) -> Actor | None:
    """Who holds this key; None where there is no such key, or it was revoked, or its user removed."""
    if not _SECRET.fullmatch(secret):
        return None
    secret_hash, now = hash_secret(secret), services.clock()
    if known := services.keyring.find(secret_hash, now=now):
        return known
    async with services.database.reading() as db:
        row = await Key.filter(secret_hash=secret_hash, revoked_at=None).using_db(db).first()
    if row is None:
        services.keyring.forget(secret_hash)
        return None
    actor = _actor(row)
    services.keyring.keep(secret_hash, actor, now=now)
    await _note_use(services, [row] if _is_to_note(row, now) else [], now)
    return actor


async def no_longer_good(services: Services, secrets_: Collection[str]) -> frozenset[str]:
    """Those of the keys that were revoked, or whose user was removed. One query for hundreds of them."""
    by_hash = {hash_secret(secret): secret for secret in secrets_}
    gone = set(by_hash)
    for hashes in _batches(sorted(by_hash)):
        async with services.database.reading() as db:
            rows = await Key.filter(secret_hash__in=hashes, revoked_at=None).using_db(db)
        gone.difference_update(row.secret_hash for row in rows)
        now = services.clock()
        await _note_use(services, [row for row in rows if _is_to_note(row, now)], now)
    for secret_hash in gone:
        services.keyring.forget(secret_hash)
    return frozenset(by_hash[secret_hash] for secret_hash in gone)


def _batches(hashes: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(hashes), _LOOKED_AT_ONCE):
        yield hashes[first : first + _LOOKED_AT_ONCE]


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _is_to_note(row: Key, now: float) -> bool:
    return row.last_used_at is None or now - row.last_used_at >= _USE_NOTED_EVERY


async def _note_use(services: Services, used: Sequence[Key], now: float) -> None:
    if not used:
        return
    # A key stays good while the database takes no writes: what was used is only for people to read.
    with where_it_can():
        async with services.database.writing() as db:
            await Key.filter(id__in=[key.id for key in used]).using_db(db).update(last_used_at=now)


async def _issue(
    services: Services,
    *,
    by: str,
    subaccount: str,
    label: str,
    role: Role,
    user_id: str | None,
    origins: Sequence[str] | None,
) -> tuple[KeyView, str] | InvalidInput | NotFound:
    checked_label = check_name(label, field="label")
    if isinstance(checked_label, Invalid):
        return invalid(checked_label)
    if refusal := _mismatch(role, user_id, origins):
        return refusal
    checked_origins = check_origins(origins)
    if isinstance(checked_origins, InvalidInput):
        return checked_origins
    secret = _PREFIXES[role] + secrets.token_urlsafe(32)
    async with services.database.writing() as db:
        if user_id is not None and not await _hold(db, UserRef(subaccount, user_id), services.clock()):
            return scope.NO_SUCH_USER
        row = await Key.create(
            using_db=db,
            id=services.new_id(Kind.KEY),
            subaccount_id=subaccount,
            user_id=user_id,
            role=role,
            label=checked_label,
            secret_hash=hash_secret(secret),
            allowed_origins=checked_origins,
            created_at=services.clock(),
        )
        await audit.note_by(
            db, services, subaccount=subaccount, actor=by, action="key.created", subject_id=row.id
        )
    return _view(row), secret


async def _hold(db: Db, user: UserRef, now: float) -> bool:
    """Keeps the user from being removed until the key stands; whether there is such a user."""
    try:
        await lock(db, user, now=now)
    except NoSuchUserError:
        return False
    return True


def _mismatch(role: Role, user_id: str | None, origins: Sequence[str] | None) -> InvalidInput | None:
    if role is Role.OWNER and user_id is None:
        return InvalidInput("Say whose key it is: an OWNER key speaks for one user.", "userId")
    if role is not Role.OWNER and user_id is not None:
        return InvalidInput("Leave the user out: only an OWNER key speaks for one.", "userId")
    if role is not Role.BOOKING and origins is not None:
        return InvalidInput("Leave the origins out: only a BOOKING key is used by pages.", "allowedOrigins")
    return None


def _actor(row: Key) -> Actor:
    origins = None if row.allowed_origins is None else tuple(row.allowed_origins)
    return Actor(row.id, row.label, Role(row.role), row.subaccount_id, row.user_id, origins)


def _view(row: Key) -> KeyView:
    return KeyView(
        id=row.id,
        label=row.label,
        role=Role(row.role),
        user=None if row.user_id is None else UserRef(row.subaccount_id, row.user_id),
        allowed_origins=None if row.allowed_origins is None else tuple(row.allowed_origins),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
