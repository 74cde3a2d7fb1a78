"""The stand-in's memory on disk: accounts, calendars and how each resource last changed, in one SQLite file."""

import json
import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from standin.catalog import Account, Calendar, CalendarFacts, Kind, Resource

_TABLES = """
CREATE TABLE IF NOT EXISTS account (dsid TEXT PRIMARY KEY, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS app_password (
  dsid TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (dsid, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calendar (
  dsid TEXT NOT NULL, id TEXT NOT NULL, facts TEXT NOT NULL, epoch BLOB NOT NULL,
  revision INTEGER NOT NULL, floor INTEGER NOT NULL, PRIMARY KEY (dsid, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS resource (
  dsid TEXT NOT NULL, calendar TEXT NOT NULL, name TEXT NOT NULL, etag TEXT NOT NULL, uid TEXT NOT NULL,
  stored TEXT NOT NULL, revision INTEGER NOT NULL, gone INTEGER NOT NULL,
  PRIMARY KEY (dsid, calendar, name)) WITHOUT ROWID;
"""


class Journal:
    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=0)
        # What another wrote here would not be known to us.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            self._db.close()
            raise OSError(f"{path.parent} is another stand-in's: {error}") from error
        self._db.execute("PRAGMA synchronous = OFF")  # Outlives a killed process, which is all that is asked.
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    def accounts(self) -> Iterator[Account]:
        for (facts,) in self._db.execute("SELECT facts FROM account").fetchall():
            read = json.loads(facts)
            yield Account(**{**read, "aliases": tuple(read["aliases"])})

    def app_passwords(self, dsid: str) -> set[str]:
        rows = self._db.execute("SELECT digest FROM app_password WHERE dsid = ?", (dsid,))
        return {digest for (digest,) in rows}

    def calendars(self, dsid: str) -> Iterator[Calendar]:
        sql = "SELECT id, facts, epoch, revision, floor FROM calendar WHERE dsid = ?"
        for id_, facts, epoch, revision, floor in self._db.execute(sql, (dsid,)).fetchall():
            read = json.loads(facts)
            known = CalendarFacts(**{**read, "kind": Kind(read["kind"])})
            yield Calendar(dsid, known, epoch, revision, floor, self._resources(dsid, id_))

    def add_account(self, account: Account) -> None:
        facts = json.dumps(asdict(account))
        self._db.execute("INSERT INTO account VALUES (?, ?)", (account.dsid, facts))

    def save_account(self, account: Account) -> None:
        facts = json.dumps(asdict(account))
        self._db.execute("UPDATE account SET facts = ? WHERE dsid = ?", (facts, account.dsid))

    def set_app_passwords(self, dsid: str, digests: set[str]) -> None:
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM app_password WHERE dsid = ?", (dsid,))
            rows = [(dsid, digest) for digest in digests]
            self._db.executemany("INSERT INTO app_password VALUES (?, ?)", rows)

    def save(self, calendar: Calendar, *changed: Resource) -> None:
        """Write down a calendar as it is, and those of its resources that changed."""
        facts = json.dumps(asdict(calendar.facts))
        dsid, id_ = calendar.dsid, calendar.facts.id
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute(
                "INSERT OR REPLACE INTO calendar VALUES (?, ?, ?, ?, ?, ?)",
                (dsid, id_, facts, calendar.epoch, calendar.revision, calendar.floor),
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO resource VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(dsid, id_, r.name, r.etag, r.uid, r.stored, r.revision, r.gone) for r in changed],
            )

    def drop(self, calendar: Calendar) -> None:
        where = (calendar.dsid, calendar.facts.id)
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM resource WHERE dsid = ? AND calendar = ?", where)
            self._db.execute("DELETE FROM calendar WHERE dsid = ? AND id = ?", where)

    def _resources(self, dsid: str, calendar: str) -> dict[str, Resource]:
        sql = """SELECT name, etag, uid, stored, revision, gone FROM resource
                 WHERE dsid = ? AND calendar = ? ORDER BY revision"""
        rows = self._db.execute(sql, (dsid, calendar)).fetchall()
        return {
            name: Resource(name, etag, uid, stored, revision, gone=bool(gone))
            for name, etag, uid, stored, revision, gone in rows
        }


def new_epoch() -> bytes:
    return secrets.token_bytes(4)
