"""Questions about expressions that several rules ask."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from agents.review.analysers.web.source import Source, walk
from agents.review.dataflow import syntax as s

PASSED_THROUGH: Final = frozenset(
    {
        "encode",
        "decode",
        "strip",
        "lower",
        "upper",
        "get",
        "getlist",
        "pop",
        "data",
        "value",
        "first",
        "format",
    }
)
"""Members that say nothing of what a value is: `form.password.data` is a password."""
REQUEST_PARTS: Final = frozenset(
    {
        "form",
        "json",
        "args",
        "values",
        "data",
        "GET",
        "POST",
        "PUT",
        "get_json",
        "query_params",
        "params",
        "forms",
    }
    | {
        "query",
        "post",
        "body",
        "files",
        "FILES",
        "cookies",
        "COOKIES",
        "headers",
        "META",
        "path_params",
        "get_data",
    }
    | {"view_args", "match_info", "get_argument", "get_body_argument", "matchdict", "json_body", "stream"}
)
_FORMS: Final = frozenset({"cleaned_data", "validated_data", "initial_data"})
_LOOKS_UP: Final = frozenset(
    {
        "query",
        "objects",
        "filter_by",
        "filter",
        "find_one",
        "execute",
        "scalar",
        "scalars",
        "select",
        "get_or_404",
    }
)
"""What is fetched by a value of the request isn't one."""
FUNCTIONS_KEPT: Final = 32
"""Of which is remembered what they give to their names, since a rule asks again for each of their lines."""
_GROWING: Final = 3
"""Steps in which a value is followed from name to name."""


def text_of(node: s.Node | None) -> str | None:
    """The value of a literal text; None for all else."""
    return node.value if isinstance(node, s.Const) and isinstance(node.value, str) else None


def is_const(node: s.Node | None, value: object) -> bool:
    """Whether it is the literal `value`, and of its type: 1 is not True."""
    return isinstance(node, s.Const) and node.value is value


def argument(call: s.Call, place: int | None, *names: str) -> s.Expr | None:
    """What is given by name, or else at a place."""
    position = 0
    for one in call.arguments:
        if one.name and one.name in names:
            return one.value
        if not one.name and not one.stars:
            if position == place:
                return one.value
            position += 1
    return None


def called(node: s.Node | None) -> str:
    """What a value is called, in the source: `user.password`, `data["password"]`, `form.password.data`."""
    while True:
        match node:
            case s.Await(value=value) | s.Unknown(parts=[value]):
                node = value
            case s.Index(key=s.Const(value=str(key))):
                return key
            case s.Index(owner=owner):
                node = owner
            case s.Call(
                function=s.Attribute(name="get" | "pop" | "getlist" | "get_argument"), arguments=[first, *_]
            ) if (title := text_of(first.value)) is not None:
                return title
            case s.Call(function=s.Attribute(owner=owner, name=name)) if name in PASSED_THROUGH:
                node = owner
            case s.Call(function=s.Name(name="str" | "bytes"), arguments=[first, *_]):
                node = first.value
            case s.Attribute(owner=owner, name=name) if name in PASSED_THROUGH:
                node = owner
            case s.Attribute(name=name) | s.Name(name=name):
                return name
            case s.Logic(operands=[first_operand, *_]):
                node = first_operand
            case _:
                return ""


def is_request(node: s.Node | None, known: frozenset[str] = frozenset()) -> bool:
    """Whether a value is taken from what a client sent, directly or by one of the names in `known`."""
    for part in walk(node):
        match part:
            case s.Attribute(owner=s.Name(name="request" | "req"), name=name) if name in REQUEST_PARTS:
                return True
            case s.Attribute(owner=s.Attribute(owner=s.Name(name="self"), name="request"), name=name) if (
                name in REQUEST_PARTS
            ):
                return True
            case s.Attribute(name=name) if name in _FORMS:
                return True
            case s.Attribute(owner=s.Attribute(owner=s.Name(name=name)), name="data") if name.endswith(
                "form"
            ):
                return True
            case s.Name(name=name) if name in known:
                return True
    return False


@lru_cache(maxsize=FUNCTIONS_KEPT)
def from_request(function: s.Function) -> frozenset[str]:
    """Names in a function that are given values of a request."""
    known: set[str] = set()
    for _ in range(_GROWING):
        before = len(known)
        for node in walk(*function.body):
            match node:
                case s.Assign(targets=targets, value=s.Expr() as value) if is_request(
                    value, frozenset(known)
                ) and _LOOKS_UP.isdisjoint(words_in(value)):
                    known.update(name for target in targets for name in plain_names(target))
                case s.Walrus(name=name, value=value) if is_request(value, frozenset(known)):
                    known.add(name)
                case s.For(target=target, source=value) if is_request(value, frozenset(known)):
                    known.update(plain_names(target))
        if len(known) == before:
            break
    return frozenset(known)


def plain_names(target: s.Node) -> Iterator[str]:
    """Names that an assignment gives values to: of `a`, `a, b` and `(a, *b)`, not of `a.b`."""
    match target:
        case s.Name(name=name):
            yield name
        case s.Sequence(items=items):
            for item in items:
                yield from plain_names(item)
        case s.Star(value=value):
            yield from plain_names(value)


def words_in(*roots: s.Node | None) -> Iterator[str]:
    """Every name, member and keyword below some nodes."""
    for node in walk(*roots):
        match node:
            case s.Name(name=name) | s.Attribute(name=name) | s.Argument(name=name) if name:
                yield name


def says(pattern: re.Pattern[str], roots: Iterable[s.Node | None], *, texts: bool = False) -> bool:
    """Whether a name below some nodes matches; with `texts` also a literal."""
    for node in walk(*roots):
        match node:
            case s.Name(name=name) | s.Attribute(name=name) | s.Argument(name=name) | s.Import(name=name):
                if pattern.search(name):
                    return True
            case s.Function(name=name) if pattern.search(name):
                return True
            case s.Const(value=str(text)) if texts and pattern.search(text):
                return True
    return False


@lru_cache(maxsize=FUNCTIONS_KEPT)
def body_says(pattern: re.Pattern[str], function: s.Function, *, texts: bool = False) -> bool:
    """`says` of what a function does."""
    return says(pattern, function.body, texts=texts)


def assignments(function: s.Function, name: str) -> list[s.Expr]:
    """All values that a function gives to one of its names."""
    return _given_in(function).get(name, [])


@lru_cache(maxsize=FUNCTIONS_KEPT)
def _given_in(function: s.Function) -> dict[str, list[s.Expr]]:
    """What a function gives to each of its names."""
    given: dict[str, list[s.Expr]] = defaultdict(list)
    for node in walk(*function.body):
        if isinstance(node, s.Assign) and node.value is not None:
            for target in node.targets:
                for name in plain_names(target):
                    given[name].append(node.value)
    return dict(given)


def settings_in(source: Source) -> Iterator[tuple[str, s.Expr, int, bool]]:
    """Everything that looks like a setting: (name, value, line, whether it stands in a class or at the top).

    `DEBUG = True`, `app.debug = True`, `app.config["DEBUG"] = True`, `config.update(DEBUG=True)`,
    `from_mapping(DEBUG=True)`, and a mapping given to `update`.
    """
    for node, scope in source.all(s.Assign):
        if node.value is None:
            continue
        for target in node.targets:
            match target:
                case s.Name(name=name) if scope.function is None:
                    yield name, node.value, node.line, True
                case s.Attribute(owner=owner, name=name) if _is_config(owner) or name in (
                    "secret_key",
                    "debug",
                ):
                    yield name, node.value, node.line, False
                case s.Index(owner=owner, key=s.Const(value=str(name))) if _is_config(owner):
                    yield name, node.value, node.line, False
    for call, _ in source.all(s.Call):
        if not (
            isinstance(call.function, s.Attribute)
            and call.function.name in ("update", "from_mapping", "configure")
        ):
            continue
        if not _is_config(call.function.owner) and called(call.function.owner) != "settings":
            continue
        for one in call.arguments:
            if one.name:
                yield one.name, one.value, one.line, False
            elif isinstance(one.value, s.Mapping):
                for key, value in one.value.pairs:
                    if (title := text_of(key)) is not None:
                        yield title, value, value.line, False


def _is_config(node: s.Expr) -> bool:
    return called(node).lower() in ("config", "conf", "settings", "app_config")


def function_name(call: s.Node | None) -> str:
    """The last name of what is called or used as a decorator: `get` of `os.environ.get("A")`."""
    node = call.function if isinstance(call, s.Call) else call
    return node.name if isinstance(node, s.Name | s.Attribute) else ""
