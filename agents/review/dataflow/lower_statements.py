"""Statements of tree-sitter's tree in our own syntax."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tree_sitter import Node

from agents.review.dataflow import syntax as s
from agents.review.dataflow.lower_expressions import line_of, named_of
from agents.review.dataflow.lower_patterns import pattern_of_case

if TYPE_CHECKING:
    from agents.review.dataflow.lower import Lowering

NOTHING: Final = frozenset({"comment", "pass_statement", "type_alias_statement", "line_continuation"})
_NODES_MAX: Final = 20_000
"""Nodes of one loop that are looked through for the names it gives values to."""


def _expression(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    for child in named_of(node):
        read = STATEMENTS.get(child.type)
        if read is not None:
            read(low, child, found)
        else:
            found.append(s.Do(line_of(child), low.expr(child)))


def _assignment(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    targets: list[s.Expr] = []
    annotation: s.Expr | None = None
    value: Node | None = node
    while value is not None and value.type == "assignment" and len(targets) < 20:
        targets.append(low.expr(value.child_by_field_name("left")))
        type_of = value.child_by_field_name("type")
        annotation = low.expr(type_of) if type_of is not None else annotation
        value = value.child_by_field_name("right")
    if value is not None and value.type == "augmented_assignment":
        _augmented(low, value, found)
        value = value.child_by_field_name("left")
    read = low.expr(value) if value is not None else None
    found.append(s.Assign(line_of(node), targets, read, annotation))


def _augmented(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    operator = node.child_by_field_name("operator")
    found.append(
        s.Augment(
            line_of(node),
            low.expr(node.child_by_field_name("left")),
            operator.type.removesuffix("=") if operator is not None else "?",
            low.expr(node.child_by_field_name("right")),
        )
    )


def _return(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    children = named_of(node)
    found.append(s.Return(line_of(node), low.expr(children[0]) if children else None))


def _raise(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    found.append(s.Raise(line_of(node), low.exprs(node.named_children)))


def _assert(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    children = named_of(node)
    if children:
        found.append(s.Assert(line_of(node), low.expr(children[0])))


def _if(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    """`elif` by `elif` from the last to the first, so that a long chain isn't deep here, whatever runs it."""
    branches = [node]
    otherwise: list[s.Stmt] = []
    for child in node.children_by_field_name("alternative"):
        if child.type == "elif_clause":
            branches.append(child)
        else:
            otherwise = low.block(child.child_by_field_name("body"))
    for branch in reversed(branches):
        test = low.expr(branch.child_by_field_name("condition"))
        body = low.block(branch.child_by_field_name("consequence"))
        statement = s.If(line_of(branch), test, body, otherwise)
        otherwise = [statement]
    found.extend(otherwise)


def _else(low: "Lowering", node: Node) -> list[s.Stmt]:
    for child in node.children_by_field_name("alternative"):
        return low.block(child.child_by_field_name("body"))
    return []


def _while(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    test = low.expr(node.child_by_field_name("condition"))
    body = low.block(node.child_by_field_name("body"))
    found.append(s.While(line_of(node), test, body, _else(low, node), _assigned(low, node)))


def _for(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    target = low.expr(node.child_by_field_name("left"))
    source = low.expr(node.child_by_field_name("right"))
    body = low.block(node.child_by_field_name("body"))
    found.append(s.For(line_of(node), target, source, body, _else(low, node), _assigned(low, node)))


def _assigned(low: "Lowering", loop: Node) -> frozenset[str]:
    """Names that a loop gives values to."""
    names: set[str] = set()
    stack, seen = [loop], 0
    while stack and seen < _NODES_MAX:
        node = stack.pop()
        seen += 1
        if node.type in ("assignment", "augmented_assignment", "for_statement", "named_expression"):
            left = node.child_by_field_name("left") or node.child_by_field_name("name")
            if left is not None:
                names.update(low.text(left).replace("(", ",").replace(")", ",").replace(" ", "").split(","))
        elif node.type in ("function_definition", "class_definition", "argument_list", "string"):
            continue
        stack.extend(node.named_children)
    return frozenset(names)


def _try(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    handlers: list[s.Handler] = []
    otherwise: list[s.Stmt] = []
    final: list[s.Stmt] = []
    for child in node.named_children:
        if child.type in ("except_clause", "except_group_clause"):
            handlers.append(_handler(low, child))
        elif child.type == "else_clause":
            otherwise = low.block(child.child_by_field_name("body"))
        elif child.type == "finally_clause":
            blocks = [inner for inner in child.named_children if inner.type == "block"]
            final = low.block(blocks[0]) if blocks else []
    body = low.block(node.child_by_field_name("body"))
    found.append(s.Try(line_of(node), body, handlers, otherwise, final))


def _handler(low: "Lowering", node: Node) -> s.Handler:
    name, body = "", []
    for child in node.named_children:
        if child.type == "as_pattern":
            alias = child.child_by_field_name("alias")
            name = low.text(alias) if alias is not None else ""
        elif child.type == "block":
            body = low.block(child)
    return s.Handler(line_of(node), name, body)


def _with(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    items: list[tuple[s.Expr, s.Expr | None]] = []
    for clause in node.named_children:
        if clause.type != "with_clause":
            continue
        inner = named_of(clause)
        if len(inner) == 1 and inner[0].type == "with_item":
            value = inner[0].child_by_field_name("value")
            if value is not None and value.type == "tuple":  # with (a as b, c as d):
                inner = named_of(value)
        for item in inner:
            value = item.child_by_field_name("value") if item.type == "with_item" else item
            if value is not None and value.type == "as_pattern":
                children = named_of(value)
                alias = value.child_by_field_name("alias")
                target = low.expr(alias) if alias is not None else None
                items.append((low.expr(children[0] if children else None), target))
            else:
                items.append((low.expr(value), None))
    found.append(s.With(line_of(node), items, low.block(node.child_by_field_name("body"))))


def _define(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    found.append(s.Define(line_of(node), low.function(node, [])))


def _decorated(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    decorators = [
        low.expr(named_of(child)[0])
        for child in node.named_children
        if child.type == "decorator" and named_of(child)
    ]
    definition = node.child_by_field_name("definition")
    if definition is None:
        return
    if definition.type == "class_definition":
        _class(low, definition, found)
        last = found[-1]
        if isinstance(last, s.Class):
            last.decorators = decorators
    else:
        found.append(s.Define(line_of(definition), low.function(definition, decorators)))


def _class(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    name = node.child_by_field_name("name")
    bases = node.child_by_field_name("superclasses")
    found.append(
        s.Class(
            line_of(node),
            low.text(name) if name is not None else "_",
            [low.expr(base) for base in named_of(bases) if base.type != "keyword_argument"] if bases else [],
            [],
            low.block(node.child_by_field_name("body")),
        )
    )


def _import(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    for child in node.children_by_field_name("name"):
        if child.type == "aliased_import":
            name, alias = child.child_by_field_name("name"), child.child_by_field_name("alias")
            if name is not None and alias is not None:
                found.append(s.Import(line_of(node), low.text(name), "", low.text(alias)))
        else:
            found.append(s.Import(line_of(node), low.text(child), "", ""))


def _import_from(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    module_of = node.child_by_field_name("module_name")
    module = low.text(module_of).replace(" ", "") if module_of is not None else ""
    level = len(module) - len(module.lstrip("."))
    module = module.lstrip(".")
    for child in node.children_by_field_name("name"):
        if child.type == "aliased_import":
            name, alias = child.child_by_field_name("name"), child.child_by_field_name("alias")
            if name is not None and alias is not None:
                found.append(s.Import(line_of(node), module, low.text(name), low.text(alias), level))
        else:
            name_text = low.text(child)
            found.append(s.Import(line_of(node), module, name_text, name_text, level))
    if any(child.type == "wildcard_import" for child in node.named_children):
        found.append(s.Import(line_of(node), module, "*", "*", level))


def _globals(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    low.note_globals(low.text(child) for child in node.named_children)


def _delete(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    targets: list[s.Expr] = []
    for child in named_of(node):
        read = low.expr(child)
        targets += read.items if isinstance(read, s.Sequence) else [read]
    found.append(s.Delete(line_of(node), targets))


def _match(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    subjects = low.exprs(node.children_by_field_name("subject"))
    subject = subjects[0] if len(subjects) == 1 else s.Sequence(line_of(node), "tuple", subjects)
    cases: list[s.Case] = []
    body = node.child_by_field_name("body")
    for child in body.named_children if body is not None else ():
        if child.type != "case_clause":
            continue
        patterns = [inner for inner in child.named_children if inner.type == "case_pattern"]
        guard = child.child_by_field_name("guard")
        guards = named_of(guard) if guard is not None else []
        cases.append(
            s.Case(
                line_of(child),
                pattern_of_case(low, patterns, child),
                low.expr(guards[0]) if guards else None,
                low.block(child.child_by_field_name("consequence")),
            )
        )
    found.append(s.Match(line_of(node), subject, cases))


def _jump(make: "type[s.Break] | type[s.Continue]") -> Callable[["Lowering", Node, list[s.Stmt]], None]:
    def read(_: "Lowering", node: Node, found: list[s.Stmt]) -> None:
        found.append(make(line_of(node)))

    return read


def _error(low: "Lowering", node: Node, found: list[s.Stmt]) -> None:
    """What the grammar didn't understand: the statements that stand in it all the same."""
    for child in node.named_children:
        read = STATEMENTS.get(child.type)
        if read is not None and child.type != "ERROR":
            read(low, child, found)
        elif child.type in ("call", "block"):
            found.extend(
                low.block(child) if child.type == "block" else [s.Do(line_of(child), low.expr(child))]
            )


STATEMENTS: Final[dict[str, Callable[["Lowering", Node, list[s.Stmt]], None]]] = {
    "expression_statement": _expression,
    "assignment": _assignment,
    "augmented_assignment": _augmented,
    "return_statement": _return,
    "raise_statement": _raise,
    "assert_statement": _assert,
    "if_statement": _if,
    "while_statement": _while,
    "for_statement": _for,
    "try_statement": _try,
    "with_statement": _with,
    "function_definition": _define,
    "decorated_definition": _decorated,
    "class_definition": _class,
    "import_statement": _import,
    "import_from_statement": _import_from,
    "future_import_statement": lambda low, node, found: None,
    "global_statement": _globals,
    "nonlocal_statement": _globals,
    "delete_statement": _delete,
    "match_statement": _match,
    "break_statement": _jump(s.Break),
    "continue_statement": _jump(s.Continue),
    "ERROR": _error,
}
