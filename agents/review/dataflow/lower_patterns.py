"""Patterns of `case`: which literals they stand for, and which names they give to what."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from tree_sitter import Node

from agents.review.dataflow import syntax as s
from agents.review.dataflow.lower_expressions import line_of, named_of

if TYPE_CHECKING:
    from agents.review.dataflow.lower import Lowering

NODES_MAX: Final = 300
"""Of one pattern that are looked at."""
_LITERALS: Final = frozenset({"string", "concatenated_string", "integer", "float", "true", "false", "none"})
_NUMBERS: Final = frozenset({"int", "float", "bool"})
_AROUND: Final = frozenset({"case_pattern", "tuple_pattern"})
"""Nodes around one other; parentheses are a tuple of one."""


def pattern_of_case(low: "Lowering", patterns: list[Node], clause: Node) -> s.Pattern:
    """Literals, alternatives of literals, a name or `_` are understood; of all else only what it binds."""
    line = line_of(clause)
    if len(patterns) == 1:
        node, name = _named(low, patterns[0])
        text = low.text(node).strip()
        if text == "_" or (node.type == "dotted_name" and "." not in text):
            names = [one for one in (text, name) if one and one != "_"]
            return s.Pattern(line, None, names, True)
        literals = _literals(node)
        if literals is not None:
            return s.Pattern(line, [low.expr(one) for one in literals], [name] if name else [])
    found = s.Pattern(line, None, [])
    budget = [NODES_MAX]
    for pattern in patterns:
        _bind(low, pattern, found, budget)
    return found


def _named(low: "Lowering", node: Node) -> tuple[Node, str]:
    """What is inside, and the name that `as` gives to it."""
    name = ""
    for _ in range(NODES_MAX):
        inner = named_of(node)
        if node.type == "as_pattern" and len(inner) == 2 and not name:
            node, name = inner[0], low.text(inner[1])
        elif node.type in _AROUND and len(inner) == 1 and not low.text(node).rstrip(") \t\n").endswith(","):
            node = inner[0]
        else:
            break
    return node, name


def _literals(node: Node) -> list[Node] | None:
    """The literals that a pattern stands for; None if it stands for anything else."""
    options = named_of(node) if node.type == "union_pattern" else [node]
    return options if options and all(option.type in _LITERALS for option in options) else None


def _bind(low: "Lowering", node: Node, found: s.Pattern, budget: list[int]) -> None:
    """Names that a pattern binds; which of them can be nothing but a literal or a number."""
    budget[0] -= 1
    if budget[0] < 0:
        return
    node, name = _named(low, node)
    is_number = node.type == "class_pattern" and low.text(named_of(node)[0]) in _NUMBERS
    if name:
        found.names.append(name)
        if is_number or _literals(node) is not None:
            found.plain.append(name)
    match node.type:
        case "dotted_name":
            text = low.text(node)
            if "." not in text and text != "_":
                found.names.append(text)
        case "identifier":
            found.names.append(low.text(node))
        case "class_pattern":
            before = len(found.names)
            _bind_all(low, named_of(node)[1:], found, budget)
            if is_number:
                found.plain.extend(found.names[before:])
        case "keyword_pattern":
            _bind_all(low, named_of(node)[1:], found, budget)
        case "dict_pattern":
            _bind_items(low, node, found, budget)
        case _:
            _bind_all(low, named_of(node), found, budget)


def _bind_all(low: "Lowering", nodes: Iterable[Node], found: s.Pattern, budget: list[int]) -> None:
    for node in nodes:
        _bind(low, node, found, budget)


def _bind_items(low: "Lowering", node: Node, found: s.Pattern, budget: list[int]) -> None:
    """`{"key": pattern}`: a key whose pattern is a literal holds nothing else."""
    key: Node | None = None
    for inner in named_of(node):
        if inner.type in ("case_pattern", "splat_pattern"):
            inside, _ = _named(low, inner)
            if key is not None and inner.type == "case_pattern" and _literals(inside) is not None:
                read = low.expr(key)
                if isinstance(read, s.Const) and isinstance(read.value, str | int):
                    found.keys.append(read.value)
            _bind(low, inner, found, budget)
            key = None
        else:
            key = inner
