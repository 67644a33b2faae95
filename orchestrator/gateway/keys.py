"""API keys: made once and shown once; kept as hashes in a file that a running gateway follows.

The file holds names, SHA-256 hashes, scopes and dates only, is the owner's alone to read (mode 0600), and is
replaced as a whole. Keys have 256 random bits, so that a plain hash is enough and nobody guesses one.
"""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from config.errors import ConfigError, shown
from config.settings import GatewaySettings, home
from config.yaml_file import read_text
from config.yaml_lines import Node, parse_nodes
from orchestrator.gateway.endpoint import Caller, Scope

KEYS_MAX: Final = 1_000
NAME_CHARS_MAX: Final = 32
KEY_CHARS_MAX: Final = 256
"""What is longer is no key, and is not hashed."""
PREFIX: Final = "lvk_"
_RANDOM_BYTES: Final = 32
_FILE_MODE: Final = 0o600
_FOLDER_MODE: Final = 0o700
_HEAD: Final = (
    "# API keys of Labverse's gateway: hashes only, so that nobody can get a key out of here again.\n"
    "# `labverse key new NAME`, `labverse key list` and `labverse key revoke NAME` keep this file.\n"
)
_PLACE = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]")
_WORDS: Final = {
    "name": f"1 to {NAME_CHARS_MAX} characters of A-Z a-z 0-9 _ -",
    "sha256": "64 hexadecimal digits",
}

Name = Annotated[str, Meta(pattern=rf"^[A-Za-z0-9_-]{{1,{NAME_CHARS_MAX}}}\Z")]


class KeyRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key.

    Attributes:
        sha256: of the key's text, in hexadecimal.
        created_at: RFC 3339 in UTC.
    """

    name: Name
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    scope: Scope
    created_at: Annotated[str, Meta(max_length=40)] = ""


class KeysFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that the file says."""

    keys: Annotated[tuple[KeyRow, ...], Meta(max_length=KEYS_MAX)] = ()


def keys_path(settings: GatewaySettings, env: Mapping[str, str]) -> Path:
    """`gateway.keys_file`, else $XDG_CONFIG_HOME/labverse/api_keys.yaml or ~/.config/labverse/api_keys.yaml.

    Raises:
        ConfigError: this user has no home folder.
    """
    if settings.keys_file is not None:
        return settings.keys_file
    folder = Path(env.get("XDG_CONFIG_HOME", ""))
    try:
        base = folder if folder.is_absolute() else home(env) / ".config"
    except RuntimeError:
        raise ConfigError("this user has no home folder for API keys: set gateway.keys_file") from None
    return base / "labverse" / "api_keys.yaml"


def read_keys(path: Path) -> tuple[KeyRow, ...]:
    """The keys in the file; none when it doesn't exist.

    Raises:
        ConfigError: it can't be read, others may write it, or it says something that can't be: with its line.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} can't be read: {error}") from None
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(f"others may write {path}, and add keys of their own: run `chmod 600 {path}`")
    return parse_keys(path, read_text(path))


def parse_keys(path: Path, text: str) -> tuple[KeyRow, ...]:
    """The keys in `text`; `path` is for the messages.

    Raises:
        ConfigError: as `read_keys`.
    """
    node = parse_nodes(path, text)
    try:
        rows = msgspec.convert(node.plain(), KeysFile).keys
    except msgspec.ValidationError as error:
        raise ConfigError(_wrong(path, node, str(error))) from None
    names: dict[str, int] = {}
    for index, row in enumerate(rows):
        line = _line(node, ("keys", index))
        if row.name in names:
            raise ConfigError(
                f"key `{row.name}` stands twice in {path}: line {names[row.name]} and line {line}"
            )
        names[row.name] = line
    return rows


def _wrong(path: Path, node: Node, told: str) -> str:
    """What is wrong in which line; never the value, which may be a key that somebody put where its hash belongs."""
    what, _, place = told.partition(" - at `$")
    steps = tuple(field or int(index) for field, index in _PLACE.findall(place))
    name = f"{steps[-1]}" if steps else "file"
    if what.startswith("Object contains unknown field"):
        what = f"unknown field `{shown(what.split('`')[1])}`; there are {', '.join(KeyRow.__struct_fields__)}"
    elif what.startswith("Object missing required field"):
        what = f"`{what.split('`')[1]}:` is missing"
    elif what.startswith("Invalid enum value"):
        what = f"expected {', '.join(Scope)}"
    elif name in _WORDS:
        what = f"expected {_WORDS[name]}"
    else:
        what = (
            what.replace("`object`", "keys below it").replace("`array`", "a list").replace("`str`", "a text")
        )
    return f"{path} line {_line(node, steps)}: `{name}`: {what}"


def _line(node: Node, steps: tuple[str | int, ...]) -> int:
    for step in steps:
        node = node.get(step) or node
    return node.line


def new_key() -> str:
    """A key that nobody has had before."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def hash_of(key: str) -> str:
    """SHA-256 of the key's text, in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


@contextmanager
def changing_keys(path: Path) -> Generator[list[KeyRow]]:
    """The rows of the file, to be changed in place: written when the block ends well, one process at a time.

    Raises:
        ConfigError: the file can't be read or written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
        lock = os.open(
            path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE
        )
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = list(read_keys(path))
        before = tuple(rows)
        yield rows
        if tuple(rows) != before:
            _write(path, rows)
    finally:
        os.close(lock)


def _write(path: Path, rows: list[KeyRow]) -> None:
    if len(rows) > KEYS_MAX:
        raise ConfigError(f"{path} holds {KEYS_MAX} keys already: revoke one first")
    lines = [_HEAD, "keys:\n" if rows else "keys: []\n"]
    for row in rows:
        lines.append(f'  - name: "{row.name}"\n    sha256: "{row.sha256}"\n')
        lines.append(f'    scope: "{row.scope}"\n    created_at: "{row.created_at}"\n')
    try:
        # Made with mode 0600, and moved into place when it is whole.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write("".join(lines))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}") from None


@dataclass(eq=False, slots=True, kw_only=True)
class Keys:
    """The keys in force: the file's, read again whenever it changed."""

    path: Path
    _rows: tuple[KeyRow, ...] = ()
    _seen: tuple[int, ...] | None = None
    _problem: str = field(default="", repr=False)

    def rows(self) -> tuple[KeyRow, ...]:
        """All keys as of now.

        Raises:
            ConfigError: the file is broken; no key holds until it is mended.
        """
        if (stamp := self._stamp()) != self._seen:
            try:
                self._rows, self._problem = read_keys(self.path), ""
            except ConfigError as error:
                self._rows, self._problem = (), str(error)
            self._seen = stamp
        if self._problem:
            raise ConfigError(self._problem)
        return self._rows

    def find(self, key: str) -> Caller | None:
        """Whose key this is; takes equally long for every wrong one.

        Raises:
            ConfigError: as `rows`.
        """
        rows = self.rows()
        if len(key) > KEY_CHARS_MAX:
            return None
        wanted = hash_of(key)
        found = None
        for row in rows:
            if hmac.compare_digest(row.sha256, wanted):
                found = Caller(name=row.name, scope=row.scope)
        return found

    def _stamp(self) -> tuple[int, ...]:
        try:
            now = self.path.stat()
        except (OSError, ValueError):
            return ()
        return now.st_mtime_ns, now.st_ctime_ns, now.st_size, now.st_ino
