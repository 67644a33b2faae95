"""Whole applications, each a text file of `=== path` and that file's lines; comments say what is to be found where."""

from collections.abc import Callable
from pathlib import Path

import pytest

from agents.review.dataflow import FlowResult

APPS = sorted((Path(__file__).parent / "apps").glob("*.txt"))


def files_of(app: Path) -> dict[str, str]:
    """The files of an application by their paths."""
    files: dict[str, str] = {}
    for part in app.read_text().split("=== ")[1:]:
        path, _, text = part.partition("\n")
        files[path] = text
    return files


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.stem)
def test_an_application_has_exactly_these_flaws(app: Path, follow: Callable[..., FlowResult]) -> None:
    follow(files=files_of(app))


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.stem)
def test_each_flow_is_told_from_its_source_to_its_sink(app: Path, follow: Callable[..., FlowResult]) -> None:
    files = files_of(app)
    for flow in follow(files=files).findings:
        if not flow.trace:
            assert flow.trust == "", "only a call that is weak by itself has no way to tell"
            continue
        assert flow.trust == "random" or (flow.path, flow.line) in [
            (one.path, one.line) for one in flow.trace
        ]
        for step in flow.trace:
            assert step.what
            assert 1 <= step.line <= files[step.path].count("\n") + 1
