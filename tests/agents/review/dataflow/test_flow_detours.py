"""Every source and every detour of `detours.yaml`, alone in a handler of its own, before sinks of several kinds."""

from pathlib import Path
from textwrap import indent

import msgspec.yaml
import pytest

from agents.review.dataflow import analyse_project

BUDGET_S = 20.0
SINKS = {
    89: "import sqlite3\nsqlite3.connect('d').cursor().execute(\"SELECT * FROM t WHERE a = '\" + str(y) + \"'\")",
    78: "import os\nos.system('ls ' + str(y))",
    79: "return '<b>' + str(y) + '</b>'",
}


class Cases(msgspec.Struct, frozen=True):
    sources: dict[str, str]
    harmless_sources: dict[str, str]
    detours: dict[str, str]
    harmless_detours: dict[str, str]
    head: str
    things: str


CASES = msgspec.yaml.decode((Path(__file__).parent / "detours.yaml").read_bytes(), type=Cases)
FORM = 'x = request.form.get("p")'


def found(folder: Path, source: str, detour: str) -> set[int]:
    """Which of the sinks a value reached that came from `source` by `detour`."""
    (folder / "helpers").mkdir()
    (folder / "helpers" / "__init__.py").write_text("")
    (folder / "helpers" / "things.py").write_text(CASES.things)
    paths = ["helpers/__init__.py", "helpers/things.py"]
    for cwe, sink in SINKS.items():
        body = indent("\n".join((source, detour, sink)), "    ")
        (folder / f"h{cwe}.py").write_text(
            f'{CASES.head}@app.route("/h")\ndef handler():\n{body}\n    return "ok"\n'
        )
        paths.append(f"h{cwe}.py")
    result = analyse_project(folder, paths, budget_s=BUDGET_S)
    assert result.gave_up == result.not_parsed == ()
    return {flow.cwe for flow in result.findings if flow.path == f"h{flow.cwe}.py"}


@pytest.mark.parametrize("name", CASES.sources)
def test_a_value_is_known_to_come_from_outside(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, CASES.sources[name], "y = x") == set(SINKS)


@pytest.mark.parametrize("name", CASES.harmless_sources)
def test_a_value_is_known_to_be_ours(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, CASES.harmless_sources[name], "y = x") == set()


@pytest.mark.parametrize("name", CASES.detours)
def test_a_value_is_followed_on_its_detour(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, FORM, CASES.detours[name]) == set(SINKS)


@pytest.mark.parametrize("name", CASES.harmless_detours)
def test_nothing_harmful_is_left_after_a_detour(name: str, tmp_path: Path) -> None:
    assert found(tmp_path, FORM, CASES.harmless_detours[name]) == set()
