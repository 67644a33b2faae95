"""Rules as data: the YAML files beside this module, and the one query that they make per language and role.

A rule has an id, a role, a severity and what to tell people; its variants hold a tree-sitter query for some
languages and examples that it must and must not hit. In a query the capture `@hit` is the place reported, and
`@secret` marks text that must not be shown. Besides tree-sitter's own predicates a query may use the
conditions of `conditions.py`.
"""

import re
from bisect import bisect_right
from functools import cache, lru_cache
from importlib import resources
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import msgspec
from tree_sitter import Query, QueryError

from agents.review.analysers.tree.conditions import CONDITIONS
from agents.review.analysers.tree.languages import language_of
from schemas.review import Severity

RULES_PACKAGE: Final = "agents.review.analysers.tree"
RULE_FILE_BYTES_MAX: Final = 512 * 1024

KNOWN: Final = frozenset({"eq?", "match?", "any-of?"}) | CONDITIONS.keys()
"""Predicates that a query may use, negated or not. But `not-any-of?` is read as `any-of?` by tree-sitter 0.26."""
_PREDICATE = re.compile(r"\(#([\w-]+\?)")

RoleName = Literal["security", "secrets", "quality", "performance", "testing", "accessibility"]
LanguageName = Literal["javascript", "typescript", "tsx", "vue", "swift", "dart", "python"]


class Example(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A snippet; in a bad one the hit must stand at `line`.

    Attributes:
        path: where the snippet is pretended to stand, without its suffix.
    """

    code: str
    line: int = 1
    path: str = ""


class Variant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a rule is found in some languages."""

    languages: tuple[LanguageName, ...]
    query: str
    bad: tuple[Example | str, ...]
    good: tuple[Example | str, ...]


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to look for.

    Attributes:
        where: `code` leaves out files of tests and examples, `tests` looks at nothing else.
        confidence: how often a hit is a true one, 0 to 1.
    """

    id: str
    role: RoleName
    severity: Severity
    cwe: int = 0
    confidence: float = 0.6
    where: Literal["anywhere", "code", "tests"] = "anywhere"
    title: str
    description: str
    fix: str
    variants: tuple[Variant, ...]


class RuleQuery(NamedTuple):
    """The patterns of many rules in one query: a tree is walked once, however many rules there are."""

    query: Query
    rules: tuple[Rule, ...]
    """The rule that each pattern belongs to, by pattern index."""


class RuleError(ValueError):
    """Raised when a rule file doesn't have the right shape or a query doesn't compile; names the rule."""


@lru_cache(maxsize=1)
def load_rules() -> tuple[Rule, ...]:
    """All rules, in order of id.

    Raises:
        RuleError: a file is malformed or an id stands twice.
    """
    rules: list[Rule] = []
    folder = resources.files(RULES_PACKAGE).joinpath("rules")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if not file.name.endswith(".yaml"):
            continue
        text = file.read_bytes()
        if len(text) > RULE_FILE_BYTES_MAX:
            raise RuleError(f"{file.name}: {len(text)} bytes exceed {RULE_FILE_BYTES_MAX}")
        try:
            rules += msgspec.yaml.decode(text, type=_RuleFile).rules
        except msgspec.DecodeError as error:
            raise RuleError(f"{file.name}: {error}") from error
    rules.sort(key=lambda rule: rule.id)
    for rule in rules:
        for variant in rule.variants:
            unknown = {name.removeprefix("not-") for name in _PREDICATE.findall(variant.query)} - KNOWN
            if unknown or "#not-any-of?" in variant.query:
                raise RuleError(f"rule {rule.id}: no condition {', '.join(sorted(unknown)) or 'not-any-of?'}")
    for first, second in pairwise(rules):
        if first.id == second.id:
            raise RuleError(f"rule {first.id} is defined twice")
    return tuple(rules)


class _RuleFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A YAML file; `shared` holds anchors only."""

    rules: tuple[Rule, ...]
    shared: dict[str, object] = {}


@cache
def query_for(grammar: str, role: str) -> RuleQuery | None:
    """The compiled patterns of `role` for a language, or None if it has none. Compiled at the first call.

    Raises:
        RuleError: a query doesn't compile; names the rule.
    """
    parts = [
        (rule, variant.query)
        for rule in load_rules()
        if rule.role == role
        for variant in rule.variants
        if grammar in variant.languages
    ]
    if not parts:
        return None
    starts: list[int] = []
    source = ""
    for _, text in parts:
        starts.append(len(source.encode()))
        source += text + "\n"
    try:
        query = Query(language_of(grammar), source)
    except QueryError:
        raise _culprit(parts, grammar) from None
    owners = (
        parts[bisect_right(starts, query.start_byte_for_pattern(index)) - 1][0]
        for index in range(query.pattern_count)
    )
    return RuleQuery(query, tuple(owners))


def _culprit(parts: list[tuple[Rule, str]], grammar: str) -> RuleError:
    """Which of the patterns doesn't compile."""
    for rule, text in parts:
        try:
            Query(language_of(grammar), text)
        except QueryError as error:
            return RuleError(f"rule {rule.id}, {grammar}: {error}")
    return RuleError(f"the {grammar} rules compile one by one but not together")
