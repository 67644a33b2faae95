"""Where a value comes from: constants, strings built at run time, and data of a request.

These are judgements on syntax within one function, not data flow over the program: they follow a name to the
nearest assignment before its use, and no further. No walk recurses, and each one has a limit.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from tree_sitter import Node

NODES_MAX: Final = 300
"""Nodes looked at in one expression; a longer one counts as what was seen of it."""
ANCESTORS_MAX: Final = 40
SIBLINGS_MAX: Final = 60
"""Statements before a use that are searched for the assignment of a name, in each enclosing block."""
ASSIGNMENTS_MAX: Final = 2
"""Assignments that are followed, one to the next, from a use to a request."""
NAMES_MAX: Final = 8
"""Names in one expression that are followed to their assignment."""
TEXT_BYTES_MAX: Final = 4_000

STRINGS: Final = frozenset(
    {"string", "template_string", "line_string_literal", "multi_line_string_literal", "raw_string_literal"}
    | {"string_literal", "concatenated_string"}
)
INTERPOLATIONS: Final = frozenset({"template_substitution", "interpolated_expression", "interpolation"})
SUMS: Final = frozenset({"binary_expression", "additive_expression", "binary_operator"})
NAMES: Final = frozenset(
    {"identifier", "simple_identifier", "shorthand_property_identifier", "identifier_dollar_escaped"}
)
LITERALS: Final = frozenset(
    {"number", "integer", "float", "integer_literal", "real_literal", "true", "false", "null", "none"}
    | {"decimal_integer_literal", "decimal_floating_point_literal", "boolean_literal", "additive_operator"}
)
WRAPPERS: Final = frozenset(
    {"parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression", "argument"}
    | {"value_argument", "ternary_expression", "conditional_expression", "await_expression"}
)
BESIDES: Final = frozenset({"selector", "value_argument_label", "label", "comment"})
"""What stands beside a value without being one; a Dart call is a name followed by selectors."""
FUNCTIONS: Final = frozenset(
    {"function_declaration", "function_expression", "arrow_function", "method_definition", "function"}
    | {"generator_function", "generator_function_declaration", "lambda_literal", "init_declaration"}
    | {"function_definition", "lambda", "function_body", "method_declaration", "class_declaration"}
)

_CONSTANT_NAME = re.compile(r"(?:[\w$.]*\.)?[A-Z][A-Z0-9_]+|(?:this\.|self\.|_)?(?:table|tableName|_table)")
_FRAGMENT_NAME = re.compile(
    r"(?:where|set|order|columns?|cols|fields?|values|conditions?|clauses?|filters?|placeholders?|updates|joins?)"
    r"(?:sql|clause|part|str|list|s)?(?:\.join\(.{1,12}\))?",
    re.IGNORECASE,
)
_QUOTING = re.compile(
    r"(?i)^(?:await\s+)?(?:[\w$]+\.)*(?:escape\w*|quote\w*|sanitize\w*|purify\w*|encode\w*|format_?literal|ident(?:ifier)?"
    r"|number|parseint|parsefloat|int|float|bool|shlex\.quote|json\.stringify|json\.dumps|htmlescape\w*)\s*\("
)
_PLACEHOLDERS = re.compile(
    r"""['"`](?:\?|%s|\$\$\{)['"`]?|\.(?:length|count|size)$|\.to(?:Fixed|Precision|Locale\w*|ISOString)\("""
)
_REQUEST = re.compile(
    r"\b(?:req|request|ctx|context|event)\.(?:query|params|body|headers|cookies|rawBody|request\.(?:query|body)"
    r"|queryStringParameters|pathParameters|nextUrl\.searchParams|args|form|values|json|GET|POST|files)\b"
    r"|\bctx\.request\.(?:query|body)\b|\bsearchParams\.get\(|\bgetQuery\(|\breadBody\("
    r"|\b(?:window\.|document\.)?location\.(?:search|hash)\b|\bdocument\.(?:URL|referrer)\b|\bwindow\.name\b"
    r"|\broute\.query\b|\$route\.query\b"
)


def text_of(node: Node) -> str:
    """The source of a node, cut after `TEXT_BYTES_MAX` bytes."""
    return (node.text or b"")[:TEXT_BYTES_MAX].decode(errors="replace")


def nodes_in(node: Node, limit: int = NODES_MAX) -> Iterator[Node]:
    """`node` and what is in it, outer ones first."""
    stack, seen = [node], 0
    while stack and seen < limit:
        found = stack.pop()
        seen += 1
        yield found
        stack.extend(reversed(found.named_children[:limit]))


def unwrapped(node: Node) -> Node:
    """The expression in an argument or in parentheses, if it is all that stands there."""
    for _ in range(NAMES_MAX):
        if node.type not in ("argument", "value_argument", "parenthesized_expression"):
            break
        value = node.child_by_field_name("value")
        if value is None and node.named_child_count == 1:
            value = node.named_child(0)
        if value is None:
            break
        node = value
    return node


def ancestors_of(node: Node, limit: int = ANCESTORS_MAX) -> Iterator[Node]:
    """Parent, its parent, and so on."""
    above = node.parent
    while above is not None and limit:
        yield above
        above, limit = above.parent, limit - 1


def is_dynamic(node: Node) -> bool:
    """Whether a string is put together at run time from anything but constants.

    A template or an addition with a part that isn't constant is; a name is if what was assigned to it is; a
    name of unknown origin is not.
    """
    node = unwrapped(node)
    if node.type in NAMES:
        value = assigned_to(node)
        return value is not None and value.type not in NAMES and _builds_string(value)
    return _builds_string(node)


def is_literal(node: Node) -> bool:
    """Whether a value is a plain string, number or boolean, or a name to which one was assigned."""
    node = unwrapped(node)
    if node.type in NAMES:
        value = assigned_to(node)
        return value is not None and value.type not in NAMES and _is_constant(value)
    return _is_constant(node)


def is_request_data(node: Node) -> bool:
    """Whether a value comes straight from a request, or through a few assignments."""
    values = [node]
    for _ in range(ASSIGNMENTS_MAX):
        if any(_REQUEST.search(text_of(value)) for value in values):
            return True
        values = [value for name in _names_in(values) if (value := assigned_to(name)) is not None]
    return any(_REQUEST.search(text_of(value)) for value in values)


def _names_in(values: list[Node]) -> list[Node]:
    names = (part for value in values for part in nodes_in(value) if part.type in NAMES)
    return list(islice(names, NAMES_MAX))


def first_assigned_to(name: Node) -> Node | None:
    """What a name began with: the assignment before `+=`, for text that grows from statement to statement."""
    value = assigned_to(name)
    for _ in range(NAMES_MAX):
        parent = value.parent if value is not None else None
        if parent is None or parent.type not in ("augmented_assignment_expression", "augmented_assignment"):
            break
        target = parent.named_child(0)
        earlier = assigned_to(target) if target is not None and target.type in NAMES else None
        if earlier is None:
            break
        value = earlier
    return value


def assigned_to(name: Node) -> Node | None:
    """The value of the nearest assignment to `name` before it, in its own function or around it."""
    wanted = name.text
    scope: Node | None = name
    for _ in range(ANCESTORS_MAX):
        if scope is None:
            break
        before = scope.prev_named_sibling
        for _ in range(SIBLINGS_MAX):
            if before is None:
                break
            value = _value_given(before, wanted)
            if value is not None:
                return value if value.end_byte <= name.start_byte else None
            before = before.prev_named_sibling
        scope = scope.parent
        if scope is not None and scope.type in FUNCTIONS and _has_parameter(scope, wanted):
            return None
    return None


def _value_given(statement: Node, wanted: bytes | None) -> Node | None:
    """What a declaration or assignment gives to the name `wanted`, if it does."""
    if wanted is None or wanted not in (statement.text or b""):
        return None
    parts = [statement]
    if statement.type in _HOLDERS:
        parts = statement.named_children[:NAMES_MAX]
        if parts and parts[0].type == "lexical_declaration":
            parts = parts[0].named_children[:NAMES_MAX]
    for part in parts:
        if part.type in _GIVERS and part.named_child_count > 1:
            target = _field(part, "name", "left", "target") or part.named_children[0]
            value = _field(part, "value", "right", "result") or part.named_children[-1]
            if _names(target, wanted):
                return value
    return None


def _field(node: Node, *names: str) -> Node | None:
    return next((child for name in names if (child := node.child_by_field_name(name)) is not None), None)


_HOLDERS: Final = frozenset(
    {"lexical_declaration", "variable_declaration", "local_variable_declaration", "expression_statement"}
    | {"export_statement", "static_final_declaration_list", "initialized_identifier_list", "statements"}
)
_GIVERS: Final = frozenset(
    {"variable_declarator", "assignment_expression", "augmented_assignment_expression", "assignment"}
    | {"augmented_assignment", "property_declaration", "initialized_variable_definition"}
    | {"static_final_declaration", "initialized_identifier"}
)


def _names(target: Node, wanted: bytes) -> bool:
    """Whether the left side of an assignment is the name, or takes it out of an object."""
    if target.type in NAMES:
        return target.text == wanted
    if target.type in (
        "object_pattern",
        "array_pattern",
        "pattern",
        "assignable_expression",
        "directly_assignable_expression",
    ):
        return any(
            part.text == wanted
            for part in nodes_in(target, SIBLINGS_MAX)
            if part.type in NAMES or part.type == "shorthand_property_identifier_pattern"
        )
    return False


def _has_parameter(function: Node, wanted: bytes | None) -> bool:
    for field in ("parameters", "parameter"):
        parameters = function.child_by_field_name(field)
        if parameters is not None and any(part.text == wanted for part in nodes_in(parameters, SIBLINGS_MAX)):
            return True
    return False


def _builds_string(node: Node) -> bool:
    """Whether an expression holds a string and, beside or inside it, something that isn't constant."""
    stack, seen, has_string, has_part = [node], 0, False, False
    while stack and seen < NODES_MAX:
        part = stack.pop()
        seen += 1
        if part.type in STRINGS:
            has_string = True
            has_part = has_part or not _is_constant(part)
        elif part.type in SUMS or part.type in WRAPPERS:
            stack.extend(part.named_children[:NODES_MAX])
        elif part.type in ("call_expression", "call"):
            callee = part.named_child(0)
            is_format = callee is not None and _FORMAT.search(text_of(callee)) is not None
            has_string = has_string or is_format
            has_part = has_part or (not _is_constant(part) if not is_format else True)
        elif part.type not in BESIDES and part.type not in LITERALS and not _is_constant(part):
            has_part = True
        if has_string and has_part:
            return True
    return False


_FORMAT: Final = re.compile(r"""(?s)^(?:String$|['"`].*['"`]\.(?:concat|format)$)""")


def _is_constant(node: Node) -> bool:
    """Whether a part of a string is known before the program runs, or is made harmless by quoting it."""
    if node.type in LITERALS:
        return True
    if node.type in STRINGS:
        holes = [part for part in nodes_in(node) if part.type in INTERPOLATIONS]
        return all(_is_harmless_hole(hole) for hole in holes)
    text = text_of(node).strip("${}() \n\\")
    if _CONSTANT_NAME.fullmatch(text) or _QUOTING.search(text) or _PLACEHOLDERS.search(text):
        return True
    if node.type in NAMES:
        value = assigned_to(node)
        if value is not None:
            return value.type in LITERALS or (
                value.type in STRINGS and not any(part.type in INTERPOLATIONS for part in nodes_in(value))
            )
    return _FRAGMENT_NAME.fullmatch(text) is not None


def _is_harmless_hole(hole: Node) -> bool:
    """A hole of a template is harmless if constant, or if `$` before it makes it the number of a parameter."""
    before = hole.prev_sibling
    if before is not None and (before.text or b"").endswith(b"$"):
        return True
    inner = hole.named_child(0) if hole.named_child_count else None
    return inner is not None and _is_constant(inner)
