"""`python -m server`: the commands. Each imports what it needs, so that a word of help is not waited for."""

from __future__ import annotations

import os
import signal

if (
    __name__ == "__main__"
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    and os.getpid() != 1
):
    # Amid imports Python tells a Ctrl-C in a traceback, or nobody: what is imported may swallow it, and all goes on.
    # The first process of a container is left as it is: for such a one the system does nothing of itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, TypeVar

from domain.actor import Role
from server import logs
from server.config import Settings, misspelt, read_settings
from server.errors import CommandError

if TYPE_CHECKING:
    from server.commands import Desk

Arguments = argparse.Namespace
T = TypeVar("T")

log = logging.getLogger("server")
"""Its own name is `__main__`, which tells nobody anything."""
_STANDARD_ERROR = 2


def main(arguments: list[str] | None = None, environment: Mapping[str, str] | None = None) -> int:
    """0, or 1 with one line on stderr."""
    _open_what_is_closed()
    _spell_out_what_a_terminal_lacks()
    environment = os.environ if environment is None else environment
    given = _parser().parse_args(arguments)
    try:
        if given.command == "demo":
            from server.demo import main as demo

            return demo(environment)
        settings = read_settings(environment)
        logs.set_up(level=settings.log_level, as_json=settings.log_json)
        for line in misspelt(environment):
            log.warning("%s", line)
        run: Callable[[Settings, Mapping[str, str], Arguments], int] = given.run
        return run(settings, environment, given)
    except CommandError as error:
        print(f"slotwire: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _open_what_is_closed() -> None:
    """Of the standard streams. Else a connection gets the number of one: libuv aborts the process as it closes that."""
    number = os.open(os.devnull, os.O_RDWR)
    while number <= _STANDARD_ERROR:
        os.set_inheritable(number, True)  # noqa: FBT003 - its only form.
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)
    if sys.stderr is None:
        sys.stderr = open(_STANDARD_ERROR, "w", encoding="utf-8")  # noqa: SIM115 - to the process's end.


def _spell_out_what_a_terminal_lacks() -> None:
    """As on standard error already: a letter of one name, and no other line of a list would be told."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _run(work: Coroutine[Any, Any, T]) -> T:
    """A Ctrl-C ends it in order: a statement that runs is called off."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return asyncio.run(work)


def _serve(settings: Settings, environment: Mapping[str, str], given: Arguments) -> int:
    from server.run import run, serve

    settings = replace(settings, host=given.host or settings.host, port=given.port or settings.port)
    run(serve(settings, environment, with_sync=not given.no_sync))
    return 0


def _sync(settings: Settings, environment: Mapping[str, str], _: Arguments) -> int:
    from server.run import run, sync_alone

    run(sync_alone(settings, environment))
    return 0


def _migrate(settings: Settings, _: Mapping[str, str], given: Arguments) -> int:
    from server.database import migrate

    applied = _run(migrate(settings.database_url))
    print("\n".join(f"applied {name}" for name in applied) or "The database is up to date.")
    if given.restored:
        _run(_renew_epoch(settings))
        print("Every subscriber's cursor from before the backup was restored now gives RESET.")
    return 0


async def _renew_epoch(settings: Settings) -> None:
    from server.database import of_its_statements, open_database
    from server.services import renew_epoch

    async with open_database(settings.database_url, pool_size=2) as database:
        with of_its_statements():
            await renew_epoch(database)


def _rotate(settings: Settings, environment: Mapping[str, str], given: Arguments) -> int:
    from server.rotation import rotate

    print("\n".join(_run(rotate(settings, environment, drop_old=given.drop_old))))
    return 0


def _doctor(settings: Settings, environment: Mapping[str, str], _: Arguments) -> int:
    from server.doctor import examine

    lines, is_well = _run(examine(settings, environment))
    print("\n".join(lines))
    return 0 if is_well else 1


def _at_desk(
    work: Callable[[Desk, Arguments], Awaitable[list[str]]],
) -> Callable[[Settings, Mapping[str, str], Arguments], int]:
    def run(settings: Settings, environment: Mapping[str, str], given: Arguments) -> int:
        from server.commands import at_the_desk

        for line in _run(at_the_desk(settings, environment, lambda desk: work(desk, given))):
            print(line)
        return 0

    return run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m server",
        description="Slotwire keeps iCloud calendars and bookable time in step. Settings come from the environment;"
        " the README lists them.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the API and the sync loop")
    serve.add_argument("--no-sync", action="store_true", help="the API alone: `sync` runs elsewhere")
    serve.add_argument("--host", help="in place of SLOTWIRE_HOST")
    serve.add_argument("--port", type=_port, help="in place of SLOTWIRE_PORT")
    serve.set_defaults(run=_serve)

    sync = commands.add_parser("sync", help="run the sync loop alone")
    sync.set_defaults(run=_sync)

    migrating = commands.add_parser("migrate", help="bring the database's tables up to date")
    migrating.add_argument(
        "--restored",
        action="store_true",
        help="after a backup was restored: cursors given out since give RESET",
    )
    migrating.set_defaults(run=_migrate)

    _add_subaccounts(commands)
    _add_users(commands)
    _add_keys(commands)

    rotating = commands.add_parser("rotate-keys", help="seal every password anew, with a fresh key")
    rotating.add_argument(
        "--drop-old",
        action="store_true",
        help="forget the old keys: backups from before can't be opened any more",
    )
    rotating.set_defaults(run=_rotate)

    doctor = commands.add_parser("doctor", help="say what is right and wrong with this deployment")
    doctor.set_defaults(run=_doctor)

    commands.add_parser(
        "demo",
        help="everything from nothing, to try: settings are PORT and RESET",
        description="Everything from nothing, to try, as `make demo`. Two settings are read from the environment: PORT,"
        " 8080 unless given, and RESET=1, to start anew.",
    )
    return parser


Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it.


def _add_subaccounts(commands: Commands[argparse.ArgumentParser]) -> None:
    what = _family(commands, "subaccounts", "businesses on this deployment")
    create = what.add_parser("create", help="make one, and print its id")
    create.add_argument("name", help="what the business is called")
    create.set_defaults(run=_at_desk(lambda desk, given: desk.create_subaccount(given.name)))
    listing = what.add_parser("list", help="by name")
    listing.set_defaults(run=_at_desk(lambda desk, _: desk.list_subaccounts()))


def _add_users(commands: Commands[argparse.ArgumentParser]) -> None:
    what = _family(commands, "users", "people whose time can be booked")
    create = what.add_parser("create", help="make one, and print its id")
    create.add_argument("--subaccount", required=True, help="the subaccount's id")
    create.add_argument("--name", required=True)
    create.add_argument("--email")
    create.add_argument("--time-zone", required=True, help="such as Europe/Paris")
    create.set_defaults(
        run=_at_desk(
            lambda desk, given: desk.create_user(
                given.subaccount, name=given.name, email=given.email, time_zone=given.time_zone
            )
        )
    )
    listing = what.add_parser("list", help="by name")
    listing.add_argument("--subaccount", required=True, help="the subaccount's id")
    listing.set_defaults(run=_at_desk(lambda desk, given: desk.list_users(given.subaccount)))


def _add_keys(commands: Commands[argparse.ArgumentParser]) -> None:
    what = _family(commands, "keys", "what callers show to be let in")
    create = what.add_parser("create", help="make one, and print its secret, this once")
    create.add_argument("--subaccount", required=True, help="the subaccount's id")
    create.add_argument("--role", required=True, choices=[str(role) for role in Role], type=str.upper)
    create.add_argument("--label", required=True, help="what to call it")
    create.add_argument("--user", help="for an OWNER key: the user's id")
    create.add_argument(
        "--origin", action="append", help="for a BOOKING key: pages that may use it; can be repeated"
    )
    create.set_defaults(
        run=_at_desk(
            lambda desk, given: desk.create_key(
                given.subaccount, role=given.role, label=given.label, user=given.user, origins=given.origin
            )
        )
    )
    listing = what.add_parser("list", help="by label, revoked ones too")
    listing.add_argument("--subaccount", required=True, help="the subaccount's id")
    listing.set_defaults(run=_at_desk(lambda desk, given: desk.list_keys(given.subaccount)))
    revoke = what.add_parser("revoke", help="refuse it from now on")
    revoke.add_argument("key", help="the key's id, as `keys list` shows it: never its secret")
    revoke.set_defaults(run=_at_desk(lambda desk, given: desk.revoke_key(given.key)))


def _family(
    commands: Commands[argparse.ArgumentParser], name: str, help_: str
) -> Commands[argparse.ArgumentParser]:
    family = commands.add_parser(name, help=help_)
    return family.add_subparsers(required=True, metavar="ACTION")


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError("give a number from 1 to 65535")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
