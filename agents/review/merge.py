"""Merging: all hits about one problem become one finding, and two problems never do.

Hits are about the same problem if they are in one file, of one CWE family, and at most `NEAR_LINES` apart;
without a CWE, if they have the same title and are at most `NEAR_LINES_TITLE` apart. But an analyser that
reports a rule on two lines means two problems, so such hits stay apart, and the hits of others go to the
nearest of them. The result does not depend on the order of the hits.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.review.calibration import chance_of
from agents.review.cwe import family_of
from agents.review.fingerprint import with_fingerprints
from schemas.review import Finding, FindingStatus, Hit, Severity

NEAR_LINES: Final = 5
NEAR_LINES_TITLE: Final = 2
REACH_LINES_MAX: Final = 20
"""A hit that spans more lines counts as this long when looking for its neighbours."""
BELIEVED_MIN: Final = 0.3
"""Hits of less confidence don't make a finding more severe than the others say."""
FINDINGS_MAX: Final = 10_000
REFUTED_MAX: Final = 500
REFUTED: Final = "data flow: "
"""How the reason begins of a finding that data flow contradicts; a comment in the source begins otherwise."""
VAGUE_CWES: Final = frozenset({20, 74, 116, 138, 664, 682, 691, 693, 697, 703, 707, 710})
"""Classes and pillars of the CWE list, which say little of what is wrong."""
TITLE_CHARS_MAX: Final = 300
TEXT_CHARS_MAX: Final = 4_000
RANK: Final = {severity: severity.rank for severity in Severity}

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Merged:
    """Findings by severity, path and line; `cut` of them, the least severe, were over the limit.

    Attributes:
        refuted: those that our data-flow analysis contradicts, and nobody else but analysers of text reports.
    """

    findings: tuple[Finding, ...]
    cut: int = 0
    refuted: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Cluster:
    """Hits about one problem: all at one line when it starts, joined with others as they prove near.

    Attributes:
        rules: (analyser, rule) of every hit.
        reach: first and last line that each analyser speaks of.
        last_start, first_end: the lines between which the cluster's outermost hits are apart.
    """

    line: int
    hits: list[Hit]
    rules: set[tuple[str, str]]
    reach: dict[str, tuple[int, int]]
    last_start: int
    first_end: int

    @property
    def end(self) -> int:
        return max(end for _, end in self.reach.values())

    def gap(self, other: "_Cluster") -> int:
        """Lines between the hits that would be furthest apart if both were one; 0 if they overlap."""
        return max(0, max(self.last_start, other.last_start) - min(self.first_end, other.first_end))

    def fits(self, other: "_Cluster") -> bool:
        """Whether no analyser means two different problems by the hits of both."""
        if not self.rules.isdisjoint(other.rules):
            return False
        return all(
            start <= other.reach[analyser][1] and other.reach[analyser][0] <= end
            for analyser, (start, end) in self.reach.items()
            if analyser in other.reach
        )

    def absorb(self, other: "_Cluster") -> None:
        self.hits += other.hits
        self.rules |= other.rules
        for analyser, (start, end) in other.reach.items():
            known = self.reach.get(analyser, (start, end))
            self.reach[analyser] = (min(known[0], start), max(known[1], end))
        self.last_start = max(self.last_start, other.last_start)
        self.first_end = min(self.first_end, other.first_end)


def merge_hits(
    hits: Iterable[tuple[str, Hit]],
    *,
    findings_max: int = FINDINGS_MAX,
    chance: Callable[[Sequence[Hit]], float] = chance_of,
) -> Merged:
    """Findings from pairs of a role and a hit that was found in it. The same hit from two roles counts once.

    Args:
        chance: how sure a finding with these hits is.
    """
    roles: defaultdict[Hit, set[str]] = defaultdict(set)
    for role, hit in hits:
        roles[hit].add(role)
    groups: defaultdict[tuple[str, str, str], list[Hit]] = defaultdict(list)
    named = _named(roles)
    for hit in sorted(roles, key=_order):
        groups[_group(hit, named)].append(hit)
    findings = [
        _finding(cluster, roles, chance)
        for (_, family, _), members in groups.items()
        for cluster in _clusters(members, NEAR_LINES if family else NEAR_LINES_TITLE)
    ]
    ordered = sorted(with_fingerprints(findings), key=by_severity)
    refuted = [finding for finding in ordered if finding.status_reason.startswith(REFUTED)]
    counted = [finding for finding in ordered if not finding.status_reason.startswith(REFUTED)]
    return Merged(
        tuple(counted[:findings_max]),
        max(0, len(counted) - findings_max),
        tuple(refuted[:REFUTED_MAX]),
    )


def by_severity(finding: Finding) -> tuple[object, ...]:
    """Sort key: what counts first, then worst first, then by place."""
    counts = finding.status is not FindingStatus.NEW
    return (counts, RANK[finding.severity], finding.path, finding.line, finding.end_line, finding.fingerprint)


def _group(hit: Hit, named: Mapping[tuple[str, int], str]) -> tuple[str, str, str]:
    family = family_of(hit.cwe)
    if hit.by_model and (not family or hit.cwe in VAGUE_CWES):
        family = named.get((hit.path, hit.line), family)
    return (hit.path, family, "" if family else " ".join(_WORD.findall(hit.title.casefold())))


def _named(hits: Iterable[Hit]) -> dict[tuple[str, int], str]:
    """By path and line: the one family of weaknesses that is reported there, where there is but one.

    A model often says of a weakness no more than that input isn't checked; what it means is what others see there.
    """
    found: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for hit in hits:
        if hit.cwe and hit.cwe not in VAGUE_CWES:
            found[hit.path, hit.line].add(family_of(hit.cwe))
    return {place: next(iter(families)) for place, families in found.items() if len(families) == 1}


def _order(hit: Hit) -> tuple[object, ...]:
    """A total order, so that what comes out does not depend on what came in first."""
    return (
        hit.path, hit.line, hit.end_line, hit.by_model, hit.analyser, hit.rule, hit.column, hit.title,
        RANK[hit.severity], -hit.confidence, hit.cwe, hit.description, hit.code, hit.fix, hit.suppressed,
    )  # fmt: skip


def _clusters(hits: Sequence[Hit], near: int) -> list[list[Hit]]:
    """Join what is nearest first, until nothing that is near can be joined."""
    clusters = _by_line(hits)
    starts = [cluster.line for cluster in clusters]
    pairs = [
        (gap, starts[other] - starts[index], index, other)
        for index, cluster in enumerate(clusters)
        for other in range(index + 1, bisect_right(starts, cluster.end + near))
        if (gap := cluster.gap(clusters[other])) <= near and cluster.fits(clusters[other])
    ]
    home = list(range(len(clusters)))
    for _, _, index, other in sorted(pairs):
        one, two = _home(home, index), _home(home, other)
        if one != two and clusters[one].gap(clusters[two]) <= near and clusters[one].fits(clusters[two]):
            clusters[one].absorb(clusters[two])
            home[two] = one
    return [cluster.hits for index, cluster in enumerate(clusters) if home[index] == index]


def _home(home: list[int], index: int) -> int:
    """The cluster that `index` was joined to by now."""
    while home[index] != index:
        home[index] = home[home[index]]
        index = home[index]
    return index


def _by_line(hits: Sequence[Hit]) -> list[_Cluster]:
    """Hits that start on one line are about one problem; `hits` are ordered by line."""
    by_line: dict[int, _Cluster] = {}
    for hit in hits:
        end = min(_last(hit), hit.line + REACH_LINES_MAX)
        one = _Cluster(
            hit.line, [hit], {(hit.analyser, hit.rule)}, {_voice(hit): (hit.line, end)}, hit.line, end
        )
        if hit.line in by_line:
            by_line[hit.line].absorb(one)
        else:
            by_line[hit.line] = one
    return list(by_line.values())


def _voice(hit: Hit) -> str:
    """Who speaks: an analyser; or a model in one pass, which does not know of its others."""
    return f"{hit.analyser} {hit.rule}" if hit.by_model else hit.analyser


def _also(tight: Hit, hits: Sequence[Hit]) -> list[str]:
    """Hits that point elsewhere are told, so that a second problem merged by mistake is still to be seen."""
    elsewhere = [hit for hit in hits if _last(hit) < tight.line or hit.line > _last(tight)]
    places = dict.fromkeys(f"line {hit.line} ({hit.analyser} {hit.rule}: {hit.title})" for hit in elsewhere)
    return [f"Also reported at {', '.join(places)}."[:TEXT_CHARS_MAX]] if places else []


def _last(hit: Hit) -> int:
    return max(hit.line, hit.end_line)


def _finding(
    hits: Sequence[Hit], roles: Mapping[Hit, Iterable[str]], chance: Callable[[Sequence[Hit]], float]
) -> Finding:
    """One finding: words of the most confident hit, place and code of the tightest, the longest fix."""
    best = min(hits, key=lambda hit: (-hit.confidence, not hit.fix, RANK[hit.severity], _order(hit)))
    tight = min(hits, key=lambda hit: (not hit.code, _last(hit) - hit.line, -hit.confidence, _order(hit)))
    believed = [hit for hit in hits if hit.confidence >= BELIEVED_MIN] or hits
    told = [hit for hit in believed if hit.fix.strip()] or hits  # a model that stands alone may know how
    fixes = sorted((hit.fix for hit in told if hit.fix.strip()), key=lambda fix: (-len(fix), fix))
    status, reason = _status(hits)
    return Finding(
        fingerprint="",
        title=best.title[:TITLE_CHARS_MAX],
        path=best.path,
        line=tight.line,
        end_line=_last(tight),
        severity=min((hit.severity for hit in believed), key=RANK.__getitem__),
        confidence=chance(hits),
        cwe=_cwe(best, hits),
        description="\n\n".join([best.description[:TEXT_CHARS_MAX], *_also(tight, hits)]).strip(),
        code=tight.code[:TEXT_CHARS_MAX],
        fix=fixes[0][:TEXT_CHARS_MAX] if fixes else "",
        found_by=tuple(sorted({f"{hit.analyser} {hit.rule}" for hit in hits})),
        roles=tuple(sorted({role for hit in hits for role in roles[hit]})),
        status=status,
        status_reason=reason,
        trace=next((hit.trace for hit in hits if hit.trace), ()),
        models=len({hit.analyser for hit in hits if hit.by_model}),
        is_claim=all(hit.by_model for hit in hits),
    )


def _status(hits: Sequence[Hit]) -> tuple[FindingStatus, str]:
    """Ignored when comments ignore all of it, refuted when data flow contradicts all of it."""
    if all(hit.suppressed for hit in hits):
        return FindingStatus.SUPPRESSED, min(hit.suppressed for hit in hits)
    if all(hit.refuted for hit in hits):
        return FindingStatus.SUPPRESSED, REFUTED + min(hit.refuted for hit in hits)
    return FindingStatus.NEW, ""


def _cwe(best: Hit, hits: Sequence[Hit]) -> int:
    """The best hit's, unless it says little where another one says more."""
    if best.cwe and best.cwe not in VAGUE_CWES:
        return best.cwe
    return min((hit.cwe for hit in hits if hit.cwe and hit.cwe not in VAGUE_CWES), default=best.cwe)
