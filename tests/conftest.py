"""What every test can ask for: a migrated, empty database of each kind, a clock it owns, a bell."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import hypothesis
import pytest

from benchmarks.own_postgres import is_installed, server_in_memory
from models.bell import Bell
from models.database import Database
from server.database import migrate, open_database
from server.interpreter import settle
from tests.memory import memory

POSTGRES = os.environ.get("SLOTWIRE_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432/postgres")
IN_CI = os.environ.get("CI") == "true"

# A machine that is busy fails no test: nothing of Hypothesis's own is by the clock.
hypothesis.settings.register_profile(
    "by no clock", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
# The gate judges a change, not its luck: the same examples each time. Chance is for the commands that take a seed.
hypothesis.settings.register_profile(
    "ci", hypothesis.settings.get_profile("by no clock"), derandomize=True, database=None
)
hypothesis.settings.load_profile("ci" if IN_CI else "by no clock")


def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: more than there are cores, as tests also wait; but each first collects all of them anew."""
    return min((os.cpu_count() or 1) + 2, 12)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes is begun early, by as many processes as there are such: at the end all would wait for it."""
    long = [item for item in items if item.get_closest_marker("long")]
    items[:] = [item for item in items if not item.get_closest_marker("long")]
    share = len(items) // max(len(long), 1) + 1
    for nth, item in enumerate(long):
        items.insert(nth * share, item)


def pytest_collection_finish() -> None:
    """As a server at its start: thousands of tests, once collected, are not gone through again while each is run."""
    settle()


def pytest_configure(config: pytest.Config) -> None:
    """A run in several processes keeps its databases in memory, where a disk would take more than all else.

    It has a PostgreSQL of its own, where its programs are installed and none is named.
    """
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        return
    if in_memory := memory():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", in_memory)  # Where pytest makes each `tmp_path`.
    if "SLOTWIRE_TEST_POSTGRES" in os.environ or not is_installed():
        return
    with ExitStack() as stack:
        server = stack.enter_context(server_in_memory())
        os.environ["SLOTWIRE_TEST_POSTGRES"] = server.url
        # Told to end, a run ends as by Ctrl-C: the server is not left behind.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        config.add_cleanup(stack.pop_all().close)


async def _reachable() -> bool:
    try:
        connection = await asyncpg.connect(POSTGRES, timeout=3)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True


@pytest.fixture(scope="session")
def postgres_is_reachable() -> bool:
    return asyncio.run(_reachable())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing may be skipped: what a skipped test holds is then held by nobody."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not IN_CI or reporter is None:
        return
    if skipped := reporter.stats.get("skipped", []):
        reporter.write_line(
            f"CI skips no test, and {len(skipped)} were: " + ", ".join(t.nodeid for t in skipped)
        )
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def need_postgres(is_reachable: bool) -> None:
    if not is_reachable:
        assert not IN_CI, "CI tests PostgreSQL too, and none answers at SLOTWIRE_TEST_POSTGRES."
        pytest.skip("PostgreSQL is not reachable (SLOTWIRE_TEST_POSTGRES)")


class TestServer:
    """Makes databases on the PostgreSQL server of the tests, and drops them."""

    __test__ = False

    def __init__(self, url: str) -> None:
        self.url = url

    async def run(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def url_of(self, name: str) -> str:
        return f"{self.url.rpartition('/')[0]}/{name}"


@pytest.fixture(scope="session")
def postgres_template(postgres_is_reachable: bool) -> object:
    """A migrated database to copy: copying takes a tenth of migrating anew."""
    if not postgres_is_reachable:
        yield None
        return
    server = TestServer(POSTGRES)
    name = f"slotwire_template_{secrets.token_hex(6)}"
    asyncio.run(server.run(f"CREATE DATABASE {name}"))
    asyncio.run(migrate(server.url_of(name)))
    yield name
    asyncio.run(server.run(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "slotwire.sqlite3"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def database_url(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    sqlite_template: Path,
    postgres_is_reachable: bool,
    postgres_template: str | None,
) -> AsyncIterator[str]:
    """The URL of a migrated, empty database: once SQLite, once PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "slotwire.sqlite3"
        path.write_bytes(sqlite_template.read_bytes())
        yield f"sqlite:///{path}"
        return
    need_postgres(postgres_is_reachable)
    server = TestServer(POSTGRES)
    name = f"slotwire_test_{secrets.token_hex(6)}"
    # By its files: by the log, as is usual, takes a third more where the disk is spared.
    await server.run(f"CREATE DATABASE {name} TEMPLATE {postgres_template} STRATEGY FILE_COPY")
    yield server.url_of(name)
    await server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        yield opened


@pytest.fixture
def bell() -> Bell:
    return Bell()
