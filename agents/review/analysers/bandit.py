"""Bandit, in process: security rules for Python."""

import logging
import time
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Final

from agents.review.analysers.analysis import Analysis
from agents.review.analysers.catalogue import weakness_of
from agents.review.analysers.python_source import why_unparsable
from agents.review.languages import language_of
from schemas.review import Hit, NotReviewed, Severity, Stage

LEFT_OUT: Final = frozenset(
    {
        "B101",  # assert: every test has them
        "B105", "B106", "B107",  # passwords by name alone: the secrets role also looks at the value
        "B110", "B112",  # swallowed errors: the quality role reports them
        "B401", "B402", "B403", "B404", "B405", "B406", "B407", "B408", "B409", "B410", "B411", "B412", "B413", "B415",
        # ^ imports: what counts is how the module is used
        "B603", "B606", "B607",  # a process without a shell is what we ask people to use
    }
)  # fmt: skip
_SEVERITIES: Final = {"HIGH": Severity.MEDIUM, "MEDIUM": Severity.LOW, "LOW": Severity.INFO}
"""For rules without words of ours: at most medium, since nobody of us vouches for them."""
_CONFIDENCES: Final = {"HIGH": 0.75, "MEDIUM": 0.6, "LOW": 0.45}


@lru_cache(maxsize=1)
def load() -> Any:
    """Import bandit, which takes a third of a second; returns its manager module."""
    from bandit.core import manager

    logging.getLogger("bandit").disabled = True
    for name in (
        "bandit.core.node_visitor",
        "bandit.core.manager",
        "bandit.core.tester",
        "bandit.core.test_set",
    ):
        logging.getLogger(name).disabled = True
    return manager


class Bandit:
    name = "bandit"

    def version(self) -> str:
        return version_of("bandit")

    def run(self, role: str, folder: Path, paths: Sequence[str]) -> Analysis:
        """Hits for the Python files among `paths`; files that it can't parse are named."""
        started = time.monotonic()
        not_reviewed: list[NotReviewed] = []
        files: dict[str, str] = {}
        for path in paths:
            if language_of(path) != "python":
                continue
            if reason := why_unparsable(folder / path):
                not_reviewed.append(NotReviewed(path=path, reason=reason, stage=self.name))
            else:
                files[str(folder / path)] = path
        if not files:
            return Analysis(not_reviewed=tuple(not_reviewed))
        manager = load()
        from bandit.core.config import BanditConfig

        run = manager.BanditManager(
            BanditConfig(),
            "file",
            profile={"include": [], "exclude": sorted(LEFT_OUT)},
            ignore_nosec=True,
            quiet=True,
        )
        run.files_list = list(files)
        run.run_tests()
        for name, reason in run.skipped:
            not_reviewed.append(NotReviewed(path=files.get(name, name), reason=str(reason), stage=self.name))
        stage = Stage(
            analyser=self.name, version=self.version(), files=len(files), seconds=time.monotonic() - started
        )
        hits = tuple(
            _hit(issue, files[issue.fname]) for issue in run.get_issue_list() if issue.fname in files
        )
        return Analysis(hits=hits, stages=(stage,), not_reviewed=tuple(not_reviewed))


def _hit(issue: Any, path: str) -> Hit:
    weakness = weakness_of(issue.test_id)
    confidence = _CONFIDENCES.get(issue.confidence, 0.5)
    end_line = max(issue.linerange or [issue.lineno])
    if weakness is None:
        text = str(issue.text)
        return Hit(
            analyser="bandit",
            rule=issue.test_id,
            path=path,
            line=issue.lineno,
            end_line=end_line,
            title=text.split(". ")[0].rstrip(".")[:100],
            severity=_SEVERITIES.get(issue.severity, Severity.INFO),
            confidence=confidence,
            cwe=int(issue.cwe.id or 0),
            description=text,
        )
    # Bandit says LOW for what it holds to be a constant.
    harmless = issue.severity == "LOW" and weakness.harmless.rank > weakness.severity.rank
    return Hit(
        analyser="bandit",
        rule=issue.test_id,
        path=path,
        line=issue.lineno,
        end_line=end_line,
        title=weakness.title,
        severity=weakness.harmless if harmless and issue.test_id in CONSTANT_IS_LOW else weakness.severity,
        confidence=confidence,
        cwe=weakness.cwe,
        description=weakness.description,
        fix=weakness.fix,
    )


CONSTANT_IS_LOW: Final = frozenset({"B602", "B605", "B604"})
