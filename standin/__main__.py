"""The stand-in's command line: `python -m standin serve | phone`."""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from standin.owner import Phone, PhoneError
from standin.seed import Owner, seed_owner
from standin.server import PortTakenError, StandIn


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    command = _serve if arguments.command == "serve" else _phone
    try:
        asyncio.run(command(arguments))
    except (PortTakenError, PhoneError, LookupError, ValueError, OSError) as error:
        print(f"standin: {error}.", file=sys.stderr)
        return 2
    return 0


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with StandIn(
        storage=arguments.storage,
        entry_port=arguments.entry_port,
        partition_port=arguments.partition_port,
        admin_token=os.environ.get("STANDIN_ADMIN_TOKEN"),
    ) as standin:
        if arguments.seed_owner:
            today = datetime.now(ZoneInfo(arguments.zone)).date()
            seed_owner(standin.cloud, today=today, zone=arguments.zone, seed=arguments.seed)
        _announce(standin, seeded=arguments.seed_owner, as_json=arguments.json)
        await stopped.wait()


def _announce(standin: StandIn, *, seeded: bool, as_json: bool) -> None:
    owner = Owner()
    ready = {"entryUrl": standin.entry_url, "partitionUrl": standin.partition_url}
    if seeded:
        ready |= {"appleId": owner.apple_id, "appSpecificPassword": owner.app_specific}
    if as_json:
        print(json.dumps(ready), flush=True)
        return
    print(f"The stand-in for iCloud serves {standin.entry_url} (partition host {standin.partition_url})")
    if seeded:
        print(f"  Apple ID               {owner.apple_id}")
        print(f"  app-specific password  {owner.app_specific}")
    print("Ctrl-C ends it.", flush=True)


async def _phone(arguments: argparse.Namespace) -> None:
    password = os.environ.get("STANDIN_PASSWORD")
    if not password:
        raise ValueError("set STANDIN_PASSWORD to the app-specific password")
    phone = Phone(arguments.url, arguments.apple_id, password)
    match arguments.action:
        case "add":
            zone = ZoneInfo(arguments.zone)
            path = await phone.add(
                arguments.calendar,
                arguments.title,
                _moment(arguments.start, zone),
                _moment(arguments.end, zone),
                free=arguments.free,
                rule=arguments.rule,
                travel=timedelta(minutes=arguments.travel),
            )
            print(path)
        case "list":
            for seen in await phone.events(arguments.calendar):
                print(f"{seen.start}  {seen.end}  {seen.title}  {seen.path}")
        case _:
            await phone.delete(arguments.path)


def _moment(text: str, zone: ZoneInfo) -> date | datetime:
    """A date makes an all-day event; a time is local to `zone` unless it carries an offset."""
    if "T" not in text:
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m standin",
        description="A stand-in for iCloud's calendar server, on the loopback: Radicale behind iCloud's manners.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_serve(commands.add_parser("serve", help="serve until Ctrl-C"))
    _add_phone(commands.add_parser("phone", help="act as the owner's phone"))
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--storage", type=Path, required=True, help="the folder that keeps everything")
    parser.add_argument("--entry-port", type=int, default=8801, help="0 for any free one (default 8801)")
    parser.add_argument("--partition-port", type=int, default=8802, help="0 for any free one (default 8802)")
    parser.add_argument("--seed-owner", action="store_true", help="add an owner with lived-in calendars")
    parser.add_argument("--seed", type=int, default=1, help="another number, another life (default 1)")
    parser.add_argument("--zone", default="Europe/Berlin", help="the owner's time zone")
    parser.add_argument("--json", action="store_true", help="print the addresses as one JSON line")
    parser.epilog = "STANDIN_ADMIN_TOKEN guards the admin API under /-/ with a bearer token."


def _add_phone(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "The password is read from STANDIN_PASSWORD."
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="add an event, and print its path")
    listing = actions.add_parser("list", help="list a calendar's events")
    delete = actions.add_parser("delete", help="delete the event at a path")
    for action in (add, listing, delete):
        action.add_argument("--url", default="http://127.0.0.1:8801", help="the stand-in's address")
        action.add_argument("--apple-id", default=Owner().apple_id)
    for action in (add, listing):
        action.add_argument("--calendar", default="Home", help="the calendar's name (default Home)")
    add.add_argument("--title", required=True)
    add.add_argument("--start", required=True, help="2026-11-21T10:00, or 2026-11-21 for all day")
    add.add_argument("--end", required=True, help="as --start; of an all-day event, the day after the last")
    add.add_argument("--zone", default="Europe/Berlin", help="of times without an offset")
    add.add_argument("--free", action="store_true", help="shown as free: blocks nothing")
    add.add_argument("--rule", default="", help="an RRULE, as FREQ=WEEKLY;BYDAY=MO")
    add.add_argument("--travel", type=int, default=0, help="minutes of travel time before it")
    delete.add_argument("path")


if __name__ == "__main__":
    sys.exit(main())
