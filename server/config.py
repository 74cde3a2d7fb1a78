"""The settings: the one reader of the environment, once, into a value that is handed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from server.errors import CommandError
from sync.icloud.guard import Guard, is_loopback
from sync.icloud.trust import verifying
from sync.settings import ICLOUD_URL

Network = IPv4Network | IPv6Network
_PREFIX = "SLOTWIRE_"
_ALIKE = 0.85
"""Of two names, as difflib counts: 1 where they are the same."""


class ConfigError(CommandError):
    """A setting that can't be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Lengths of time are in seconds, unless they say days. No secret is in its repr: keys are read elsewhere."""

    database_url: str
    database_pool: int
    host: str
    port: int
    sealing_key_file: Path
    caldav_url: str
    caldav_hosts: frozenset[str]
    caldav_ca_file: Path | None
    caldav_is_icloud: bool
    icloud_china: bool
    poll_watched: int
    poll_usual: int
    poll_quiet: int
    requests_per_minute: int
    staleness_limit: int
    look_again_after: int
    hold_for: int
    horizon_days: int
    keep_changes_days: int
    allowed_origins: frozenset[str]
    trusted_proxies: tuple[Network, ...]
    connections: int
    connections_per_address: int
    connections_per_key: int
    graphiql: bool
    booking_introspection: bool
    metrics: bool
    metrics_from: tuple[Network, ...]
    traces_url: str
    drain_for: int
    log_level: str
    log_json: bool
    demo_file: Path | None


@dataclass(frozen=True, slots=True)
class Setting:
    """`field` is its name in Settings; None for a secret, which only `server.secret_keys` reads."""

    name: str
    default: str
    field: str | None
    read: Callable[[str], Any]


def _text(value: str) -> str:
    return value


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if not value.isascii() or not value.isdigit() or not low <= int(value[:12]) <= high:
            raise ConfigError(f"give a whole number from {low:,} to {high:,}")
        return int(value)

    return read


def _switch(value: str) -> bool:
    match value.lower():
        case "on" | "true" | "yes" | "1":
            return True
        case "off" | "false" | "no" | "0":
            return False
    raise ConfigError("give `on` or `off`")


def _switch_or_auto(value: str) -> bool | None:
    try:
        return None if value.lower() == "auto" else _switch(value)
    except ConfigError:
        raise ConfigError("give `on`, `off` or `auto`") from None


def _list(value: str) -> frozenset[str]:
    return frozenset(part.strip().lower() for part in value.split(",") if part.strip())


def _origins(value: str) -> frozenset[str]:
    """As browsers and web views send them, whatever the scheme: with a slash at the end, one would let nobody in."""
    origins = _list(value)
    if all(origin in {"*", "null"} or origin == _address(origin) for origin in origins):
        return origins
    raise ConfigError(
        "give `*` or origins such as https://app.example.com, without a path, separated by commas"
    )


def _hosts(value: str) -> frozenset[str]:
    hosts = _list(value)
    if all(f"https://{host}" == _address(f"https://{host}") for host in hosts):
        return hosts
    raise ConfigError("give `name` or `name:port`, separated by commas")


def _address(url: str) -> str:
    """Scheme, name and port of a URL, and nothing else; nothing where it has none."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme and parts.hostname and parts.port != 0
    except ValueError:
        return ""
    is_plain = parts.username is None and not any(blank in url for blank in " \t")
    return f"{parts.scheme}://{parts.netloc}" if is_one and is_plain else ""


def _networks(value: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part) for part in sorted(_list(value)))
    except ValueError:
        raise ConfigError("give addresses or networks, such as 10.0.0.0/8, separated by commas") from None


def _database_url(value: str) -> str:
    if value.startswith("sqlite:///"):
        if "?" in value:
            raise ConfigError("give sqlite:///path alone: nothing of what follows a ? would be heeded")
        # SQLite opens a database that nothing outlives, where it is given no path or this one.
        is_one = value.removeprefix("sqlite:///") not in {"", ":memory:"}
    else:
        is_one = value.startswith(("postgres://", "postgresql://")) and _has_hosts(value)
    if not is_one:
        raise ConfigError(
            "give sqlite:///path or postgres://user@host/name, where / in a password is %2F, # is %23 and so on"
        )
    return value


def _has_hosts(url: str) -> bool:
    """PostgreSQL's URLs may name several, or none: that is a socket on this machine."""
    try:
        hosts = urlsplit(url).netloc.rpartition("@")[2].split(",")
    except ValueError:
        return False
    return all(host == "" or _address(f"https://{host}") for host in hosts)


def _web_address(value: str) -> SplitResult | None:
    parts = urlsplit(value) if _address(value) else None
    return parts if parts and parts.scheme in {"http", "https"} else None


def _caldav_url(value: str) -> str:
    parts = _web_address(value)
    if parts is None:
        raise ConfigError("give an address such as https://caldav.icloud.com/")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ConfigError("plain http is for this machine alone: give an https address")
    return value if parts.path else value + "/"


def _traces_url(value: str) -> str:
    if value and _web_address(value) is None:
        raise ConfigError("give an OTLP/HTTP address such as http://127.0.0.1:4318/v1/traces")
    return value


def _log_level(value: str) -> str:
    if value.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ConfigError("give DEBUG, INFO, WARNING or ERROR")
    return value.upper()


def _log_format(value: str) -> bool:
    if value not in {"plain", "json"}:
        raise ConfigError("give `plain` or `json`")
    return value == "json"


def _path_or_none(value: str) -> Path | None:
    return Path(value) if value else None


def _authority(value: str) -> Path | None:
    path = _path_or_none(value)
    if path is None:
        return None
    try:
        if not path.is_file():
            raise ConfigError("give the path of a file that is there")
        verifying(path)
    except OSError:  # ssl's errors are such, too.
        raise ConfigError("give a file that can be read and has a certificate in PEM") from None
    return path


SETTINGS = (
    Setting("SLOTWIRE_DATABASE_URL", "sqlite:///slotwire.sqlite3", "database_url", _database_url),
    Setting("SLOTWIRE_DATABASE_POOL", "10", "database_pool", _number(2, 1000)),
    Setting("SLOTWIRE_HOST", "127.0.0.1", "host", _text),
    Setting("SLOTWIRE_PORT", "8080", "port", _number(1, 65535)),
    Setting("SLOTWIRE_SEALING_KEY_FILE", "slotwire.key", "sealing_key_file", Path),
    Setting("SLOTWIRE_SEALING_KEYS", "", None, _text),
    Setting("SLOTWIRE_IDENTITY_KEY", "", None, _text),
    Setting("SLOTWIRE_CALDAV_URL", ICLOUD_URL, "caldav_url", _caldav_url),
    Setting("SLOTWIRE_CALDAV_HOSTS", "", "caldav_hosts", _hosts),
    Setting("SLOTWIRE_CALDAV_CA_FILE", "", "caldav_ca_file", _authority),
    Setting("SLOTWIRE_CALDAV_IS_ICLOUD", "auto", "caldav_is_icloud", _switch_or_auto),
    Setting("SLOTWIRE_ICLOUD_CHINA", "off", "icloud_china", _switch),
    Setting("SLOTWIRE_POLL_WATCHED", "15", "poll_watched", _number(5, 3600)),
    Setting("SLOTWIRE_POLL_USUAL", "60", "poll_usual", _number(5, 86_400)),
    Setting("SLOTWIRE_POLL_QUIET", "300", "poll_quiet", _number(5, 86_400)),
    Setting("SLOTWIRE_REQUESTS_PER_MINUTE", "240", "requests_per_minute", _number(10, 100_000)),
    Setting("SLOTWIRE_STALENESS_LIMIT", "1800", "staleness_limit", _number(60, 604_800)),
    Setting("SLOTWIRE_LOOK_AGAIN_AFTER", "60", "look_again_after", _number(0, 86_400)),
    Setting("SLOTWIRE_HOLD_SECONDS", "300", "hold_for", _number(10, 3600)),
    Setting("SLOTWIRE_HORIZON_DAYS", "400", "horizon_days", _number(1, 1100)),
    Setting("SLOTWIRE_KEEP_CHANGES_DAYS", "7", "keep_changes_days", _number(1, 365)),
    Setting("SLOTWIRE_ALLOWED_ORIGINS", "", "allowed_origins", _origins),
    Setting("SLOTWIRE_TRUSTED_PROXIES", "", "trusted_proxies", _networks),
    Setting("SLOTWIRE_CONNECTIONS", "10000", "connections", _number(1, 1_000_000)),
    Setting("SLOTWIRE_CONNECTIONS_PER_ADDRESS", "500", "connections_per_address", _number(1, 1_000_000)),
    Setting("SLOTWIRE_CONNECTIONS_PER_KEY", "5000", "connections_per_key", _number(1, 1_000_000)),
    Setting("SLOTWIRE_GRAPHIQL", "on", "graphiql", _switch),
    Setting("SLOTWIRE_BOOKING_INTROSPECTION", "off", "booking_introspection", _switch),
    Setting("SLOTWIRE_METRICS", "off", "metrics", _switch),
    Setting("SLOTWIRE_METRICS_FROM", "127.0.0.1, ::1", "metrics_from", _networks),
    Setting("SLOTWIRE_TRACES_URL", "", "traces_url", _traces_url),
    Setting("SLOTWIRE_DRAIN_SECONDS", "0", "drain_for", _number(0, 600)),
    Setting("SLOTWIRE_LOG_LEVEL", "INFO", "log_level", _log_level),
    Setting("SLOTWIRE_LOG_FORMAT", "plain", "log_json", _log_format),
    Setting("SLOTWIRE_DEMO_FILE", "", "demo_file", _path_or_none),
)
"""What each means stands in the README, in this order."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Raises ConfigError."""
    values = {setting.field: _read(setting, environment) for setting in SETTINGS if setting.field is not None}
    if values["caldav_is_icloud"] is None:
        # iCloud's in China too, whether or not its partition hosts are allowed.
        values["caldav_is_icloud"] = Guard(values["caldav_url"], allows_china=True).is_icloud
    return Settings(**values)


def misspelt(environment: Mapping[str, str]) -> list[str]:
    """A line for each variable that is named nearly as a setting: it changes nothing, and nobody would know.

    One that is like none is not ours: Kubernetes gives every pod such as SLOTWIRE_SERVICE_HOST.
    """
    names = {setting.name.removeprefix(_PREFIX): setting.name for setting in SETTINGS}
    lines = []
    for name in sorted(environment):
        own = name.removeprefix(_PREFIX)
        if (
            name.startswith(_PREFIX)
            and own not in names
            and (near := get_close_matches(own, names, 1, _ALIKE))
        ):
            lines.append(f"{name} is no setting, and changes nothing. Is {names[near[0]]} meant?")
    return lines


def _read(setting: Setting, environment: Mapping[str, str]) -> Any:
    try:
        return setting.read(environment.get(setting.name) or setting.default)
    except ConfigError as error:
        raise ConfigError(f"{setting.name} can't be used: {error}.") from None
