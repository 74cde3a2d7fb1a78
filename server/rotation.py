"""Seals every password anew with the newest key, while servers run."""

from __future__ import annotations

from collections.abc import Mapping

from models.database import Database
from models.icloud import ICloudAccount
from models.seal import Sealer, UnsealError
from models.sql import execute
from server.config import Settings
from server.database import of_its_statements, open_database
from server.secret_keys import add_key, drop_keys, load_keys
from server.services import keep_probe, open_parts

_AT_ONCE = 200


async def rotate(settings: Settings, environment: Mapping[str, str], *, drop_old: bool) -> list[str]:
    """With keys in the environment, the first of them is the one to seal with: nothing is made there."""
    async with open_parts(settings, environment):
        pass  # The keys are the right ones: else nothing is touched.
    in_file = not environment.get("SLOTWIRE_SEALING_KEYS")
    lines: list[str] = []
    if in_file:
        lines.append(f"New sealing key {add_key(settings.sealing_key_file)} in {settings.sealing_key_file}.")
    else:
        lines.append("No key is made: the first of SLOTWIRE_SEALING_KEYS is the one to seal with.")
    sealer = load_keys(settings.sealing_key_file, environment, is_first_start=False).sealer()
    async with open_database(settings.database_url, pool_size=2) as database:
        with of_its_statements():
            count, closed = await _seal_anew(database, sealer)
            await keep_probe(database, sealer)
        lines.append(f"{count} passwords sealed anew with {sealer.newest}.")
    if closed:
        lines.append(
            f"{closed} can't be opened with any key: bring theirs back, or have their owners give new ones."
        )
    if drop_old and in_file:
        drop_keys(settings.sealing_key_file, but=sealer.newest)
        lines.append("The old keys are gone: restart every server, and keep the file with your backups.")
    elif drop_old:
        lines.append("Take the old keys out of SLOTWIRE_SEALING_KEYS, and restart every server.")
    return lines


async def _seal_anew(database: Database, sealer: Sealer) -> tuple[int, int]:
    """How many were, and how many no key opens: these stay as they are, and keep no other from it."""
    after, count, closed = "", 0, 0
    while True:
        async with database.reading() as db:
            rows = await ICloudAccount.filter(id__gt=after).using_db(db).order_by("id").limit(_AT_ONCE)
        for row in rows:
            try:
                count += await _seal_row(database, sealer, row)
            except UnsealError:
                closed += 1
        if len(rows) < _AT_ONCE:
            return count, closed
        after = rows[-1].id


async def _seal_row(database: Database, sealer: Sealer, row: ICloudAccount) -> int:
    if sealer.is_sealed_with_newest(row.sealed_password):
        return 0
    fresh = sealer.seal(sealer.unseal(row.sealed_password, row=row.id), row=row.id)
    async with database.writing() as db:
        # Only over what was read: a password renewed meanwhile stays.
        changed = await execute(
            db,
            "UPDATE icloud_account SET sealed_password = $1 WHERE id = $2 AND sealed_password = $3",
            fresh,
            row.id,
            bytes(row.sealed_password),
        )
    return 1 if changed else 0
