"""One Python file as the web rules see it: its nodes by kind, each with the function and class around it."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeVar

from agents.review.dataflow import syntax as s

NODES_MAX: Final = 400_000
"""Of one file; what comes after is not looked at."""

_TEST = re.compile(
    r"(?i)(?:^|/)(?:tests?|testing|specs?|e2e|fixtures|mocks?|conftest\.py|[\w-]+_tests?)(?:/|$)"
    r"|(?:^|/)(?:test_[^/]*|[^/]*_tests?|tests?|conftest|factories)\.py$"
)
_ASIDE = re.compile(
    r"(?i)(?:^|/)(?:docs?|examples?|samples?|migrations|alembic|versions|benchmarks?|site-packages"
    r"|node_modules|vendor)/"
)


def is_test_path(path: str) -> bool:
    """Whether a file belongs to tests by its name."""
    return _TEST.search(path) is not None


T = TypeVar("T", bound=s.Node)


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """What a node stands in; both are None at the top of a file."""

    function: s.Function | None = None
    owner: s.Class | None = None
    parent: "Scope | None" = None


@dataclass(slots=True, eq=False)
class Source:
    """A file and its nodes.

    Attributes:
        names: what imports call things, `{"loads": "pickle.loads"}`.
        is_test: belongs to tests, which may do what an application must not.
        is_aside: examples, documentation and migrations, which nobody serves.
    """

    path: str
    body: list[s.Stmt]
    lines: list[str] = field(default_factory=list)
    is_test: bool = False
    is_aside: bool = False
    names: dict[str, str] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    _nodes: dict[type[s.Node], list[tuple[s.Node, Scope]]] = field(default_factory=lambda: defaultdict(list))

    def all(self, kind: type[T]) -> list[tuple[T, Scope]]:
        """All nodes of a kind, in the order of the file, with what they stand in."""
        return self._nodes.get(kind, [])  # type: ignore[return-value]  # filed by their own type

    def path_of(self, node: s.Expr | None) -> str:
        """A name with its owners, imports spelled out: `flask.request.form`; empty for what is no plain name.

        A call on the way is told by `()`: `hashlib.md5().hexdigest`.
        """
        parts: list[str] = []
        while True:
            match node:
                case s.Attribute(owner=owner, name=name):
                    parts.append(name)
                    node = owner
                case s.Call(function=function):
                    parts.append("()")
                    node = function
                case s.Await(value=value):
                    node = value
                case s.Name(name=name):
                    parts.append(self.names.get(name, name))
                    return ".".join(reversed(parts)).replace(".()", "()")
                case _:
                    return ""

    def line(self, number: int) -> str:
        """The text of a line (1-based); empty beyond the end."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    def uses(self, *modules: str) -> bool:
        """Whether one of these packages is imported."""
        return any(module in self.modules for module in modules)


def read_source(path: str, body: list[s.Stmt], lines: list[str]) -> Source:
    """Index the statements of a file."""
    source = Source(path, body, lines, is_test=is_test_path(path), is_aside=_ASIDE.search(path) is not None)
    top = Scope()
    stack: list[tuple[s.Node, Scope]] = [(node, top) for node in reversed(body)]
    seen = 0
    while stack and seen < NODES_MAX:
        node, scope = stack.pop()
        seen += 1
        source._nodes[type(node)].append((node, scope))
        if isinstance(node, s.Import):
            _note_import(source, node)
        inner = scope
        if isinstance(node, s.Function):
            inner = Scope(node, scope.owner, scope)
        elif isinstance(node, s.Class):
            inner = Scope(None, node, scope)
        stack += [(child, inner) for child in reversed(list(children(node)))]
    return source


def _note_import(source: Source, node: s.Import) -> None:
    if not node.level and node.module:
        source.modules.add(node.module.partition(".")[0])
    if node.name:
        source.names[node.alias] = f"{node.module}.{node.name}" if node.module else node.name
    elif node.alias:
        source.names[node.alias] = node.module


def children(node: s.Node) -> Iterator[s.Node]:
    """The nodes right below one."""
    for name in _FIELDS[type(node)]:
        yield from _nodes_in(getattr(node, name))


def _nodes_in(value: object) -> Iterator[s.Node]:
    if isinstance(value, s.Node):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _nodes_in(one)


def walk(*roots: s.Node | None) -> Iterator[s.Node]:
    """All nodes at and below some, in the order of the file, functions inside functions too."""
    stack: list[s.Node] = [root for root in reversed(roots) if root is not None]
    seen = 0
    while stack and seen < NODES_MAX:
        node = stack.pop()
        seen += 1
        yield node
        stack += reversed(list(children(node)))


def _all_kinds(kind: type[s.Node]) -> Iterator[type[s.Node]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from _all_kinds(inner)


_PLAIN: Final = frozenset({"line", "name", "operator", "operators", "kind", "stars", "globals", "assigned"})
_FIELDS: Final[dict[type[s.Node], tuple[str, ...]]] = {
    kind: tuple(name for name in kind.__struct_fields__ if name not in _PLAIN) for kind in _all_kinds(s.Node)
}
