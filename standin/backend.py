"""Radicale, called in this process: it validates, stores and serves every body."""

import asyncio
import io
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from radicale import config
from radicale import item as radicale_item
from radicale.app import Application
from radicale.pathutils import is_safe_filesystem_path_component

from standin.catalog import CalendarFacts
from standin.ics import contents, stamped_once
from standin.occurrences import Span, expanded, meets
from standin.storage import verbatim

_LONGEST_NAME = 255  # Bytes, as most file systems have it.
_THREADS = 4
T = TypeVar("T")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    etag: str


@dataclass(frozen=True, slots=True)
class Stored:
    name: str
    uid: str
    etag: str


def can_hold(name: str) -> bool:
    """Whether an object or a calendar can be called so: `.` would be the folder itself, and all that is in it."""
    is_short = len(name.encode()) <= _LONGEST_NAME
    return is_short and is_safe_filesystem_path_component(name) and not _UNPRINTABLE.search(name)


class Backend:
    """Blocking work runs in threads, and writes one at a time: Radicale locks its folder anyway.

    They are the backend's own: those that asyncio lends can all wait for an answer of ours, each as somebody's phone.
    """

    def __init__(self, folder: Path) -> None:
        logging.getLogger("radicale").setLevel(logging.ERROR)  # Bad input is answered, not reported.
        configuration = config.load()
        configuration.update(
            {
                "auth": {"type": "remote_user"},
                "server": {"validate_path_value": "none"},  # `can_hold` says which names there are.
                "rights": {"type": "owner_only"},
                "storage": {"type": "standin.storage", "filesystem_folder": str(folder)},
                "web": {"type": "none"},
            },
            "stand-in",
        )
        # What is lost with the power is only a stand-in's.
        configuration.update({"storage": {"_filesystem_fsync": "False"}}, "stand-in", privileged=True)
        self._radicale = Application(configuration)
        self._storage = self._radicale._storage  # noqa: SLF001 - the one instance that holds the lock.
        self._root = folder / "collection-root"
        self._made: set[tuple[str, str]] = set()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="backend")

    def close(self) -> None:
        self._threads.shutdown()

    async def put(self, dsid: str, calendar: CalendarFacts, name: str, text: str) -> Answer:
        return await self._threaded(self._put, dsid, calendar, name, text)

    async def delete(self, dsid: str, calendar: str, name: str = "") -> Answer:
        if not name:
            self._made.discard((dsid, calendar))
        return await self._threaded(self._call, dsid, "DELETE", f"{calendar}/{name}", "")

    async def bodies(self, dsid: str, calendar: str, names: Iterable[str]) -> Mapping[str, str]:
        """The texts of those `names` that are there."""
        return await self._threaded(self._bodies, dsid, calendar, list(names))

    async def between(self, dsid: str, calendar: str, span: Span, *, as_moved: bool) -> set[str]:
        """The names of events with an occurrence in `span`."""
        return await self._threaded(self._between, dsid, calendar, span, as_moved)

    async def expanded(self, dsid: str, calendar: str, names: Iterable[str], span: Span) -> Mapping[str, str]:
        """The texts of those `names` with an occurrence in `span`, a VEVENT for each."""
        return await self._threaded(self._expanded, dsid, calendar, list(names), span)

    def load(self, dsid: str, calendar: CalendarFacts, texts: Mapping[str, str]) -> list[Stored]:
        """Store many resources at once, as they are: also such as no PUT would be taken for."""
        self._make(dsid, calendar)
        folder = self._folder(dsid, calendar.id)
        with self._storage.acquire_lock("w", dsid):
            for name, text in texts.items():
                _file(folder, name).write_bytes(text.encode())
        return [_stored(name, text) for name, text in texts.items()]

    def stored(self, dsid: str, calendar: str) -> list[Stored]:
        folder = self._folder(dsid, calendar)
        if not folder.is_dir():
            return []
        found = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
        return [_stored(path.name, path.read_bytes().decode()) for path in found]

    async def _threaded(self, work: Callable[..., T], *told: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *told)

    def _bodies(self, dsid: str, calendar: str, names: list[str]) -> dict[str, str]:
        """Straight from the files, which Radicale replaces as wholes."""
        folder = self._folder(dsid, calendar)
        texts = {}
        for name in names:
            with suppress(FileNotFoundError, NotADirectoryError, ValueError):
                texts[name] = _file(folder, name).read_bytes().decode()
        return texts

    def _folder(self, dsid: str, calendar: str) -> Path:
        return self._root / dsid / calendar

    def _put(self, dsid: str, calendar: CalendarFacts, name: str, text: str) -> Answer:
        self._make(dsid, calendar)
        with verbatim(text):
            return self._call(dsid, "PUT", f"{calendar.id}/{name}", stamped_once(text))

    def _make(self, dsid: str, calendar: CalendarFacts) -> None:
        """A folder at a calendar's first resource: accounts by the thousand stay cheap."""
        if (dsid, calendar.id) in self._made:
            return
        props = {
            "tag": "VCALENDAR",
            "D:displayname": calendar.name,
            "C:supported-calendar-component-set": calendar.component,
        }
        with self._storage.acquire_lock("w", dsid):
            if next(iter(self._storage.discover(f"/{dsid}/{calendar.id}/")), None) is None:
                self._storage.create_collection(f"/{dsid}/{calendar.id}/", props=props)
        self._made.add((dsid, calendar.id))

    def _between(self, dsid: str, calendar: str, span: Span, as_moved: bool) -> set[str]:  # noqa: FBT001 - threads are given positions.
        with self._read(dsid, calendar) as collection:
            items = () if collection is None else collection.get_all()
            return {item.href for item in items if meets(item, span, as_moved=as_moved)}

    def _expanded(self, dsid: str, calendar: str, names: list[str], span: Span) -> dict[str, str]:
        with self._read(dsid, calendar) as collection:
            found = () if collection is None else collection.get_multi(names)
            texts = {name: expanded(item, span) for name, item in found}
        return {name: text for name, text in texts.items() if text}

    @contextmanager
    def _read(self, dsid: str, calendar: str) -> Iterator[Any]:
        """Radicale's collection while nobody writes; None before its first resource."""
        with self._storage.acquire_lock("r", dsid):
            yield next(iter(self._storage.discover(f"/{dsid}/{calendar}/")), None)

    def _call(self, dsid: str, method: str, path: str, text: str) -> Answer:
        body = text.encode()
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": f"/{dsid}/{path}",
            "SCRIPT_NAME": "",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_USER": dsid,
            "CONTENT_TYPE": "text/calendar; charset=utf-8",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
        }
        answers: list[Answer] = []

        def start(status: str, headers: list[tuple[str, str]]) -> None:
            answers.append(Answer(int(status[:3]), dict(headers).get("ETag", "")))

        self._radicale(environ, start)
        return answers[0]


def _file(folder: Path, name: str) -> Path:
    if not can_hold(name):
        raise ValueError(f"{name!r} is no name for a resource")
    return folder / name


def _stored(name: str, text: str) -> Stored:
    uids = contents(text).uids
    return Stored(name, min(uids, default=""), radicale_item.get_etag(text))
