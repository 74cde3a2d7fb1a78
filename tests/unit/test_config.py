"""Settings are read once, wrong ones are told in a line, and keys are for their owner alone."""

from __future__ import annotations

import base64
import os
import resource
import stat
from pathlib import Path

import pytest

from models.seal import Secret, UnsealError
from server.config import SETTINGS, ConfigError, Settings, misspelt, read_settings
from server.logs import scrubbed
from server.secret_keys import SecretKeys, add_key, drop_keys, load_keys

KEY = base64.b64encode(b"k" * 32).decode()
OTHER = base64.b64encode(b"o" * 32).decode()


def test_every_setting_has_a_default_and_its_field() -> None:
    settings = read_settings({})
    fields = {setting.field for setting in SETTINGS if setting.field}
    assert fields == set(Settings.__slots__)
    assert settings.database_url == "sqlite:///slotwire.sqlite3"
    assert settings.port == 8080


def test_an_empty_variable_is_the_default() -> None:
    assert read_settings({"SLOTWIRE_PORT": ""}) == read_settings({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"), ("PORT", "65536"), ("PORT", "http"), ("PORT", "9" * 5000), ("PORT", "٣"),
        ("DATABASE_URL", "mysql://x"), ("CALDAV_URL", "http://caldav.example.com/"), ("CALDAV_URL", "caldav"),
        ("CALDAV_URL", "https://user:pass@caldav.example.com/"), ("GRAPHIQL", "perhaps"), ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"), ("TRUSTED_PROXIES", "proxy.local"), ("HOLD_SECONDS", "-1"),
        ("ALLOWED_ORIGINS", "https://app.example.com/"), ("ALLOWED_ORIGINS", "app.example.com"),
        ("ALLOWED_ORIGINS", "https://user:pass@app.example.com"), ("CALDAV_HOSTS", "a b"),
        ("CALDAV_HOSTS", "p1.example:99999"), ("CALDAV_HOSTS", "https://p1.example"), ("CALDAV_CA_FILE", "README.md"),
        ("CALDAV_CA_FILE", "x" * 300),  # As in a folder that is closed to us, it can't even be looked for.
        ("CALDAV_URL", "https://[::1/"), ("CALDAV_URL", "https://p1.example:99999/"), ("CALDAV_URL", "https://a b/"),
        ("TRACES_URL", "http://[::1/v1/traces"), ("TRACES_URL", "http://otel:http/v1/traces"),
        ("DATABASE_URL", "sqlite:///"), ("DATABASE_URL", "sqlite:///:memory:"), ("DATABASE_URL", "sqlite:///s.db?mode=ro"),
        ("DATABASE_URL", "postgres://u:p#ss@db/x"), ("DATABASE_URL", "postgres://[::1/x"),
        ("DATABASE_URL", "postgres://db:99999/x"), ("DATABASE_URL", "postgres://one,two:http/x"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_in_one_line_that_does_not_repeat_it(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as told:
        read_settings({f"SLOTWIRE_{name}": value})
    assert str(told.value).startswith(f"SLOTWIRE_{name} can't be used: ")
    assert "\n" not in str(told.value)
    assert "pass@" not in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///slotwire.sqlite3", "sqlite:////var/lib/slotwire.sqlite3", "postgres://u@db/x",
        "postgresql://u:p%23ss@[::1]:5433/x?sslmode=verify-full", "postgres://u@one:5432,two/x?target_session_attrs=primary",
        "postgres:///x?host=/run/postgresql",
    ],
)  # fmt: skip
def test_a_database_is_named_as_its_own_tools_name_it(url: str) -> None:
    assert read_settings({"SLOTWIRE_DATABASE_URL": url}).database_url == url


def test_a_name_that_is_nearly_a_settings_is_told_and_what_is_not_ours_is_not() -> None:
    ours = {setting.name: "1" for setting in SETTINGS}
    # Kubernetes' own, those of the scripts and of the tests, and another program's.
    others = (
        *("SLOTWIRE_SERVICE_HOST", "SLOTWIRE_PORT_8080_TCP_ADDR", "SLOTWIRE_VENV", "SLOTWIRE_DEMO_FOLDER"),
        *("SLOTWIRE_TEST_POSTGRES", "SLOTWIRE_URL", "SLOTWIRE_USER", "SLOTWIRE_BOOKING_KEY", "LOTWIRE_PORT"),
    )
    assert misspelt(ours | dict.fromkeys(others, "1")) == []
    assert misspelt({"SLOTWIRE_POLL_USUALL": "hunter2", "SLOTWIRE_DATABSE_URL": "hunter2"}) == [
        "SLOTWIRE_DATABSE_URL is no setting, and changes nothing. Is SLOTWIRE_DATABASE_URL meant?",
        "SLOTWIRE_POLL_USUALL is no setting, and changes nothing. Is SLOTWIRE_POLL_USUAL meant?",
    ]


def test_hosts_and_origins_are_names_with_or_without_a_port() -> None:
    settings = read_settings(
        {
            "SLOTWIRE_CALDAV_HOSTS": "P1.example, p2.example:8443, [::1]:8443",
            "SLOTWIRE_ALLOWED_ORIGINS": "*, https://App.example, http://localhost:3000, capacitor://localhost",
        }
    )
    assert settings.caldav_hosts == {"p1.example", "p2.example:8443", "[::1]:8443"}
    assert settings.allowed_origins == {
        *("*", "https://app.example", "http://localhost:3000", "capacitor://localhost")
    }


def test_app_specific_passwords_are_asked_for_where_the_server_is_icloud() -> None:
    own = {"SLOTWIRE_CALDAV_URL": "http://127.0.0.1:5232/"}
    assert read_settings({}).caldav_is_icloud
    assert read_settings({"SLOTWIRE_CALDAV_URL": "https://caldav.icloud.com.cn/"}).caldav_is_icloud
    assert not read_settings(own).caldav_is_icloud
    assert read_settings(own | {"SLOTWIRE_CALDAV_IS_ICLOUD": "on"}).caldav_is_icloud


def test_the_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "slotwire.key"
    first = load_keys(path, {}, is_first_start=True)
    again = load_keys(path, {}, is_first_start=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (first.identity, dict(first.sealing)) == (again.identity, dict(again.sealing))
    assert list(path.parent.iterdir()) == [path]


def test_no_key_shows_in_a_repr(tmp_path: Path) -> None:
    keys = load_keys(tmp_path / "k", {}, is_first_start=True)
    assert repr(keys) == "SecretKeys()"
    assert "keys=" not in repr(keys.sealer())


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "slotwire.key"
    load_keys(path, {}, is_first_start=True)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_keys(path, {}, is_first_start=True)


@pytest.mark.parametrize(
    "text", ["", "identity:x", f"identity:{KEY}", f"k1:{KEY}", "\x00", f"identity:{KEY}\nk1:AAAA"]
)
def test_a_key_file_that_is_not_whole_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "slotwire.key"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(ConfigError):
        load_keys(path, {}, is_first_start=True)
    assert path.read_text() == text


def test_a_key_file_that_can_not_be_looked_for_is_told_as_such(tmp_path: Path) -> None:
    """As in a folder that is closed to us, which root, as which tests may run, is not kept from."""
    with pytest.raises(ConfigError, match=r"The key file .* can't be read: File name too long"):
        load_keys(tmp_path / ("x" * 300), {}, is_first_start=False)


def test_a_key_that_there_is_no_room_for_leaves_all_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "slotwire.key"
    load_keys(path, {}, is_first_start=True)
    before = path.read_text()
    room = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, room[1]))
    try:
        with pytest.raises(ConfigError, match=r"The key file .* can't be written: File too large"):
            add_key(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, room)
    assert [found.read_text() for found in tmp_path.iterdir()] == [before]


def test_keys_come_from_the_environment_the_first_one_seals() -> None:
    environment = {"SLOTWIRE_SEALING_KEYS": f"k2:{OTHER},k1:{KEY}", "SLOTWIRE_IDENTITY_KEY": KEY}
    keys = load_keys(Path("/nowhere"), environment, is_first_start=True)
    assert keys == SecretKeys(b"k" * 32, {"k2": b"o" * 32, "k1": b"k" * 32})
    assert keys.sealer().newest == "k2"


@pytest.mark.parametrize(
    "environment",
    [
        {"SLOTWIRE_SEALING_KEYS": f"k1:{KEY}"},
        {"SLOTWIRE_SEALING_KEYS": KEY, "SLOTWIRE_IDENTITY_KEY": KEY},
        {"SLOTWIRE_SEALING_KEYS": f"k1:{KEY}", "SLOTWIRE_IDENTITY_KEY": "AAAA"},
        {"SLOTWIRE_SEALING_KEYS": "k1:***", "SLOTWIRE_IDENTITY_KEY": KEY},
        {"SLOTWIRE_SEALING_KEYS": ",", "SLOTWIRE_IDENTITY_KEY": KEY},
    ],
)
def test_keys_of_the_environment_that_are_not_whole_are_refused_unshown(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as told:
        load_keys(Path("/nowhere"), environment, is_first_start=True)
    assert KEY not in str(told.value)


def test_an_identity_key_that_would_change_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "slotwire.key"
    with pytest.raises(ConfigError, match="SLOTWIRE_SEALING_KEYS is missing") as told:
        load_keys(path, {"SLOTWIRE_IDENTITY_KEY": KEY}, is_first_start=True)
    assert KEY not in str(told.value)
    assert not path.exists()


def test_a_server_that_runs_opens_what_a_key_added_since_has_sealed(tmp_path: Path) -> None:
    path = tmp_path / "slotwire.key"
    running = load_keys(path, {}, is_first_start=True).sealer()
    fresh = add_key(path)
    rotated = load_keys(path, {}, is_first_start=True).sealer()
    assert rotated.newest == fresh
    assert running.unseal(rotated.seal(Secret("s"), row="r"), row="r").reveal() == "s"
    assert rotated.unseal(running.seal(Secret("s"), row="r"), row="r").reveal() == "s"


def test_a_key_file_that_is_a_link_stays_one(tmp_path: Path) -> None:
    kept, path = tmp_path / "kept" / "slotwire.key", tmp_path / "slotwire.key"
    load_keys(kept, {}, is_first_start=True)
    path.symlink_to(kept)
    fresh = add_key(path)
    assert path.is_symlink()
    assert load_keys(kept, {}, is_first_start=False).sealer().newest == fresh


def test_a_key_file_is_on_disk_by_name_before_anything_is_sealed_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "slotwire.key"
    kept = list[str]()
    monkeypatch.setattr(
        os, "fsync", lambda number: kept.append(Path(f"/proc/self/fd/{number}").readlink().name)
    )
    load_keys(path, {}, is_first_start=True)
    add_key(path)
    assert [name.partition("-")[0] for name in kept] == [".slotwire", tmp_path.name.partition("-")[0]] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone has to do with files of others")
def test_a_key_file_stays_whose_it_was_as_root_adds_to_it(tmp_path: Path) -> None:
    path = tmp_path / "slotwire.key"
    load_keys(path, {}, is_first_start=True)
    os.chown(path, 65534, 65534)
    drop_keys(path, but=add_key(path))
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 65534, 0o600)


def test_a_key_file_that_is_away_while_a_server_runs_is_told_once_and_read_again_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "slotwire.key"
    running = load_keys(path, {}, is_first_start=True).sealer()
    add_key(path)
    sealed = load_keys(path, {}, is_first_start=False).sealer().seal(Secret("s"), row="r")
    away = path.rename(tmp_path / "away.key")
    for _ in range(2):
        with pytest.raises(UnsealError):
            running.unseal(sealed, row="r")
    assert caplog.messages == [f"The key file {path} can't be read: No such file or directory."]
    away.rename(path)
    assert running.unseal(sealed, row="r").reveal() == "s"


def test_a_dropped_key_opens_nothing_any_more(tmp_path: Path) -> None:
    path = tmp_path / "slotwire.key"
    sealed = load_keys(path, {}, is_first_start=True).sealer().seal(Secret("s"), row="r")
    drop_keys(path, but=add_key(path))
    with pytest.raises(UnsealError):
        load_keys(path, {}, is_first_start=True).sealer().unseal(sealed, row="r")


def test_logs_show_no_key_no_password_and_no_credentials() -> None:
    key, password = "sw_owner_" + "Az-_9" * 8, "abcd-efgh-ijkl-mnop"
    text = (
        f"key {key} password {password} Authorization: Bearer {key} Basic YTpi9999 postgres://u:hunter2@db/x"
    )
    shown = scrubbed(text)
    for secret in (key, password, "YTpi9999", "hunter2"):
        assert secret not in shown
    assert "postgres://***@db/x" in shown


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("key sw_owner_" + "Az09_" * 8, "Az09_"),
        ("key SW_BOOKING_" + "Az09_" * 8, "Az09_"),
        ("password abcd-efgh-ijkl-mnop", "mnop"),
        ("password ABCD-EFGH-IJKL-MNOP", "MNOP"),
        ("authorization: BASIC YTpi9999", "YTpi"),
        ("authorization: bearer abc.def-123", "abc.def"),
        ("from postgres://u:hunter2@db/x", "hunter2"),
    ],
)
def test_a_secret_is_found_in_a_line_that_holds_nothing_else_of_note(line: str, secret: str) -> None:
    assert secret not in scrubbed(line)
    assert "***" in scrubbed(line)
