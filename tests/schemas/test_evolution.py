"""The evolution rules, held against `published.json`: every field of every released event.

A published field is never renamed, retyped, removed or made required; a new one has a default; a new value of
an enumeration is a new meaning, which needs a new tag, because older versions would refuse it. Additions pass.
With a release they become published themselves: `uv run python tests/schemas/test_evolution.py` records them,
and refuses to record what breaks the rules.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import GenericAlias
from typing import Any

import msgspec
import pytest

from schemas.event import Event, tag_of
from schemas.jsonschema import event_schemas
from schemas.registry import BY_TAG
from schemas.task import TaskExpired

PUBLISHED = Path(__file__).with_name("published.json")
REF = "{name}"
DEPTH_MAX = 12

Fields = dict[str, dict[str, Any]]
"""Fields by path, such as `report.findings[].line`: {"type": "integer", "required": true}."""


def fields_of(schema: dict[str, Any], schemas: dict[str, Any], path: str = "", depth: int = 0) -> Fields:
    """All fields of an object schema and of the objects in it, by path."""
    assert depth <= DEPTH_MAX, f"{path}: events hold trees of bounded depth"
    found: Fields = {}
    required = set(schema.get("required", ()))
    for name, rule in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        found[here] = {"type": type_name(rule, schemas), "required": name in required}
        for suffix, inner in objects_in(rule, schemas):
            found |= fields_of(inner, schemas, here + suffix, depth + 1)
    return found


def resolve(rule: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """`rule` itself, or what it refers to (`$ref`, or the `allOf` that a description stands beside)."""
    if "allOf" in rule:
        (rule,) = rule["allOf"]
    return schemas[rule["$ref"]] if "$ref" in rule else rule


def objects_in(rule: dict[str, Any], schemas: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Object schemas that a field holds, each with what its path has more: `[]` in a list, `{}` in a map."""
    rule = resolve(rule, schemas)
    parts = [("", part) for part in rule.get("anyOf", ())]
    parts += [("[]", part) for part in rule.get("prefixItems", ())]
    if isinstance(items := rule.get("items"), dict):
        parts.append(("[]", items))
    if isinstance(values := rule.get("additionalProperties"), dict):
        parts.append(("{}", values))
    inside = [(suffix + more, found) for suffix, part in parts for more, found in objects_in(part, schemas)]
    return [("", rule), *inside] if "properties" in rule else inside


def type_name(rule: dict[str, Any], schemas: dict[str, Any]) -> str:
    """What values a field takes, independent of class names: `integer`, `array of object`, `null | string`."""
    rule = resolve(rule, schemas)
    if "anyOf" in rule:
        return " | ".join(sorted(type_name(part, schemas) for part in rule["anyOf"]))
    if "enum" in rule:
        return f"one of {', '.join(sorted(map(str, rule['enum'])))}"
    if "const" in rule:
        return f"constant {rule['const']}"
    if "prefixItems" in rule:
        return f"array of ({', '.join(type_name(part, schemas) for part in rule['prefixItems'])})"
    if isinstance(rule.get("items"), dict):
        return f"array of {type_name(rule['items'], schemas)}"
    if isinstance(rule.get("additionalProperties"), dict):
        return f"map of {type_name(rule['additionalProperties'], schemas)}"
    return str(rule.get("type", "any"))


def current_fields() -> dict[str, Fields]:
    """Fields by path, by tag, as the classes of this checkout have them."""
    schemas, names = event_schemas(REF)
    return {tag: fields_of(schemas[name], schemas) for tag, name in names.items()}


def breaking_changes(published: dict[str, Fields], current: dict[str, Fields]) -> list[str]:
    """What in `current` breaks a reader or a publisher of `published`, each in one line. Empty: none does."""
    found = [f"{tag}: the event was removed" for tag in published.keys() - current.keys()]
    for tag, was in published.items():
        now = current.get(tag, {})
        found += [f"{tag}: {path} was removed" for path in was if path not in now and tag in current]
        for path, field in now.items():
            if path in was:
                found += changes_of_field(f"{tag}: {path}", was[path], field)
            elif field["required"] and parent_of(path) in {"", *was}:
                found.append(f"{tag}: {path} is new and has no default")
    return sorted(found)


def changes_of_field(name: str, was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    found = []
    if was["type"] != now["type"]:
        found.append(f"{name} was retyped from {was['type']} to {now['type']}")
    if now["required"] and not was["required"]:
        found.append(f"{name} lost its default")
    return found


def parent_of(path: str) -> str:
    """The field that holds the object which `path` is a field of; empty at the top."""
    return path.rpartition(".")[0].rstrip("[]{}")


def test_nothing_that_was_published_is_broken() -> None:
    assert breaking_changes(json.loads(PUBLISHED.read_text()), current_fields()) == []


def expired_with(**changes: Any) -> dict[str, Fields]:
    """The fields of `task.expired.v1` as they would be with other annotations: (type,) or (type, default)."""
    kept = {field.name: field for field in msgspec.structs.fields(TaskExpired)}
    lines: list[Any] = []
    for name, field in kept.items():
        if name not in changes:
            default = () if field.required else (field.default,)
            lines.append((name, field.type, *default))
    lines += [(name, *change) for name, change in changes.items() if change is not None]
    cls = msgspec.defstruct(
        "Changed", lines, bases=(Event,), tag=tag_of(TaskExpired), kw_only=True, frozen=True
    )
    _, components = msgspec.json.schema_components([cls], ref_template=REF)
    return {tag_of(TaskExpired): fields_of(components["Changed"], components)}


class Inner(msgspec.Struct, kw_only=True):
    needed: int
    free: int = 0


class Widened(msgspec.Struct, kw_only=True):
    needed: int
    free: int = 0
    later: int = 0


class Narrowed(msgspec.Struct, kw_only=True):
    needed: int
    free: int = 0
    later: int


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"agent": None}, "agent was removed"),
        ({"agent": None, "worker": (str, "")}, "agent was removed"),
        ({"agent": (int,)}, "agent was retyped from string to integer"),
        ({"late_s": (float | None, 0.0)}, "late_s was retyped from number to null | number"),
        ({"late_s": (int, 0)}, "late_s was retyped from number to integer"),
        ({"late_s": (float,)}, "late_s lost its default"),
        ({"added": (str,)}, "added is new and has no default"),
    ],
)
def test_the_check_fails_for_what_breaks_others(changes: dict[str, Any], complaint: str) -> None:
    assert f"task.expired.v1: {complaint}" in breaking_changes(expired_with(), expired_with(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"added": (str, "")},
        {"added": (tuple[Inner, ...], ())},
        {"added": (Inner | None, None)},
        {"deadline": (str, "")},
    ],
)
def test_the_check_passes_for_additions(changes: dict[str, Any]) -> None:
    assert breaking_changes(expired_with(), expired_with(**changes)) == []


WRAPS: dict[str, Callable[[Any], Any]] = {
    "bare": lambda inner: inner,
    "optional": lambda inner: inner | None,
    "list": lambda inner: GenericAlias(tuple, (inner, ...)),
    "map": lambda inner: GenericAlias(dict, (str, inner)),
    "pair": lambda inner: GenericAlias(tuple, (int, inner)),
    "list of maps": lambda inner: GenericAlias(tuple, (GenericAlias(dict, (str, inner)), ...)),
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_the_check_looks_into_nested_values(wrap: Callable[[Any], Any]) -> None:
    was = expired_with(added=(wrap(Inner),))
    assert breaking_changes(was, expired_with(added=(wrap(Widened),))) == []
    (complaint,) = breaking_changes(was, expired_with(added=(wrap(Narrowed),)))
    assert complaint.endswith("later is new and has no default")
    (complaint,) = breaking_changes(expired_with(added=(wrap(Widened),)), was)
    assert complaint.endswith("later was removed")


def test_a_list_within_a_list_element_is_followed() -> None:
    def lists(inner: type) -> GenericAlias:
        outer = msgspec.defstruct("Outer", [("items", GenericAlias(tuple, (inner, ...)))])
        return GenericAlias(tuple, (outer, ...))

    was = expired_with(added=(lists(Inner),))
    assert was["task.expired.v1"]["added[].items[].needed"] == {"type": "integer", "required": True}
    (complaint,) = breaking_changes(was, expired_with(added=(lists(Narrowed),)))
    assert complaint == "task.expired.v1: added[].items[].later is new and has no default"


def test_renaming_a_class_breaks_nobody() -> None:
    renamed = msgspec.defstruct("Other", [("needed", int), ("free", int, 0)])
    assert breaking_changes(expired_with(added=(Inner,)), expired_with(added=(renamed,))) == []


def test_the_check_fails_for_a_removed_event_and_passes_for_a_new_one() -> None:
    fields = current_fields()
    fewer = {tag: fields[tag] for tag in fields if tag != "task.expired.v1"}
    assert breaking_changes(fields, fewer) == ["task.expired.v1: the event was removed"]
    assert breaking_changes(fewer, fields) == []


def test_the_check_fails_for_any_change_of_an_enumeration() -> None:
    path = "report.findings[].severity"
    fields = current_fields()
    was = {"review.completed.v1": dict(fields["review.completed.v1"])}
    was["review.completed.v1"][path] = {"type": "one of critical, high", "required": True}
    (complaint,) = breaking_changes(was, fields)
    assert complaint.startswith(f"review.completed.v1: {path} was retyped from one of critical, high to")


def test_fields_of_all_events_are_found_at_every_depth() -> None:
    fields = current_fields()
    assert fields.keys() == BY_TAG.keys()
    assert fields["review.completed.v1"]["report.findings[].line"] == {"type": "integer", "required": True}
    assert fields["review.requested.v1"]["changed[].ranges"]["type"] == "array of array of (integer, integer)"
    assert fields["task.expired.v1"]["type"] == {"type": "constant task.expired.v1", "required": False}


def record() -> int:
    """Write the fields of this checkout to `published.json`, unless they break what is published there."""
    published = json.loads(PUBLISHED.read_text()) if PUBLISHED.exists() else {}
    current = current_fields()
    if broken := breaking_changes(published, current):
        print("\n".join(broken), file=sys.stderr)
        return 1
    PUBLISHED.write_text(json.dumps(current, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(record())
