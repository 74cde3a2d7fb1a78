"""The stand-in's command line: `python -m standin [serve] | phone | flags | faults`."""

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

import asyncio
import contextlib
import json
import re
import secrets
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

from standin.actions import ACTIONS, MEANINGS, ZONE, act
from standin.arguments import Range
from standin.catalog import ADDRESS
from standin.faults import KINDS, Fault
from standin.log import Seen
from standin.manners import MODES, manners
from standin.owner import Phone, PhoneError
from standin.seed import Owner, seed_owner
from standin.server import PortTakenError, StandIn

_LAST_PORT = 65_535
# Options that say more of another one.
_BESIDE = {
    "fault_rate": "faults",
    "fault_requests": "faults",
    "seed": "seed_owner",
    "zone": "seed_owner",
}
_SOMEBODY = "owner@icloud.example"  # Whom `serve` makes and `phone` means where nobody is named.
_ABOUT = """\
A stand-in for iCloud's calendar server (CalDAV), on the loopback, to develop and test against.

  python -m standin                            serve, with a new account whose password is printed
  python -m standin --mode hostile             with what was only claimed of iCloud, too
  python -m standin --flag lag-polls=2 --flag no-etag-on-put
  python -m standin --faults 7 --fault-rate 0.1   one request in ten goes wrong, the same with each run
  STANDIN_PASSWORD=that-was-prin-tedd python -m standin phone add \\
    --title Dentist --start 2026-11-21T10:00 --end 2026-11-21T11:00
  python -m standin flags                      every manner that is a switch, with how sure it is
  python -m standin faults                     every way in which a request can go wrong
"""


def main(argv: Sequence[str] | None = None) -> int:
    told = list(sys.argv[1:] if argv is None else argv)
    # `serve` is what is meant where nothing else is said.
    if not told or (told[0].startswith("-") and told[0] not in {"-h", "--help"}):
        told.insert(0, "serve")
    arguments = _parser().parse_args(told)
    try:
        match arguments.command:
            case "flags":
                print("\n".join(_flags()))
            case "faults":
                print("\n".join(str(Fault(kind)) for kind in KINDS))
            case "phone":
                asyncio.run(_phone(arguments))
            case _:
                asyncio.run(_serve(arguments))
    except (PortTakenError, PhoneError, LookupError, ValueError, OSError) as error:
        print(f"standin: {error}.", file=sys.stderr)
        return 2
    return 0


@dataclass(frozen=True, slots=True)
class _SignIn:
    """Who can sign in to what was started."""

    apple_id: str
    password: str


async def _serve(arguments: Namespace) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _that_end():
        loop.add_signal_handler(number, stopped.set)
    _check(arguments)
    wanted = list(_wanted(arguments))  # Before anything listens: a password file may be missing.
    with _logged(arguments.log) as log:
        async with StandIn(
            storage=arguments.storage,
            entry_port=arguments.port,
            partition_port=arguments.partition_port,
            other_partition_port=_other_port(arguments),
            manners=MODES[arguments.mode].with_flags(arguments.flag),
            admin_token=os.environ.get("STANDIN_ADMIN_TOKEN"),
        ) as standin:
            if log is not None:
                standin.front.heard = lambda seen: _write(seen, log)
            signed = _populate(standin, wanted, arguments)
            _announce(standin, signed, as_json=arguments.json)
            await stopped.wait()


def _that_end() -> list[signal.Signals]:
    """A terminal's end too, but where `nohup` has it ignored: what lies in a folder for the time goes with it."""
    asked = [signal.SIGINT, signal.SIGTERM]
    return asked if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [*asked, signal.SIGHUP]


def _other_port(arguments: Namespace) -> int:
    told: int | None = arguments.other_partition_port
    beside: int = arguments.partition_port
    if told is None and beside == _LAST_PORT:
        raise ValueError(f"say --other-partition-port: no port is next to {beside}")
    return told if told is not None else beside and beside + 1


def _check(arguments: Namespace) -> None:
    """What would mean nothing beside what else is said is a mistake, and not passed over."""
    for name, needed in _BESIDE.items():
        told = getattr(arguments, needed)
        if getattr(arguments, name) is not None and (told is None or told is False):  # 0 is a seed.
            raise ValueError(
                f"--{name.replace('_', '-')} says something of --{needed.replace('_', '-')} alone"
            )
    accounts = [name.casefold() for name in arguments.account or ()]
    if len(set(accounts)) < len(accounts):
        raise ValueError("--account names somebody twice")


def _wanted(arguments: Namespace) -> Iterator[_SignIn]:
    """Whom the command line names; one made up where it names nobody."""
    names: list[str] = arguments.account or ([] if arguments.seed_owner else [_SOMEBODY])
    passwords = arguments.password_file.read_text().split() if arguments.password_file else []
    if passwords and len(passwords) != len(names):
        raise ValueError(
            f"{arguments.password_file} holds {len(passwords)} passwords for {len(names)} accounts"
        )
    for number, name in enumerate(names):
        yield _SignIn(name, passwords[number] if passwords else _app_password())


def _populate(standin: StandIn, wanted: Sequence[_SignIn], arguments: Namespace) -> list[_SignIn]:
    signed: list[_SignIn] = []
    if arguments.seed_owner:
        zone, seed = arguments.zone or ZONE, 1 if arguments.seed is None else arguments.seed
        seed_owner(standin.cloud, today=datetime.now(ZoneInfo(zone)).date(), zone=zone, seed=seed)
        signed.append(_SignIn(Owner().apple_id, Owner().app_specific))
    for one in wanted:
        try:
            standin.faults(one.apple_id).allow(one.password)  # Kept in `--storage` from an earlier run.
        except LookupError:
            standin.add_account(one.apple_id, one.password)
        signed.append(one)
    if arguments.faults is not None:
        for one in signed:
            standin.faults(one.apple_id).draw(
                arguments.faults,
                requests=arguments.fault_requests or 10_000,
                rate=0.1 if arguments.fault_rate is None else arguments.fault_rate,
            )
    return signed


def _app_password() -> str:
    """As Apple's are: four groups of four letters."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def _announce(standin: StandIn, signed: Sequence[_SignIn], *, as_json: bool) -> None:
    if as_json:
        ready: dict[str, object] = {
            "entryUrl": standin.entry_url,
            "partitionUrl": standin.partition_url,
            "otherPartitionUrl": standin.other_partition_url,
        }
        if signed:
            ready |= {"appleId": signed[0].apple_id, "appSpecificPassword": signed[0].password}
            ready["accounts"] = [
                {"appleId": one.apple_id, "appSpecificPassword": one.password} for one in signed
            ]
        print(json.dumps(ready), flush=True)
        return
    print(f"The stand-in for iCloud serves {standin.entry_url}")
    print(f"  partition hosts        {standin.partition_url}, {standin.other_partition_url}")
    for one in signed:
        print(f"  Apple ID               {one.apple_id}")
        print(f"  app-specific password  {one.password}")
    print("Ctrl-C ends it.", flush=True)


@contextlib.contextmanager
def _logged(target: Path | None) -> Iterator[TextIO | None]:
    if target is None:
        yield None
    elif str(target) == "-":
        yield sys.stderr
    else:
        with target.open("a") as log:
            yield log


def _write(seen: Seen, log: TextIO) -> None:
    print(json.dumps(asdict(seen)), file=log, flush=True)


async def _phone(arguments: Namespace) -> None:
    password = os.environ.get("STANDIN_PASSWORD")
    if not password:
        raise ValueError("set STANDIN_PASSWORD to the app-specific password")
    phone = Phone(arguments.url, arguments.apple_id, password)
    action = ACTIONS[arguments.action]
    said = {name: getattr(arguments, name) for name in (*action.needs, *action.takes)}
    answer = await act(
        phone, arguments.action, {name: text for name, text in said.items() if text is not None}
    )
    if answer:
        print(answer)


def _flags() -> Iterator[str]:
    for each in manners():
        said = each.metadata
        name = each.name.replace("_", "-")
        choices = f" ({' | '.join(said['choices'])})" if said["choices"] else ""
        modes = f"strict {each.default!s:18} hostile {said['hostile']!s:18}"
        yield f"{name:26} {said['grade']:6} {modes} {said['what']}{choices}"


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m standin", description=_ABOUT, formatter_class=RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="serve | phone | flags | faults")
    _add_serve(commands.add_parser("serve", help="serve until Ctrl-C; meant where no command is named"))
    _add_phone(commands.add_parser("phone", help="act as the owner's phone"))
    commands.add_parser("flags", help="list the manners that are switches")
    commands.add_parser("faults", help="list the faults")
    return parser


def _add_serve(parser: ArgumentParser) -> None:
    take = parser.add_argument
    take("--mode", choices=tuple(MODES), default="strict", help="strict: what is sure; hostile: all claims")
    take(
        "--flag", action="append", default=[], metavar="NAME[=VALUE]", help="one manner; no-NAME turns it off"
    )
    port = _number(int, Range(0, _LAST_PORT))
    take("--port", "--entry-port", type=port, default=8801, help="the entry host's; 0 for any (default 8801)")
    take("--partition-port", type=port, default=8802, help="the partition host's; 0 for any (default 8802)")
    take("--other-partition-port", type=port, help="the other partition host's (default the next, or any)")
    take(
        "--account",
        action="append",
        type=_address,
        metavar="APPLE_ID",
        help="an account with two empty calendars; repeatable",
    )
    take("--password-file", type=Path, help="app-specific passwords, one for each --account (else made up)")
    take("--storage", type=Path, help="the folder that keeps everything (else gone at the end)")
    take("--seed-owner", action="store_true", help="add an owner with lived-in calendars")
    take("--seed", type=int, help="another number, another life (default 1)")
    take("--zone", type=_zone, help=f"that owner's time zone (default {ZONE})")
    take("--faults", type=int, metavar="SEED", help="let requests go wrong, as drawn from this seed")
    take("--fault-rate", type=_number(float, Range(0, 1)), help="how many of them (default 0.1)")
    count = _number(int, Range(1, 1_000_000))
    take("--fault-requests", type=count, help="over how many requests (default 10000)")
    take("--log", type=Path, help="write each request as a line of JSON; - for standard error")
    take("--json", action="store_true", help="print the addresses and accounts as one JSON line")
    parser.epilog = "STANDIN_ADMIN_TOKEN guards the admin API under /-/ with a bearer token."


def _number(kind: type[int] | type[float], limit: Range) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            raise ArgumentTypeError(f"{text!a} is no number") from None
        if not limit.least <= number <= limit.most:
            raise ArgumentTypeError(f"must be {limit}, not {text}")
        return number

    return read


def _address(text: str) -> str:
    if not re.fullmatch(ADDRESS.pattern, text):
        raise ArgumentTypeError(f"{text!a} is not {ADDRESS.words}")
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ArgumentTypeError(f"{name!a} is no time zone's name, as {ZONE}") from None
    return name


def _add_phone(parser: ArgumentParser) -> None:
    parser.epilog = "The password is read from STANDIN_PASSWORD: an app-specific one, or the account's own."
    actions = parser.add_subparsers(dest="action", required=True)
    for name, action in ACTIONS.items():
        one = actions.add_parser(name, help=action.what, description=action.what)
        one.add_argument("--url", default="http://127.0.0.1:8801", help="the stand-in's address")
        one.add_argument("--apple-id", default=_SOMEBODY, help=f"whose phone it is (default {_SOMEBODY})")
        for needed in action.needs:
            _add_word(one, needed, required=True)
        for taken in action.takes:
            _add_word(one, taken, required=False)


def _add_word(parser: ArgumentParser, name: str, *, required: bool) -> None:
    if name == "path":
        parser.add_argument("path", help=MEANINGS[name])
    elif name == "free":
        parser.add_argument("--free", nargs="?", const="yes", choices=("yes", "no"), help=MEANINGS[name])
    else:
        parser.add_argument(f"--{name}", required=required, help=MEANINGS[name])


if __name__ == "__main__":
    sys.exit(main())
