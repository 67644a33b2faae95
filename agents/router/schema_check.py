"""Whether a JSON value satisfies a schema, and the value converted where another type says the same.

Bounded in steps and depth, whatever the schema; `pattern` and `format` are not looked at.
"""

import math
import operator
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

import msgspec

from agents.router.json_words import QUOTE_CHARS_MAX, depth, is_type, kind, quoted, short
from agents.router.off_schema import OffSchemaError

ANSWER_DEPTH_MAX: Final = 64
STEPS_MAX: Final = 100_000
"""Comparisons of a value with a schema; alternatives within alternatives would multiply without end."""
CHECK_DEPTH_MAX: Final = 128
_NUMBER: Final = re.compile(r"-?[0-9]{1,64}(?:\.[0-9]{1,64})?(?:[eE][+-]?[0-9]{1,3})?")
_INTEGER: Final = re.compile(r"-?[0-9]{1,64}")
_LIMITS: Final[tuple[tuple[str, Callable[[Any, Any], bool], str], ...]] = (
    ("minimum", operator.lt, "at least"),
    ("maximum", operator.gt, "at most"),
    ("exclusiveMinimum", operator.le, "more than"),
    ("exclusiveMaximum", operator.ge, "less than"),
)


def accepted(value: Any, schema: dict[str, Any]) -> Any:
    """The value, converted where that helps.

    Raises:
        OffSchemaError: it doesn't satisfy the schema.
    """
    if depth(value, ANSWER_DEPTH_MAX) > ANSWER_DEPTH_MAX:
        raise OffSchemaError("$", f"more than {ANSWER_DEPTH_MAX} levels deep")
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise OffSchemaError("$", "a text contains half a surrogate pair") from None
    checker = Checker(schema)
    value = checker.converted(value, schema, 0)
    problem = checker.problem(value, schema, "$", 0)
    if problem is not None:
        raise OffSchemaError(*problem)
    return value


_Problem = tuple[str, str]


class Checker:
    """Values against one schema; counts steps and depth, and raises OffSchemaError at their limits."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._definitions: dict[str, Any] = schema.get("$defs", {})
        self._choices: dict[int, frozenset[Any]] = {}
        self._steps = 0

    def problem(self, value: Any, schema: Any, path: str, depth: int) -> _Problem | None:
        """Where and what is wrong; None when the value satisfies the schema."""
        self._step(path, depth)
        if isinstance(schema, bool):
            return None if schema else (path, "nothing is allowed here")
        if "type" in schema:
            types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
            if not any(is_type(value, name) for name in types):
                return path, f"expected {' or '.join(types)}, got {kind(value)} {quoted(value)}"
        if "enum" in schema and canonical(value) not in self._choices_of(schema["enum"]):
            return path, f"expected one of {quoted(schema['enum'])}, got {quoted(value)}"
        if "const" in schema and canonical(value) != canonical(schema["const"]):
            return path, f"expected {quoted(schema['const'])}, got {quoted(value)}"
        if isinstance(value, dict):
            found = self._object_problem(value, schema, path, depth)
        elif isinstance(value, list):
            found = self._list_problem(value, schema, path, depth)
        else:
            found = _plain_problem(value, schema, path)
        return found or self._combined_problem(value, schema, path, depth)

    def _object_problem(
        self, value: dict[str, Any], schema: dict[str, Any], path: str, depth: int
    ) -> _Problem | None:
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        required = schema.get("required", ())
        self._steps += len(required)
        for name in required:
            if name not in value:
                return path, f"the property {quoted(name)} is missing"
        for name, inner in value.items():
            here = f"{path}.{short(name, QUOTE_CHARS_MAX)}"
            if name not in properties and others is False:
                return path, f"the property {quoted(name)} is not allowed"
            if "propertyNames" in schema and self.problem(name, schema["propertyNames"], here, depth + 1):
                return path, f"the property name {quoted(name)} is not allowed"
            found = self.problem(inner, properties.get(name, others), here, depth + 1)
            if found:
                return found
        return _size_problem(len(value), schema, "Properties", "properties", path)

    def _list_problem(
        self, value: list[Any], schema: dict[str, Any], path: str, depth: int
    ) -> _Problem | None:
        first = schema.get("prefixItems", ())
        for at, inner in enumerate(value):
            rule = first[at] if at < len(first) else schema.get("items", True)
            found = self.problem(inner, rule, f"{path}[{at}]", depth + 1)
            if found:
                return found
        if schema.get("uniqueItems") and len({canonical(inner) for inner in value}) < len(value):
            return path, "the items must differ from one another"
        return _size_problem(len(value), schema, "Items", "items", path)

    def _combined_problem(self, value: Any, schema: dict[str, Any], path: str, depth: int) -> _Problem | None:
        if "$ref" in schema:
            found = self.problem(value, self._definition(schema["$ref"], path), path, depth + 1)
            if found:
                return found
        for branch in schema.get("allOf", ()):
            found = self.problem(value, branch, path, depth + 1)
            if found:
                return found
        if "anyOf" in schema:
            found = self._any_problem(value, schema["anyOf"], path, depth)
            if found:
                return found
        if "oneOf" in schema:
            fitting = [
                branch for branch in schema["oneOf"] if not self.problem(value, branch, path, depth + 1)
            ]
            if not fitting:
                return self._any_problem(value, schema["oneOf"], path, depth)
            if len(fitting) > 1:
                return path, f"{quoted(value)} satisfies more than one of the alternatives"
        if "not" in schema and not self.problem(value, schema["not"], path, depth + 1):
            return path, f"{quoted(value)} is not allowed"
        return None

    def _any_problem(self, value: Any, branches: list[Any], path: str, depth: int) -> _Problem | None:
        """The problem of the alternative that came furthest: that is most likely the one that was meant."""
        furthest: _Problem | None = None
        for branch in branches:
            found = self.problem(value, branch, path, depth + 1)
            if found is None:
                return None
            if furthest is None or len(found[0]) > len(furthest[0]):
                furthest = found
        return furthest or (path, "nothing is allowed here")

    def converted(self, value: Any, schema: Any, depth: int) -> Any:
        """The value as the types of the schema want it, as far as it can be; one that satisfies it stays."""
        self._step("$", depth)
        if isinstance(schema, bool):
            return value
        if "$ref" in schema:
            value = self.converted(value, self._definition(schema["$ref"], "$"), depth + 1)
        for branch in schema.get("allOf", ()):
            value = self.converted(value, branch, depth + 1)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                value = self._as_one_of(value, schema[word], depth)
        if "type" in schema:
            types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
            value = as_type(value, types)
        if isinstance(value, dict):
            properties = schema.get("properties", {})
            others = schema.get("additionalProperties", True)
            return {
                name: self.converted(inner, properties.get(name, others), depth + 1)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            first = schema.get("prefixItems", ())
            others = schema.get("items", True)
            return [
                self.converted(inner, first[at] if at < len(first) else others, depth + 1)
                for at, inner in enumerate(value)
            ]
        return value

    def _as_one_of(self, value: Any, branches: list[Any], depth: int) -> Any:
        if any(self.problem(value, branch, "$", depth + 1) is None for branch in branches):
            return value
        for branch in branches:
            candidate = self.converted(value, branch, depth + 1)
            if self.problem(candidate, branch, "$", depth + 1) is None:
                return candidate
        return value

    def _choices_of(self, enum: list[Any]) -> frozenset[Any]:
        choices = self._choices.get(id(enum))
        if choices is None:
            choices = self._choices[id(enum)] = frozenset(map(canonical, enum))
        return choices

    def _definition(self, reference: Any, path: str) -> Any:
        name = str(reference).removeprefix("#/$defs/")
        if name not in self._definitions:
            raise OffSchemaError(path, f"the schema refers to {quoted(reference)}, which it doesn't define")
        return self._definitions[name]

    def _step(self, path: str, depth: int) -> None:
        self._steps += 1
        if depth > CHECK_DEPTH_MAX or self._steps > STEPS_MAX:
            raise OffSchemaError(path, "the answer is too deep or too long to be checked")


def _plain_problem(value: Any, schema: dict[str, Any], path: str) -> _Problem | None:
    if isinstance(value, str):
        return _size_problem(len(value), schema, "Length", "characters", path)
    if not is_type(value, "number"):
        return None
    for word, is_wrong, wanted in _LIMITS:
        if word in schema and is_wrong(value, schema[word]):
            return path, f"expected {wanted} {quoted(schema[word])}, got {quoted(value)}"
    # As decimals, the way they are written: in floats 0.3 is no multiple of 0.1.
    if "multipleOf" in schema and Fraction(str(value)) % Fraction(str(schema["multipleOf"])):
        return path, f"expected a multiple of {quoted(schema['multipleOf'])}, got {quoted(value)}"
    return None


def _size_problem(size: int, schema: dict[str, Any], word: str, noun: str, path: str) -> _Problem | None:
    least, most = schema.get(f"min{word}"), schema.get(f"max{word}")
    if least is not None and size < least:
        return path, f"expected at least {least} {noun}, got {size}"
    if most is not None and size > most:
        return path, f"expected at most {most} {noun}, got {size}"
    return None


def as_type(value: Any, types: list[str]) -> Any:
    """The value in one of the types if it says the same there; else as it is."""
    if isinstance(value, float) and "integer" in types and value.is_integer():
        return int(value)
    if any(is_type(value, name) for name in types):
        return value
    if isinstance(value, str):
        plain = value.strip()
        if "boolean" in types and plain.lower() in ("true", "false"):
            return plain.lower() == "true"
        if ("number" in types or "integer" in types) and _NUMBER.fullmatch(plain):
            number = float(plain)
            if _INTEGER.fullmatch(plain):
                return int(plain)
            if "number" in types and math.isfinite(number):
                return int(number) if "integer" in types and number.is_integer() else number
            if "integer" in types and number.is_integer():
                return int(number)
    if "array" in types and value is not None:
        return [value]
    return value


def canonical(value: Any) -> Any:
    """Equal and hashable for values that JSON Schema takes as equal: 1 and 1.0, but not 1 and true."""
    if isinstance(value, dict):
        return "object", frozenset((name, canonical(inner)) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return "array", tuple(canonical(inner) for inner in value)
    return ("boolean", value) if isinstance(value, bool) else value
