"""YAML with lines, made into structs: what doesn't fit is named with its line, what was found and what to do."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from config.errors import ConfigError, did_you_mean, shown
from config.provider_rows import decode_dollars
from config.yaml_lines import Node

Struct = TypeVar("Struct", bound=msgspec.Struct)
Step = str | int

_KEY_FIELD = re.compile(
    r"(^|[_-])(key|token|secret|password|credentials?|auth|authorization|headers?)$|apikey", re.I
)
_PATH = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]|(\[\.\.\.\])")
_WORDS: Final = {
    "`str` matching regex '^([A-Z": "the name of an environment variable, such as MY_API_KEY",
    "`str` matching regex '^(slack": "an identity such as slack:U024BE7LH, cli:alice or key:ops",
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


def line_of(node: Node, steps: tuple[Step, ...]) -> int:
    """The line of what `steps` lead to, or of the last thing on the way there."""
    line = node.line
    for step in steps:
        below = node.get(step)
        if below is None:
            break
        node, line = below, below.line
    return line


def decode(path: Path, node: Node, kind: type[Struct]) -> Struct:
    """The file's content as a `kind`.

    Raises:
        ConfigError: with the first thing that doesn't fit: its key, its line, what was found and what was expected.
    """
    try:
        return msgspec.convert(node.plain(), kind, dec_hook=decode_dollars)
    except msgspec.ValidationError as error:
        told, _, place = str(error).partition(" - at `$")
        raise ConfigError(_wrong(path, node, told, _steps(node, place, kind), kind)) from None


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


def _wrong(path: Path, node: Node, told: str, steps: tuple[Step, ...], kind: type[msgspec.Struct]) -> str:
    name = _dotted(steps) or "file"
    if told.startswith("Object contains unknown field"):
        unknown = told.split("`")[1]
        line = line_of(node, (*steps, unknown))
        if _KEY_FIELD.search(unknown):
            return (
                f"`{shown(_dotted((*steps, unknown)))}` in {path} line {line}: keys come from environment "
                "variables alone: remove it here, and let `key_variable` name the variable"
            )
        return f"unknown key `{shown(_dotted((*steps, unknown)))}` in {path} line {line}" + did_you_mean(
            unknown, _fields(steps, kind)
        )
    line = line_of(node, steps)
    if told.startswith("Object missing required field"):
        return f"`{shown(name)}` in {path} line {line}: add `{told.split('`')[1]}:`, which is missing"
    hide = bool(steps) and steps[-1] == "key_variable"
    found = "a value that is not shown" if hide else _found(_at(node, steps).value)
    return f"`{shown(name)}` in {path} line {line}: found {found}, expected {_expected(told, steps)}"


def _dotted(steps: tuple[Step, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def _fields(steps: tuple[Step, ...], root: type[msgspec.Struct]) -> tuple[str, ...]:
    """The keys that may stand where `steps` lead to: followed through the types, in which data keys vanish."""
    kind: Any = root
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
