"""The stand-in's page has every manner, fault, call and action of it, as it is."""

from __future__ import annotations

import re
from itertools import cycle
from pathlib import Path

from standin.actions import ACTIONS
from standin.faults import KINDS, Fault
from standin.lies import FOREIGN_SPELLINGS
from standin.manners import manners
from standin.server import StandIn

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "standin.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """Of the table that follows it, without its head."""
    table = PAGE.partition(heading)[2].partition("\n|")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def told(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def test_each_manner_stands_there_as_both_modes_have_it() -> None:
    ours = [
        [
            f"`{each.name.replace('_', '-')}`",
            each.metadata["grade"],
            told(each.default),
            told(each.metadata["hostile"]),
            each.metadata["what"],
        ]
        for each in manners()
    ]
    assert rows("## Every manner") == ours


def test_each_kind_of_fault_stands_there_with_its_usual_amount() -> None:
    listed: list[str] = []
    for kinds, amounts, _ in rows("A fault is a text"):
        names = re.findall(r"`([\w-]+)`", kinds)
        usual = re.findall(r"`([\d.]+)`", amounts.partition("(")[2]) or [""]
        listed += [f"{name}:{amount}".rstrip(":") for name, amount in zip(names, cycle(usual), strict=False)]
    ours = [str(Fault(kind)) for kind in KINDS]
    assert sorted(listed) == sorted(each.removesuffix(":https://foreign.example") for each in ours)
    assert f"one of {len(FOREIGN_SPELLINGS)} spellings" in PAGE


async def test_each_call_of_the_admin_api_stands_there() -> None:
    async with StandIn() as icloud:
        icloud.add_account("owner@icloud.example", "abcd-efgh-ijkl-mnop")
        ours = set(icloud.faults("owner@icloud.example").commands())
    listed = {name for calls, _ in rows("## Faults") for name in re.findall(r"`(\w+)\(", calls)}
    assert {name.replace("_", "-") for name in listed} == ours


def test_each_action_of_the_phone_stands_there() -> None:
    _, _, listed = PAGE.partition("the command's words as a JSON object:")
    assert re.findall(r"`([\w-]+)`", listed.partition(".\n")[0]) == list(ACTIONS)
