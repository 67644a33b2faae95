"""Comments in the source that say to ignore a finding. They mark hits; nothing is dropped.

| comment | on | ignores |
|---|---|---|
| `labverse: ignore` | the line, or alone on the line above | everything |
| `labverse: ignore[B608, CWE-89, ruff] reason` | the same | hits of these rules, CWEs or analysers |
| `labverse: ignore-file`, also with brackets | the first ten lines | the same in the whole file |
| `nosec` | the line | all of Bandit, which is Ruff's `S` too, and whatever has a CWE |
| `nosec B602,B607` | the line | these rules of Bandit, which Ruff calls S602 and S607 |
| `noqa`, `noqa: S602` | the line | all of Ruff; or these rules, which Bandit calls B602 |
| `ruff: noqa`, `ruff: noqa: S602` | any line | the same in the whole file |
| `pragma: allowlist secret`, `… nextline secret` | the line, the line above | secrets |

A comment that names a rule also ignores what other analysers say about the same weakness on the same lines:
who has judged one of them has judged all. A hit of several lines is ignored by a comment on its first or its
last line. Comments start with `#`, `//`, `/*`, `<!--`, `--` or `;`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from agents.review.confidence import kin_of
from agents.review.cwe import SECRETS, family_of
from schemas.review import Hit

HEAD_LINES: Final = 10
"""Where `labverse: ignore-file` is looked for."""
COMMENT_CHARS_MAX: Final = 160
LINE_CHARS_MAX: Final = 20_000
"""Longer lines are minified: only the end is searched, where a comment would be."""

_LEADER = r"(?:\#|//|/\*|<!--|--|;)\s*"
_OWN = re.compile(_LEADER + r"labverse:\s*ignore(?P<file>-file)?(?![\w-])\s*(?:\[(?P<names>[^\]]*)\])?", re.I)
_NOSEC = re.compile(r"\#\s*nosec\b:?(?P<rest>[^#]*)", re.I)
_CODES = r"noqa\b(?P<codes>\s*:(?:[\s,]*[A-Z]+[0-9]+\b)*)?"
_NOQA = re.compile(r"\#\s*" + _CODES, re.I)
_RUFF_FILE = re.compile(r"^\s*\#\s*ruff\s*:\s*" + _CODES, re.I)
_ALLOWED = re.compile(_LEADER + r"pragma:\s*(?:allowlist|whitelist)(?P<next>\s+nextline)?\s+secret", re.I)
_BANDIT_CODE = re.compile(r"\bB[0-9]{3}\b", re.I)
_CODE = re.compile(r"\b[A-Z]+[0-9]+\b", re.I)
_COMMENT_ALONE = re.compile(r"\s*" + _LEADER)
_ANY = re.compile(r"labverse:|nosec|noqa|pragma:", re.I)


@dataclass(frozen=True, slots=True)
class _Directive:
    """One comment: which hits it is about. Empty sets and names mean all.

    Attributes:
        security_only: it says nothing of hits that are no weakness.
    """

    text: str
    names: frozenset[str] = frozenset()
    analysers: frozenset[str] = frozenset()
    family: str = ""
    security_only: bool = False

    def covers(self, hit: Hit) -> bool:
        if self.analysers and hit.analyser.casefold() not in self.analysers:
            return False
        if self.family and family_of(hit.cwe) != self.family:
            return False
        if self.security_only and not hit.cwe and kin_of(hit) != "bandit":
            return False
        return not self.names or not self.names.isdisjoint(_names_of(hit))


@dataclass(frozen=True, slots=True)
class _Comments:
    """All directives of one file: for the whole of it, and by the line that they speak of."""

    whole_file: tuple[_Directive, ...]
    by_line: Mapping[int, Sequence[_Directive]]

    def about(self, hit: Hit) -> list[_Directive]:
        lines = dict.fromkeys((hit.line, max(hit.line, hit.end_line)))
        return [*(each for line in lines for each in self.by_line.get(line, ())), *self.whole_file]


def mark_suppressed(hits: Iterable[Hit], sources: Mapping[str, str]) -> tuple[Hit, ...]:
    """The same hits in the same order, `suppressed` set to the comment where there is one.

    Args:
        sources: text of each file by path; hits in files that are not here stay as they are.
    """
    found = tuple(hits)
    comments = {path: _read(sources[path]) for path in {hit.path for hit in found} if path in sources}
    marked = [_mark(hit, comments[hit.path]) if hit.path in comments else hit for hit in found]
    return _spread(marked)


def _mark(hit: Hit, comments: _Comments) -> Hit:
    for directive in comments.about(hit):
        if directive.covers(hit):
            return msgspec.structs.replace(hit, suppressed=directive.text)
    return hit


def _spread(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """Also mark hits that start on the line of a marked one and are about the same weakness."""
    judged: dict[tuple[str, int, str], str] = {}
    for hit in hits:
        if hit.suppressed and hit.cwe:
            judged.setdefault((hit.path, hit.line, family_of(hit.cwe)), hit.suppressed)
    return tuple(
        msgspec.structs.replace(hit, suppressed=text)
        if not hit.suppressed and (text := judged.get((hit.path, hit.line, family_of(hit.cwe)), ""))
        else hit
        for hit in hits
    )


def _read(text: str) -> _Comments:
    whole_file: list[_Directive] = []
    by_line: defaultdict[int, list[_Directive]] = defaultdict(list)
    if _ANY.search(text) is None:
        return _Comments((), by_line)
    for number, full in enumerate(text.split("\n"), start=1):
        line = full[-LINE_CHARS_MAX:]
        if _ANY.search(line) is None:
            continue
        if (own := _OWN.search(line)) and (names := _split_names(own["names"])) is not None:
            directive = _Directive(_shown(line, own), names=names)
            if not own["file"]:
                by_line[number].append(directive)
                if _COMMENT_ALONE.match(line):
                    by_line[number + 1].append(directive)
            elif number <= HEAD_LINES:
                whole_file.append(directive)
        if ruff := _RUFF_FILE.search(line):
            whole_file += _noqa(line, ruff)
        by_line[number] += _of_others(line)
        if (allowed := _ALLOWED.search(line)) and allowed["next"]:
            by_line[number + 1].append(_Directive(_shown(line, allowed), family=SECRETS))
    return _Comments(tuple(whole_file), by_line)


def _of_others(line: str) -> list[_Directive]:
    """Comments of other tools about their own line."""
    directives = []
    if nosec := _NOSEC.search(line):
        codes = frozenset(code.casefold() for code in _BANDIT_CODE.findall(nosec["rest"]))
        names = codes | {f"s{code[1:]}" for code in codes}
        directives.append(_Directive(_shown(line, nosec), names=names, security_only=not names))
    if noqa := _NOQA.search(line):
        directives += _noqa(line, noqa)
    if (allowed := _ALLOWED.search(line)) and not allowed["next"]:
        directives.append(_Directive(_shown(line, allowed), family=SECRETS))
    return directives


def _noqa(line: str, match: re.Match[str]) -> list[_Directive]:
    """None for a colon that no code follows: as for Ruff, such a comment ignores nothing."""
    if match["codes"] is None:
        return [_Directive(_shown(line, match), analysers=frozenset({"ruff"}))]
    codes = {code.casefold() for code in _CODE.findall(match["codes"])}
    names = {f"ruff:{code}" for code in codes} | {
        f"bandit:b{code[1:]}" for code in codes if code.startswith("s")
    }
    return [_Directive(_shown(line, match), names=frozenset(names))] if names else []


def _names_of(hit: Hit) -> set[str]:
    """All names under which a comment can mean this hit."""
    analyser, rule = hit.analyser.casefold(), hit.rule.casefold()
    names = {analyser, rule, f"{analyser}:{rule}"}
    return names | {f"cwe-{hit.cwe}", f"cwe{hit.cwe}"} if hit.cwe else names


def _split_names(text: str | None) -> frozenset[str] | None:
    """What stands in the brackets; empty without brackets, None if they are empty and so ignore nothing."""
    if text is None:
        return frozenset()
    return frozenset(name for part in text.split(",") if (name := part.strip().casefold())) or None


def _shown(line: str, match: re.Match[str]) -> str:
    """The comment from where it starts to the end of the line."""
    text = line[match.start() :].strip()
    return text if len(text) <= COMMENT_CHARS_MAX else f"{text[:COMMENT_CHARS_MAX]}…"
