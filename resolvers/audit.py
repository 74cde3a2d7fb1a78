"""The audit log: what was done in a subaccount, and by whom."""

from __future__ import annotations

from domain.ids import Kind
from models.audit import AuditEntry
from models.sql import Db
from resolvers import scope
from resolvers.context import Context, Services
from resolvers.outcomes import Forbidden, InvalidInput, NotFound
from resolvers.paging import page_of, read_page
from resolvers.views import AuditView, Page

_AFTER_EVERY_ID = "zzz"  # Newest first; sorts after every id in any collation.


async def audit_log(
    ctx: Context, first: int | None, after: str | None
) -> Page[AuditView] | InvalidInput | Forbidden:
    """Newest first."""
    if refusal := scope.admin_only(ctx):
        return refusal
    asked = read_page("audit", first, after, start=(_AFTER_EVERY_ID,))
    if isinstance(asked, InvalidInput):
        return asked
    # Ids are made in the order of time (UUIDv7).
    rows = (
        await AuditEntry.filter(subaccount_id=ctx.actor.subaccount, id__lt=asked.after[0])
        .using_db(await ctx.db())
        .order_by("-id")
        .limit(asked.first + 1)
    )
    return page_of(asked, rows, keys=lambda row: (row.id,), view=_view)


async def entry(ctx: Context, entry_id: str) -> AuditView | None:
    row = await scope.audit_entry(ctx, entry_id)
    return None if isinstance(row, NotFound) else _view(row)


async def note(db: Db, ctx: Context, action: str, subject_id: str | None = None) -> None:
    """In the transaction of what was done."""
    await note_by(
        db,
        ctx.services,
        subaccount=ctx.actor.subaccount,
        actor=ctx.actor.label,
        action=action,
        subject_id=subject_id,
    )


async def note_by(
    db: Db, services: Services, *, subaccount: str, actor: str, action: str, subject_id: str | None = None
) -> None:
    await AuditEntry.create(
        using_db=db,
        id=services.new_id(Kind.AUDIT),
        subaccount_id=subaccount,
        at=services.clock(),
        actor=actor,
        action=action,
        subject_id=subject_id,
    )


def _view(row: AuditEntry) -> AuditView:
    return AuditView(row.id, row.at, row.actor, row.action, row.subject_id)
