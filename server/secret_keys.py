"""The keys that passwords are sealed and identities derived with: from their own file, or the environment."""

from __future__ import annotations

import base64
import binascii
import errno
import logging
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from models.seal import Sealer
from server.config import ConfigError

log = logging.getLogger(__name__)

_BYTES = 32
_IDENTITY = "identity"
_HEADER = (
    "# Slotwire's keys: `identity`, then those that passwords are sealed with, the newest first. Keep this file with\n"
    "# your backups, and apart from them: without it no password can be opened.\n"
)


@dataclass(frozen=True, slots=True)
class SecretKeys:
    """`sealing` by id; in the order of its keys the one to seal with is the first."""

    identity: bytes = field(repr=False)
    sealing: Mapping[str, bytes] = field(repr=False)

    def sealer(self) -> Sealer:
        return Sealer(self.sealing, next(iter(self.sealing)))


class KeysOfFile(Mapping[str, bytes]):
    """The sealing keys in the file; one that is missing is looked for again, so that rotation needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = dict(_read_file(path).sealing)
        self._told = ""

    def __getitem__(self, key_id: str) -> bytes:
        if key_id not in self._keys:
            self._look_again()
        return self._keys[key_id]

    def _look_again(self) -> None:
        """A file that can't be read now has no further key: whoever asks tells that, and the log, once, tells why."""
        try:
            self._keys |= _read_file(self._path).sealing
            self._told = ""
        except ConfigError as error:
            if str(error) != self._told:
                log.warning("%s", error)
            self._told = str(error)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def load_keys(path: Path, environment: Mapping[str, str], *, is_first_start: bool) -> SecretKeys:
    """Makes the file at the first start, and then only: fresh keys open nothing. Raises ConfigError."""
    if environment.get("SLOTWIRE_SEALING_KEYS"):
        return _from_environment(environment)
    if environment.get("SLOTWIRE_IDENTITY_KEY"):
        raise ConfigError(
            f"SLOTWIRE_SEALING_KEYS is missing: without it the keys are those of {path}, and"
            " SLOTWIRE_IDENTITY_KEY changes nothing."
        )
    with _told(path, "read"):
        is_there = path.exists()
    if not is_there:
        if not is_first_start:
            raise ConfigError(
                f"The key file {path} is missing, and this database was filled with its keys: bring it back, or set"
                " SLOTWIRE_SEALING_KEY_FILE to where it is."
            )
        _write_new(path, SecretKeys(secrets.token_bytes(_BYTES), _fresh()))
    return SecretKeys(_read_file(path).identity, KeysOfFile(path))


def add_key(path: Path) -> str:
    """Puts a fresh key before the others; servers that run find it when they meet its id."""
    known = _read_file(path)
    fresh = _fresh()
    _replace(path, SecretKeys(known.identity, {**fresh, **known.sealing}))
    return next(iter(fresh))


def drop_keys(path: Path, *, but: str) -> None:
    """Leaves one sealing key: what others sealed can't be opened any more, in backups neither."""
    known = _read_file(path)
    _replace(path, SecretKeys(known.identity, {but: known.sealing[but]}))


def _fresh() -> dict[str, bytes]:
    return {secrets.token_hex(4): secrets.token_bytes(_BYTES)}


def _from_environment(environment: Mapping[str, str]) -> SecretKeys:
    name = "SLOTWIRE_SEALING_KEYS"
    sealing = dict(_read_line(part, where=name) for part in environment[name].split(",") if part.strip())
    if not sealing:
        raise ConfigError(f"{name} can't be used: give id:base64.")
    name = "SLOTWIRE_IDENTITY_KEY"
    if not environment.get(name):
        raise ConfigError(f"{name} is missing: SLOTWIRE_SEALING_KEYS needs it beside it.")
    identity = _decode(environment[name], where=name)
    if len(identity) < _BYTES:
        raise ConfigError(f"{name} can't be used: give {_BYTES} bytes or more, in base64.")
    return SecretKeys(identity, sealing)


def _read_file(path: Path) -> SecretKeys:
    with _told(path, "read"):
        mode = path.stat().st_mode
        lines = path.read_text(encoding="ascii").splitlines()
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"The key file {path} can be read by others: run `chmod 600 {path}`.")
    keys = dict(
        _read_line(line, where=str(path)) for line in lines if line.strip() and not line.startswith("#")
    )
    identity = keys.pop(_IDENTITY, b"")
    if len(identity) < _BYTES or not keys:
        raise ConfigError(f"The key file {path} is not whole: bring it back from a backup.")
    return SecretKeys(identity, keys)


def _read_line(line: str, *, where: str) -> tuple[str, bytes]:
    key_id, _, text = line.strip().partition(":")
    key = _decode(text, where=where)
    if not key_id.isalnum() or not key_id.isascii() or len(key_id) > 32 or len(key) != _BYTES:
        raise ConfigError(f"{where} can't be used: give each key as id:base64, {_BYTES} bytes.")
    return key_id, key


def _decode(text: str, *, where: str) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{where} can't be used: a key in it is not base64.") from None


def _write_new(path: Path, keys: SecretKeys) -> None:
    """Whole or not at all, and never over one that another process made meanwhile."""
    with _beside(path, keys) as fresh, suppress(FileExistsError):
        os.link(fresh, path)


def _replace(path: Path, keys: SecretKeys) -> None:
    """It stays whose it was, also where root does it: the servers, which run as that user, go on reading it."""
    path = path.resolve()  # A link stays one.
    with _beside(path, keys) as fresh:
        was = path.stat()
        if was.st_uid != os.geteuid():
            os.chown(fresh, was.st_uid, was.st_gid)
        fresh.replace(path)


@contextmanager
def _beside(path: Path, keys: SecretKeys) -> Iterator[Path]:
    """A file with the keys that is gone at the end, also where the disk is full: nobody would look for them there."""
    with _told(path, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".slotwire-", dir=path.parent)  # Made with mode 0600.
        lines = [(_IDENTITY, keys.identity), *keys.sealing.items()]
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(_HEADER)
                file.writelines(f"{key_id}:{base64.b64encode(key).decode()}\n" for key_id, key in lines)
                file.flush()
                os.fsync(file.fileno())
            yield Path(name)
            _keep(path.parent)
        finally:
            Path(name).unlink(missing_ok=True)


def _keep(folder: Path) -> None:
    """On disk, with the names in it: what is sealed next is lost without its key, if the power fails then."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno != errno.EINVAL:  # Of a file system that can't do it.
            raise
    finally:
        os.close(number)


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    """What keeps the file from it, in one line: rights, a disk that is full, a name that is too long."""
    try:
        yield
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(f"The key file {path} can't be {what}: {reason}.") from None
