"""Python text that is put together from nothing but constants: an analyser sees the addition, not that it is safe.

Bandit and Ruff report every SQL statement and shell command that is built at run time. Most of the false ones
among them put in a table name that is a constant, or as many question marks as there are values, or aren't SQL at
all. The same goes for a YAML loader that reaches the call under a name of its own, and is a safe one. Those hits stay,
as low ones: whoever changes the code should know.

This is a judgement on one file's syntax, not data flow: a name counts as constant if it is written in capitals,
or if everything that the file ever gives to it is constant and no function has a parameter of that name.
"""

import ast
import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from agents.review.analysers.sql_text import reads_like_sql
from schemas.review import Hit, Severity

SQL_RULES: Final = frozenset({"B608", "S608"})
YAML_RULES: Final = frozenset({"B506", "S506"})
SAFE_LOADERS: Final = frozenset({"SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader"})
RULES: Final = SQL_RULES | YAML_RULES | {"B602", "S602", "B605", "S605"}
CONFIDENCE: Final = 0.3
CONSTANT: Final = (
    "Here everything that is put in seems to be constant, so it is safe as long as that stays so."
)
NO_SQL: Final = "Here it does not read like a statement, and it is not handed to a database."
SAFE_LOADER: Final = "Here the loader is a safe one, under another name."
SOURCE_BYTES_MAX: Final = 1_000_000
NESTING_MAX: Final = 12
"""Names followed one to the next, and expressions inside expressions; beyond it nothing counts as constant."""
CALL_LINES_MAX: Final = 200

_RUNS = re.compile(r"(?i)exec|query|sql|^raw$|^text$|fetch|select|prepare|cursor")
_NUMBERS: Final = frozenset({"int", "float", "len", "bool"})


def soften_constants(hits: Sequence[Hit], folder: Path) -> list[Hit]:
    """The same hits, those about constant text as low ones."""
    paths = {hit.path for hit in hits if hit.rule in RULES}
    modules = {path: module for path in paths if (module := _parse(folder / path)) is not None}
    return [_softened(hit, modules.get(hit.path)) for hit in hits]


class _Module:
    """What the names of one file are given."""

    def __init__(self, tree: ast.Module) -> None:
        self.given: dict[str, list[ast.expr]] = defaultdict(list)
        self.unknown: set[str] = set()
        self.begins: dict[int, list[ast.expr]] = defaultdict(list)
        """Expressions by the line that they begin on."""
        self.calls: dict[int, list[ast.Call]] = defaultdict(list)
        """Calls by each of their lines."""
        self._judged: dict[str, bool] = {}
        self._loaders: dict[str, bool] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.expr):
                self.begins[node.lineno].append(node)
            if isinstance(node, ast.Call):
                last = min(node.end_lineno or node.lineno, node.lineno + CALL_LINES_MAX)
                for line in range(node.lineno, last + 1):
                    self.calls[line].append(node)
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.given[name].append(value)
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self.given[name].append(value)
                case ast.AugAssign(target=ast.Name(id=name), value=value):
                    self.given[name].append(value)
                case ast.NamedExpr(target=ast.Name(id=name), value=value):
                    self.given[name].append(value)
                case ast.arg(arg=name):
                    self.unknown.add(name)
        plain = {id(target) for node in ast.walk(tree) for target in _plain_targets(node)}
        self.unknown |= {
            node.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in plain
        }

    def is_constant(self, node: ast.expr, depth: int = 0) -> bool:
        """Whether the value is known from the source, or can only be a number."""
        if depth > NESTING_MAX:
            return False
        match node:
            case ast.Constant():
                return True
            case ast.Name(id=name) if not name.isupper():
                return self._is_constant_name(name, depth)
            case ast.Name() | ast.Attribute():
                return (node.id if isinstance(node, ast.Name) else node.attr).isupper()
            case ast.Call(func=ast.Name(id=name)) if name in _NUMBERS:
                return True
            case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="join" | "format"), args=args):
                parts = [*args, *(keyword.value for keyword in node.keywords)]
                return all(self.is_constant(part, depth + 1) for part in parts)
            case ast.GeneratorExp(elt=element) | ast.ListComp(elt=element):
                return self.is_constant(element, depth + 1)
            case ast.BinOp(op=ast.Mult(), left=left, right=right):  # "?, " * len(ids), or [mark] * count
                return self.is_constant(left, depth + 1) or self.is_constant(right, depth + 1)
            case _:
                parts = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
                known = (ast.BinOp, ast.JoinedStr, ast.FormattedValue, ast.List, ast.Tuple, ast.IfExp)
                return isinstance(node, known) and all(self.is_constant(part, depth + 1) for part in parts)

    def is_safe_loader(self, node: ast.expr, depth: int = 0) -> bool:
        """Whether the value is a YAML loader that makes nothing but plain data."""
        if depth > NESTING_MAX:
            return False
        match node:
            case ast.Attribute(attr=name):
                return name in SAFE_LOADERS
            case ast.Name(id=name) if name in SAFE_LOADERS:
                return True
            case ast.Name(id=name):
                if name not in self._loaders:
                    self._loaders[name] = False  # one that is made from itself isn't
                    values = [] if name in self.unknown else self.given.get(name, [])
                    safe = (self.is_safe_loader(value, depth + 1) for value in values)
                    self._loaders[name] = bool(values) and all(safe)
                return self._loaders[name]
            case ast.Call(
                func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str() as name), default]
            ):  # the one in C, where there is one
                return name in SAFE_LOADERS and self.is_safe_loader(default, depth + 1)
            case ast.IfExp(body=body, orelse=other):
                return self.is_safe_loader(body, depth + 1) and self.is_safe_loader(other, depth + 1)
        return False

    def _is_constant_name(self, name: str, depth: int) -> bool:
        if name not in self._judged:
            self._judged[name] = False  # one that is made from itself isn't
            values = [] if name in self.unknown else self.given.get(name, [])
            self._judged[name] = bool(values) and all(self.is_constant(value, depth + 1) for value in values)
        return self._judged[name]


def _plain_targets(node: ast.AST) -> list[ast.expr]:
    """Names that are given one value that can be looked at, and not an item of something."""
    match node:
        case ast.Assign(targets=[ast.Name() as target]):
            return [target]
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target) | ast.NamedExpr(target=target):
            return [target]
    return []


def _softened(hit: Hit, module: _Module | None) -> Hit:
    if module is None or hit.rule not in RULES:
        return hit
    if hit.rule in YAML_RULES:
        loaders = list(_loaders(hit, module))
        return _low(hit, SAFE_LOADER) if loaders and all(map(module.is_safe_loader, loaders)) else hit
    texts = list(_texts(hit, module))
    if texts and all(module.is_constant(text) for text in texts):
        note = CONSTANT
    elif texts and hit.rule in SQL_RULES and not any(map(reads_like_sql, texts)) and not _is_run(hit, module):
        note = NO_SQL
    else:
        return hit
    return _low(hit, note)


def _low(hit: Hit, note: str) -> Hit:
    return msgspec.structs.replace(
        hit,
        severity=Severity.LOW,
        confidence=min(hit.confidence, CONFIDENCE),
        description=f"{hit.description} {note}".strip(),
    )


def _loaders(hit: Hit, module: _Module) -> Iterator[ast.expr]:
    """What `load` is given as loader on the lines of a hit."""
    for line in _lines(hit):
        for call in module.calls.get(line, ()):
            if isinstance(call.func, ast.Attribute | ast.Name) and len(call.args) > 1:
                yield call.args[1]
            yield from (keyword.value for keyword in call.keywords if keyword.arg == "Loader")


def _is_run(hit: Hit, module: _Module) -> bool:
    """Whether a call on the lines of a hit hands something to a database."""
    return any(
        isinstance(call.func, ast.Attribute | ast.Name)
        and _RUNS.search(call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id)
        for line in _lines(hit)
        for call in module.calls.get(line, ())
    )


def _texts(hit: Hit, module: _Module) -> Iterator[ast.expr]:
    """The expressions that a hit is about: commands given to a call, or strings built, that begin on its lines."""
    is_sql = hit.rule in SQL_RULES
    for line in _lines(hit):
        for node in module.begins.get(line, ()):
            if is_sql and _builds_text(node):
                yield node
            elif not is_sql and isinstance(node, ast.Call) and node.args and line == hit.line:
                yield node.args[0]


def _lines(hit: Hit) -> range:
    return range(hit.line, min(max(hit.line, hit.end_line), hit.line + CALL_LINES_MAX) + 1)


def _builds_text(node: ast.expr) -> bool:
    match node:
        case ast.JoinedStr() | ast.BinOp(op=ast.Add() | ast.Mod()):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="format")):
            return True
    return False


def _parse(path: Path) -> _Module | None:
    """None for a file that can't be read or parsed: its hits stay as they are."""
    try:
        with path.open("rb") as file:
            source = file.read(SOURCE_BYTES_MAX + 1)
        if len(source) > SOURCE_BYTES_MAX:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the code under review, such as invalid escapes
            return _Module(ast.parse(source))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
