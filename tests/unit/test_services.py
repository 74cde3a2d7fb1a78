"""What an operator sets reaches those that go by it: the sync engine, its way to the calendar server, the use cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from resolvers.settings import ResolverSettings
from server.config import read_settings
from server.services import resolver_settings, sync_settings
from sync.icloud.guard import Guard
from sync.service import server_of
from sync.settings import SyncSettings

URL = "https://caldav.example.com/"
SET = replace(
    read_settings({}),
    caldav_url=URL,
    caldav_hosts=frozenset({"p1.example.com"}),
    caldav_ca_file=Path("authority.pem"),
    caldav_is_icloud=False,
    icloud_china=True,
    horizon_days=90,
    poll_watched=20,
    poll_usual=70,
    poll_quiet=310,
    requests_per_minute=100,
    hold_for=120,
    keep_changes_days=2,
    staleness_limit=600,
    look_again_after=30,
)


def test_the_engine_and_the_use_cases_go_by_what_is_set() -> None:
    assert sync_settings(SET) == SyncSettings(
        caldav_url=URL,
        caldav_hosts=frozenset({"p1.example.com"}),
        caldav_ca_file=Path("authority.pem"),
        allows_china=True,
        horizon_days=90,
        watched_every=20,
        usual_every=70,
        quiet_every=310,
        requests_per_minute=100,
        hold_for=120,
        keep_changes=2 * 86_400,
    )
    assert resolver_settings(SET) == ResolverSettings(
        staleness_limit=600,
        look_again_after=30,
        hold_for=120,
        horizon_ahead_days=90,
        watched_poll_every=20,
        app_specific_passwords_only=False,
    )


async def test_the_calendar_server_is_asked_as_is_set(tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.touch()
    told = replace(sync_settings(SET), caldav_ca_file=authority, request_seconds=7, most_answer_bytes=1_000)
    server = server_of(told)
    asked_by = server.settings
    assert server.guard == Guard(URL, frozenset({"p1.example.com"}), allows_china=True)
    assert (asked_by.request_seconds, asked_by.most_bytes) == (7, 1_000)
    assert (asked_by.requests_per_minute, asked_by.ca_file) == (100, authority)
    assert asked_by.connections > told.most_polls
    await server.close()
