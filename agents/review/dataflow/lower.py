"""From tree-sitter's tree to our own syntax.

Nothing recurses deeper than `DEPTH_MAX`: what lies below becomes `Unknown`, and `Lowering.too_deep` says so. Chains
(`a + b + …`, `a and b and …`, `elif`) that are written flat are read flat.
"""

from collections.abc import Iterable
from typing import Final

from tree_sitter import Node

from agents.review.dataflow import syntax as s
from agents.review.dataflow.lower_expressions import EXPRESSIONS, ITEMS_MAX, line_of, parameters_of
from agents.review.dataflow.lower_statements import NOTHING, STATEMENTS

DEPTH_MAX: Final = 60
"""Nodes inside nodes, of expressions and blocks together."""


class Lowering:
    """Reads one tree.

    Attributes:
        too_deep: the line of the first node that was too deep to be read; 0 if there is none.
    """

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.too_deep = 0
        self._depth = 0
        self._yields = [False]
        self._globals: list[set[str]] = [set()]

    def module(self, root: Node) -> list[s.Stmt]:
        """The statements of a file."""
        return self.block(root)

    def text(self, node: Node) -> str:
        """The source of a node."""
        return self.source[node.start_byte : node.end_byte].decode(errors="replace")

    def expr(self, node: Node | None) -> s.Expr:
        """An expression, whatever stands there."""
        if node is None:
            return s.Unknown(0, [])
        read = EXPRESSIONS.get(node.type)
        if self._depth >= DEPTH_MAX:
            self.too_deep = self.too_deep or line_of(node)
            return s.Unknown(line_of(node), [])
        self._depth += 1
        try:
            return read(self, node) if read is not None else self.unknown(node)
        finally:
            self._depth -= 1

    def exprs(self, nodes: Iterable[Node]) -> list[s.Expr]:
        """Several expressions; comments among them are left out."""
        return [self.expr(node) for node in nodes if node.type != "comment"]

    def block(self, node: Node | None) -> list[s.Stmt]:
        """The statements of a block; an empty list if there is none."""
        if node is None:
            return []
        if self._depth >= DEPTH_MAX:
            self.too_deep = self.too_deep or line_of(node)
            return []
        self._depth += 1
        try:
            found: list[s.Stmt] = []
            for child in node.named_children:
                read = STATEMENTS.get(child.type)
                if read is not None:
                    read(self, child, found)
                elif child.type not in NOTHING:
                    found.append(s.Do(line_of(child), self.expr(child)))
            return found
        finally:
            self._depth -= 1

    def function(self, node: Node, decorators: list[s.Expr]) -> s.Function:
        """A `def` or a lambda."""
        name = node.child_by_field_name("name")
        body = node.child_by_field_name("body")
        self._yields.append(False)
        self._globals.append(set())
        parameters = parameters_of(self, node.child_by_field_name("parameters"))
        if node.type == "lambda":
            statements: list[s.Stmt] = [s.Return(line_of(node), self.expr(body))]
        else:
            statements = self.block(body)
        return s.Function(
            line_of(node),
            self.text(name) if name is not None else "lambda",
            parameters,
            statements,
            decorators,
            self._yields.pop(),
            frozenset(self._globals.pop()),
            node.end_point.row + 1,
        )

    def note_yield(self) -> None:
        self._yields[-1] = True

    def note_globals(self, names: Iterable[str]) -> None:
        self._globals[-1].update(names)

    def unknown(self, node: Node) -> s.Expr:
        return s.Unknown(line_of(node), self.exprs(node.named_children[:ITEMS_MAX]))
