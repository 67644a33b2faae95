"""Reads YAML as nodes that know their lines, for files whose keys nest deeper than sections.

Scalars are what they look like in decimal: numbers with a point are exact (`Decimal`, never a float), and dates,
octal, hexadecimal and sexagesimal numbers, which YAML 1.1 sees where people wrote something else, stay text. No
tag makes an object. The text is checked by the bounds of `config.yaml_file` before the parser sees it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from config.errors import ConfigError, shown
from config.yaml_file import check_bounds, one_line, read_text

DEPTH_MAX: Final = 12
NODES_MAX: Final = 20_000
KEY_CHARS_MAX: Final = 256

_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9_]{0,17})")
_DECIMAL = re.compile(
    r"[-+]?(?:(?:[0-9]{1,15}\.[0-9]{0,15}|\.[0-9]{1,15})(?:[eE][-+]?[0-9]{1,2})?|[0-9]{1,15}[eE][-+]?[0-9]{1,2})"
)
_TAG = "tag:yaml.org,2002:"
_QUOTES: Final = ("'", '"', "|", ">")
_TRUE = frozenset(("true", "yes", "on"))


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its 1-based line: a mapping or list of nodes, or a text, number, truth or None."""

    value: "dict[str, Node] | list[Node] | str | int | Decimal | bool | None"
    line: int

    def plain(self) -> Any:
        """The value with no lines in it."""
        match self.value:
            case dict() as mapping:
                return {key: node.plain() for key, node in mapping.items()}
            case list() as items:
                return [node.plain() for node in items]
            case scalar:
                return scalar

    def get(self, key: str | int) -> "Node | None":
        """The node below this one, if there is one."""
        if isinstance(self.value, dict):
            return self.value.get(f"{key}")
        if isinstance(self.value, list) and isinstance(key, int) and key < len(self.value):
            return self.value[key]
        return None

    def walk(self, key: str = "") -> "Iterator[tuple[str, Node]]":
        """This node and all below it, each with its own key; items of lists have none."""
        yield key, self
        match self.value:
            case dict() as mapping:
                for below, node in mapping.items():
                    yield from node.walk(below)
            case list() as items:
                for node in items:
                    yield from node.walk()


def read_nodes(path: Path) -> Node:
    """The file as nodes; an empty one is an empty mapping.

    Raises:
        ConfigError: the file can't be read, is too large or too deep, is no YAML mapping, or a key stands twice.
    """
    return parse_nodes(path, read_text(path))


def parse_nodes(path: Path, text: str) -> Node:
    """`text` as nodes; `path` is for the messages.

    Raises:
        ConfigError: as `read_nodes`.
    """
    import yaml  # some 20 ms, and only those who call models pay for it

    check_bounds(path, text)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_syntax_error(path, error)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # such as a character that YAML forbids
        raise ConfigError(f"{path}: not valid YAML: {shown(one_line(str(error)))}") from None
    if root is None:
        return Node({}, 1)
    node = _Reader(path).node(root, 0)
    if not isinstance(node.value, dict):
        if node.value is None:
            return Node({}, 1)
        raise ConfigError(f"{path} line {node.line}: expected keys such as `primary: openai-gpt-4o-mini`")
    return node


def _syntax_error(path: Path, error: Any) -> str:
    """A MarkedYAMLError in one line. The parser names the place where it gave up, and what it had begun where."""
    mark, begun = error.problem_mark or error.context_mark, error.context_mark
    where = f"{path} line {mark.line + 1}, column {mark.column + 1}" if mark else f"{path}"
    context = error.context or ""
    if begun and begun.line != mark.line:
        context += f" that begins in line {begun.line + 1}"
    told = ", ".join(part for part in (context, error.problem) if part)
    return f"{where}: not valid YAML: {shown(one_line(told))}"


class _Reader:
    """Turns the parser's nodes into ours, counting them: aliases may say the same thing many times."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0

    def node(self, found: Any, depth: int) -> Node:
        line = found.start_mark.line + 1
        self._count += 1
        if depth > DEPTH_MAX:  # also an alias that holds itself
            raise ConfigError(
                f"{self._path} line {line}: found more than {DEPTH_MAX} levels; write it flatter"
            )
        if self._count > NODES_MAX:
            raise ConfigError(f"{self._path} line {line}: found more than {NODES_MAX} values; remove some")
        if found.id == "mapping":
            return Node(self._mapping(found, depth), line)
        if found.id == "sequence":
            return Node([self.node(item, depth + 1) for item in found.value], line)
        return Node(_scalar(found.value, found.tag.removeprefix(_TAG), found.style not in _QUOTES), line)

    def _mapping(self, found: Any, depth: int) -> dict[str, Node]:
        out: dict[str, Node] = {}
        for key, value in found.value:
            line = key.start_mark.line + 1
            if key.id != "scalar" or len(key.value) > KEY_CHARS_MAX:
                raise ConfigError(f"{self._path} line {line}: expected a name before the colon")
            if key.value in out:
                raise ConfigError(
                    f"`{shown(key.value)}` stands twice in {self._path}: line {out[key.value].line} and "
                    f"line {line}; remove one"
                )
            node = self.node(value, depth + 1)
            # The key's line is where people look, also when its value starts on the next one or is an alias.
            out[key.value] = Node(node.value, line)
        return out


def _scalar(text: str, tag: str, is_plain: bool) -> str | int | Decimal | bool | None:
    if not is_plain:
        return text
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() in _TRUE
    if _WHOLE.fullmatch(text):
        return int(text.replace("_", ""))
    return Decimal(text) if _DECIMAL.fullmatch(text) else text
