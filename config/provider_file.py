"""Checks a providers file against `config.provider_rows`, and says where it is wrong, what was found and what to do.

API keys don't belong into the file: text that looks like one is refused before anything else is looked at, and is
never shown.
"""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from config.errors import ConfigError, did_you_mean, shown
from config.provider_rows import ProviderRow, ProvidersFile, decode_dollars
from config.yaml_file import read_text
from config.yaml_lines import Node, parse_nodes

Struct = TypeVar("Struct", bound=msgspec.Struct)
Step = str | int

_KEY_SHAPES = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"sk-[A-Za-z0-9_-]{6,}|xai-[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{16,}|gsk_[A-Za-z0-9]{16,}|hf_[A-Za-z0-9]{16,}"
    r"|gh[pousr]_[A-Za-z0-9]{16,}|AKIA[A-Z0-9]{12,}|eyJ[A-Za-z0-9_-]{16,}|[Bb]earer\s+[A-Za-z0-9._~+/-]{8,}"
    r")"
)
"""How keys look that say what they are."""
_RANDOM = re.compile(r"(?<![A-Za-z0-9])(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{32,}")
"""And those that don't: 32 letters and digits in a row. Addresses may hold such, as the number of an account."""
_ADDRESS = re.compile(r"https?://\S+")
_KEY_FIELD = re.compile(
    r"(^|[_-])(key|token|secret|password|credentials?|auth|authorization|headers?)$|apikey", re.I
)
_PROVIDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_PATH = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]|(\[\.\.\.\])")
_WORDS: Final = {
    "`str` matching regex '^([A-Z": "the name of an environment variable, such as MY_API_KEY",
    "`str` matching regex": "a name of letters, digits and ._:/@+-",
    "`str`": "a text (a number needs quotes)",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "keys below it",
    "`object | null`": "keys below it",
    "`bool | null`": "true or false",
}


def read_file(path: Path) -> tuple[ProvidersFile, Node]:
    """The file as written, and as nodes, for the lines.

    Raises:
        ConfigError: it can't be read, is no YAML, holds a key, or says something that can't be.
    """
    text = read_text(path)
    for number, line in enumerate(text.splitlines(), 1):
        _refuse_key(path, number, line)
    node = parse_nodes(path, text)
    for key, below in node.walk():
        # Once more, for what escapes in quotes hid from the first look.
        for part in (key, below.value):
            if isinstance(part, str):
                _refuse_key(path, below.line, part)
    # A section with nothing below it is as good as none.
    told = node.value.items() if isinstance(node.value, dict) else ()
    node = Node({key: below for key, below in told if below.value is not None}, node.line)
    file = _decode(path, node, ProvidersFile)
    for name in file.providers:
        _check_row(path, node, name, file.providers[name])
    return file, node


def _refuse_key(path: Path, line: int, text: str) -> None:
    if _KEY_SHAPES.search(text) or _RANDOM.search(_ADDRESS.sub("", text)):
        raise ConfigError(
            f"{path} line {line}: found what looks like an API key (it is not shown); keys come from environment "
            "variables alone: remove it here, and set it as OPENAI_API_KEY or what `key_variable` names"
        )


def _check_row(path: Path, node: Node, name: str, row: ProviderRow) -> None:
    line = line_of(node, ("providers", name))
    if not _PROVIDER.fullmatch(name):
        raise ConfigError(
            f"provider `{shown(name)}` in {path} line {line}: expected a name of letters, digits and ._-"
        )
    if row.base_url and (wrong := _wrong_url(row.base_url)):
        where = line_of(node, ("providers", name, "base_url"))
        raise ConfigError(
            f"`providers.{name}.base_url` in {path} line {where}: {wrong}, expected http(s)://host:port/v1"
        )
    for index, model in enumerate(row.models):
        steps = ("providers", name, "models", index)
        if any(model.name == other.name for other in row.models[:index]):
            raise ConfigError(
                f"model `{model.name}` stands twice in {path} line {line_of(node, steps)}; remove one"
            )
        starts = [tier.from_input_tokens for tier in model.price.tiers] if model.price else []
        if starts != sorted(set(starts)):
            raise ConfigError(
                f"price of `{model.name}` in {path} line {line_of(node, (*steps, 'price', 'tiers'))}: expected "
                "tiers by ascending `from_input_tokens`"
            )


def _wrong_url(url: str) -> str:
    """What is wrong with an address; never the address itself, which may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is no port
    except ValueError:
        return "found no URL"
    if "@" in url or parts.query or parts.fragment:
        return "found credentials, a query or a fragment (keys come from environment variables alone)"
    if not url.isascii() or any(char.isspace() or not char.isprintable() for char in url):
        return "found a character that no URL has"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "found no http:// or https:// with a host"
    return ""


def line_of(node: Node, steps: tuple[Step, ...]) -> int:
    """The line of what `steps` lead to, or of the last thing on the way there."""
    line = node.line
    for step in steps:
        below = node.get(step)
        if below is None:
            break
        node, line = below, below.line
    return line


def _decode(path: Path, node: Node, kind: type[Struct]) -> Struct:
    try:
        return msgspec.convert(node.plain(), kind, dec_hook=decode_dollars)
    except msgspec.ValidationError as error:
        told, _, place = str(error).partition(" - at `$")
        raise ConfigError(_wrong(path, node, told, _steps(node, place, kind))) from None


def _steps(node: Node, place: str, kind: type[msgspec.Struct]) -> tuple[Step, ...]:
    """Where in the file msgspec means. It says `[...]` for a key that is data: which one, a trial tells."""
    steps: tuple[Step, ...] = ()
    for field, index, _ in _PATH.findall(place.rstrip("`")):
        if field or index:
            steps = (*steps, field or int(index))
            continue
        for key in _keys(_at(node, steps)):
            try:
                msgspec.convert(_with_only(node, steps, key).plain(), kind, dec_hook=decode_dollars)
            except msgspec.ValidationError:
                steps = (*steps, key)
                break
    return steps


def _with_only(node: Node, steps: tuple[Step, ...], key: str) -> Node:
    """`node`, but the mapping that `steps` lead to has `key` alone, and lists on the way nothing else."""
    below = node.get(steps[0] if steps else key)
    if below is None:
        return node
    if not steps:
        return Node({key: below}, node.line)
    inner = _with_only(below, steps[1:], key)
    return Node({steps[0]: inner} if isinstance(steps[0], str) else [inner], node.line)


def _at(node: Node, steps: tuple[Step, ...]) -> Node:
    for step in steps:
        node = node.get(step) or node
    return node


def _keys(node: Node) -> list[str]:
    return list(node.value) if isinstance(node.value, dict) else []


def _wrong(path: Path, node: Node, told: str, steps: tuple[Step, ...]) -> str:
    name = _dotted(steps)
    if told.startswith("Object contains unknown field"):
        unknown = told.split("`")[1]
        line = line_of(node, (*steps, unknown))
        if _KEY_FIELD.search(unknown):
            return (
                f"`{shown(_dotted((*steps, unknown)))}` in {path} line {line}: keys come from environment "
                "variables alone: remove it here, and let `key_variable` name the variable"
            )
        return f"unknown key `{shown(_dotted((*steps, unknown)))}` in {path} line {line}" + did_you_mean(
            unknown, _fields(steps)
        )
    line = line_of(node, steps)
    if told.startswith("Object missing required field"):
        return f"`{shown(name)}` in {path} line {line}: add `{told.split('`')[1]}:`, which is missing"
    hide = bool(steps) and steps[-1] == "key_variable"
    found = "a value that is not shown" if hide else _found(_at(node, steps).value)
    return f"`{shown(name)}` in {path} line {line}: found {found}, expected {_expected(told, steps)}"


def _dotted(steps: tuple[Step, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def _fields(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """The keys that may stand where `steps` lead to: followed through the types, in which data keys vanish."""
    kind: Any = ProvidersFile
    for step in steps:
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
        kind = _struct_in(fields.get(str(step))) or kind
    fields_there: tuple[str, ...] = kind.__struct_fields__
    return fields_there


def _struct_in(annotation: Any) -> Any:
    """The struct somewhere inside an annotation such as `Annotated[tuple[ModelRow, ...], Meta(…)]`."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    inner = (_struct_in(part) for part in getattr(annotation, "__args__", ()))
    return next((found for found in inner if found is not None), None)


def _found(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case dict():
            return "keys below it"
        case list():
            return "a list"
        case int() | Decimal():
            return shown(f"{value}")
        case _:
            return f"the text '{shown(f'{value}')}'"


def _expected(told: str, steps: tuple[Step, ...]) -> str:
    if told.startswith("Invalid enum value"):
        return "max_tokens or max_completion_tokens"
    wanted = told.removeprefix("Expected ").partition(", got ")[0]
    for start, words in _WORDS.items():
        if wanted.startswith(start):
            rest = "" if "regex" in start else wanted.removeprefix(start)
            return words + rest.replace("<=", "of at most").replace(">=", "of at least")
    return wanted
