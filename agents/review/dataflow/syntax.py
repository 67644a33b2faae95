"""Our own form of Python's syntax: what is left of a tree once everything that moves no data is gone.

Every node knows its line (1-based). What we don't know becomes `Unknown` with the parts whose data might move on.
"""

from typing import Final

import msgspec

MISSING: Final = "…"
"""Stands for a constant whose value isn't known, such as a number that is too long to be read."""


class Node(msgspec.Struct, gc=False):
    """Anything that has a place."""

    line: int


class Expr(Node, gc=False):
    """Has a value."""


class Const(Expr, gc=False):
    value: str | bytes | int | float | bool | None


class Name(Expr, gc=False):
    name: str


class Attribute(Expr, gc=False):
    owner: Expr
    name: str


class Index(Expr, gc=False):
    owner: Expr
    key: Expr


class Slice(Expr, gc=False):
    """`lower` and `upper` are None if left out; with a step it is `Unknown` instead."""

    lower: Expr | None
    upper: Expr | None


class Argument(Node, gc=False):
    """`name` is empty for one by position; `stars` is 1 for `*`, 2 for `**`."""

    value: Expr
    name: str = ""
    stars: int = 0


class Call(Expr, gc=False):
    function: Expr
    arguments: list[Argument]


class Binary(Expr, gc=False):
    """A chain of one operator, `a + b + c` as three operands, so that long sums aren't deep."""

    operator: str
    operands: list[Expr]


class Logic(Expr, gc=False):
    """`operator` is `and` or `or`."""

    operator: str
    operands: list[Expr]


class Not(Expr, gc=False):
    operand: Expr


class Unary(Expr, gc=False):
    operator: str
    operand: Expr


class Compare(Expr, gc=False):
    """`left op0 right0 op1 right1 …`"""

    left: Expr
    operators: list[str]
    rights: list[Expr]


class Conditional(Expr, gc=False):
    test: Expr
    yes: Expr
    no: Expr


class Text(Expr, gc=False):
    """An f-string, or literals side by side; parts that are no constants are put in."""

    parts: list[Expr]


class Sequence(Expr, gc=False):
    """`kind` is `list`, `tuple` or `set`."""

    kind: str
    items: list[Expr]


class Star(Expr, gc=False):
    value: Expr


class Mapping(Expr, gc=False):
    """A key of None stands for `**value`."""

    pairs: list[tuple[Expr | None, Expr]]


class Clause(Node, gc=False):
    """`for target in source if …`; without a target it is only a condition."""

    target: Expr | None
    source: Expr


class Comprehension(Expr, gc=False):
    """`kind` is `list`, `set`, `dict` or `generator`; `key` is given for dictionaries."""

    kind: str
    key: Expr | None
    value: Expr
    clauses: list[Clause]


class Await(Expr, gc=False):
    value: Expr


class Yield(Expr, gc=False):
    value: Expr | None
    is_from: bool = False


class Walrus(Expr, gc=False):
    name: str
    value: Expr


class Unknown(Expr, gc=False):
    parts: list[Expr]


class Parameter(Node, gc=False):
    """`stars` is 1 for `*args`, 2 for `**kwargs`."""

    name: str
    annotation: Expr | None = None
    default: Expr | None = None
    stars: int = 0
    keyword_only: bool = False


class Function(Expr, gc=False, eq=False):
    """A `def`, or a lambda whose body is one return. `locals` are the names that its body gives values to."""

    name: str
    parameters: list[Parameter]
    body: "list[Stmt]"
    decorators: list[Expr]
    is_generator: bool = False
    globals: frozenset[str] = frozenset()
    end_line: int = 0


class Stmt(Node, gc=False):
    """Does something."""


class Do(Stmt, gc=False):
    value: Expr


class Assign(Stmt, gc=False):
    """`value` is None for a bare annotation."""

    targets: list[Expr]
    value: Expr | None
    annotation: Expr | None = None


class Augment(Stmt, gc=False):
    target: Expr
    operator: str
    value: Expr


class Return(Stmt, gc=False):
    value: Expr | None


class Raise(Stmt, gc=False):
    values: list[Expr]


class Assert(Stmt, gc=False):
    test: Expr


class If(Stmt, gc=False):
    test: Expr
    body: list[Stmt]
    otherwise: list[Stmt]


class While(Stmt, gc=False):
    test: Expr
    body: list[Stmt]
    otherwise: list[Stmt]
    assigned: frozenset[str]


class For(Stmt, gc=False):
    target: Expr
    source: Expr
    body: list[Stmt]
    otherwise: list[Stmt]
    assigned: frozenset[str]


class Handler(Node, gc=False):
    name: str
    body: list[Stmt]


class Try(Stmt, gc=False):
    body: list[Stmt]
    handlers: list[Handler]
    otherwise: list[Stmt]
    final: list[Stmt]


class With(Stmt, gc=False):
    items: list[tuple[Expr, Expr | None]]
    body: list[Stmt]


class Define(Stmt, gc=False):
    function: Function


class Class(Stmt, gc=False, eq=False):
    name: str
    bases: list[Expr]
    decorators: list[Expr]
    body: list[Stmt]


class Import(Stmt, gc=False):
    """`import a.b as c`: `module` a.b, `name` empty. `from ..a import b as c`: level 2, module a, name b, alias c."""

    module: str
    name: str
    alias: str
    level: int = 0


class Delete(Stmt, gc=False):
    targets: list[Expr]


class Break(Stmt, gc=False):
    pass


class Continue(Stmt, gc=False):
    pass


class Pattern(Node, gc=False):
    """Of a `case`. `constants` are the literals that it may equal; None if it isn't that plain. `names` it binds.

    Of the names, `plain` can be nothing but literals or numbers; neither can what is at the `keys` of a mapping.
    """

    constants: list[Expr] | None
    names: list[str]
    is_wild: bool = False
    plain: list[str] = []
    keys: list[str | int] = []


class Case(Node, gc=False):
    pattern: Pattern
    guard: Expr | None
    body: list[Stmt]


class Match(Stmt, gc=False):
    subject: Expr
    cases: list[Case]
