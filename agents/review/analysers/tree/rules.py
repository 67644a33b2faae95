"""Rules as data: the YAML files beside this module, and the queries that they hold for each language and role.

A rule has an id, a role, a severity and what to tell people; its variants hold a tree-sitter query for some
languages and examples that it must and must not hit. In a query the capture `@hit` is the place reported, and
`@secret` marks text that must not be shown. Besides tree-sitter's own predicates a query may use the
conditions of `conditions.py`.
"""

import re
from functools import cache, lru_cache
from importlib import resources
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import msgspec
from tree_sitter import Query, QueryError

from agents.review.analysers.tree.conditions import CONDITIONS
from agents.review.analysers.tree.languages import language_of
from agents.review.analysers.tree.needs import spots_of, words_needed
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
    """A rule in one language, and the words without which it can't match (empty: it may match anything)."""

    rule: Rule
    grammar: str
    text: str
    words: tuple[bytes, ...]

    def spots(self, source: bytes) -> list[tuple[int, int]] | None:
        """Ranges of bytes that a match must touch; None if it may stand anywhere, none if it can't match."""
        return spots_of(self.words, source) if self.words else None

    @property
    def query(self) -> Query:
        """The compiled query.

        Raises:
            RuleError: it doesn't compile; names the rule.
        """
        return _compiled(self)


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
def queries_for(grammar: str, role: str) -> tuple[RuleQuery, ...]:
    """What `role` looks for in a language."""
    return tuple(
        RuleQuery(rule, grammar, variant.query, words_needed(variant.query))
        for rule in load_rules()
        if rule.role == role
        for variant in rule.variants
        if grammar in variant.languages
    )


@cache
def _compiled(query: RuleQuery) -> Query:
    """Compiled when it is first needed, once a process: it takes some milliseconds."""
    try:
        return Query(language_of(query.grammar), query.text)
    except QueryError as error:
        raise RuleError(f"rule {query.rule.id}, {query.grammar}: {error}") from error
