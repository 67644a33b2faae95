"""Bandit, in process: security rules for Python."""

import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Final

from agents.review.analysers.analysis import Analysis
from agents.review.analysers.catalogue import Weakness, weakness_of
from agents.review.analysers.python_source import Trouble, explain, why_unparsable
from agents.review.analysers.ruff import parsed_by_newest
from agents.review.languages import language_of
from schemas.review import Hit, NotReviewed, Severity, Stage

LEFT_OUT: Final = frozenset(
    {
        "B101",  # assert: every test has them
        "B105", "B106", "B107",  # passwords by name alone: the secrets role also looks at the value
        "B110", "B112",  # swallowed errors: the quality role reports them
        "B401", "B402", "B403", "B404", "B405", "B406", "B407", "B408", "B409", "B411", "B412", "B413", "B415",
        # ^ imports: what counts is how the module is used
        "B603", "B606", "B607",  # a process without a shell is what we ask people to use
    }
)  # fmt: skip
_PROFILE: Final = {"include": [], "exclude": sorted(LEFT_OUT)}
SECONDS_MAX: Final = 60.0
"""For all files of one shard together."""
_SEVERITIES: Final = {"HIGH": Severity.MEDIUM, "MEDIUM": Severity.LOW, "LOW": Severity.INFO}
"""For rules without words of ours: at most medium, since nobody of us vouches for them."""
TITLE_CHARS_MAX: Final = 100
LOW_MEANS_CONSTANT: Final = frozenset({"B602", "B604", "B605"})
"""Rules about shells, by which bandit says LOW if the command is a constant."""
_CONFIDENCES: Final = {"HIGH": 0.75, "MEDIUM": 0.6, "LOW": 0.45}


@lru_cache(maxsize=1)
def load() -> Any:
    """Import bandit, which takes a third of a second; returns its manager module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it hands a deprecated argument to its plugin loader
        from bandit.core import manager

    # It reports what it skips, and draws a progress bar if INFO is on: both are told in our own way.
    logging.getLogger("bandit").setLevel(logging.CRITICAL + 1)
    return manager


class Bandit:
    """Never raises for a bad source: what can't be looked at is named."""

    name = "bandit"

    def version(self) -> str:
        return version_of("bandit")

    def run(self, role: str, folder: Path, paths: Sequence[str]) -> Analysis:
        """Hits for the Python files among `paths`; files that it can't parse are named."""
        started = time.monotonic()
        sources = [path for path in paths if language_of(path) == "python"]
        troubles = {
            path: trouble for path in sources if (trouble := why_unparsable(folder / path)) is not None
        }
        left_out = _explain(folder, troubles)
        hits: list[Hit] = []
        give_up_s = started + SECONDS_MAX
        for path in sources:
            if path in troubles:
                continue
            if time.monotonic() > give_up_s:
                left_out[path] = f"not looked at: the time of {SECONDS_MAX:g} s was used up"
                continue
            found, reason = _scan(folder / path, path)
            hits += found
            if reason:
                left_out[path] = reason
        stage = Stage(
            analyser=self.name,
            version=self.version(),
            files=len(sources) - len(left_out),
            seconds=time.monotonic() - started,
        )
        return Analysis(
            hits=tuple(hits),
            stages=(stage,) if sources else (),
            not_reviewed=tuple(
                NotReviewed(path=path, reason=reason, stage=self.name) for path, reason in left_out.items()
            ),
        )


def _explain(folder: Path, troubles: Mapping[str, Trouble]) -> dict[str, str]:
    """Reasons by path. Ruff's parser knows the newest Python, so it tells new syntax from wrong syntax."""
    suspects = [path for path, trouble in troubles.items() if trouble.is_syntax]
    newer = parsed_by_newest(folder, suspects) if suspects else frozenset()
    return {path: explain(trouble, is_newer=path in newer) for path, trouble in troubles.items()}


def _scan(file: Path, path: str) -> tuple[list[Hit], str]:
    """Hits in one file, and why it was skipped."""
    run = load().BanditManager(_config(), "file", profile=_PROFILE, ignore_nosec=True, quiet=True)
    run.files_list = [str(file)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the code under review, such as invalid escapes
        run.run_tests()
    if run.skipped:
        # It parsed before, so the walk over its tree failed: on depth, or on a file that changed meanwhile.
        return [], f"bandit gave up: {run.skipped[0][1]}"
    return [_hit(issue, path) for issue in run.get_issue_list()], ""


@lru_cache(maxsize=1)
def _config() -> Any:
    from bandit.core.config import BanditConfig

    return BanditConfig()


def _hit(issue: Any, path: str) -> Hit:
    weakness = weakness_of(issue.test_id) or _in_its_own_words(issue)
    is_constant = issue.severity == "LOW" and issue.test_id in LOW_MEANS_CONSTANT
    return Hit(
        analyser="bandit",
        rule=issue.test_id,
        path=path,
        line=issue.lineno,
        end_line=max(issue.linerange or [issue.lineno]),
        column=int(issue.col_offset) + 1 if issue.col_offset >= 0 else 0,
        title=weakness.title,
        severity=weakness.harmless if is_constant else weakness.severity,
        confidence=_CONFIDENCES.get(issue.confidence, 0.5),
        cwe=weakness.cwe,
        description=weakness.description,
        fix=weakness.fix,
    )


def _in_its_own_words(issue: Any) -> Weakness:
    text = str(issue.text)
    return Weakness(
        id=issue.test_id,
        rules=(issue.test_id,),
        title=text.partition(". ")[0].rstrip(".")[:TITLE_CHARS_MAX],
        severity=_SEVERITIES.get(issue.severity, Severity.INFO),
        cwe=int(issue.cwe.id or 0),
        description=text,
    )
