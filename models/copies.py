"""Which resources are copies of our appointments, and where copies stand."""

from __future__ import annotations

from collections.abc import Sequence

from domain.actor import UserRef
from domain.copies import WriteState, appointment_of
from models.booking import Appointment
from models.calendar import Calendar, Resource
from models.held import hrefs_where, of_names, stored_rows
from models.rows import ReadResource
from models.settle import chunks
from models.sql import Db, fetch, models_of


async def own_appointments(
    db: Db, calendar: Calendar, found: Sequence[ReadResource]
) -> dict[str, Appointment]:
    """Which are copies of this user's appointments: by href, else by UID, also after a new connection.

    A UID names its appointment whatever is on record of it: written anew under another one, it still knows the first,
    and a database that is older than the calendar knows what was written since.
    """
    placed = await placed_at(db, calendar, [each.href for each in found])
    by_href = {each.href: each for each in placed}
    names = {each.href: appointment_of(each.uid or "") for each in found if each.href not in by_href}
    wanted = {name for name in names.values() if name is not None}
    by_name = {each.id: each for each in await _appointments(db, calendar, list(wanted))}
    owns = {each.href: by_href.get(each.href) or by_name.get(names.get(each.href) or "") for each in found}
    return {href: own for href, own in owns.items() if own is not None}


async def placed_at(db: Db, calendar: Calendar, hrefs: Sequence[str]) -> list[Appointment]:
    """The appointments whose copies stand there. Of most pages none, and plain SQL finds that out quickly."""
    statement = "SELECT id FROM appointment WHERE calendar_id = $1 AND href IN"
    rows = await of_names(db, statement, hrefs, calendar.id)
    return await _appointments(db, calendar, [row["id"] for row in rows])


async def _appointments(db: Db, calendar: Calendar, ids: Sequence[str]) -> list[Appointment]:
    """Those of them that are this user's: SQLite would go through all of a user that is named beside."""
    mine = (calendar.subaccount_id, calendar.user_id)
    found: list[Appointment] = []
    for part in chunks(ids):
        found += await Appointment.filter(id__in=part).using_db(db)
    return [each for each in found if (each.subaccount_id, each.user_id) == mine]


async def copies_of(db: Db, own: Appointment) -> list[Resource]:
    """Of one appointment, in whichever calendars that are read; by id."""
    mine = Resource.filter(subaccount_id=own.subaccount_id, user_id=own.user_id, appointment_id=own.id)
    return await mine.using_db(db).order_by("id")


async def deleted_copies(db: Db, calendar: Calendar) -> list[Resource]:
    """Those that stand in it of appointments whose events are told as deleted."""
    rows = await fetch(
        db,
        "SELECT r.* FROM resource r JOIN appointment a ON a.id = r.appointment_id"
        " WHERE r.calendar_id = $1 AND a.write_state = $2",
        calendar.id,
        str(WriteState.DELETED_IN_ICLOUD),
    )
    return models_of(Resource, rows)


async def own_hrefs(db: Db, calendar: Calendar) -> list[str]:
    """Of the copies of appointments that stand in this calendar."""
    return await hrefs_where(db, calendar, "appointment_id IS NOT NULL")


async def unheld_copies(db: Db, calendar: Calendar, *, after: int) -> tuple[list[str], int]:
    """Where copies stand by their appointments' record and no resource is held of it; and how many stand there in all.

    Of appointments that end after that.
    """
    # By the user and the time: a calendar can have years of them.
    rows = await fetch(
        db,
        "SELECT href FROM appointment WHERE user_id = $1 AND ends > $2 AND calendar_id = $3"
        " AND href IS NOT NULL AND write_state IN ($4, $5)",
        calendar.user_id,
        after,
        calendar.id,
        str(WriteState.WRITTEN),
        str(WriteState.CHANGED_IN_ICLOUD),
    )
    standing = [row["href"] for row in rows]
    held = await stored_rows(db, calendar, standing)
    return [href for href in standing if href not in held], len(standing)


async def unseen_copies(db: Db, user: UserRef, *, after: int) -> list[tuple[str, str]]:
    """Calendar and href of the copies that were written and not read since. Of appointments that end after that."""
    rows = await fetch(
        db,
        "SELECT a.calendar_id, a.href FROM appointment a"
        " JOIN resource r ON r.calendar_id = a.calendar_id AND r.href = a.href"
        " WHERE a.user_id = $1 AND a.ends > $2 AND a.status = 'CONFIRMED' AND a.write_state IN ($3, $4)"
        " AND r.etag = '' AND r.is_readable",
        user.user,
        after,
        str(WriteState.WRITTEN),
        str(WriteState.CHANGED_IN_ICLOUD),
    )
    return [(row["calendar_id"], row["href"]) for row in rows]


async def unsent_copies(db: Db, calendar: Calendar) -> set[str]:
    """Hrefs in it of copies that nobody has read since they were written, and whose next write waits."""
    found = await hrefs_where(
        db,
        calendar,
        "etag = '' AND is_readable AND EXISTS"
        " (SELECT 1 FROM pending_write AS write WHERE write.appointment_id = resource.appointment_id)",
    )
    return set(found)
