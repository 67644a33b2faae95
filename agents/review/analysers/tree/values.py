"""Where a value comes from: constants, strings built at run time, and data of a request.

These are judgements on syntax within one function, not data flow over the program: a name is followed to the
nearest assignment before its use, for at most `ASSIGNMENTS_MAX` steps.
"""

import re
from itertools import islice
from typing import Final

from tree_sitter import Node

from agents.review.analysers.tree.assignments import assigned_to
from agents.review.analysers.tree.nodes import (
    BESIDES,
    INTERPOLATIONS,
    LITERALS,
    NAMES,
    NODES_MAX,
    STRINGS,
    SUMS,
    WRAPPERS,
    nodes_in,
    text_of,
    unwrapped,
)

ASSIGNMENTS_MAX: Final = 2
"""Assignments that are followed, one to the next, from a use to a request."""
NAMES_MAX: Final = 8
"""Names in one expression that are followed to their assignment."""

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

_BODY = re.compile(r"readBody\(|getQuery\(|\b(?:req|request)\.(?:json|formData|text)\(\)")


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
        assigned = (assigned_to(name) for name in _names_in(values))
        values = [value for value in assigned if value is not None and not _is_looked_up(value)]
    return any(_REQUEST.search(text_of(value)) for value in values)


def _is_looked_up(value: Node) -> bool:
    """Whether a value was fetched with the request's data, such as a row by its id: then it isn't that data."""
    return value.type in ("await_expression", "await") and not _BODY.search(text_of(value))


def _names_in(values: list[Node]) -> list[Node]:
    names = (part for value in values for part in nodes_in(value) if part.type in NAMES)
    return list(islice(names, NAMES_MAX))


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
    if node.type not in STRINGS:
        return _is_harmless(node)
    holes = [part for part in nodes_in(node) if part.type in INTERPOLATIONS]  # those of inner strings too
    return all(_is_harmless_hole(hole) for hole in holes)


def _is_harmless_hole(hole: Node) -> bool:
    """A hole of a template is harmless if constant, or if `$` before it makes it the number of a parameter."""
    before = hole.prev_sibling
    if before is not None and (before.text or b"").endswith(b"$"):
        return True
    inner = hole.named_child(0) if hole.named_child_count else None
    return inner is not None and (inner.type in STRINGS or _is_harmless(inner))


def _is_harmless(node: Node) -> bool:
    """Whether something other than a string is constant, quoted, or by its name a fragment of fixed text."""
    if node.type in LITERALS:
        return True
    text = text_of(node).strip("${}() \n\\")
    if _CONSTANT_NAME.fullmatch(text) or _QUOTING.search(text) or _PLACEHOLDERS.search(text):
        return True
    value = assigned_to(node) if node.type in NAMES else None
    if value is not None:
        return value.type in LITERALS or (
            value.type in STRINGS and not any(part.type in INTERPOLATIONS for part in nodes_in(value))
        )
    return _FRAGMENT_NAME.fullmatch(text) is not None
