"""Expressions of tree-sitter's tree in our own syntax."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tree_sitter import Node

from agents.review.dataflow import syntax as s
from agents.review.dataflow.literals import TEXT_CHARS_MAX, number, unescape

if TYPE_CHECKING:
    from agents.review.dataflow.lower import Lowering

ITEMS_MAX: Final = 2_000
"""Of one list, tuple, dictionary or chain that are read one by one; larger ones are data."""


def line_of(node: Node) -> int:
    return node.start_point.row + 1


def named_of(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type != "comment"]


def _name(low: "Lowering", node: Node) -> s.Expr:
    return s.Name(line_of(node), low.text(node))


def _number(low: "Lowering", node: Node) -> s.Expr:
    return s.Const(line_of(node), number(low.text(node)))


def _constant(value: bool | None) -> Callable[["Lowering", Node], s.Expr]:
    return lambda _, node: s.Const(line_of(node), value)


def _inner(low: "Lowering", node: Node) -> s.Expr:
    children = named_of(node)
    return low.expr(children[0]) if len(children) == 1 else low.unknown(node)


def _string(low: "Lowering", node: Node) -> s.Expr:
    parts = _string_parts(low, node)
    if len(parts) == 1 and isinstance(parts[0], s.Const):
        return parts[0]
    return s.Text(line_of(node), parts) if parts else s.Const(line_of(node), "")


def _string_parts(low: "Lowering", node: Node) -> list[s.Expr]:
    """Constants and what is put in between; bytes are one constant."""
    children = node.children
    start = low.text(children[0]).lower() if children else ""
    is_raw, is_bytes, is_format = "r" in start, "b" in start, "f" in start or "t" in start
    parts: list[s.Expr] = []
    for child in children:
        if child.type == "interpolation":
            value = low.expr(child.child_by_field_name("expression"))
            parts.append(s.Text(line_of(child), [value]))
        elif child.type == "string_content":
            text = low.text(child)[:TEXT_CHARS_MAX]
            text = text if is_raw else unescape(text)
            if is_format:
                text = text.replace("{{", "{").replace("}}", "}")
            parts.append(s.Const(line_of(child), text.encode("utf-8", "replace") if is_bytes else text))
    if not parts and is_bytes:
        return [s.Const(line_of(node), b"")]
    return parts


def _strings(low: "Lowering", node: Node) -> s.Expr:
    parts: list[s.Expr] = []
    for child in named_of(node)[:ITEMS_MAX]:
        parts += _string_parts(low, child)
    if parts and all(isinstance(part, s.Const) and isinstance(part.value, str) for part in parts):
        return s.Const(line_of(node), "".join(str(part.value) for part in parts if isinstance(part, s.Const)))
    return s.Text(line_of(node), parts)


def _attribute(low: "Lowering", node: Node) -> s.Expr:
    owner, name = node.child_by_field_name("object"), node.child_by_field_name("attribute")
    return s.Attribute(
        line_of(name) if name is not None else line_of(node), low.expr(owner), low.text(name) if name else ""
    )


def _subscript(low: "Lowering", node: Node) -> s.Expr:
    keys = node.children_by_field_name("subscript")
    key = low.expr(keys[0]) if len(keys) == 1 else s.Sequence(line_of(node), "tuple", low.exprs(keys))
    return s.Index(line_of(node), low.expr(node.child_by_field_name("value")), key)


def _slice(low: "Lowering", node: Node) -> s.Expr:
    bounds: list[s.Expr | None] = [None, None, None]
    place = 0
    for child in node.children:
        if child.type == ":":
            place = min(place + 1, 2)
        elif child.is_named:
            bounds[place] = low.expr(child)
    if bounds[2] is not None:
        return s.Unknown(line_of(node), [bound for bound in bounds if bound is not None])
    return s.Slice(line_of(node), bounds[0], bounds[1])


def _call(low: "Lowering", node: Node) -> s.Expr:
    function = low.expr(node.child_by_field_name("function"))
    given = node.child_by_field_name("arguments")
    arguments: list[s.Argument] = []
    if given is not None and given.type == "generator_expression":
        arguments.append(s.Argument(line_of(given), low.expr(given)))
    elif given is not None:
        arguments = [_argument(low, child) for child in named_of(given)[:ITEMS_MAX]]
    return s.Call(line_of(node), function, arguments)


def _argument(low: "Lowering", node: Node) -> s.Argument:
    if node.type == "keyword_argument":
        name = node.child_by_field_name("name")
        return s.Argument(
            line_of(node), low.expr(node.child_by_field_name("value")), low.text(name) if name else ""
        )
    if node.type in ("list_splat", "dictionary_splat"):
        inner = named_of(node)
        value = low.expr(inner[0]) if inner else s.Unknown(line_of(node), [])
        return s.Argument(line_of(node), value, "", 1 if node.type == "list_splat" else 2)
    return s.Argument(line_of(node), low.expr(node))


def _binary(low: "Lowering", node: Node) -> s.Expr:
    """`((a + b) + c)` as one chain; the tree is as deep as the chain is long."""
    operator_of = node.child_by_field_name("operator")
    operator = operator_of.type if operator_of is not None else "?"
    operands: list[s.Expr] = []
    left: Node | None = node
    while left is not None and left.type == "binary_operator" and len(operands) < ITEMS_MAX:
        sign = left.child_by_field_name("operator")
        if sign is None or sign.type != operator:
            break
        operands.append(low.expr(left.child_by_field_name("right")))
        left = left.child_by_field_name("left")
    operands.append(low.expr(left) if len(operands) < ITEMS_MAX else s.Unknown(line_of(node), []))
    operands.reverse()
    return s.Binary(line_of(node), operator, operands)


def _logic(low: "Lowering", node: Node) -> s.Expr:
    operator_of = node.child_by_field_name("operator")
    operator = operator_of.type if operator_of is not None else "or"
    operands: list[s.Expr] = []
    left: Node | None = node
    while left is not None and left.type == "boolean_operator" and len(operands) < ITEMS_MAX:
        sign = left.child_by_field_name("operator")
        if sign is None or sign.type != operator:
            break
        operands.append(low.expr(left.child_by_field_name("right")))
        left = left.child_by_field_name("left")
    operands.append(low.expr(left) if len(operands) < ITEMS_MAX else s.Unknown(line_of(node), []))
    operands.reverse()
    return s.Logic(line_of(node), operator, operands)


def _not(low: "Lowering", node: Node) -> s.Expr:
    return s.Not(line_of(node), low.expr(node.child_by_field_name("argument")))


def _unary(low: "Lowering", node: Node) -> s.Expr:
    operator = node.children[0].type if node.children else "?"
    operand = low.expr(node.child_by_field_name("argument"))
    if operator == "-" and isinstance(operand, s.Const) and isinstance(operand.value, int | float):
        return s.Const(line_of(node), -operand.value)
    return s.Unary(line_of(node), operator, operand)


def _compare(low: "Lowering", node: Node) -> s.Expr:
    operands, operators = [], []
    for child in node.children[: 2 * ITEMS_MAX]:
        if child.type == "comment":
            continue
        if child.is_named and child.type not in ("is not", "not in"):
            operands.append(low.expr(child))
        else:
            operators.append(child.type)
    if len(operands) != len(operators) + 1:
        return low.unknown(node)
    return s.Compare(line_of(node), operands[0], operators, operands[1:])


def _conditional(low: "Lowering", node: Node) -> s.Expr:
    children = named_of(node)
    if len(children) != 3:
        return low.unknown(node)
    yes, test, no = (low.expr(child) for child in children)
    return s.Conditional(line_of(node), test, yes, no)


def _sequence(kind: str) -> Callable[["Lowering", Node], s.Expr]:
    def read(low: "Lowering", node: Node) -> s.Expr:
        return s.Sequence(line_of(node), kind, low.exprs(node.named_children[:ITEMS_MAX]))

    return read


def _star(low: "Lowering", node: Node) -> s.Expr:
    inner = named_of(node)
    return s.Star(line_of(node), low.expr(inner[0]) if inner else s.Unknown(line_of(node), []))


def _mapping(low: "Lowering", node: Node) -> s.Expr:
    pairs: list[tuple[s.Expr | None, s.Expr]] = []
    for child in named_of(node)[:ITEMS_MAX]:
        if child.type == "pair":
            key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
            pairs.append((low.expr(key), low.expr(value)))
        elif child.type == "dictionary_splat":
            inner = named_of(child)
            pairs.append((None, low.expr(inner[0]) if inner else s.Unknown(line_of(child), [])))
    return s.Mapping(line_of(node), pairs)


def _comprehension(kind: str) -> Callable[["Lowering", Node], s.Expr]:
    def read(low: "Lowering", node: Node) -> s.Expr:
        body = node.child_by_field_name("body")
        clauses: list[s.Clause] = []
        for child in node.named_children:
            if child.type == "for_in_clause":
                left, right = child.child_by_field_name("left"), child.child_by_field_name("right")
                clauses.append(s.Clause(line_of(child), low.expr(left), low.expr(right)))
            elif child.type == "if_clause":
                clauses.append(s.Clause(line_of(child), None, _inner(low, child)))
        if kind == "dict" and body is not None:
            key, value = body.child_by_field_name("key"), body.child_by_field_name("value")
            return s.Comprehension(line_of(node), kind, low.expr(key), low.expr(value), clauses)
        return s.Comprehension(line_of(node), kind, None, low.expr(body), clauses)

    return read


def _lambda(low: "Lowering", node: Node) -> s.Expr:
    return low.function(node, [])


def _await(low: "Lowering", node: Node) -> s.Expr:
    return s.Await(line_of(node), _inner(low, node))


def _yield(low: "Lowering", node: Node) -> s.Expr:
    low.note_yield()
    children = named_of(node)
    is_from = any(child.type == "from" for child in node.children)
    return s.Yield(line_of(node), low.expr(children[0]) if children else None, is_from)


def _walrus(low: "Lowering", node: Node) -> s.Expr:
    name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    return s.Walrus(line_of(node), low.text(name) if name is not None else "_", low.expr(value))


def _dotted(low: "Lowering", node: Node) -> s.Expr:
    names = low.text(node).split(".")
    found: s.Expr = s.Name(line_of(node), names[0])
    for name in names[1:]:
        found = s.Attribute(line_of(node), found, name)
    return found


EXPRESSIONS: Final[dict[str, Callable[["Lowering", Node], s.Expr]]] = {
    "identifier": _name,
    "integer": _number,
    "float": _number,
    "true": _constant(True),
    "false": _constant(False),
    "none": _constant(None),
    "string": _string,
    "concatenated_string": _strings,
    "attribute": _attribute,
    "subscript": _subscript,
    "slice": _slice,
    "call": _call,
    "binary_operator": _binary,
    "boolean_operator": _logic,
    "not_operator": _not,
    "unary_operator": _unary,
    "comparison_operator": _compare,
    "conditional_expression": _conditional,
    "parenthesized_expression": _inner,
    "list": _sequence("list"),
    "tuple": _sequence("tuple"),
    "set": _sequence("set"),
    "expression_list": _sequence("tuple"),
    "pattern_list": _sequence("tuple"),
    "tuple_pattern": _sequence("tuple"),
    "list_pattern": _sequence("list"),
    "list_splat": _star,
    "list_splat_pattern": _star,
    "dictionary": _mapping,
    "list_comprehension": _comprehension("list"),
    "set_comprehension": _comprehension("set"),
    "generator_expression": _comprehension("generator"),
    "dictionary_comprehension": _comprehension("dict"),
    "lambda": _lambda,
    "await": _await,
    "yield": _yield,
    "named_expression": _walrus,
    "type": _inner,
    "expression_statement": _inner,
    "as_pattern_target": _inner,
    "dotted_name": _dotted,
}


def parameters_of(low: "Lowering", node: Node | None) -> list[s.Parameter]:
    found: list[s.Parameter] = []
    keyword_only = False
    for child in named_of(node) if node is not None else ():
        if child.type == "keyword_separator":
            keyword_only = True
            continue
        parameter = _parameter(low, child)
        if parameter is None:
            continue
        parameter.keyword_only = keyword_only and not parameter.stars
        keyword_only = keyword_only or parameter.stars == 1
        found.append(parameter)
    return found


def _parameter(low: "Lowering", node: Node) -> s.Parameter | None:
    kind = node.type
    if kind == "identifier":
        return s.Parameter(line_of(node), low.text(node))
    if kind in ("list_splat_pattern", "dictionary_splat_pattern"):
        inner = named_of(node)
        name = low.text(inner[0]) if inner else "_"
        return s.Parameter(line_of(node), name, stars=1 if kind == "list_splat_pattern" else 2)
    if kind in ("default_parameter", "typed_default_parameter"):
        name_of, annotation = node.child_by_field_name("name"), node.child_by_field_name("type")
        return s.Parameter(
            line_of(node),
            low.text(name_of) if name_of is not None else "_",
            low.expr(annotation) if annotation is not None else None,
            low.expr(node.child_by_field_name("value")),
        )
    if kind == "typed_parameter":
        children = named_of(node)
        annotation = node.child_by_field_name("type")
        inner_parameter = _parameter(low, children[0]) if children else None
        if inner_parameter is not None and annotation is not None:
            inner_parameter.annotation = low.expr(annotation)
        return inner_parameter
    return None
