"""Sources whose comments say what is to be found: `# 89` behind a line means a finding of CWE-89 there, and only there."""

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from agents.review.dataflow import FlowResult, analyse_project

Follow = Callable[..., FlowResult]
_EXPECTED = re.compile(r"#((?: \d+)+)\s*$")
BUDGET_S = 20.0
"""Far more than any of the sources here needs."""


@pytest.fixture
def follow(tmp_path: Path) -> Follow:
    """Analyses one source, or several by their paths, and checks that exactly what the comments say is found."""

    def check(*sources: str, files: dict[str, str] | None = None) -> FlowResult:
        named = {f"main{index or ''}.py": dedent(source) for index, source in enumerate(sources)}
        named |= {path: dedent(source) for path, source in (files or {}).items()}
        for path, source in named.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(source)
        sources_of = [path for path in named if path.endswith(".py")]
        result = analyse_project(tmp_path, sources_of, budget_s=BUDGET_S)
        expected = {
            (path, number, int(cwe))
            for path, source in named.items()
            for number, line in enumerate(source.split("\n"), 1)
            if (match := _EXPECTED.search(line))
            for cwe in match[1].split()
        }
        assert {(flow.path, flow.line, flow.cwe) for flow in result.findings} == expected
        assert result.gave_up == ()
        return result

    return check
