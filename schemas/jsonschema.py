"""JSON Schema (2020-12) of everything that travels, made from the event classes.

Descriptions come from the docstrings, those of fields from their `Attributes:` sections, so that there is one
place to write them.
"""

import inspect
import re
from typing import Any, Final

import msgspec

from schemas.event import tag_of
from schemas.registry import EVENTS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_ATTRIBUTES = "Attributes:"
_ENTRY = re.compile(r"([a-z_][a-z0-9_]*(?:, [a-z_][a-z0-9_]*)*): (.+)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")


def json_schema_document() -> dict[str, Any]:
    """One self-contained schema: any known event, with each type under `$defs`.

    Use `#/$defs/<class name>` to check one kind of event; the root takes any of them.
    """
    definitions, names = event_schemas("#/$defs/{name}")
    return {
        "$schema": DIALECT,
        "title": "Labverse events",
        "description": (
            "Payloads of all Labverse events. Unknown fields are accepted; `type` may be left out, because the "
            "subject says it."
        ),
        "anyOf": [{"$ref": f"#/$defs/{names[tag_of(cls)]}"} for cls in EVENTS],
        "$defs": definitions,
    }


def event_schemas(ref_template: str) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Schemas of all events and of the values in them, and where each event's stands.

    Args:
        ref_template: how schemas refer to one another, with `{name}` for the name of the other.

    Returns:
        Schemas by name, and the name by tag. No schema is a bare reference: msgspec's root `$ref`s, which
        several consumers can't follow, are resolved to the names they point at.
    """
    roots, components = msgspec.json.schema_components(EVENTS, ref_template=ref_template)
    names = {
        tag_of(cls): _name_in(root["$ref"], ref_template) for cls, root in zip(EVENTS, roots, strict=True)
    }
    # msgspec leaves Python tuples among the defaults; a round trip makes it the plain JSON that it stands for.
    plain: dict[str, dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(components))
    for schema in plain.values():
        describe(schema)
    for tag, name in names.items():
        _open_type(plain[name], tag)
    return plain, names


def describe(schema: dict[str, Any]) -> None:
    """Turn the docstring in `description` into descriptions of the type and of its fields, in place.

    Raises:
        ValueError: the docstring describes a field that the type doesn't have.
    """
    docstring = schema.pop("description", "")
    text, fields = split_docstring(docstring)
    if text:
        schema["description"] = text
    properties = schema.get("properties", {})
    if strangers := fields.keys() - properties.keys():
        raise ValueError(
            f"{schema.get('title')}: the docstring describes no fields of it: {sorted(strangers)}"
        )
    for name, about in fields.items():
        properties[name] = _with_description(properties[name], about)


def split_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """The text of a docstring, and its `Attributes:` by name, each on one line.

    `line, end_line: 1-based` describes both. A continuation is indented deeper than its entry.
    """
    head, _, section = inspect.cleandoc(docstring).partition(f"\n{_ATTRIBUTES}\n")
    paragraphs = (" ".join(paragraph.split()) for paragraph in head.split("\n\n"))
    fields: dict[str, str] = {}
    current: tuple[str, ...] = ()
    for line in inspect.cleandoc(section).splitlines():
        if not line.startswith(" ") and (entry := _ENTRY.fullmatch(line)):
            current = tuple(entry[1].split(", "))
            fields.update(dict.fromkeys(current, entry[2]))
        else:
            fields.update({name: f"{fields[name]} {line.strip()}".strip() for name in current})
    return "\n\n".join(filter(None, paragraphs)), fields


def summary_of(text: str) -> str:
    """The first sentence of a description."""
    return _SENTENCE_END.split(text.strip(), maxsplit=1)[0]


def _name_in(reference: str, ref_template: str) -> str:
    before, _, after = ref_template.partition("{name}")
    return reference.removeprefix(before).removesuffix(after)


def _with_description(schema: dict[str, Any], about: str) -> dict[str, Any]:
    if "$ref" in schema:  # older dialects ignore what stands beside a reference
        siblings = {key: value for key, value in schema.items() if key != "$ref"}
        return {"allOf": [{"$ref": schema["$ref"]}], **siblings, "description": about}
    return {**schema, "description": about}


def _open_type(schema: dict[str, Any], tag: str) -> None:
    """`type` must be right when it is there, but it may be left out: that is how the bus decodes."""
    schema["properties"]["type"] = {"type": "string", "const": tag, "description": "May be left out."}
    required = [name for name in schema.get("required", ()) if name != "type"]
    schema.pop("required", None)
    if required:
        schema["required"] = required
