"""The commands as an operator runs them: each in a process of its own, with one line where it can't."""

from __future__ import annotations

import asyncio
import base64
import ctypes
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import asyncpg
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from models.bell import Bell
from models.database import Database
from models.seal import Sealer, Secret
from models.sql import execute
from server.bell_postgres import PostgresWire
from server.commands import Desk, at_the_desk
from server.config import read_settings
from server.errors import CommandError
from server.rotation import rotate
from server.services import open_parts
from tests.e2e.serving import PROTOCOL, receive, send, settings_with
from tests.integration.world import World, world_on

FOLLOW = "subscription($user: ID!) { iCloudAccountChanges(userId: $user) { account { id } } }"
ROOT = Path(__file__).resolve().parents[2]
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1


@pytest.fixture
def environment(tmp_path: Path, sqlite_template: Path) -> dict[str, str]:
    (tmp_path / "s.sqlite3").write_bytes(sqlite_template.read_bytes())
    return {
        "PATH": os.environ["PATH"],
        "SLOTWIRE_DATABASE_URL": f"sqlite:///{tmp_path}/s.sqlite3",
        "SLOTWIRE_SEALING_KEY_FILE": f"{tmp_path}/s.key",
        "SLOTWIRE_CALDAV_URL": "http://127.0.0.1:9/",
        "SLOTWIRE_PORT": str(free_port()),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(
    environment: dict[str, str], *arguments: str, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server", *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=before,
    )


def printed(environment: dict[str, str], *arguments: str) -> str:
    done = run(environment, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextmanager
def started(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A server that is ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "server", "serve", *arguments],
        env=environment,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until_ready(process, environment["SLOTWIRE_PORT"])
            yield process
        finally:
            process.kill()


def wait_until_ready(process: subprocess.Popen[str], port: str) -> None:
    for _ in range(600):
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("The server is not ready after 60 s.")


def admin_key(environment: dict[str, str]) -> str:
    subaccount = printed(environment, "subaccounts", "create", "Studio Martin")
    return printed(
        environment, "keys", "create", "--subaccount", subaccount, "--role", "admin", "--label", "back end"
    )


def test_every_command_has_its_help(environment: dict[str, str]) -> None:
    for command in (
        "serve",
        "sync",
        "migrate",
        "subaccounts",
        "users",
        "keys",
        "rotate-keys",
        "doctor",
        "demo",
    ):
        assert "usage: python -m server" in printed(environment, command, "--help")


@pytest.mark.parametrize("command", [["serve"], ["sync"], ["migrate"], ["subaccounts", "list"]])
@pytest.mark.parametrize("closed", ["folder", "beside"])
def test_a_file_that_is_not_ours_to_open_is_told_in_one_line(
    environment: dict[str, str], tmp_path: Path, command: list[str], closed: str
) -> None:
    """What nobody may open stands for what another user made: rights bind no root, as which tests may run."""
    if closed == "folder":
        environment["SLOTWIRE_DATABASE_URL"] = f"sqlite:///{tmp_path}/{'x' * 300}/s.sqlite3"
    else:
        (tmp_path / f"s.sqlite3.{'lock' if command == ['migrate'] else 'running'}").mkdir()
    done = run(environment, *command)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("slotwire: The database can't be reached: [Errno ")


@pytest.mark.parametrize("command", [["serve"], ["sync"], ["doctor"], ["migrate"], ["subaccounts", "list"]])
@pytest.mark.parametrize("closed", ["", "-shm"])
def test_a_file_that_may_only_be_read_is_named_and_nothing_is_left_beside_it(
    environment: dict[str, str], tmp_path: Path, command: list[str], closed: str
) -> None:
    file = tmp_path / f"s.sqlite3{closed}"
    file.touch()
    file.chmod(0o444)
    found = sorted(tmp_path.iterdir())
    done = run(environment, *command, before=bound_by_rights)
    assert (done.returncode, sorted(tmp_path.iterdir())) == (1, found)
    said = done.stdout if command == ["doctor"] else done.stderr
    assert f"The database can't be written: {file} may only be read.\n" in said
    assert done.stderr.count("\n") == (command != ["doctor"])


@pytest.mark.skipif(os.geteuid() != 0, reason="whose rights differ from their user's, root alone can start")
def test_a_file_that_may_be_written_all_the_same_is_migrated(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """As by a service whose user is nobody, with a capability beside."""
    (tmp_path / "s.sqlite3").touch(0o444)
    done = run(environment, "migrate", before=lambda: os.setreuid(65534, -1))
    assert (done.returncode, done.stderr) == (0, "")


def bound_by_rights() -> None:
    """Root too, as which tests may run: what lets it pass over those of a file (CAP_DAC_OVERRIDE) is taken from it."""
    ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)


@pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_a_command_that_a_database_does_not_take_is_told_in_one_line(
    database_url: str, tmp_path: Path
) -> None:
    """One that is stopped, stands by, or whose file may only be read."""
    environment = {
        "SLOTWIRE_DATABASE_URL": database_url,
        "SLOTWIRE_SEALING_KEY_FILE": f"{tmp_path}/s.key",
    }

    async def write(desk: Desk) -> list[str]:
        database = desk._services.database
        async with database.writing() as db:
            only_read = "SET TRANSACTION READ ONLY" if database.is_postgres else "PRAGMA query_only = ON"
            await execute(db, only_read)
            await execute(db, "UPDATE timeline SET seq = seq")
        return []

    with pytest.raises(CommandError, match=r"read-?only"):
        await at_the_desk(read_settings(environment), environment, write)


def test_help_waits_for_no_database_and_no_calendar_library() -> None:
    code = "import sys, server.__main__; print({'tortoise', 'caldav', 'strawberry'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "set()\n"


def test_a_list_of_nothing_is_no_line(environment: dict[str, str]) -> None:
    assert run(environment, "subaccounts", "list").stdout == ""


def test_a_letter_that_the_terminal_lacks_keeps_no_list_from_being_told(environment: dict[str, str]) -> None:
    subaccount = printed(environment | {"PYTHONUTF8": "1"}, "subaccounts", "create", "Studio Zoë")
    plain = environment | {"LC_ALL": "C", "PYTHONUTF8": "0"}
    assert printed(plain, "subaccounts", "list") == rf"{subaccount}  Studio Zo\xeb"


def test_an_operator_sets_up_a_subaccount_its_users_and_its_keys(environment: dict[str, str]) -> None:
    subaccount = printed(environment, "subaccounts", "create", "Studio Martin")
    assert printed(environment, "subaccounts", "list") == f"{subaccount}  Studio Martin"
    of = ("--subaccount", subaccount)
    user = printed(environment, "users", "create", *of, "--name", "Anna", "--time-zone", "Europe/Paris")
    assert printed(environment, "users", "list", *of) == f"{user}  Anna  Europe/Paris"
    secret = printed(
        environment, "keys", "create", *of, "--role", "OWNER", "--user", user, "--label", "phone"
    )
    assert secret.startswith("sw_owner_")
    listed = printed(environment, "keys", "list", *of)
    assert secret not in listed
    assert listed.split()[1:3] == ["OWNER", "good"]
    printed(environment, "keys", "revoke", listed.split()[0])
    assert printed(environment, "keys", "list", *of).split()[2] == "revoked"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("users", "create", "--subaccount", "sub_x", "--name", "A", "--time-zone", "UTC"),
            "no such subaccount",
        ),
        (
            ("keys", "create", "--subaccount", "sub_x", "--role", "ADMIN", "--label", "x"),
            "no such subaccount",
        ),
        (("keys", "revoke", "key_x"), "no key of this id"),
        (("keys", "revoke", "sw_owner_" + "x" * 43), "no key of this id"),
        (("subaccounts", "create", ""), "name"),
        (("keys", "create", "--subaccount", "SUBACCOUNT", "--role", "OWNER", "--label", "x"), "--user: "),
        (
            ("users", "create", "--subaccount", "SUBACCOUNT", "--name", "A", "--time-zone", "X"),
            "--time-zone: ",
        ),
        (
            (
                "keys",
                "create",
                "--subaccount",
                "SUBACCOUNT",
                "--role",
                "BOOKING",
                "--label",
                "x",
                "--origin",
                "a",
            ),
            "--origin: ",
        ),
    ],
)
def test_what_can_not_be_done_is_told_in_one_line(
    environment: dict[str, str], arguments: tuple[str, ...], sentence: str
) -> None:
    if "SUBACCOUNT" in arguments:
        made = printed(environment, "subaccounts", "create", "Acme")
        arguments = tuple(made if it == "SUBACCOUNT" else it for it in arguments)
    done = run(environment, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("slotwire: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "sw_" not in done.stderr


def test_the_doctor_says_of_each_part_what_is_wrong_with_it(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        parts = {
            "SLOTWIRE_DATABASE_URL": f"postgres://nobody@127.0.0.1:{port}/none",
            "SLOTWIRE_CALDAV_URL": "http://127.0.0.1:9/",
        }
        done = run(environment | parts, "doctor")
    database, calendars, _ = done.stdout.splitlines()
    assert done.returncode == 1
    assert database.casefold().startswith("wrong the database ")
    assert "calendar server of SLOTWIRE_CALDAV_URL, 127.0.0.1:9, can't be reached: " in calendars


@pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_the_doctor_says_that_a_database_may_only_be_read(
    environment: dict[str, str], database_url: str
) -> None:
    environment["SLOTWIRE_DATABASE_URL"] = database_url
    await asyncio.to_thread(printed, environment, "subaccounts", "list")
    if database_url.startswith("sqlite"):
        with Path(database_url.removeprefix("sqlite:///")).open("r+b") as file:
            # The file format's write version: SQLite only reads one that is newer than it knows.
            file.seek(18)
            file.write(b"\x09")
    else:
        administrator = await asyncpg.connect(database_url)
        name = database_url.rpartition("/")[2]
        await administrator.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await administrator.close()
    done = await asyncio.to_thread(run, environment, "doctor")
    database, *_ = done.stdout.splitlines()
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert re.match(r"WRONG The database can't do this now: .*read-?only", database)
    done = await asyncio.to_thread(run, environment, "rotate-keys")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert re.search(r"slotwire: The database can't do this now: .*read-?only", done.stderr)


@pytest.mark.parametrize("command", ["serve", "sync", "doctor", "migrate"])
@pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)
async def test_a_role_that_lacks_a_right_is_told_in_one_line(
    environment: dict[str, str], database_url: str, command: str
) -> None:
    """As one that may only read, or that may make no table: by itself PostgreSQL 15 lets nobody but its owner."""
    role = f"role_{database_url.rpartition('_')[2]}"
    administrator = await asyncpg.connect(database_url)
    await administrator.execute(
        f"CREATE ROLE {role} LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    )
    if command == "migrate":
        await administrator.execute("DELETE FROM tortoise_migrations")
    try:
        environment["SLOTWIRE_DATABASE_URL"] = database_url.replace("//postgres@", f"//{role}@")
        done = await asyncio.to_thread(run, environment, command)
    finally:
        await administrator.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await administrator.close()
    said = done.stdout if command == "doctor" else done.stderr
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "The database can't do this now: permission denied for " in said


@pytest.mark.parametrize(
    ("command", "amid"), [("server", "server.logs"), ("server", "server.run"), ("standin", "standin.actions")]
)
def test_a_ctrl_c_amid_the_imports_ends_it_without_a_word(
    environment: dict[str, str], tmp_path: Path, command: str, amid: str
) -> None:
    done = interrupted(environment, tmp_path, amid, sys.executable, "-m", command, "serve")
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize(
    ("command", "amid"), [(("server", "migrate"), "server.logs"), (("standin", "faults"), "standin.actions")]
)
def test_a_ctrl_c_ends_the_first_process_of_a_container_too(
    environment: dict[str, str], tmp_path: Path, command: tuple[str, str], amid: str
) -> None:
    alone = ("unshare", "--pid", "--fork")
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no processes may be kept apart here")
    done = interrupted(environment, tmp_path, amid, *alone, sys.executable, "-m", *command)
    assert (done.returncode, done.stdout) == (128 + signal.SIGINT, "")


def interrupted(
    environment: dict[str, str], folder: Path, amid: str, *command: str
) -> subprocess.CompletedProcess[str]:
    """By a Ctrl-C, as it imports that module."""
    (folder / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Interrupts:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {amid!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupts())\n"
    )
    return subprocess.run(
        command,
        env=environment | {"PYTHONPATH": str(folder)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # Whoever runs tests may ignore it.
    )


def test_a_server_that_can_not_start_says_why_in_one_line(
    environment: dict[str, str], tmp_path: Path
) -> None:
    printed(environment, "subaccounts", "list")  # Its facts and its key are made.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        unreachable = "postgres://nobody@127.0.0.1:9/none"
        wrong: dict[str, dict[str, str]] = {
            "not migrated": {"SLOTWIRE_DATABASE_URL": f"sqlite:///{tmp_path}/new.sqlite3"},
            "can't be reached": {"SLOTWIRE_DATABASE_URL": unreachable},
            "other.key is missing": {"SLOTWIRE_SEALING_KEY_FILE": f"{tmp_path}/other.key"},
            "sealing key is not the one": {
                "SLOTWIRE_SEALING_KEY_FILE": str(wrong_key(environment, tmp_path))
            },
            "in use": {"SLOTWIRE_PORT": str(taken.getsockname()[1])},
            "SLOTWIRE_GRAPHIQL": {"SLOTWIRE_GRAPHIQL": "perhaps"},
        }
        for sentence, changed in wrong.items():
            done = run(environment | changed, "serve")
            assert done.returncode == 1, sentence
            assert sentence in done.stderr
            assert done.stderr.count("\n") == 1, done.stderr
    # A mistyped name leaves nothing behind that the next start would take for the real thing.
    assert not (tmp_path / "new.sqlite3").exists()
    assert not (tmp_path / "other.key").exists()


def test_a_misspelt_setting_is_told_and_the_command_is_done(environment: dict[str, str]) -> None:
    done = run(environment | {"SLOTWIRE_POLL_USUALL": "20"}, "subaccounts", "list")
    assert done.returncode == 0
    assert "SLOTWIRE_POLL_USUALL is no setting" in done.stderr
    assert done.stderr.count("\n") == 1


def wrong_key(environment: dict[str, str], folder: Path) -> Path:
    """Another deployment's."""
    path, database = folder / "wrong.key", folder / "wrong.sqlite3"
    database.write_bytes((folder / "s.sqlite3").read_bytes())
    with sqlite3.connect(database) as other:
        other.execute("DELETE FROM deployment_fact")
    other.close()
    changed = {"SLOTWIRE_DATABASE_URL": f"sqlite:///{database}", "SLOTWIRE_SEALING_KEY_FILE": str(path)}
    printed(environment | changed, "subaccounts", "list")
    return path


async def test_a_server_that_is_stopped_closes_50_sockets_with_1012_and_ends_within_10_s(
    environment: dict[str, str],
) -> None:
    key = admin_key(environment)
    of = ("--subaccount", printed(environment, "subaccounts", "list").split()[0])
    user = printed(environment, "users", "create", *of, "--name", "Anna", "--time-zone", "Europe/Paris")
    payload = {"query": FOLLOW, "variables": {"user": user}}
    address = f"ws://127.0.0.1:{environment['SLOTWIRE_PORT']}/graphql"
    with started(environment | {"SLOTWIRE_LOG_FORMAT": "json"}) as process:
        async with AsyncExitStack() as stack:
            sockets = [
                await stack.enter_async_context(connect(address, subprotocols=[PROTOCOL])) for _ in range(50)
            ]
            for opened in sockets:
                await send(opened, type="connection_init", payload={"authorization": f"Bearer {key}"})
                assert (await receive(opened))["type"] == "connection_ack"
                await send(opened, type="subscribe", id="1", payload=payload)
                assert (await receive(opened))["type"] == "next"
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                for opened in sockets:
                    with pytest.raises(ConnectionClosed):
                        await opened.recv()
                assert {opened.close_code for opened in sockets} == {1012}
                assert await asyncio.to_thread(process.wait, 60) == 0
        assert process.stderr is not None
        text = process.stderr.read()
    assert key not in text
    said = [json.loads(line) for line in text.splitlines()]
    assert [line["code"] for line in said if line["message"] == "websocket closed"] == [1012] * 50
    assert len([line for line in said if line["message"] == "websocket operation"]) == 50


async def test_a_socket_is_logged_when_it_opens_works_and_closes_and_when_it_is_refused(
    environment: dict[str, str],
) -> None:
    key = admin_key(environment)
    address = f"ws://127.0.0.1:{environment['SLOTWIRE_PORT']}/graphql"
    with started(environment, "--no-sync") as process:
        for secret in (key, "sw_admin_" + "x" * 43):
            async with connect(address, subprotocols=[PROTOCOL]) as opened:
                await send(opened, type="connection_init", payload={"authorization": f"Bearer {secret}"})
                with suppress(ConnectionClosed):
                    await receive(opened)
                    await send(
                        opened, type="subscribe", id="1", payload={"query": "query Who { viewer { role } }"}
                    )
                    await receive(opened)
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        assert process.stderr is not None
        lines = [line for line in process.stderr.read().splitlines() if "server.run" not in line]
    texts = [line.partition("server.requests: ")[2] for line in lines]
    assert len(texts) == 4, lines
    assert [text.partition(" address=127.0.0.1")[0] for text in texts] == [
        "websocket opened", "websocket operation", "websocket closed", "websocket closed",
    ]  # fmt: skip
    assert texts[1].endswith("role=ADMIN operation=query Who")
    assert ["code=1000" in texts[2], "code=4403" in texts[3]] == [True, True]


def test_logs_are_one_json_object_a_line_where_asked(environment: dict[str, str]) -> None:
    key = admin_key(environment)
    with started(environment | {"SLOTWIRE_LOG_FORMAT": "json"}, "--no-sync") as process:
        request = urllib.request.Request(
            f"http://127.0.0.1:{environment['SLOTWIRE_PORT']}/graphql",
            json.dumps({"query": "query Who { viewer { role } }"}).encode(),
            {"content-type": "application/json", "authorization": f"Bearer {key}"},
        )
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["data"]["viewer"]["role"] == "ADMIN"
        process.send_signal(signal.SIGINT)
        process.wait(10)
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
    [said] = [line for line in lines if line["message"] == "request"]
    assert (said["status"], said["role"], said["operation"]) == (200, "ADMIN", "query Who")


@pytest.fixture
async def world(database: Database, bell: Bell) -> World:
    return await world_on(database, bell)


def test_keys_of_the_environment_are_rotated_by_whoever_put_them_there(environment: dict[str, str]) -> None:
    old, fresh = (base64.b64encode(letter * 32).decode() for letter in (b"o", b"f"))
    keys = {"SLOTWIRE_SEALING_KEYS": f"k1:{old}", "SLOTWIRE_IDENTITY_KEY": old}
    printed(environment | keys, "subaccounts", "list")
    said = printed(
        environment | keys | {"SLOTWIRE_SEALING_KEYS": f"k2:{fresh},k1:{old}"}, "rotate-keys", "--drop-old"
    )
    assert said.splitlines() == [
        "No key is made: the first of SLOTWIRE_SEALING_KEYS is the one to seal with.",
        "0 passwords sealed anew with k2.",
        "Take the old keys out of SLOTWIRE_SEALING_KEYS, and restart every server.",
    ]
    printed(environment | keys | {"SLOTWIRE_SEALING_KEYS": f"k2:{fresh}"}, "subaccounts", "list")


async def test_rotated_keys_open_what_was_sealed_and_the_old_ones_do_not(
    database_url: str, tmp_path: Path, world: World
) -> None:
    settings = settings_with(DATABASE_URL=database_url, SEALING_KEY_FILE=str(tmp_path / "s.key"))
    async with open_parts(settings, {}) as parts:
        sealer = parts.services.sealer
        account = await world.connect()
        await world.write(
            "UPDATE icloud_account SET sealed_password = $1 WHERE id = $2",
            sealer.seal(Secret("pass-word"), row=account.id),
            account.id,
        )
    lines = await rotate(settings, {}, drop_old=True)
    assert "1 passwords sealed anew" in lines[1]
    async with open_parts(settings, {}) as parts:
        [row] = await world.rows("SELECT sealed_password FROM icloud_account")
        assert parts.services.sealer.unseal(row["sealed_password"], row=account.id).reveal() == "pass-word"


async def test_a_password_that_no_key_opens_keeps_no_other_from_being_sealed_anew(
    database_url: str, tmp_path: Path, world: World
) -> None:
    settings = settings_with(DATABASE_URL=database_url, SEALING_KEY_FILE=str(tmp_path / "s.key"))
    lost = Sealer({"lost": bytes(32)}, "lost").seal(Secret("pass-word"), row="r")
    await world.connect()
    await world.write("UPDATE icloud_account SET sealed_password = $1", lost)
    lines = await rotate(settings, {}, drop_old=True)
    assert lines[1].startswith("0 passwords sealed anew")
    assert lines[2].startswith("1 can't be opened with any key")
    [row] = await world.rows("SELECT sealed_password FROM icloud_account")
    assert bytes(row["sealed_password"]) == lost


on_postgres = pytest.mark.parametrize(
    "database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


@asynccontextmanager
async def wired(url: str) -> AsyncIterator[tuple[Bell, asyncio.Event]]:
    bell = Bell()
    with bell.listen("usr_1") as rung:
        async with PostgresWire(url, bell).open():
            async with asyncio.timeout(60):
                await rung.wait()  # Everyone looks once the wire stands.
            rung.clear()
            yield bell, rung


@on_postgres
async def test_a_ring_is_heard_in_the_other_process_alone(database_url: str) -> None:
    async with wired(database_url) as (here, rung_here), wired(database_url) as (_, rung_there):
        await here.ring("usr_2")
        await here.ring("usr_1")
        assert rung_here.is_set()
        rung_here.clear()
        async with asyncio.timeout(60):
            await rung_there.wait()
        assert not rung_here.is_set()


@on_postgres
async def test_a_wire_that_broke_is_mended_and_everyone_looks(database_url: str) -> None:
    async with wired(database_url) as (_, rung):
        breaker = await asyncpg.connect(database_url)
        await breaker.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%slotwire_bell%'"
        )
        await breaker.close()
        async with asyncio.timeout(60):
            await rung.wait()


@on_postgres
async def test_a_wire_that_is_just_being_lost_is_mended_too(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL has said that it goes, and the driver has not seen yet that it is gone."""
    usual = asyncpg.Connection.execute

    async def lost(*_: object, **__: object) -> None:
        monkeypatch.setattr(asyncpg.Connection, "execute", usual)
        raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")

    async with wired(database_url) as (bell, rung):
        monkeypatch.setattr(asyncpg.Connection, "execute", lost)
        await bell.ring("usr_2")
        async with asyncio.timeout(60):
            await rung.wait()


@on_postgres
async def test_a_wire_that_is_told_to_end_as_it_is_rung_ends(database_url: str) -> None:
    """A process would go after ten seconds all the same, as one that failed."""
    for turns in range(5):
        async with asyncio.timeout(60), wired(database_url) as (bell, _):
            await asyncio.sleep(0.1)  # By then it waits for a ring.
            await bell.ring("usr_2")
            for _ in range(turns):
                await asyncio.sleep(0)
