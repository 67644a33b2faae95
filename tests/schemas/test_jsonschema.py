"""The JSON Schema document, and that it says the same as the decoder of the bus."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest

from schemas.event import tag_of
from schemas.examples import EXAMPLES
from schemas.jsonschema import describe, event_schemas, json_schema_document, split_docstring, summary_of
from schemas.registry import BY_TAG, EVENTS
from schemas.review import Finding, Hit, ReviewFindings, ReviewReport, ReviewRequested


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json_schema_document()


def validator(document: dict[str, Any], name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": document["$defs"]})


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object anywhere in a schema."""
    if isinstance(schema, dict):
        yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from nodes(part)


def test_the_document_is_a_valid_schema_that_covers_all_events(document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(document)
    assert {part["$ref"] for part in document["anyOf"]} == {f"#/$defs/{cls.__name__}" for cls in EVENTS}


def test_no_definition_is_a_bare_reference_and_all_references_resolve(document: dict[str, Any]) -> None:
    assert not [name for name, schema in document["$defs"].items() if "$ref" in schema]
    references = {node["$ref"] for node in nodes(document) if isinstance(node.get("$ref"), str)}
    assert references <= {f"#/$defs/{name}" for name in document["$defs"]}


def test_nothing_stands_beside_a_reference(document: dict[str, Any]) -> None:
    definitions, _ = event_schemas("#/$defs/{name}")
    described = [
        node for node in nodes(definitions) if "$ref" in node and len(node) > 1 and "default" not in node
    ]
    assert described == []
    schema = {
        "title": "T",
        "properties": {"a": {"$ref": "#/x", "default": 1}},
        "description": "T.\n\nAttributes:\n    a: b",
    }
    describe(schema)
    assert schema["properties"] == {"a": {"allOf": [{"$ref": "#/x"}], "default": 1, "description": "b"}}


@pytest.mark.parametrize("tag", BY_TAG)
def test_every_event_has_an_example_that_validates(tag: str, document: dict[str, Any]) -> None:
    payload = msgspec.json.decode(msgspec.json.encode(EXAMPLES[tag]))
    validator(document, BY_TAG[tag].__name__).validate(payload)
    jsonschema.Draft202012Validator(document).validate(payload)


def test_there_is_no_example_without_an_event() -> None:
    assert EXAMPLES.keys() == BY_TAG.keys()


@pytest.mark.parametrize("tag", BY_TAG)
def test_unknown_fields_from_the_future_are_accepted(tag: str, document: dict[str, Any]) -> None:
    payload = msgspec.json.decode(msgspec.json.encode(EXAMPLES[tag])) | {"added_in_v9": {"x": [1]}}
    assert msgspec.json.decode(msgspec.json.encode(payload), type=BY_TAG[tag]) == EXAMPLES[tag]
    validator(document, BY_TAG[tag].__name__).validate(payload)


@pytest.mark.parametrize("tag", BY_TAG)
def test_a_payload_without_type_is_accepted(tag: str, document: dict[str, Any]) -> None:
    payload = msgspec.json.decode(msgspec.json.encode(EXAMPLES[tag]))
    del payload["type"]
    assert msgspec.json.decode(msgspec.json.encode(payload), type=BY_TAG[tag]) == EXAMPLES[tag]
    validator(document, BY_TAG[tag].__name__).validate(payload)


@pytest.mark.parametrize("tag", BY_TAG)
def test_the_type_of_another_event_is_refused(tag: str, document: dict[str, Any]) -> None:
    payload = msgspec.json.decode(msgspec.json.encode(EXAMPLES[tag])) | {"type": "some.other.v1"}
    with pytest.raises(msgspec.ValidationError, match=r"Invalid value 'some\.other\.v1' - at `\$\.type`"):
        msgspec.json.decode(msgspec.json.encode(payload), type=BY_TAG[tag])
    assert not validator(document, BY_TAG[tag].__name__).is_valid(payload)


@pytest.mark.parametrize(
    ("cls", "payload", "path"),
    [
        (ReviewRequested, {"deadline_s": "soon"}, "$.deadline_s"),
        (
            ReviewRequested,
            {"files": [{"path": "a", "text": "b"}, {"path": 1, "text": ""}]},
            "$.files[1].path",
        ),
        (ReviewRequested, {"changed": [{"path": "a", "ranges": [[1]]}]}, "$.changed[0].ranges[0]"),
        (ReviewFindings, {"role": "security", "agent": "r-1"}, None),
        (ReviewFindings, {"index": 1.5, "role": "security", "agent": "r-1"}, "$.index"),
    ],
)
def test_a_wrong_type_is_refused_with_its_path(
    cls: type[ReviewRequested | ReviewFindings],
    payload: dict[str, Any],
    path: str | None,
    document: dict[str, Any],
) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.json.decode(msgspec.json.encode(payload), type=cls)
    if path is None:
        assert "missing required field `index`" in str(refused.value)
    else:
        assert f"at `{path}`" in str(refused.value)
    assert not validator(document, cls.__name__).is_valid(payload)


def test_fields_carry_the_descriptions_of_their_attributes_section(document: dict[str, Any]) -> None:
    hit = document["$defs"][Hit.__name__]
    assert hit["description"] == "What one analyser says about one place."
    assert hit["properties"]["line"]["description"] == "1-based, inclusive."
    assert hit["properties"]["end_line"]["description"] == "1-based, inclusive."
    report = document["$defs"][ReviewReport.__name__]["properties"]
    assert report["degraded"]["description"].endswith(
        "(a stage failed, a part is missing); empty for a full review."
    )
    assert "description" not in document["$defs"][Finding.__name__]["properties"]["title"]


def test_defaults_in_the_document_are_those_of_the_classes(document: dict[str, Any]) -> None:
    empty = {
        name: rule["default"]
        for name, rule in document["$defs"]["ReviewRequested"]["properties"].items()
        if "default" in rule
    }
    assert msgspec.convert(empty, ReviewRequested) == ReviewRequested()


def test_a_docstring_that_describes_a_field_which_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"Thing: .*\['colour'\]"):
        describe(
            {"title": "Thing", "properties": {}, "description": "A thing.\n\nAttributes:\n    colour: of it."}
        )


def test_a_docstring_is_split_into_text_and_fields() -> None:
    text, fields = split_docstring(
        """First line
        goes on.

        Second paragraph.

        Attributes:
            a, b: both of them.
            c: one thing: and
                another.
        """
    )
    assert text == "First line goes on.\n\nSecond paragraph."
    assert fields == {"a": "both of them.", "b": "both of them.", "c": "one thing: and another."}
    assert split_docstring("") == ("", {})


def test_a_summary_is_the_first_sentence() -> None:
    assert summary_of("Command: go. Then stop.") == "Command: go."
    assert summary_of("No end") == "No end"
    assert summary_of("") == ""


def test_each_call_gives_a_document_of_its_own() -> None:
    json_schema_document()["$defs"].clear()
    assert set(map(tag_of, EVENTS)) == {
        schema["properties"]["type"]["const"]
        for schema in json_schema_document()["$defs"].values()
        if "const" in schema.get("properties", {}).get("type", {})
    }
