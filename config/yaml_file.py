"""Reads a settings file: sections of keys, bounded in every direction, with the line of each key.

YAML's own dangers are bounded before the parser sees the text. Its C part recurses with the nesting, so
brackets and columns are few; merged aliases multiply, so aliases are few as well.
"""

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from config.errors import ConfigError

FILE_BYTES_MAX: Final = 1_000_000
LINE_CHARS_MAX: Final = 4096
"""Block nesting needs columns, so this bounds its depth too."""
BRACKETS_MAX: Final = 1000
ALIASES_MAX: Final = 8

_COMMENT_LINE = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_ALIAS = re.compile(r"(?:^|[\s\[{,:])\*", re.MULTILINE)
_KEY = re.compile(r"""(?P<indent>[ ]*)(?P<quote>['"]?)(?P<name>[A-Za-z_][\w-]*)(?P=quote)[ ]*:(?:[ ]|$)""")
_PLACE = re.compile(r"line (\d+), column (\d+)")


class Entry(NamedTuple):
    """A value as it stands in the file, and its 1-based line."""

    value: Any
    line: int


def read_yaml(path: Path) -> dict[str, Entry]:
    """What the file says, before anything is known about its keys.

    Returns:
        `section.key` → value, in order; and `section` → None for a section, or what stands in its place.

    Raises:
        ConfigError: the file can't be read, is too large or too deep, or is no YAML mapping.
    """
    text = read_text(path)
    check_bounds(path, text)
    try:
        values = msgspec.yaml.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigError(_syntax_error(path, str(error))) from None
    except (ValueError, OverflowError, RecursionError) as error:  # such as 2020-99-99, or 10,000 digits
        raise ConfigError(f"{path} can't be read as YAML: {one_line(str(error))}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: found a {type(values).__name__}, expected sections such as `bus:`")
    lines = _key_lines(path, text)
    out: dict[str, Entry] = {}
    for section, content in values.items():
        line = lines.get(f"{section}") or _line_of(text, section, 1)
        out[f"{section}"] = Entry(None if isinstance(content, dict) else content, line)
        for key, value in content.items() if isinstance(content, dict) else ():
            name = f"{section}.{key}"
            out[name] = Entry(value, lines.get(name) or _line_of(text, key, line))
    return out


def read_text(path: Path) -> str:
    """The file's text.

    Raises:
        ConfigError: it can't be read, is too large, or is no UTF-8.
    """
    try:
        if not path.is_file():
            problem = "is not a file" if path.exists() else "does not exist"
            raise ConfigError(f"settings file {path} {problem}")
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"settings file {path} can't be read: {error}") from None
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"settings file {path} has more than {FILE_BYTES_MAX} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path} line {line}: found byte 0x{data[error.start]:02x}, expected UTF-8"
        ) from None


def check_bounds(path: Path, text: str) -> None:
    """Refuses what would exhaust the parser.

    Raises:
        ConfigError: lines that are too long, too many brackets, too many aliases.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LINE_CHARS_MAX:
            raise ConfigError(
                f"{path} line {number}: found {len(line)} characters, expected {LINE_CHARS_MAX} at most"
            )
    bare = _COMMENT_LINE.sub("", text)
    if bare.count("[") + bare.count("{") > BRACKETS_MAX:
        raise ConfigError(f"{path}: found more than {BRACKETS_MAX} opening brackets")
    if len(_ALIAS.findall(bare)) > ALIASES_MAX:
        raise ConfigError(f"{path}: found more than {ALIASES_MAX} YAML aliases (`*name`)")


def _key_lines(path: Path, text: str) -> dict[str, int]:
    """Lines of sections and keys in block style. A key that stands twice is an error: YAML would silently
    take the last, and a second `bus:` section would undo the whole first."""
    lines: dict[str, int] = {}
    section, indent = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        found = _KEY.match(line)
        if found is None:
            continue
        depth = len(found["indent"])
        if depth == 0:
            section, indent = found["name"], 0
            dotted = section
        elif section and indent in (0, depth):
            indent = depth
            dotted = f"{section}.{found['name']}"
        else:
            continue
        if dotted in lines:
            raise ConfigError(f"`{dotted}` stands twice in {path}: line {lines[dotted]} and line {number}")
        lines[dotted] = number
    return lines


def _line_of(text: str, key: object, after: int) -> int:
    """Line of a key in flow style, such as `bus: {port: 1}`: the first that names it, from line `after` on."""
    wanted = re.compile(rf"(?<!\w){re.escape(str(key))}['\"]?\s*:")
    lines = text.splitlines()[after - 1 :]
    return next((number for number, line in enumerate(lines, after) if wanted.search(line)), after)


def _syntax_error(path: Path, message: str) -> str:
    """PyYAML's report of many lines as one, with the last place it names."""
    places = _PLACE.findall(message)
    where = f"{path} line {places[-1][0]}, column {places[-1][1]}" if places else str(path)
    told = [line.strip() for line in message.splitlines() if not line.startswith("  in ")]
    return f"{where}: not valid YAML: {one_line(', '.join(told))}"


def one_line(text: str) -> str:
    """`text` with its white space made single spaces, and cut."""
    return " ".join(text.split())[:300]
