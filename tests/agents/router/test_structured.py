import json
import time
from typing import Any, Literal

import jsonschema
import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agents.router.offers import Capability
from agents.router.schema_normal import SCHEMA_DEPTH_MAX
from agents.router.structured import (
    OffSchemaError,
    complaint,
    decode_answer,
    ladder,
    normal_schema,
    schema_prompt,
)

NAMES = st.sampled_from(["a", "b", "type", "title"])
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-4, 4)
    | st.sampled_from([0.5, 2.0, 1e20])
    | st.text("ab1", max_size=3)
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
TYPES = st.sampled_from(["object", "array", "string", "number", "integer", "boolean", "null"])
SMALL = st.integers(0, 3)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=3)
LISTS = st.lists(VALUES, max_size=3)


def _with(**words: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=words)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3)
    objects = _with(
        properties=st.dictionaries(NAMES, inner, max_size=3),
        required=st.lists(NAMES, unique=True, max_size=2),
        additionalProperties=st.booleans() | inner,
        propertyNames=_with(maxLength=SMALL),
        minProperties=SMALL,
        maxProperties=SMALL,
    )
    arrays = _with(items=inner, prefixItems=some, minItems=SMALL, maxItems=SMALL, uniqueItems=st.booleans())
    combined = _with(anyOf=some, oneOf=some, allOf=some)
    return (
        st.tuples(st.just({"type": "object"}), objects).map(lambda both: both[0] | both[1])
        | st.tuples(st.just({"type": "array"}), arrays).map(lambda both: both[0] | both[1])
        | objects
        | combined
        | st.tuples(objects, combined).map(lambda both: both[0] | both[1])
        | st.builds(lambda body: {"not": body}, inner)
    )


LEAVES = (
    st.just({})
    | st.just({"$ref": "#/$defs/tree"})
    | st.just({"$ref": "#/$defs/name", "description": "who"})
    | _with(type=TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True))
    | _with(enum=st.lists(VALUES, min_size=1, max_size=3))
    | _with(const=VALUES)
    | _with(type=st.just("string"), minLength=SMALL, maxLength=SMALL)
    | _with(
        type=st.sampled_from(["number", "integer"]),
        minimum=SMALL,
        maximum=SMALL,
        exclusiveMinimum=SMALL,
        exclusiveMaximum=SMALL,
        multipleOf=st.integers(1, 3),
    )
)
DEFS: dict[str, Any] = {
    "tree": {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/tree"}, "b": {"$ref": "#/$defs/name"}},
    },
    "name": {"type": ["string", "null"], "maxLength": 2, "title": "Name"},
}
SCHEMAS = st.recursive(LEAVES, _larger, max_leaves=6).map(lambda body: body | {"$defs": DEFS})


def oracle(schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def decoded_as_list(value: Any, schema: dict[str, Any]) -> Any:
    """As the only item of a list, so that plain values can be answers, too."""
    body = {word: rest for word, rest in schema.items() if word != "$defs"}
    whole = {"type": "array", "prefixItems": [body], "$defs": schema.get("$defs", {})}
    return decode_answer(json.dumps([value]), whole)[0]


@settings(max_examples=300)
@given(SCHEMAS, VALUES)
def test_what_satisfies_the_schema_is_accepted_as_it_is(raw: dict[str, Any], value: Any) -> None:
    schema = normal_schema(raw)
    assume(oracle(schema).is_valid(value))
    assert decoded_as_list(value, schema) == value


@settings(max_examples=300)
@given(SCHEMAS, VALUES)
def test_what_is_accepted_satisfies_the_schema(raw: dict[str, Any], value: Any) -> None:
    schema = normal_schema(raw)
    try:
        accepted = decoded_as_list(value, schema)
    except OffSchemaError:
        assert not oracle(schema).is_valid(value)
    else:
        assert oracle(schema).is_valid(accepted)


@settings(max_examples=300)
@given(SCHEMAS, VALUES)
def test_the_normal_form_allows_nothing_that_the_schema_forbids(raw: dict[str, Any], value: Any) -> None:
    if oracle(normal_schema(raw)).is_valid(value):
        assert oracle(raw).is_valid(value)


@given(SCHEMAS)
def test_the_normal_form_of_a_normal_form_is_itself(raw: dict[str, Any]) -> None:
    before = json.dumps(raw)
    once = normal_schema(raw)
    assert normal_schema(once) == once
    assert json.dumps(raw) == before


class Item(msgspec.Struct):
    name: str
    price: float
    tags: list[str] = []
    kind: Literal["new", "used"] = "new"
    note: str | None = None


class Order(msgspec.Struct):
    items: list[Item]
    count: int
    is_paid: bool = False
    pair: tuple[int, str] = (0, "")


class Node(msgspec.Struct):
    name: str
    children: list["Node"] = []


ORDER = normal_schema(msgspec.json.schema(Order))


def test_the_root_reference_that_msgspec_emits_is_inlined() -> None:
    assert ORDER["type"] == "object"
    assert "$ref" not in json.dumps(ORDER)
    assert "$defs" not in ORDER
    assert ORDER["additionalProperties"] is False
    assert ORDER["properties"]["items"]["items"]["additionalProperties"] is False


def test_a_recursive_type_keeps_its_reference_below_an_inlined_root() -> None:
    schema = normal_schema(msgspec.json.schema(Node))
    assert schema["type"] == "object"
    assert set(schema["$defs"]) == {"Node"}
    assert decode_answer('{"name": "a", "children": [{"name": "b"}]}', schema)["children"] == [{"name": "b"}]
    with pytest.raises(OffSchemaError) as raised:
        decode_answer('{"name": "a", "children": [{"name": "b", "children": [{"x": 1}]}]}', schema)
    assert raised.value.path == "$.children[0].children[0]"


def test_what_is_only_for_tools_is_left_out_but_not_properties_of_that_name() -> None:
    raw = {
        "$schema": "x",
        "title": "T",
        "type": "object",
        "properties": {
            "title": {"type": "string", "title": "t", "pattern": "^a", "default": ""},
            "default": {"enum": [{"title": "kept"}]},
        },
    }
    assert normal_schema(raw) == {
        "type": "object",
        "properties": {"title": {"type": "string"}, "default": {"enum": [{"title": "kept"}]}},
        "additionalProperties": False,
    }


def test_schemas_that_are_combined_are_not_closed_one_by_one() -> None:
    both = normal_schema(
        {"allOf": [{"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {}}}]}
    )
    assert decode_answer('{"a": 1, "b": 2}', both) == {"a": 1, "b": 2}


def test_alternatives_of_which_exactly_one_must_fit_are_not_closed() -> None:
    body = {"type": "object", "properties": {"a": {"type": "integer"}}}
    either = normal_schema({"oneOf": [body, {"type": "object", "properties": {"b": {"type": "integer"}}}]})
    with pytest.raises(OffSchemaError, match="more than one of the alternatives"):
        decode_answer('{"a": 1}', either)


def test_what_is_excluded_is_not_narrowed() -> None:
    schema = normal_schema({"not": {"type": "object", "properties": {"a": {"type": "integer"}}}})
    with pytest.raises(OffSchemaError, match="not allowed"):
        decode_answer('{"b": 1}', schema)


def test_null_in_the_words_of_openapi_is_understood() -> None:
    schema = normal_schema(
        {"type": "object", "properties": {"a": {"type": "string", "enum": ["x"], "nullable": True}}}
    )
    assert decode_answer('{"a": null}', schema) == {"a": None}


DEEP: dict[str, Any] = {}
for _ in range(SCHEMA_DEPTH_MAX + 5):
    DEEP = {"items": DEEP}
BOMB: dict[str, Any] = {f"d{at}": {"anyOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 10} for at in range(20)}
BOMB["d20"] = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ([], r"at \$: expected an object, got array"),
        ("x", r"at \$: expected an object, got string"),
        ({"properties": []}, r"at \$\.properties: expected an object"),
        ({"properties": {"a": 3}}, r"at \$\.properties\.a: expected an object, got integer"),
        ({"items": {"type": "text"}}, r"at \$\.items\.type: expected a type, got \"text\""),
        ({"type": []}, r"at \$\.type"),
        ({"enum": []}, r"at \$\.enum: expected a list of values"),
        ({"required": "a"}, r"at \$\.required: expected a list of names"),
        ({"minimum": "3"}, r"at \$\.minimum: expected a number"),
        ({"multipleOf": 0}, r"at \$\.multipleOf"),
        ({"anyOf": {}}, r"at \$\.anyOf: expected a list"),
        ({"if": {}}, r"at \$\.if: `if` is not supported"),
        ({"properties": {"a": {"patternProperties": {}}}}, r"at \$\.properties\.a\.patternProperties"),
        ({"items": {"$ref": "#/$defs/gone"}}, r"at \$\.items: `\$ref` \"#/\$defs/gone\" is not under \$defs"),
        ({"$ref": "https://example.org/s"}, r"not under \$defs"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "nothing but itself"),
        ({"$defs": []}, r"at \$\.\$defs"),
        (DEEP, "more than 32 levels deep"),
        ({"$ref": "#/$defs/d0", "$defs": BOMB}, "more than (20000 parts|32 levels)"),
        ({"description": "x" * 300_000}, "300018 bytes, more than 262144"),
        ({"enum": [object()]}, "is not JSON"),
        ({"$defs": {f"d{at}": {} for at in range(1_001)}}, "more than 1000 definitions"),
    ],
)
def test_what_is_no_schema_is_refused_with_its_path(schema: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        normal_schema(schema)


def test_many_recursive_definitions_do_not_exhaust_the_stack() -> None:
    definitions = {f"d{at}": {"items": {"$ref": f"#/$defs/d{(at + 1) % 1_000}"}} for at in range(1_000)}
    assert len(normal_schema({"items": {"$ref": "#/$defs/d0"}, "$defs": definitions})["$defs"]) == 1_000


GOOD = {"items": [{"name": "a", "price": 3.5}], "count": 1}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOOD),
        json.dumps(GOOD, indent=2),
        f"```json\n{json.dumps(GOOD)}\n```",
        f"```\n{json.dumps(GOOD, indent=1)}\n```\nHope this helps!",
        f'<think>Is it {{"count": 1}}?</think>\n{json.dumps(GOOD)}',
        f"Sure! As in [1], with {{braces}}: {json.dumps(GOOD)} That is all.",
        f"In the range [0, 1) of {{x\n```json\n{json.dumps(GOOD)}\n```",
        '{"items": [{"name": "a", "price": "3.5"}], "count": "1"}',
        '{"items": {"name": "a", "price": 3.5}, "count": 1.0}',
    ],
)
def test_an_answer_is_found_and_converted(text: str) -> None:
    value = decode_answer(text, ORDER)
    assert value == GOOD
    assert isinstance(value["count"], int)
    assert msgspec.convert(value, Order).count == 1


def test_a_text_with_a_fence_in_it_is_not_taken_for_one() -> None:
    value = {"a": ["```json\n[]\n```"], "b": [1]}
    assert decode_answer(json.dumps(value, indent=1), normal_schema({})) == value


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("", "$", "no JSON value"),
        ("I don't know.", "$", "no JSON value"),
        ('{"items": [', "$", "not valid JSON"),
        ('{"items": [{"name": "a", "price": 1}], "count": 1', "$", "not valid JSON"),
        ("{'items': [], 'count': 1}", "$", "not valid JSON"),
        ('{"items": [], "count": NaN}', "$", "NaN is not JSON"),
        ('{"items": [{"name": "a", "price": 1e999}], "count": 1}', "$", "too large"),
        ('{"items": [], "count": 1' + "0" * 5_000 + "}", "$", "digits is too large"),
        ('{"items": [], "count": "many"}', "$.count", 'expected integer, got string "many"'),
        ('{"items": [], "count": 1.5}', "$.count", "expected integer, got number 1.5"),
        ('{"items": [], "count": true}', "$.count", "expected integer, got boolean true"),
        ('{"items": []}', "$", 'the property "count" is missing'),
        ('{"items": [], "count": 1, "x": 2}', "$", 'the property "x" is not allowed'),
        ('{"items": [{"name": "a", "price": "x"}], "count": 1}', "$.items[0].price", "expected number"),
        (
            '{"items": [{"name": "a", "price": 1, "kind": "old"}], "count": 1}',
            "$.items[0].kind",
            "expected one of",
        ),
        ('{"items": [], "count": 1, "pair": [1]}', "$.pair", "at least 2 items, got 1"),
        ('{"items": [{"name": "\\ud800", "price": 1}], "count": 1}', "$", "surrogate"),
        ("[" * 100_000, "$", "not valid JSON"),
        ('{"items": ' + "[" * 100 + "]" * 100 + ', "count": 1}', "$", "64 levels deep"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(text: str, path: str, said: str) -> None:
    with pytest.raises(OffSchemaError) as raised:
        decode_answer(text, ORDER)
    assert (raised.value.path, said in raised.value.message) == (path, True), raised.value
    quoted = complaint(raised.value)
    assert path in quoted
    assert "\n" not in quoted
    assert len(quoted) < 800


@pytest.mark.parametrize("text", ['{"outer": {"inner": 1}, oops}', '{oops: "}", "outer": {"inner": 1}}'])
def test_a_piece_of_a_broken_answer_is_not_the_answer(text: str) -> None:
    with pytest.raises(OffSchemaError):
        decode_answer(text, normal_schema({}))


def test_the_problem_of_the_alternative_that_was_meant_is_told() -> None:
    schema = normal_schema(
        {
            "type": "object",
            "properties": {
                "x": {
                    "anyOf": [
                        {"type": "null"},
                        {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
                    ]
                }
            },
        }
    )
    with pytest.raises(OffSchemaError) as raised:
        decode_answer('{"x": {"n": "many"}}', schema)
    assert raised.value.path == "$.x.n"
    assert decode_answer('{"x": {"n": "7"}}', schema) == {"x": {"n": 7}}


@pytest.mark.parametrize(
    ("schema", "value", "converted"),
    [
        ({"type": "integer"}, "12", 12),
        ({"type": "integer"}, " -3 ", -3),
        ({"type": "integer"}, "1e3", 1000),
        ({"type": "number"}, "0.25", 0.25),
        ({"type": "boolean"}, "True", True),
        ({"type": ["integer", "string"]}, "12", "12"),
        ({"type": "array", "items": {"type": "integer"}}, "7", [7]),
        ({"type": ["array", "null"]}, None, None),
        ({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, "true", True),
    ],
)
def test_a_value_of_another_type_that_says_the_same_is_converted(
    schema: dict[str, Any], value: Any, converted: Any
) -> None:
    found = decoded_as_list(value, normal_schema(schema))
    assert (found, type(found)) == (converted, type(converted))


@pytest.mark.parametrize(
    ("schema", "value"),
    [({"type": "integer"}, "1.5"), ({"type": "integer"}, ""), ({"type": "number"}, "0x10"), ({"type": "string"}, 3),
     ({"type": "boolean"}, 1), ({"type": "number"}, "1e999"), ({"type": "number"}, "nan"), ({"type": "array"}, None),
     ({"multipleOf": 0.1}, 0.25), ({"enum": [1]}, True), ({"const": {"a": [1]}}, {"a": [True]})],
)  # fmt: skip
def test_a_value_that_says_something_else_is_refused(schema: dict[str, Any], value: Any) -> None:
    with pytest.raises(OffSchemaError):
        decoded_as_list(value, normal_schema(schema))


def test_tenths_are_multiples_of_a_tenth() -> None:
    assert decoded_as_list(0.3, normal_schema({"multipleOf": 0.1})) == 0.3


@pytest.mark.parametrize(
    "text",
    [
        "{" * 1_000_000,
        '{"' * 500_000,
        '["\\"' * 300_000,
        "[1," * 300_000,
        "{} " * 300_000,
        "[] ```\n" * 100_000,
    ],
)
def test_a_hostile_answer_takes_no_long_time(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(OffSchemaError):
        decode_answer(text, ORDER)
    assert time.process_time() - begun < 3.0


def test_alternatives_within_alternatives_stop_at_a_limit() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(14):
        schema = {"anyOf": [{"items": schema}, {"items": schema}]}
    value: Any = 1
    for _ in range(14):
        value = [value]
    begun = time.process_time()
    with pytest.raises(OffSchemaError, match="too deep or too long"):
        decoded_as_list(value, schema)
    assert time.process_time() - begun < 3.0


def test_the_prompt_shows_the_schema_and_its_name() -> None:
    prompt = schema_prompt(ORDER, "order")
    assert '"order"' in prompt
    assert msgspec.json.decode(prompt.rpartition("\n")[2]) == ORDER


@pytest.mark.parametrize(
    ("can", "rungs"),
    [
        ({}, ("json_schema", "json_object", "text")),
        ({Capability.JSON_SCHEMA: True}, ("json_schema", "json_object", "text")),
        ({Capability.JSON_SCHEMA: False}, ("json_object", "text")),
        ({Capability.JSON_SCHEMA: False, Capability.JSON_OBJECT: False}, ("text",)),
        ({Capability.JSON_OBJECT: False}, ("json_schema", "text")),
    ],
)
def test_the_ladder_leaves_out_what_a_model_is_known_to_lack(
    can: dict[Capability, bool], rungs: tuple[str, ...]
) -> None:
    assert ladder(can) == rungs
