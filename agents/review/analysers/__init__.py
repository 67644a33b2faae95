"""The analysers that reviewers run: no model, no network, the same answer every time.

`analyse` is called in a process of its own. It never raises for a bad source: an analyser that fails is a stage
with an error, a file that could not be looked at is named with the reason.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from agents.review.analysers.analysis import Analysis, Looked
from agents.review.analysers.constant_parts import soften_constants
from agents.review.analysers.quote import finish_hits
from agents.review.analysers.refuting import refute
from agents.review.analysers.weigh import weigh_hits
from agents.review.roles import pick_roles
from schemas.review import Hit, NotReviewed, Stage

__all__ = ["Analyser", "Analysis", "analyse", "warm_up"]


FLOW: Final = "labverse-flow"
HITS_MAX: Final = 200
"""Of one analyser in one file: nobody reads more, and a generated file may bring thousands."""
REASON_CHARS_MAX: Final = 300


class Analyser(Protocol):
    """Something that looks at files in a role."""

    def run(self, role: str, folder: Path, paths: Sequence[str]) -> Analysis: ...


def _bandit() -> Analyser:
    from agents.review.analysers.bandit import Bandit

    return Bandit()


def _ruff() -> Analyser:
    from agents.review.analysers.ruff import Ruff

    return Ruff()


def _detect_secrets() -> Analyser:
    from agents.review.analysers.detect_secrets import DetectSecrets

    return DetectSecrets()


def _secrets() -> Analyser:
    from agents.review.analysers.secrets import Secrets

    return Secrets()


def _tree_sitter() -> Analyser:
    from agents.review.analysers.tree import TreeSitter

    return TreeSitter()


def _web() -> Analyser:
    from agents.review.analysers.web import Web

    return Web()


def _data_flow() -> Analyser:
    from agents.review.analysers.dataflow import DataFlow

    return DataFlow()


_MAKERS: Final[dict[str, Callable[[], Analyser]]] = {
    "bandit": _bandit,
    "ruff": _ruff,
    "detect-secrets": _detect_secrets,
    "secrets": _secrets,
    "labverse": _tree_sitter,
    "web": _web,
    "labverse-flow": _data_flow,
}
_made: dict[str, Analyser] = {}


def analyser(name: str) -> Analyser:
    """The analyser of this name, loaded when it is first asked for."""
    if name not in _made:
        _made[name] = _MAKERS[name]()
    return _made[name]


def analyse(role: str, folder: Path, paths: Sequence[str]) -> Analysis:
    """Run all analysers of `role` over files `paths` (relative, with forward slashes) under `folder`.

    Raises:
        ValueError: there is no such role.
    """
    (point_of_view,) = pick_roles([role])
    hits: list[Hit] = []
    stages: list[Stage] = []
    not_reviewed: list[NotReviewed] = []
    looked: list[Looked] = []
    chosen = [path for path in paths if point_of_view.applies(path)]
    for name in point_of_view.analysers:
        started = time.monotonic()
        try:
            analysis = analyser(name).run(role, folder, chosen)
        except Exception as error:  # a bug in one analyser must not take the others' findings along
            reason = f"{type(error).__name__}: {error}"[:REASON_CHARS_MAX]
            stages.append(Stage(analyser=name, seconds=time.monotonic() - started, error=reason))
            continue
        hits += analysis.hits
        stages += analysis.stages
        not_reviewed += analysis.not_reviewed
        looked += analysis.looked
    has_flow = any(stage.analyser == FLOW and not stage.error for stage in stages)
    hits = refute(hits, looked, FLOW, _followed(chosen, not_reviewed) if has_flow else ())
    finished, cut = _cut(finish_hits(weigh_hits(soften_constants(hits, folder), folder), folder))
    return Analysis(
        hits=finished, stages=tuple(stages), not_reviewed=tuple(dict.fromkeys([*not_reviewed, *cut]))
    )


def _followed(paths: Sequence[str], not_reviewed: Sequence[NotReviewed]) -> frozenset[str]:
    """The files that data flow has followed to the end."""
    return frozenset(paths) - {one.path for one in not_reviewed if one.stage == FLOW}


def _cut(hits: Sequence[Hit]) -> tuple[tuple[Hit, ...], list[NotReviewed]]:
    """At most `HITS_MAX` hits of each analyser in each file, the worst first, and what was cut."""
    counts = Counter((hit.analyser, hit.path) for hit in hits)
    if all(count <= HITS_MAX for count in counts.values()):
        return tuple(hits), []
    kept: list[Hit] = []
    taken: Counter[tuple[str, str]] = Counter()
    for hit in sorted(hits, key=lambda hit: hit.severity.rank):
        taken[hit.analyser, hit.path] += 1
        if taken[hit.analyser, hit.path] <= HITS_MAX:
            kept.append(hit)
    return tuple(kept), [
        NotReviewed(path=path, reason=f"{count - HITS_MAX} of {count} findings were cut", stage=name)
        for (name, path), count in counts.items()
        if count > HITS_MAX
    ]


def warm_up() -> None:
    """Load what takes long to import, so that the first shard needn't wait for it."""
    for name in _MAKERS:
        analyser(name)
    from agents.review.analysers import bandit, detect_secrets

    bandit.load()
    detect_secrets.load()
