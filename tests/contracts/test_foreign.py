"""No byte goes to another host, however its address is spelled and wherever a server puts it: a trap listens there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import pytest

from models.seal import Secret
from standin.lies import FOREIGN_SPELLINGS
from sync.icloud.guard import Guard
from sync.icloud.server import Account, ICloud
from sync.icloud.settings import TransportSettings
from sync.remote import ETag, ForeignHost, Href, RemoteError
from tests.contracts.test_remote_transport import CALENDAR, CANARY, Liar, http

MORE = (
    *("http://{own}@{host}{path}", "http://{own}%40{host}{path}", "http://{host}%2f{own}{path}"),
    *("http://{own}#@{host}{path}", "http://{own};@{host}{path}", "http://{own}&@{host}{path}"),
    *("http://[::1]:{port}{path}", "http://localhost:{port}{path}", "http://127.0.0.2.:{port}{path}"),
    *("http://2130706434:{port}{path}", "http://0x7f000002:{port}{path}", "http://017700000002:{port}{path}"),
    *("http://127.2:{port}{path}", "http://127.0.2:{port}{path}", "http://[::ffff:127.0.0.2]:{port}{path}"),
    *(
        "http://①②⑦.0.0.②:{port}{path}",
        "http://127。0。0。2:{port}{path}",
        "http://127.0.0.2\r\n:{port}{path}",
    ),
    *("http:{host}{path}", "http:/{host}{path}", "http:///{host}{path}", "http:\\\\{host}{path}"),
    *(
        "/\t/{host}{path}",
        "\\/\\/{host}{path}",
        "/%5c{host}{path}",
        "/%2f{host}{path}",
        "//{own}@{host}{path}",
    ),
)
SPELLINGS = tuple(dict.fromkeys((*FOREIGN_SPELLINGS, *MORE)))
PLACES = ("principal", "home", "redirect", "calendar", "member", "asked", "written")


@dataclass
class Trap:
    port: int = 0
    met: list[tuple[str, int]] = field(default_factory=list)

    async def serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.met.append(writer.get_extra_info("peername"))
        writer.close()


@pytest.fixture
async def trap() -> AsyncIterator[Trap]:
    """At one port of all of the loopback's other addresses, and at IPv6's."""
    trap = Trap()
    servers = [await asyncio.start_server(trap.serve, "127.0.0.2", 0)]
    trap.port = servers[0].sockets[0].getsockname()[1]
    with suppress(OSError):  # Where there is no IPv6, or the port is another's there, the rest still holds.
        servers.append(await asyncio.start_server(trap.serve, "::1", trap.port))
    yield trap
    for server in servers:
        server.close()


@pytest.fixture
async def liar() -> AsyncIterator[Liar]:
    liar = Liar()
    server = await asyncio.start_server(liar.serve, "127.0.0.1", 0)
    liar.port = server.sockets[0].getsockname()[1]
    yield liar
    server.close()


@pytest.fixture
async def account(liar: Liar) -> AsyncIterator[Account]:
    server = ICloud(Guard(f"http://127.0.0.1:{liar.port}/"), TransportSettings(request_seconds=1.0))
    yield server.sign_in("a@icloud.com", Secret(CANARY))
    await server.close()


def told(href: str, prop: str = "", *, around: str = "") -> bytes:
    given = f"<propstat><prop>{prop}</prop></propstat>" if prop else ""
    text = f'<multistatus xmlns="DAV:">{around}<response><href>{href}</href>{given}</response></multistatus>'
    return http(207, text.encode())


ITSELF = "<response><href>{path}</href></response>"
_CALENDAR = '<resourcetype><collection/><calendar xmlns="urn:ietf:params:xml:ns:caldav"/></resourcetype>'
_HOME = '<calendar-home-set xmlns="urn:ietf:params:xml:ns:caldav"><href xmlns="DAV:">{}</href></calendar-home-set>'


async def follow(liar: Liar, account: Account, place: str, address: str) -> None:
    """Has the server name the address in that place, and does what comes of it as a poll would."""
    home, spelled = f"http://127.0.0.1:{liar.port}/1/calendars/", escape(address)
    principal = told("/", "<current-user-principal><href>{}</href></current-user-principal>")
    match place:
        case "principal":
            liar.answers = [
                principal.replace(b"{}", spelled.encode()),
                told("/", _HOME.format("/1/calendars/")),
            ]
            await account.discover()
        case "home":
            liar.answers = [principal.replace(b"{}", b"/1/principal/"), told("/1/", _HOME.format(spelled))]
            found = await account.discover()
            await account.list_calendars(found.home_url)
        case "redirect":
            liar.answers = [http(307, Location=address)] * 8
            await account.list_calendars(home)
        case "calendar":
            liar.answers = [told(spelled, _CALENDAR, around=ITSELF.format(path="/1/calendars/"))]
            for calendar in await account.list_calendars(home):
                await account.list_changes(calendar.path, None)
                await account.create(Href(f"{calendar.path}a.ics"), "BODY")
        case "member":
            account.home_url = home
            liar.answers = [told(spelled, '<getetag>"1"</getetag>', around=ITSELF.format(path=CALENDAR))]
            for change in (await account.list_resources(CALENDAR)).items:
                await account.fetch(CALENDAR, [change.href])
                await account.get(change.href)
        case "asked":
            liar.answers = [http(404)]
            await account.get(Href(address))
        case _:
            liar.answers = [http(201)]
            await account.replace(Href(address), "BODY", ETag('"1"'))


@pytest.mark.parametrize("place", PLACES)
async def test_no_byte_goes_to_another_host(liar: Liar, account: Account, trap: Trap, place: str) -> None:
    assert len(SPELLINGS) >= 60
    for spelling in SPELLINGS:
        address = spelling.format(
            host=f"127.0.0.2:{trap.port}", own="127.0.0.1", path="/1/calendars/home/", port=trap.port
        )
        with suppress(RemoteError, UnicodeEncodeError):
            await follow(liar, account, place, address)
        assert trap.met == [], (place, address)


async def test_the_trap_shuts(liar: Liar, account: Account, trap: Trap) -> None:
    address = f"http://127.0.0.2:{trap.port}/1/calendars/home/"
    with pytest.raises(ForeignHost):
        await follow(liar, account, "redirect", address)
    account.server.guard = Guard(account.server.guard.entry, frozenset({f"127.0.0.2:{trap.port}"}))
    with suppress(RemoteError):
        await follow(liar, account, "redirect", address)
    assert trap.met
