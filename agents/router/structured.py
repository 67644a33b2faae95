"""Structured answers: how a schema is asked for, and how an answer is read, repaired a little, and checked.

HTTP 200 is no proof that an answer satisfies the schema, not even with `json_schema`: every answer is checked
here. `pattern` and `format` are not (patterns from elsewhere can take forever to match); other words that we
don't know are refused before anything is asked.
"""

import json
import math
import operator
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from typing import Any, Final, NoReturn

import msgspec

from agents.router.checks import strip_thinking
from agents.router.offers import Capability
from agents.router.upstream import Format

SCHEMA_DEPTH_MAX: Final = 32
SCHEMA_BYTES_MAX: Final = 256 * 1024
SCHEMA_NODES_MAX: Final = 20_000
DEFINITIONS_MAX: Final = 1_000
ANSWER_CHARS_MAX: Final = 4_000_000
ANSWER_DEPTH_MAX: Final = 64
CANDIDATES_MAX: Final = 32
STEPS_MAX: Final = 100_000
"""Comparisons of a value with a schema; alternatives within alternatives would multiply without end."""
CHECK_DEPTH_MAX: Final = 128
DIGITS_MAX: Final = 64
QUOTE_CHARS_MAX: Final = 80
COMPLAINT_CHARS_MAX: Final = 600

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
_OPENING: Final = re.compile(r"[{\[]")
_BRACKETS: Final = re.compile(r"\\.|[\"{}\[\]]", re.DOTALL)
_NUMBER: Final = re.compile(r"-?[0-9]{1,64}(?:\.[0-9]{1,64})?(?:[eE][+-]?[0-9]{1,3})?")
_INTEGER: Final = re.compile(r"-?[0-9]{1,64}")
_LIMITS: Final[tuple[tuple[str, Callable[[Any, Any], bool], str], ...]] = (
    ("minimum", operator.lt, "at least"),
    ("maximum", operator.gt, "at most"),
    ("exclusiveMinimum", operator.le, "more than"),
    ("exclusiveMaximum", operator.ge, "less than"),
)
_TYPES: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


class OffSchemaError(Exception):
    """Raised when an answer is not JSON or does not satisfy the schema.

    Attributes:
        path: where, such as `$.items[0].price`; `$` is the whole answer.
        message: what is wrong there, in words for the model.
    """

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"at {path}: {message}")
        self.path = path
        self.message = message


def ladder(can: dict[Capability, bool]) -> tuple[Format, ...]:
    """The forms in which structure may be asked for, best first: all that the model isn't known to lack."""
    rungs: list[Format] = []
    if can.get(Capability.JSON_SCHEMA) is not False:
        rungs.append("json_schema")
    if can.get(Capability.JSON_OBJECT) is not False:
        rungs.append("json_object")
    return (*rungs, "text")


def schema_prompt(schema: dict[str, Any], name: str) -> str:
    """What goes into the prompt in every form: llama.cpp constrains the answer by the schema, but does not show it
    to the model, and other servers know no schema at all."""
    text = msgspec.json.encode(schema).decode()
    return (
        f'Answer with one JSON value named "{name}" that satisfies this JSON Schema, and with nothing else: no '
        f"explanation, no Markdown.\n{text}"
    )


def complaint(error: OffSchemaError) -> str:
    """What to tell the model before it tries again."""
    text = f"Your answer does not satisfy the JSON Schema. At {error.path}: {error.message}."
    return (
        _short(text, COMPLAINT_CHARS_MAX)
        + " Answer again with the whole corrected JSON value, and nothing else."
    )


def normal_schema(schema: object) -> dict[str, Any]:
    """The schema in the form that most servers take; a new value, the argument isn't changed.

    References are inlined, except recursive ones; objects that list their properties forbid others, unless the
    schema says something of its own about others, or combines schemas (then a branch would forbid what another
    one allows); what is only for people or tools is left out.

    Raises:
        ValueError: it is no schema, too deep, too large, or says something that we can't check; names the path.
    """
    if not isinstance(schema, dict):
        raise ValueError(f"schema at $: expected an object, got {_kind(schema)}")
    _check_size(schema)
    return _Normaliser(schema).run()


def decode_answer(text: str, schema: dict[str, Any]) -> Any:
    """The value in an answer, which satisfies the schema.

    Thinking, Markdown fences and text around the value are left out. Where the schema wants another type that
    says the same, it is converted: "3" or 3.0 to 3, "true" to true, a single value to a list of one.

    Args:
        schema: as `normal_schema` gives it.

    Raises:
        OffSchemaError: there is no JSON value, or none that satisfies the schema.
    """
    if len(text) > ANSWER_CHARS_MAX:
        raise OffSchemaError("$", f"the answer has {len(text)} characters, more than {ANSWER_CHARS_MAX}")
    first_error: OffSchemaError | None = None
    for value in _json_values(strip_thinking(text).strip()):
        try:
            return _accepted(value, schema)
        except OffSchemaError as error:
            first_error = first_error or error
    raise first_error or OffSchemaError("$", "there is no JSON value in the answer")


class _Normaliser:
    """One pass over a schema; counts nodes, because definitions within definitions multiply when inlined."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._nodes = 0
        self._definitions: dict[str, Any] = {}
        for word in ("$defs", "definitions"):
            definitions = root.get(word, {})
            if not isinstance(definitions, dict):
                raise ValueError(f"schema at $.{word}: expected an object, got {_kind(definitions)}")
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
            raise ValueError(f"schema at {path}: expected an object, got {_kind(node)}")
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
            raise ValueError(f"schema at {path}: `$ref` {_quoted(reference)} is not under $defs")
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
    for part in _parts(node):
        if isinstance(part, dict) and isinstance(part.get("$ref"), str):
            found.add(part["$ref"])
    return found


def _parts(value: Any) -> Iterator[Any]:
    """The value and all within it, without recursion."""
    ahead = [value]
    while ahead:
        part = ahead.pop()
        yield part
        if isinstance(part, dict):
            ahead.extend(part.values())
        elif isinstance(part, list | tuple):
            ahead.extend(part)


def _depth(value: Any, most: int) -> int:
    """How deep lists and objects lie within one another; counts no further than just above `most`."""
    depth, layer = 0, [value]
    while layer and depth <= most:
        layer = [
            inner
            for part in layer
            if isinstance(part, dict | list | tuple)
            for inner in (part.values() if isinstance(part, dict) else part)
        ]
        depth += bool(layer)
    return depth


def _check_size(schema: dict[str, Any]) -> None:
    if _depth(schema, 4 * SCHEMA_DEPTH_MAX) > 4 * SCHEMA_DEPTH_MAX:
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
        raise ValueError(f"schema at {path}: expected {wanted}, got {_quoted(value)}")


def _json_values(text: str) -> Iterator[Any]:
    """JSON objects and lists in a text, those in a Markdown fence first.

    What lies within something malformed is not looked at: a piece of an answer is not the answer.
    """
    decoder = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite, parse_int=_bounded)
    problem = ""
    count = decoded = 0
    for begin in dict.fromkeys((_after_fence(text), 0)):
        at = begin
        while count < CANDIDATES_MAX and (found := _OPENING.search(text, at)):
            count += 1
            try:
                value, at = decoder.raw_decode(text, found.start())
            except (ValueError, RecursionError) as error:
                said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                problem = problem or f"this is not valid JSON ({said}): {_quoted(text[found.start() :])}"
                at = _balanced_end(text, found.start())
            else:
                decoded += 1
                yield value
    if not count and text:
        try:
            yield decoder.decode(text)
        except (ValueError, RecursionError):
            problem = f"there is no JSON value in the answer {_quoted(text)}"
    if problem and not decoded:
        raise OffSchemaError("$", problem)


def _after_fence(text: str) -> int:
    """Where the first fenced block begins; 0 when there is none, or only within the value."""
    fence = -1 if text.startswith(("{", "[")) else text.find("```")
    return text.find("\n", fence) + 1 if fence >= 0 else 0


def _balanced_end(text: str, begin: int) -> int:
    """Where the bracket at `begin` is closed; the text's end when it isn't."""
    depth = 0
    is_string = False
    for found in _BRACKETS.finditer(text, begin):
        match found.group():
            case '"':
                is_string = not is_string
            case "{" | "[" if not is_string:
                depth += 1
            case "}" | "]" if not is_string:
                depth -= 1
                if depth <= 0:
                    return found.end()
    return len(text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{_quoted(digits)} is too large")
    return number


def _bounded(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise ValueError(f"a number of {len(digits)} digits is too large")
    return int(digits)


def _accepted(value: Any, schema: dict[str, Any]) -> Any:
    """The value, converted where that helps.

    Raises:
        OffSchemaError: it doesn't satisfy the schema.
    """
    if _depth(value, ANSWER_DEPTH_MAX) > ANSWER_DEPTH_MAX:
        raise OffSchemaError("$", f"more than {ANSWER_DEPTH_MAX} levels deep")
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise OffSchemaError("$", "a text contains half a surrogate pair") from None
    checker = _Checker(schema)
    value = checker.converted(value, schema, 0)
    problem = checker.problem(value, schema, "$", 0)
    if problem is not None:
        raise OffSchemaError(*problem)
    return value


_Problem = tuple[str, str]


class _Checker:
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
            if not any(_is_type(value, name) for name in types):
                return path, f"expected {' or '.join(types)}, got {_kind(value)} {_quoted(value)}"
        if "enum" in schema and _canonical(value) not in self._choices_of(schema["enum"]):
            return path, f"expected one of {_quoted(schema['enum'])}, got {_quoted(value)}"
        if "const" in schema and _canonical(value) != _canonical(schema["const"]):
            return path, f"expected {_quoted(schema['const'])}, got {_quoted(value)}"
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
                return path, f"the property {_quoted(name)} is missing"
        for name, inner in value.items():
            here = f"{path}.{_short(name, QUOTE_CHARS_MAX)}"
            if name not in properties and others is False:
                return path, f"the property {_quoted(name)} is not allowed"
            if "propertyNames" in schema and self.problem(name, schema["propertyNames"], here, depth + 1):
                return path, f"the property name {_quoted(name)} is not allowed"
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
        if schema.get("uniqueItems") and len({_canonical(inner) for inner in value}) < len(value):
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
                return path, f"{_quoted(value)} satisfies more than one of the alternatives"
        if "not" in schema and not self.problem(value, schema["not"], path, depth + 1):
            return path, f"{_quoted(value)} is not allowed"
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
            value = _as_type(value, types)
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
            choices = self._choices[id(enum)] = frozenset(map(_canonical, enum))
        return choices

    def _definition(self, reference: Any, path: str) -> Any:
        name = str(reference).removeprefix("#/$defs/")
        if name not in self._definitions:
            raise OffSchemaError(path, f"the schema refers to {_quoted(reference)}, which it doesn't define")
        return self._definitions[name]

    def _step(self, path: str, depth: int) -> None:
        self._steps += 1
        if depth > CHECK_DEPTH_MAX or self._steps > STEPS_MAX:
            raise OffSchemaError(path, "the answer is too deep or too long to be checked")


def _plain_problem(value: Any, schema: dict[str, Any], path: str) -> _Problem | None:
    if isinstance(value, str):
        return _size_problem(len(value), schema, "Length", "characters", path)
    if not _is_type(value, "number"):
        return None
    for word, is_wrong, wanted in _LIMITS:
        if word in schema and is_wrong(value, schema[word]):
            return path, f"expected {wanted} {_quoted(schema[word])}, got {_quoted(value)}"
    # As decimals, the way they are written: in floats 0.3 is no multiple of 0.1.
    if "multipleOf" in schema and Fraction(str(value)) % Fraction(str(schema["multipleOf"])):
        return path, f"expected a multiple of {_quoted(schema['multipleOf'])}, got {_quoted(value)}"
    return None


def _size_problem(size: int, schema: dict[str, Any], word: str, noun: str, path: str) -> _Problem | None:
    least, most = schema.get(f"min{word}"), schema.get(f"max{word}")
    if least is not None and size < least:
        return path, f"expected at least {least} {noun}, got {size}"
    if most is not None and size > most:
        return path, f"expected at most {most} {noun}, got {size}"
    return None


def _as_type(value: Any, types: list[str]) -> Any:
    """The value in one of the types if it says the same there; else as it is."""
    if isinstance(value, float) and "integer" in types and value.is_integer():
        return int(value)
    if any(_is_type(value, name) for name in types):
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


def _is_type(value: Any, name: str) -> bool:
    match name:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return is_whole and not isinstance(value, bool)


def _canonical(value: Any) -> Any:
    """Equal and hashable for values that JSON Schema takes as equal: 1 and 1.0, but not 1 and true."""
    if isinstance(value, dict):
        return "object", frozenset((name, _canonical(inner)) for name, inner in value.items())
    if isinstance(value, list | tuple):
        return "array", tuple(_canonical(inner) for inner in value)
    return ("boolean", value) if isinstance(value, bool) else value


def _kind(value: Any) -> str:
    for name in ("object", "array", "string", "boolean", "null", "integer", "number"):
        if _is_type(value, name):
            return name
    return type(value).__name__


def _quoted(value: Any) -> str:
    """The value as JSON, cut to what a message can bear."""
    if isinstance(value, str):
        value = value[: QUOTE_CHARS_MAX + 1]
    # In pieces, so that of a large value only the beginning is written.
    pieces = json.JSONEncoder(ensure_ascii=False, default=repr).iterencode(value)
    return _short("".join(islice(pieces, QUOTE_CHARS_MAX)), QUOTE_CHARS_MAX)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
