"""Runs the rules of one role over one source, within limits of time, size and number."""

import re
import time
from typing import Final, NamedTuple

from tree_sitter import Node, QueryCursor, Tree

from agents.review.analysers.tree.conditions import Conditions
from agents.review.analysers.tree.languages import Region, grammar_of, parse
from agents.review.analysers.tree.rules import Rule, RuleQuery, queries_for
from schemas.review import LINE_CHARS_MAX, Hit

ANALYSER: Final = "labverse"
SOURCE_BYTES_MAX: Final = 2 * 1024 * 1024
FILE_SECONDS_MAX: Final = 3.0
WINDOW_BYTES: Final = 32 * 1024
"""A long source is matched in windows of this size: a running query can't be stopped, so the time is looked at
between them."""
TREE_DEPTH_MAX: Final = 1_000
"""Matching costs time in proportion to depth; below this the rules don't look."""
OPEN_MATCHES_MAX: Final = 10_000
HITS_MAX: Final = 200
MATCHES_MAX: Final = 20 * HITS_MAX
CODE_LINES_MAX: Final = 10
SECRET_CHARS_SHOWN: Final = 4

_TEST_PATH = re.compile(
    r"(?i)(?:^|/)(?:tests?|__tests__|spec|specs|e2e|cypress|fixtures|__fixtures__|mocks?|__mocks__|stories"
    r"|test_driver|integration_test|[\w-]*uitests|[\w-]*tests)/|[._-](?:test|tests|spec|e2e|cy|stories|story|mock)\.\w+$"
    r"|(?:^|/)test_[^/]*\.py$|tests?\.swift$"
)


class Outcome(NamedTuple):
    """What one file gave.

    Attributes:
        hits: at most `HITS_MAX`, in order of line.
        left_out: why a part of the file wasn't looked at; empty if all was.
    """

    hits: tuple[Hit, ...] = ()
    left_out: tuple[str, ...] = ()


def has_rules(role: str, path: str) -> bool:
    """Whether any rule of this role could apply to this file. A `.vue` file holds two languages."""
    grammar = grammar_of(path)
    grammars = ("vue", "javascript", "typescript", "tsx") if grammar == "vue" else (grammar,)
    return bool(grammar) and any(queries_for(name, role) for name in grammars)


def review(raw: bytes, path: str, role: str) -> Outcome:
    """Apply the rules of `role` to the bytes of the file `path`.

    Syntax errors don't matter where they are not; bytes that aren't UTF-8 count as replacement characters.

    Raises:
        Unparsable: nothing of the file could be parsed, or not in time.
    """
    if len(raw) > SOURCE_BYTES_MAX:
        return Outcome(left_out=(f"larger than {SOURCE_BYTES_MAX} bytes",))
    deadline_s = time.monotonic() + FILE_SECONDS_MAX
    source = normalise(raw)
    regions = parse(source, grammar_of(path), deadline_s=deadline_s)
    conditions = Conditions(deadline_s=deadline_s)
    lines = source.split(b"\n")
    found: dict[tuple[str, int], Hit] = {}
    left_out: list[str] = []
    for region in regions:
        rules = [query for query in queries_for(region.grammar, role) if _applies(query.rule, path)]
        queries = [(query, ranges) for query in rules if (ranges := _ranges(query, source))]
        if queries and _is_deeper(region.tree, TREE_DEPTH_MAX):
            left_out.append(
                f"code nested deeper than {TREE_DEPTH_MAX} levels was not matched against the rules"
            )
        for query, ranges in queries:
            for captures in _matches(query, region, ranges, conditions, left_out):
                key = (query.rule.id, captures["hit"][0].start_byte)
                found.setdefault(key, _hit(query.rule, captures, path, lines))
    if conditions.is_late:
        left_out.append(f"gave up after {FILE_SECONDS_MAX:g} s: the rest was not matched against the rules")
    hits = sorted(found.values(), key=lambda hit: (hit.line, hit.column, hit.rule))
    if len(hits) > HITS_MAX:
        left_out.append(
            f"{len(hits) - HITS_MAX} of {len(hits)} hits cut: at most {HITS_MAX} a file are reported"
        )
    return Outcome(tuple(hits[:HITS_MAX]), tuple(dict.fromkeys(left_out)))


def normalise(raw: bytes) -> bytes:
    """UTF-8 without a byte order mark; what can't be decoded is replaced, no line is added or lost."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace").encode()
    return raw.removeprefix(b"\xef\xbb\xbf").decode(errors="replace").encode()


def _ranges(query: RuleQuery, source: bytes) -> list[tuple[int, int]]:
    """Ranges of bytes to match one after the other; a match that lies across two of them is met twice."""
    spots = query.spots(source)
    if spots is None:
        return [(start, start + WINDOW_BYTES) for start in range(0, max(len(source), 1), WINDOW_BYTES)]
    return spots


def _matches(
    query: RuleQuery,
    region: Region,
    ranges: list[tuple[int, int]],
    conditions: Conditions,
    left_out: list[str],
) -> list[dict[str, list[Node]]]:
    """All matches in one region that touch one of the ranges; some of them twice."""
    matches: list[dict[str, list[Node]]] = []
    for start, end in ranges:
        if time.monotonic() > conditions.deadline_s:
            conditions.is_late = True
        if conditions.is_late:
            break
        cursor = QueryCursor(query.query, match_limit=OPEN_MATCHES_MAX)
        cursor.set_max_start_depth(TREE_DEPTH_MAX)
        cursor.set_byte_range(start, end)
        matches += [captures for _, captures in cursor.matches(region.tree.root_node, conditions)]
        if cursor.did_exceed_match_limit:
            left_out.append("too many unfinished matches at once: some rules may have missed a place")
        if len(matches) > MATCHES_MAX:
            left_out.append(f"more than {MATCHES_MAX} matches of {query.rule.id}: the rest was not looked at")
            break
    return matches


def _applies(rule: Rule, path: str) -> bool:
    if rule.where == "anywhere":
        return True
    return (_TEST_PATH.search(path) is not None) is (rule.where == "tests")


def _hit(rule: Rule, captures: dict[str, list[Node]], path: str, lines: list[bytes]) -> Hit:
    node = captures["hit"][0]
    first, last = node.start_point.row, node.end_point.row
    if last > first and node.end_point.column == 0:
        last -= 1  # the node ends with a line break: nothing of it stands on the next line
    return Hit(
        analyser=ANALYSER,
        rule=rule.id,
        path=path,
        line=first + 1,
        end_line=last + 1,
        column=node.start_point.column + 1,
        title=rule.title,
        severity=rule.severity,
        confidence=rule.confidence,
        cwe=rule.cwe,
        description=rule.description.strip(),
        code=_quote(lines, first, last, captures.get("secret", [])),
        fix=rule.fix.strip(),
    )


def _quote(lines: list[bytes], first: int, last: int, secrets: list[Node]) -> str:
    """The lines as they stand in the file, but for secrets, of which the first characters are kept."""
    code = "\n".join(
        line.decode(errors="replace").rstrip("\r")[:LINE_CHARS_MAX]
        for line in lines[first : min(last + 1, first + CODE_LINES_MAX)]
    )
    for secret in secrets:
        value = (secret.text or b"").decode(errors="replace").strip("\"'`")
        for line in value.split("\n"):
            if line.strip():
                code = code.replace(line.rstrip("\r")[:LINE_CHARS_MAX], line[:SECRET_CHARS_SHOWN] + "…")
    return code


def _is_deeper(tree: Tree, depth_max: int) -> bool:
    """Whether any branch of a tree is longer than `depth_max`."""
    if tree.root_node.descendant_count <= depth_max:
        return False
    cursor, depth = tree.walk(), 0
    while True:
        if cursor.goto_first_child():
            depth += 1
            if depth > depth_max:
                return True
        else:
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    return False
                depth -= 1
