"""Shards of a project: flows that cross their borders, each told once, the project analysed once."""

import shutil
from pathlib import Path

import pytest

from agents.review.analysers.dataflow import DataFlow
from agents.review.dataflow import Folders, analyse_project, folders

BUDGET_S = 20.0
HANDLER = "from flask import request\nimport db\ndef show():\n    db.find(request.args['q'])\n"
SINK = "import sqlite3\ndef find(q):\n    sqlite3.connect('d').execute('SELECT ' + q)\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "views.py").write_text(HANDLER)
    (tmp_path / "db.py").write_text(SINK)
    return tmp_path


@pytest.fixture
def analyses(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The lists of files that are really analysed, as they come."""
    seen: list[list[str]] = []

    def counted(folder: Path, paths: list[str], *, budget_s: float) -> object:
        seen.append(list(paths))
        return analyse_project(folder, paths, budget_s=budget_s)

    monkeypatch.setattr(folders, "analyse_project", counted)
    return seen


def test_a_flow_is_told_once_in_the_shard_where_it_ends(project: Path) -> None:
    known = Folders()
    assert known.analyse(project, ["views.py"], budget_s=BUDGET_S).findings == ()
    (flow,) = known.analyse(project, ["db.py"], budget_s=BUDGET_S).findings
    assert (flow.path, flow.line) == ("db.py", 3)
    assert flow.trace[0].path == "views.py"


def test_a_project_is_analysed_once_for_all_of_its_shards(project: Path, analyses: list[list[str]]) -> None:
    known = Folders()
    for path in ("views.py", "db.py", "views.py"):
        known.analyse(project, [path], budget_s=BUDGET_S)
    assert analyses == [["db.py", "views.py"]]


def test_a_project_that_changed_is_analysed_anew(project: Path, analyses: list[list[str]]) -> None:
    known = Folders()
    assert len(known.analyse(project, ["db.py"], budget_s=BUDGET_S).findings) == 1
    (project / "views.py").write_text("x = 1\n")
    assert known.analyse(project, ["db.py"], budget_s=BUDGET_S).findings == ()
    assert len(analyses) == 2


def test_a_template_that_changed_counts_as_a_change(tmp_path: Path) -> None:
    known = Folders()
    (tmp_path / "templates").mkdir()
    page = tmp_path / "templates" / "a.html"
    page.write_text("{{ x }}")
    (tmp_path / "a.py").write_text(
        "from flask import Flask, request, render_template\napp = Flask('a')\n@app.route('/')\n"
        "def show():\n    return render_template('a.html', x=request.args['x'])\n"
    )
    assert known.analyse(tmp_path, ["a.py"], budget_s=BUDGET_S).findings == ()
    page.write_text("{{ x|safe }}")
    (flow,) = known.analyse(tmp_path, ["a.py"], budget_s=BUDGET_S).findings
    assert [(step.path, step.line) for step in flow.trace][-2:] == [("templates/a.html", 1), ("a.py", 5)]


def test_only_the_latest_projects_are_remembered(
    project: Path, analyses: list[list[str]], tmp_path: Path
) -> None:
    known = Folders()
    known.analyse(project, ["db.py"], budget_s=BUDGET_S)
    for number in range(folders.RESULTS_MAX):
        (project / "views.py").write_text(f"{HANDLER}\n# {number}\n")
        known.analyse(project, ["db.py"], budget_s=BUDGET_S)
    (project / "views.py").write_text(HANDLER)
    known.analyse(project, ["db.py"], budget_s=BUDGET_S)
    assert len(analyses) == folders.RESULTS_MAX + 2


def test_of_a_huge_project_the_nearest_files_are_taken_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, analyses: list[list[str]]
) -> None:
    monkeypatch.setattr(folders, "WHOLE_FILES_MAX", 3)
    for path in ("a/x.py", "a/y.py", "b/x.py", "b/y.py", "c/x.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("x = 1\n")
    result = Folders().analyse(tmp_path, ["b/y.py"], budget_s=BUDGET_S)
    assert analyses == [["a/x.py", "b/x.py", "b/y.py"]]
    assert ["flows from files far away" in one.reason for one in result.gave_up] == [True]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = Folders().analyse(tmp_path, ["gone.py"], budget_s=BUDGET_S)
    assert [(one.path, "could not be read" in one.reason) for one in result.not_parsed] == [("gone.py", True)]


def test_the_analyser_tells_each_hit_with_its_way(project: Path) -> None:
    analysis = DataFlow().run("security", project, ["db.py", "readme.md"])
    (hit,) = analysis.hits
    assert (hit.analyser, hit.rule, hit.path, hit.line, hit.cwe) == (
        "labverse-flow",
        "flow-sql-injection",
        "db.py",
        3,
        89,
    )
    assert [(step.path, step.line) for step in hit.trace] == [("views.py", 4), ("db.py", 2), ("db.py", 3)]
    assert hit.description.startswith("request.args['q'] (views.py:4) → ")
    (stage,) = analysis.stages
    assert (stage.analyser, stage.files) == ("labverse-flow", 1)


def test_the_analyser_has_nothing_to_say_in_other_roles(project: Path) -> None:
    assert DataFlow().run("performance", project, ["db.py"]).stages == ()


def test_the_same_project_elsewhere_gives_the_same(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(project, other, dirs_exist_ok=True)
    known = Folders()
    assert known.analyse(project, ["db.py"], budget_s=BUDGET_S) == known.analyse(
        other, ["db.py"], budget_s=BUDGET_S
    )
