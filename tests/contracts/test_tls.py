"""Credentials go to whom the machine or the operator trusts, by both ways to the server: the light one and caldav's."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from models.seal import Secret
from server.config import read_settings
from server.doctor import examine
from sync.icloud.guard import Guard
from sync.icloud.server import Account, ICloud
from sync.icloud.settings import TransportSettings
from sync.remote import Unreachable
from tests.contracts.test_remote_transport import CALENDAR, CANARY, CHANGES, HREF, Liar, http

PEM = serialization.Encoding.PEM
PLAIN = (PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
Way = Callable[[Account], Awaitable[object]]


class Authority:
    """Signs certificates for whoever asks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name(
            [x509.NameAttribute(x509.NameOID.COMMON_NAME, f"The authority of {folder.name}")]
        )
        made = self._builder(self._name, self._key.public_key(), days=1)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(PEM))

    def server(self, host: str = "127.0.0.1", *, days: int = 1) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
        made = self._builder(name, key.public_key(), days=days)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
        made = made.add_extension(names, critical=False)
        both = self._folder / f"{host}.pem"
        signed = made.sign(self._key, hashes.SHA256()).public_bytes(PEM)
        both.write_bytes(key.private_bytes(*PLAIN) + signed)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        return context

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, *, days: int
    ) -> x509.CertificateBuilder:
        began = datetime.now(UTC) - timedelta(days=3)
        until = datetime.now(UTC) + timedelta(days=days)
        number = x509.random_serial_number()
        return x509.CertificateBuilder(self._name, name, key, number, began, until)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@asynccontextmanager
async def serving(context: ssl.SSLContext, ca_file: Path | None) -> AsyncIterator[tuple[Liar, Account]]:
    liar = Liar()
    server = await asyncio.start_server(liar.serve, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    icloud = ICloud(Guard(url), TransportSettings(request_seconds=5, ca_file=ca_file))
    yield liar, icloud.sign_in("a@icloud.com", Secret(CANARY))
    await icloud.close()
    server.close()


async def _light(account: Account) -> object:
    return await account.list_changes(CALENDAR, None)


async def _by_caldav(account: Account) -> object:
    return await account.get(HREF)


@pytest.mark.parametrize("way", [_light, _by_caldav])
async def test_one_that_nobody_vouches_for_gets_nothing(authority: Authority, way: Way) -> None:
    async with serving(authority.server(), None) as (liar, account):
        with pytest.raises(Unreachable):
            await way(account)
        assert liar.asked == []


@pytest.mark.parametrize("way", [_light, _by_caldav])
async def test_one_whose_authority_is_given_is_asked(authority: Authority, way: Way) -> None:
    async with serving(authority.server(), authority.file) as (liar, account):
        liar.answers = [http(207 if way is _light else 200, CHANGES, ETag='"1"')]
        await way(account)
        assert len(liar.asked) == 1


@pytest.mark.parametrize("way", [_light, _by_caldav])
async def test_whom_the_machine_trusts_is_asked_though_another_authority_is_given(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    """As with an operator's authority and iCloud's own entry at once: one of the two ways was shut."""
    other = Authority(tmp_path_factory.mktemp("other"))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with serving(authority.server(), other.file) as (liar, account):
        liar.answers = [http(207 if way is _light else 200, CHANGES, ETag='"1"')]
        await way(account)
        assert len(liar.asked) == 1


async def test_the_doctor_trusts_whom_the_operator_trusts(authority: Authority, tmp_path: Path) -> None:
    async with serving(authority.server(), None) as (_, account):
        given = {
            "SLOTWIRE_DATABASE_URL": f"sqlite:///{tmp_path / 'none.sqlite3'}",
            "SLOTWIRE_CALDAV_URL": account.server.guard.entry,
            "SLOTWIRE_CALDAV_CA_FILE": str(authority.file),
        }
        lines, _ = await examine(read_settings(given), given)
    assert any(line.startswith("ok    the calendar server answers") for line in lines)


@pytest.mark.parametrize("way", [_light, _by_caldav])
@pytest.mark.parametrize(("host", "days"), [("127.0.0.2", 1), ("127.0.0.1", -1)])
async def test_another_hosts_certificate_or_an_old_one_is_none(
    authority: Authority, way: Way, host: str, days: int
) -> None:
    async with serving(authority.server(host, days=days), authority.file) as (liar, account):
        with pytest.raises(Unreachable):
            await way(account)
        assert liar.asked == []


@pytest.mark.parametrize("way", [_light, _by_caldav])
async def test_neither_a_proxy_nor_a_netrc_of_the_machines_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: Way
) -> None:
    trap, liar = (
        Liar(answers=[http(500)]),
        Liar(answers=[http(207 if way is _light else 200, CHANGES, ETag='"1"')]),
    )
    proxy = await asyncio.start_server(trap.serve, "127.0.0.1", 0)
    server = await asyncio.start_server(liar.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, address)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    icloud = ICloud(Guard(f"http://127.0.0.1:{port}/"))
    await way(icloud.sign_in("a@icloud.com", Secret(CANARY)))
    await icloud.close()
    proxy.close()
    server.close()
    assert trap.asked == []
    [asked] = liar.asked
    assert "c29tZWJvZHk6ZWxzZQ" not in asked.headers["authorization"]
