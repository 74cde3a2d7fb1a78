"""`python -m server demo`: everything from nothing, ready to try: the stand-in for iCloud, the server, people, keys."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import IO, Self

from server import signals
from server.database import migrate
from server.demo_seed import People, seed
from server.errors import CommandError
from standin.seed import Owner

ZONE = "Europe/Paris"
READY_WITHIN = 60.0
STOPPED_WITHIN = 12.0
_PR_SET_PDEATHSIG = 1


class DemoError(Exception):
    """The demo can't start or go on; the text is a sentence for whoever started it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demo keeps what it makes; a second run goes on with it."""

    folder: Path

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.folder / 'slotwire.sqlite3'}"

    @property
    def facts(self) -> Path:
        return self.folder / "demo.json"

    @property
    def state(self) -> Path:
        return self.folder / "state.json"


_PARTITION_PORTS = ("partitionPort", "otherPartitionPort")


def main(environment: Mapping[str, str]) -> int:
    """Runs until Ctrl-C, SIGTERM or the end of one of its parts. 0, or 1 where a part ended or could not start."""
    try:
        port = _port(environment.get("PORT") or "8080")
        place = Place(Path(environment.get("SLOTWIRE_DEMO_FOLDER") or ".demo").resolve())
        with _alone(place, reset=environment.get("RESET") in {"1", "true", "yes"}):
            return _run(place, port, environment)
    except DemoError as error:
        print(f"The demo can't run: {error}", file=sys.stderr)
        return 1


def _run(place: Place, port: int, environment: Mapping[str, str]) -> int:
    _require_free(port, "choose another with `make demo PORT=8090`")
    state = _remembered(place)
    environment = {
        **{name: value for name, value in environment.items() if not name.startswith("SLOTWIRE_")},
        "STANDIN_ADMIN_TOKEN": str(state["standinAdminToken"]),
        "SLOTWIRE_DATABASE_URL": place.database_url,
        "SLOTWIRE_SEALING_KEY_FILE": str(place.folder / "sealing.key"),
        "SLOTWIRE_CALDAV_URL": f"http://127.0.0.1:{state['entryPort']}/",
        "SLOTWIRE_CALDAV_HOSTS": ",".join(f"127.0.0.1:{state[name]}" for name in _PARTITION_PORTS),
        "SLOTWIRE_CALDAV_IS_ICLOUD": "on",
        "SLOTWIRE_DEMO_FILE": str(place.facts),
        "SLOTWIRE_HOST": "127.0.0.1",
        "SLOTWIRE_PORT": str(port),
    }
    for name in ("entryPort", *_PARTITION_PORTS):
        _require_free(state[name], "end what uses it, or start anew with `make demo RESET=1`")
    people = _people(state, environment)
    state["people"] = people.as_json()
    _write_private(place.state, state)
    _write_private(place.facts, _facts(port, state, people))
    with _Children(place, environment) as children:
        children.start("standin", ["-m", "standin", "serve", *_standin_arguments(place, state)])
        children.wait_until_answers(f"http://127.0.0.1:{state['entryPort']}/", "standin")
        children.start("server", ["-m", "server", "serve"])
        children.wait_until_answers(f"http://127.0.0.1:{port}/readyz", "server")
        print(_greeting(place, json.loads(place.facts.read_text())), flush=True)
        return children.wait()


def _people(state: Mapping[str, object], environment: Mapping[str, str]) -> People:
    known = state.get("people")
    if isinstance(known, dict):
        asyncio.run(migrate(environment["SLOTWIRE_DATABASE_URL"]))
        return People(**known)
    try:
        return seed(environment, name=Owner().full_name, zone=ZONE)
    except CommandError as error:
        raise DemoError(f"{error} (`make demo RESET=1` starts anew.)") from None


def _standin_arguments(place: Place, state: Mapping[str, object]) -> list[str]:
    return [
        *("--storage", str(place.folder / "icloud")),
        *("--entry-port", str(state["entryPort"])),
        *("--partition-port", str(state["partitionPort"])),
        *("--other-partition-port", str(state["otherPartitionPort"])),
        *("--seed-owner", "--zone", ZONE),
    ]


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise DemoError(f"PORT={text} is not a port; give a number from 1 to 65535.")
    return int(text)


@contextlib.contextmanager
def _alone(place: Place, *, reset: bool) -> Iterator[None]:
    """Holds the folder for this run: two demos in one checkout would tread on each other."""
    place.folder.mkdir(mode=0o700, exist_ok=True)
    with (place.folder / "lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(
                "one is running from this folder already; end it first (Ctrl-C where it runs)."
            ) from None
        if reset:
            _empty(place)
        yield


def _empty(place: Place) -> None:
    for entry in place.folder.iterdir():
        if entry.name == "lock":
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _remembered(place: Place) -> dict[str, object]:
    """What the first run chose. The stand-in's ports stay, since the connected account is found there again."""
    if place.state.exists():
        state: dict[str, object] = json.loads(place.state.read_text())
        state.setdefault("otherPartitionPort", *_free_ports(1))
        return state
    entry, partition, other = _free_ports(3)
    return {
        "entryPort": entry,
        "partitionPort": partition,
        "otherPartitionPort": other,
        "standinAdminToken": secrets.token_urlsafe(16),
    }


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind(("127.0.0.1", 0))
        return [opened.getsockname()[1] for opened in sockets]


def _require_free(port: object, mend: str) -> None:
    assert isinstance(port, int)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise DemoError(f"port {port} is not yours to open; {mend}.") from None
        except OSError:
            raise DemoError(f"port {port} is taken; {mend}.") from None


def _write_private(path: Path, value: object) -> None:
    """Keys and a password stand in it: for the one who runs the demo alone."""
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(value, indent=2) + "\n")
    fresh.replace(path)


def _facts(port: int, state: Mapping[str, object], people: People) -> dict[str, object]:
    return {
        "graphqlUrl": f"http://127.0.0.1:{port}/graphql",
        "websocketUrl": f"ws://127.0.0.1:{port}/graphql",
        "graphiqlUrl": f"http://127.0.0.1:{port}/graphiql",
        "webUrl": f"http://127.0.0.1:{port}/",
        "adminKey": people.admin_key,
        "ownerKey": people.owner_key,
        "bookingKey": people.booking_key,
        "userId": people.user_id,
        "bookingPage": people.booking_page,
        "caldavUrl": f"http://127.0.0.1:{state['entryPort']}/",
        "appleId": Owner().apple_id,
        "appSpecificPassword": Owner().app_specific,
    }


OPEN_FROM, OPEN_UNTIL = "12:30", "13:30"
"""Of the seeded owner on every working day: an event there does close time."""


def _greeting(place: Place, facts: Mapping[str, str]) -> str:
    folder, python = os.path.relpath(place.folder), os.path.relpath(sys.executable)
    day = next_working_day(datetime.now(UTC).date())
    return f"""
Slotwire is running. Ctrl-C ends it; the next `make demo` goes on from here, `make demo RESET=1` starts anew.

  Start here   {facts["webUrl"]}
  GraphiQL     {facts["graphiqlUrl"]}   (key and example queries are filled in)
  GraphQL      {facts["graphqlUrl"]}   websocket {facts["websocketUrl"]}

  owner key    {facts["ownerKey"]}
  admin key    {facts["adminKey"]}
  booking key  {facts["bookingKey"]}
  user         {facts["userId"]}   booking page "{facts["bookingPage"]}"

  iCloud (the stand-in at {facts["caldavUrl"]}): Apple ID {facts["appleId"]}
  app-specific password {facts["appSpecificPassword"]}

Paste into GraphiQL to connect, then see the calendars:

  mutation {{ connectICloud(input: {{userId: "{facts["userId"]}", appleId: "{facts["appleId"]}",
    appSpecificPassword: "{facts["appSpecificPassword"]}"}}) {{
    __typename ... on UserError {{ message }}
    ... on ICloudConnected {{ account {{ status calendars {{ id name kind linkable {{ yes reason }} }} }} }} }} }}

Once calendars are chosen, be the owner's phone, and watch the time close:

  STANDIN_PASSWORD={facts["appSpecificPassword"]} {python} -m standin phone add --url {facts["caldavUrl"]} \\
    --apple-id {facts["appleId"]} --calendar Home --title Dentist --start {day}T{OPEN_FROM} --end {day}T{OPEN_UNTIL}

The same facts are in {folder}/demo.json; logs in {folder}/server.log and {folder}/standin.log."""


def next_working_day(today: date) -> date:
    """Of the hours that a user begins with: on a weekend's day an event would close nothing that was open."""
    return today + timedelta(days={4: 3, 5: 2}.get(today.weekday(), 1))


class _Children:
    """The demo's parts, each a process of its own; all of them end when this does."""

    def __init__(self, place: Place, environment: Mapping[str, str]) -> None:
        self._place = place
        self._environment = dict(environment)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: list[IO[bytes]] = []
        self._asked_to_stop = False

    def __enter__(self) -> Self:
        for number in signals.that_end():
            signal.signal(number, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._running.values():
            if child.poll() is None:
                child.terminate()
        deadline = time.monotonic() + STOPPED_WITHIN
        for child in self._running.values():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for log in self._logs:
            log.close()

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_stop = True

    def start(self, name: str, arguments: list[str]) -> None:
        log = (self._place.folder / f"{name}.log").open("ab")
        self._logs.append(log)
        self._running[name] = subprocess.Popen(  # noqa: S603 - our own modules, with this interpreter.
            [sys.executable, *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C reaches the demo alone, which ends its parts in order.
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - no threads here yet.
        )

    def wait_until_answers(self, url: str, name: str) -> None:
        """Any HTTP answer will do. Raises DemoError where the part ends first, or never answers."""
        deadline = time.monotonic() + READY_WITHIN
        while not self._asked_to_stop:
            self._require_alive(name)
            try:
                with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own loopback address.
                    return
            except urllib.error.HTTPError as answer:
                if answer.code != 503:
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise DemoError(
                    f"the {name} did not answer within {READY_WITHIN:.0f} s; see {self._log(name)}."
                )
            time.sleep(0.1)

    def wait(self) -> int:
        while not self._asked_to_stop:
            for name in self._running:
                self._require_alive(name)
            time.sleep(0.2)
        print("\nStopping ...", flush=True)
        return 0

    def _require_alive(self, name: str) -> None:
        if self._running[name].poll() is not None:
            tail = self._log(name).read_text(errors="replace").splitlines()[-5:]
            raise DemoError(
                f"the {name} ended by itself; the last of {self._log(name)}:\n  " + "\n  ".join(tail)
            )

    def _log(self, name: str) -> Path:
        return self._place.folder / f"{name}.log"


def _end_with_parent() -> None:
    """On Linux the kernel ends a part whose demo was killed outright, so that no port stays taken."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(os.environ))
