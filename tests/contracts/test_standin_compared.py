"""What the stand-in adds to a plain server: each claim, asked of all four, with what each is to answer."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from standin.account_faults import AccountFaults
from standin.actions import ACTIONS
from standin.faults import KINDS
from standin.manners import MODES
from standin.server import StandIn
from tests.contracts import radicale_server, xandikos_server
from tests.contracts.compared import CLAIMS, SERVERS, Peer, manners_table, table
from tests.contracts.standin_http import APPLE_ID, PASSWORD

DOCS = Path(__file__).parents[2] / "docs" / "standin.md"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Peer]]:
    """All four, each started once."""
    async with AsyncExitStack() as stack:
        found = {}
        for mode, manners in MODES.items():
            icloud = await stack.enter_async_context(StandIn(manners=manners))
            account = icloud.add_account(APPLE_ID, PASSWORD)
            # Past the redirects, which have a claim of their own, a client is on the partition host.
            found[mode] = Peer(icloud.partition_url, icloud.entry_url, account.home, APPLE_ID, PASSWORD)
        url = await stack.enter_async_context(
            radicale_server.plain_radicale(tmp_path_factory.mktemp("radicale"))
        )
        home = f"/{radicale_server.NAME}/"
        found["radicale"] = Peer(url, url, home, radicale_server.NAME, radicale_server.PASSWORD)
        url = await stack.enter_async_context(
            xandikos_server.plain_xandikos(tmp_path_factory.mktemp("xandikos"))
        )
        home = f"/{xandikos_server.HOME}"
        found["xandikos"] = Peer(url, url, home, xandikos_server.NAME, xandikos_server.PASSWORD)
        yield found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("claim", CLAIMS)
async def test_each_server_does_what_is_said_of_it(peers: dict[str, Peer], claim: str, server: str) -> None:
    assert await CLAIMS[claim].ask(peers[server]) == CLAIMS[claim].expected[SERVERS.index(server)]


@pytest.mark.parametrize("shown", [table(), manners_table()], ids=["servers", "manners"])
def test_the_docs_show_the_tables_as_they_are(shown: str) -> None:
    """`python -m tests.contracts.compared` prints them."""
    assert shown in DOCS.read_text()


def test_the_docs_name_every_fault_every_command_and_every_action() -> None:
    shown = set(re.findall(r"`([^`\s(]+)", DOCS.read_text()))
    assert {*KINDS, *ACTIONS, *_commands()} - shown == set()


def _commands() -> set[str]:
    called = inspect.getmembers(AccountFaults, inspect.isfunction)
    return {name for name, _ in called if not name.startswith("_") and name != "commands"}
