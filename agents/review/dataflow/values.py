"""What is known about a value without running the program: where it comes from, what it may be, what it refers to.

Values never change. Lists, dictionaries and instances are `Thing`s that values refer to by number, so that two names
for one list see the same list; the `Thing`s of one moment are kept by the state.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

TAINTS_MAX: Final = 6
"""Sources that one value is known to come from."""
CONSTANTS_MAX: Final = 6
"""Possible constants of one value; with more it is just not constant."""
REFERENCES_MAX: Final = 4
FACTS_MAX: Final = 40
STEPS_MAX: Final = 24
"""Of one path from source to sink."""
TEXT_CHARS_MAX: Final = 4_000

ANSWER: Final = "answer"
"""Trust of what another server answered."""
ANY: Final = "*"
"""A fact about every kind of flaw."""


class Step(msgspec.Struct, frozen=True):
    """One place that a tainted value passes; `before` is the step that led to it."""

    path: str
    line: int
    what: str
    before: "Step | None" = None
    count: int = 1


class Taint(msgspec.Struct, frozen=True):
    """That a value was influenced from outside.

    Attributes:
        trust: who controls it: `remote`, `local`, `answer` for the server that was asked, or `random` for weak random
            numbers.
        token: which outside value it is; the same one read twice has the same token. A part of it, such as
            `args['a'][0]`, begins with its token.
        clean: kinds of flaw that it can't cause any more; holds `ANY` never, since then it would be no taint.
        is_sure: it passed only through code that is understood.
        built: file and line where it last became a part of a longer text; None if it is still as it came.
    """

    trust: str
    token: str
    clean: frozenset[str]
    step: Step
    is_sure: bool = True
    built: tuple[str, int] | None = None


LEADS_ELSEWHERE: Final = frozenset({"redirect", "ssrf"})
"""Flaws of addresses: what matters is the host."""

_LETTERS: Final = frozenset(
    {"xss", "sql", "path", "redirect", "ssrf", "command", "header", "log", "xpath", "ldap"}
)
MEANS: Final = {
    "=json": frozenset({"xss"}),
    "=base64": frozenset({"xss", "sql", "command", "header", "log", "xpath", "ldap", "redirect"}),
    "=hex": _LETTERS | {"code", "template"},
    "=quoted": _LETTERS,
    "=url": _LETTERS - {"path", "ldap"},
    "=html": frozenset({"xss"}),
    "=text": frozenset({"xss"}),
    "=shell": frozenset({"command"}),
    "=single": frozenset({"sql", "xpath"}),
}
"""What a value can't cause while it is in this encoding, or before an escaped one is put where that doesn't hold."""


def is_clean(clean: frozenset[str], flaw: str) -> bool:
    """Whether a taint that is clean in these ways can't cause a flaw."""
    if flaw == "ldap" and clean >= _NO_PARENTHESES:
        return True
    return flaw in clean or any(flaw in MEANS[mark] for mark in clean if mark in MEANS)


_NO_PARENTHESES: Final = frozenset({"no (", "no )"})


def _clean_in_both(left: frozenset[str], right: frozenset[str]) -> frozenset[str]:
    """What two ways of being clean have in common, by whatever means."""
    common = left & right
    for one, other in ((left, right), (right, left)):
        for mark in one - common:
            flaws = MEANS.get(mark, frozenset({mark}))
            common |= {flaw for flaw in flaws if not is_clean(common, flaw) and is_clean(other, flaw)}
    return common


Fact = tuple[str, str]
"""(token, kind of flaw): this outside value can't cause such a flaw, since it was checked."""

NO_FACTS: Final[frozenset[Fact]] = frozenset()


class Value(msgspec.Struct, frozen=True):
    """What one expression may be.

    Attributes:
        constants: all that it can be; None if that isn't known.
        prefix: how the text begins in any case; None if that isn't known. Unused where `constants` are known.
        kind: a dotted path that says what it is: `os.path.join` for that function, `sqlite3.connect()` for what a
            call of it returns, `str` or `int` for plain values, empty if unknown.
        references: numbers of `Thing`s.
        targets: functions, classes, modules and bound methods of the project that it may be.
        yes, no: what is known about outside values if this is true, or false.
        marks: what was done to it that later checks build on, such as `absolute`.
    """

    taints: tuple[Taint, ...] = ()
    constants: tuple[Any, ...] | None = None
    prefix: str | None = None
    kind: str = ""
    references: tuple[int, ...] = ()
    targets: tuple[Any, ...] = ()
    yes: frozenset[Fact] = NO_FACTS
    no: frozenset[Fact] = NO_FACTS
    marks: frozenset[str] = frozenset()


class Thing(msgspec.Struct, frozen=True):
    """A list, dictionary, set or instance at one moment; changing it makes another.

    Attributes:
        kind: `list`, `tuple`, `set`, `dict`, `instance` or a library's path (`xml.sax.make_parser()`).
        fields: what is known item by item: positions of lists, keys of dictionaries, names of attributes.
        rest: all that is in it elsewhere, together; None if there is nothing else.
        size: of a list whose items are all in `fields`; None if that isn't known.
        owner: the project's class, for an instance.
        keys: of a dictionary, what its keys may be that aren't in `fields`; None if that isn't known.
    """

    kind: str
    fields: dict[Any, Value]
    rest: Value | None = None
    size: int | None = None
    owner: Any = None
    keys: Value | None = None


UNKNOWN: Final = Value()
NOTHING: Final = Value(constants=(None,))
TRUE: Final = Value(constants=(True,))
FALSE: Final = Value(constants=(False,))
NUMBER: Final = Value(kind="int")
BOOLEAN: Final = Value(kind="bool")
TEXT: Final = Value(kind="str")


def constant(value: Any) -> Value:
    """A value that is known; texts that are too long are known by their beginning."""
    if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
        return Value(prefix=value[:TEXT_CHARS_MAX], kind="str")
    if isinstance(value, bytes) and len(value) > TEXT_CHARS_MAX:
        return Value(kind="bytes")
    if isinstance(value, int) and value.bit_length() > 256:
        return NUMBER
    return Value(constants=(value,))


def changed(value: Value, **changes: Any) -> Value:
    return msgspec.structs.replace(value, **changes)


def is_one(value: Value) -> bool:
    """Whether it is exactly one known constant."""
    return value.constants is not None and len(value.constants) == 1


def text_constant(value: Value) -> str | None:
    """The one text that it is; None for anything else."""
    if value.constants is not None and len(value.constants) == 1 and isinstance(value.constants[0], str):
        return value.constants[0]
    return None


def beginning(value: Value) -> str:
    """The text that it begins with, as far as that is known."""
    if value.constants is not None:
        return _common_prefix(value.constants)
    return value.prefix or ""


def truth(value: Value) -> bool | None:
    """Whether a condition holds; None if it may or may not. Decided by constants, never by guesses."""
    if value.constants is not None:
        answers = {bool(one) for one in value.constants}
        return answers.pop() if len(answers) == 1 else None
    if value.targets and not value.references and not value.taints:
        return True
    return None


def merge_taints(*groups: Iterable[Taint]) -> tuple[Taint, ...]:
    """Taints of several values together: of the same outside value only what is clean in all of them is clean."""
    found: dict[tuple[str, str], Taint] = {}
    for group in groups:
        for taint in group:
            key = (taint.trust, taint.token)
            known = found.get(key)
            if known is None:
                if len(found) < TAINTS_MAX:
                    found[key] = taint
            elif known.clean != taint.clean or known.is_sure != taint.is_sure:
                better = known if len(known.clean) <= len(taint.clean) else taint
                found[key] = msgspec.structs.replace(
                    better, clean=_clean_in_both(known.clean, taint.clean), is_sure=_is_sure(known, taint)
                )
    return tuple(found.values())


def _is_sure(one: Taint, other: Taint) -> bool:
    """Of the same outside value by two ways; a page that is harmless by the sure way isn't surely harmful."""
    if one.is_sure == other.is_sure:
        return one.is_sure
    sure, unsure = (one, other) if one.is_sure else (other, one)
    return not any(
        is_clean(sure.clean, flaw) and not is_clean(unsure.clean, flaw) for flaw in ("xss", "redirect")
    )


def join(left: Value, right: Value) -> Value:
    """What a value is that is one or the other."""
    if left is right or left == right:
        return left
    constants = _join_constants(left.constants, right.constants)
    return Value(
        taints=left.taints if left.taints == right.taints else merge_taints(left.taints, right.taints),
        constants=constants,
        prefix=None
        if constants is not None
        else (_common_prefix((beginning(left), beginning(right))) or None),
        kind=left.kind if left.kind == right.kind else _join_kinds(left, right),
        references=_union(left.references, right.references),
        targets=_union(left.targets, right.targets),
        yes=_join_facts(left, right, True),
        no=_join_facts(left, right, False),
        marks=left.marks & right.marks,
    )


def join_all(values: Iterable[Value]) -> Value:
    """`UNKNOWN` for none."""
    found: Value | None = None
    for value in values:
        found = value if found is None else join(found, value)
    return found if found is not None else UNKNOWN


def _union(left: tuple[Any, ...], right: tuple[Any, ...]) -> tuple[Any, ...]:
    if left == right or not right:
        return left
    return (*left, *(one for one in right if one not in left))[:REFERENCES_MAX]


def _join_constants(left: tuple[Any, ...] | None, right: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    if left is None or right is None:
        return None
    seen = {(type(one), one) for one in left}
    both = (*left, *(one for one in right if (type(one), one) not in seen))
    return both if len(both) <= CONSTANTS_MAX else None


def _join_kinds(left: Value, right: Value) -> str:
    """None beside a thing is still that thing, if it is anything: `x = None` comes before `x = connect()`."""
    for one, other in ((left, right), (right, left)):
        if one.constants == (None,):
            return other.kind
    return ""


def _join_facts(left: Value, right: Value, outcome: bool) -> frozenset[Fact]:
    """What holds if the one or the other is true (or false); one that can't be so has no say."""
    left_facts, right_facts = (left.yes, right.yes) if outcome else (left.no, right.no)
    if truth(left) is (not outcome):
        return right_facts
    if truth(right) is (not outcome):
        return left_facts
    return shared_facts(left_facts, right_facts)


def shared_facts(left: frozenset[Fact], right: frozenset[Fact]) -> frozenset[Fact]:
    """What both say; a fact about every kind of flaw says it of each."""
    if not left or not right:
        return NO_FACTS
    more = {fact for one, other in ((left, right), (right, left)) for fact in one if (fact[0], ANY) in other}
    return (left & right) | more


def _common_prefix(texts: Iterable[Any]) -> str:
    """What all texts begin with; empty if one is no text."""
    common: str | None = None
    for text in texts:
        if not isinstance(text, str):
            return ""
        if common is None:
            common = text
        else:
            length = min(len(common), len(text))
            place = next((index for index in range(length) if common[index] != text[index]), length)
            common = common[:place]
    return common or ""


def cleaned(value: Value, kinds: frozenset[str]) -> Value:
    """The value after something that makes it harmless for some kinds of flaw, or for all (`ANY`)."""
    if not value.taints:
        return value
    if ANY in kinds:
        return changed(value, taints=tuple(taint for taint in value.taints if taint.trust == "random"))
    return changed(
        value,
        taints=tuple(msgspec.structs.replace(taint, clean=taint.clean | kinds) for taint in value.taints),
    )


def part_of(value: Value, label: str) -> Value:
    """An item of a tainted value: checking it says nothing about the others."""
    if not value.taints:
        return UNKNOWN
    return Value(
        taints=tuple(
            msgspec.structs.replace(taint, token=f"{taint.token}[{label}]"[:200]) for taint in value.taints
        )
    )


def built_at(value: Value, path: str, line: int) -> Value:
    """The value after it became a part of a longer text."""
    if not value.taints:
        return value
    place = (path, line)
    return changed(
        value,
        taints=tuple(
            taint if taint.built == place else msgspec.structs.replace(taint, built=place)
            for taint in value.taints
        ),
    )


def with_step(value: Value, path: str, line: int, what: str) -> Value:
    """The value after it passed a place worth telling."""
    if not value.taints:
        return value
    return changed(value, taints=tuple(_stepped(taint, path, line, what) for taint in value.taints))


def _stepped(taint: Taint, path: str, line: int, what: str) -> Taint:
    last = taint.step
    if last.count >= STEPS_MAX or (last.line == line and last.path == path):
        return taint
    return msgspec.structs.replace(taint, step=Step(path, line, what, last, last.count + 1))
