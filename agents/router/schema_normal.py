"""A JSON Schema in the form that most servers take, and that we can check answers by."""

import math
from typing import Any, Final

import msgspec

from agents.router.json_words import depth, kind, parts, quoted

SCHEMA_DEPTH_MAX: Final = 32
SCHEMA_BYTES_MAX: Final = 256 * 1024
SCHEMA_NODES_MAX: Final = 20_000
DEFINITIONS_MAX: Final = 1_000
_DROPPED: Final = frozenset(
    {"pattern", "format", "$schema", "$id", "$comment", "title", "default", "examples", "discriminator"}
    | {"contentEncoding", "contentMediaType", "deprecated", "readOnly", "writeOnly"}
)
_KEPT: Final = frozenset(
    {"type", "enum", "const", "description", "required", "nullable", "uniqueItems", "multipleOf"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"}
    | {"minItems", "maxItems", "minProperties", "maxProperties"}
)
_ONE_SCHEMA: Final = frozenset({"items", "additionalProperties", "propertyNames", "not"})
_LIST_OF_SCHEMAS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_COMBINE: Final = ("anyOf", "oneOf", "allOf", "not", "$ref")
_OPEN: Final = ".open"
"""Ends the name of a recursive definition that doesn't forbid further properties."""
_TYPES: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


def normal_schema(schema: object) -> dict[str, Any]:
    """The schema in the form that most servers take; a new value, the argument isn't changed.

    References are inlined, except recursive ones; objects that list their properties forbid others, unless the
    schema says something of its own about others, or combines schemas (then a branch would forbid what another
    one allows); what is only for people or tools is left out.

    Raises:
        ValueError: it is no schema, too deep, too large, or says something that we can't check; names the path.
    """
    if not isinstance(schema, dict):
        raise ValueError(f"schema at $: expected an object, got {kind(schema)}")
    _check_size(schema)
    return Normaliser(schema).run()


class Normaliser:
    """One pass over a schema; counts nodes, because definitions within definitions multiply when inlined."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._nodes = 0
        self._definitions: dict[str, Any] = {}
        for word in ("$defs", "definitions"):
            definitions = root.get(word, {})
            if not isinstance(definitions, dict):
                raise ValueError(f"schema at $.{word}: expected an object, got {kind(definitions)}")
            self._definitions |= {f"#/{word}/{name}": body for name, body in definitions.items()}
        if len(self._definitions) > DEFINITIONS_MAX:
            raise ValueError(f"schema at $.$defs: more than {DEFINITIONS_MAX} definitions")
        self._recursive = _recursive_references(self._definitions)
        self._kept: dict[str, Any] = {}
        self._kept_from: dict[str, str] = {}
        self._ahead: list[tuple[str, str, bool]] = []

    def run(self) -> dict[str, Any]:
        root, path = self._root, "$"
        for _ in range(SCHEMA_DEPTH_MAX):
            if set(root) - _DROPPED - {"$defs", "definitions", "description"} != {"$ref"}:
                break
            path, root = str(root["$ref"]), self._definition(root["$ref"], path)
        else:
            raise ValueError(f"schema at {path}: refers to nothing but itself")
        result = self._schema(root, path, 0, True)
        while self._ahead:
            reference, name, closes = self._ahead.pop()
            if self._kept_from.setdefault(name, reference) != reference:
                raise ValueError(f"schema at {reference}: a definition's name must not end with {_OPEN}")
            if name not in self._kept:
                self._kept[name] = self._schema(self._definition(reference, "$"), reference, 0, closes)
        if self._kept:
            result["$defs"] = self._kept
        return result

    def _schema(self, node: Any, path: str, depth: int, closes: bool) -> dict[str, Any]:
        """Args: closes: whether objects with properties shall forbid others."""
        self._nodes += 1
        if self._nodes > SCHEMA_NODES_MAX:
            raise ValueError(
                f"schema at {path}: more than {SCHEMA_NODES_MAX} parts once its references are inlined"
            )
        if depth > SCHEMA_DEPTH_MAX:
            raise ValueError(f"schema at {path}: more than {SCHEMA_DEPTH_MAX} levels deep")
        if isinstance(node, bool):
            return {} if node else {"not": {}}
        if not isinstance(node, dict):
            raise ValueError(f"schema at {path}: expected an object, got {kind(node)}")
        branches_close = closes and not any(
            word in node for word in ("properties", "required", "allOf", "$ref")
        )
        result: dict[str, Any] = {}
        for word, value in node.items():
            here = f"{path}.{word}"
            if word in _KEPT:
                _check_shape(word, value, here)
                result[word] = value
            elif word == "properties":
                _expect(isinstance(value, dict), here, "an object", value)
                result[word] = {
                    name: self._schema(body, f"{here}.{name}", depth + 1, closes)
                    for name, body in value.items()
                }
            elif word in _ONE_SCHEMA:
                closes_here = closes and word != "not"
                is_plain = isinstance(value, bool) and word != "not"
                result[word] = value if is_plain else self._schema(value, here, depth + 1, closes_here)
            elif word in _LIST_OF_SCHEMAS:
                _expect(isinstance(value, list), here, "a list", value)
                closes_here = closes if word == "prefixItems" else branches_close and word == "anyOf"
                result[word] = [
                    self._schema(body, f"{here}[{at}]", depth + 1, closes_here)
                    for at, body in enumerate(value)
                ]
            elif word not in _DROPPED and word not in ("$ref", "$defs", "definitions") and word[:2] != "x-":
                raise ValueError(f"schema at {here}: `{word}` is not supported; leave it out")
        if "$ref" in node:
            return self._with_reference(node["$ref"], result, path, depth, closes)
        return _finished(result, closes)

    def _with_reference(
        self, reference: Any, rest: dict[str, Any], path: str, depth: int, closes: bool
    ) -> dict[str, Any]:
        """The referred schema together with what stands beside the reference."""
        definition = self._definition(reference, path)
        has_more = bool(rest.keys() - {"description"})
        if reference not in self._recursive:
            target = self._schema(definition, path, depth + 1, closes and not has_more)
            return {**target, **rest} if not has_more else {**rest, "allOf": [*rest.get("allOf", ()), target]}
        # A definition that is used in both ways is kept twice.
        target_closes = closes and not has_more and not reference.endswith(_OPEN)
        name = reference.rpartition("/")[2].removesuffix(_OPEN) + ("" if target_closes else _OPEN)
        self._ahead.append((reference, name, target_closes))
        return {**rest, "$ref": f"#/$defs/{name}"}

    def _definition(self, reference: Any, path: str) -> Any:
        if not isinstance(reference, str) or reference not in self._definitions:
            raise ValueError(f"schema at {path}: `$ref` {quoted(reference)} is not under $defs")
        return self._definitions[reference]


def _finished(result: dict[str, Any], closes: bool) -> dict[str, Any]:
    """Closed if it may be, and OpenAPI's `nullable` said in the words of JSON Schema."""
    if result.pop("nullable", False) is True and "type" in result:
        types = result["type"] if isinstance(result["type"], list) else [result["type"]]
        result["type"] = [*types, "null"] if "null" not in types else types
        if "enum" in result and None not in result["enum"]:
            result["enum"] = [*result["enum"], None]
    if closes and "properties" in result and not any(word in result for word in _COMBINE):
        result.setdefault("additionalProperties", False)
    return result


def _recursive_references(definitions: dict[str, Any]) -> frozenset[str]:
    """Those that lead back to themselves."""
    leads_to = {name: _references(body) & definitions.keys() for name, body in definitions.items()}
    recursive = set()
    for name, reached in leads_to.items():
        seen: set[str] = set()
        ahead = set(reached)
        while ahead:
            other = ahead.pop()
            if other not in seen:
                seen.add(other)
                ahead |= leads_to[other]
        if name in seen:
            recursive.add(name)
    return frozenset(recursive)


def _references(node: Any) -> set[str]:
    found: set[str] = set()
    for part in parts(node):
        if isinstance(part, dict) and isinstance(part.get("$ref"), str):
            found.add(part["$ref"])
    return found


def _check_size(schema: dict[str, Any]) -> None:
    if depth(schema, 4 * SCHEMA_DEPTH_MAX) > 4 * SCHEMA_DEPTH_MAX:
        raise ValueError(f"schema at $: more than {SCHEMA_DEPTH_MAX} levels deep")
    try:
        size = len(msgspec.json.encode(schema))
    except (TypeError, UnicodeEncodeError) as error:
        raise ValueError(f"schema at $: is not JSON: {error}") from None
    if size > SCHEMA_BYTES_MAX:
        raise ValueError(f"schema at $: {size} bytes, more than {SCHEMA_BYTES_MAX}")


def _check_shape(word: str, value: Any, path: str) -> None:
    if word == "type":
        names = value if isinstance(value, list) else [value]
        _expect(
            bool(names) and all(isinstance(name, str) and name in _TYPES for name in names),
            path,
            "a type",
            value,
        )
    elif word == "required":
        is_fine = isinstance(value, list) and all(isinstance(name, str) for name in value)
        _expect(is_fine, path, "a list of names", value)
    elif word == "enum":
        _expect(isinstance(value, list) and bool(value), path, "a list of values", value)
    elif word in ("nullable", "uniqueItems"):
        _expect(isinstance(value, bool), path, "true or false", value)
    elif word == "description":
        _expect(isinstance(value, str), path, "a text", value)
    elif word != "const":
        is_fine = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        _expect(is_fine and (word != "multipleOf" or value > 0), path, "a number", value)


def _expect(is_fine: bool, path: str, wanted: str, value: Any) -> None:
    if not is_fine:
        raise ValueError(f"schema at {path}: expected {wanted}, got {quoted(value)}")
