"""What data flow contradicts, and what it must not."""

from pathlib import Path

import pytest

from agents.review.analysers import FLOW, analyse
from agents.review.analysers.analysis import Looked
from agents.review.analysers.refuting import refute
from agents.review.merge import merge_hits
from schemas.review import Hit, Severity

HANDLER = """\
import os
import sqlite3
from flask import Flask, request

app = Flask(__name__)
TABLES = {{"a": "alpha", "b": "beta"}}


@app.get("/")
def page():
    db = sqlite3.connect("x.db")
    {body}
    return "ok"
"""


def refuted(folder: Path, body: str) -> tuple[list[int], list[int]]:
    """Lines of findings, and of those that are refuted."""
    (folder / "app.py").write_text(HANDLER.format(body=body))
    analysis = analyse("security", folder, ["app.py"])
    merged = merge_hits(("security", hit) for hit in analysis.hits if hit.cwe in (78, 89))
    return [one.line for one in merged.findings], [one.line for one in merged.refuted]


@pytest.mark.parametrize(
    "body",
    [
        'table = TABLES.get(request.args["t"], "alpha"); db.execute(f"SELECT * FROM {table}")',
        'n = int(request.args["n"]); db.execute(f"SELECT * FROM users LIMIT {n}")',
        'name = "alpha" if request.args.get("x") else "beta"; db.execute("SELECT * FROM " + name)',
        'n = int(request.args["n"]); os.system("sleep " + str(n))',
    ],
)
def test_a_value_that_can_do_nothing_is_no_finding(tmp_path: Path, body: str) -> None:
    assert refuted(tmp_path, body) == ([], [12])


@pytest.mark.parametrize(
    "body",
    [
        'db.execute(f"SELECT * FROM users WHERE name = \'{request.args["n"]}\'")'.replace('"n"', "'n'"),
        'name = request.args["n"]; db.execute("SELECT * FROM users WHERE name = " + name)',
        'os.system("ping " + request.args["host"])',
    ],
)
def test_a_value_from_outside_stays_a_finding(tmp_path: Path, body: str) -> None:
    found, contradicted = refuted(tmp_path, body)
    assert found == [12]
    assert contradicted == []


def test_a_function_that_strangers_call_is_judged_by_nobody(tmp_path: Path) -> None:
    source = 'import os\n\n\ndef run(host):\n    os.system("ping " + host)\n'
    (tmp_path / "lib.py").write_text(source)
    hits = analyse("security", tmp_path, ["lib.py"]).hits
    assert hits
    assert not any(hit.refuted for hit in hits)


def hit(line: int = 10, analyser: str = "bandit", cwe: int = 89) -> Hit:
    return Hit(
        analyser=analyser, rule="B608", path="a.py", line=line, title="t", severity=Severity.HIGH, cwe=cwe
    )


def looked(line: int = 12, *, is_clear: bool = True, cwe: int = 89, first: int = 8, last: int = 20) -> Looked:
    return Looked(path="a.py", line=line, cwe=cwe, first=first, last=last, is_clear=is_clear)


@pytest.mark.parametrize(
    ("places", "is_refuted"),
    [
        ([looked()], True),
        ([looked(), looked(15)], True),
        ([looked(), looked(15, is_clear=False)], False),
        ([looked(cwe=78)], False),
        ([looked(first=11)], False),
        ([], False),
        ([looked(first=1, last=1 << 30)], True),
        ([looked(40, first=1, last=1 << 30)], False),
    ],
)
def test_all_places_of_its_kind_around_it_must_be_clear(places: list[Looked], is_refuted: bool) -> None:
    [judged] = refute([hit()], places, FLOW)
    assert bool(judged.refuted) is is_refuted


def test_what_data_flow_reports_itself_stands_and_others_with_it() -> None:
    own = hit(12, FLOW)
    assert not any(one.refuted for one in refute([hit(), own], [looked()], FLOW))


def test_a_finding_that_somebody_else_reports_too_stays() -> None:
    [judged] = refute([hit()], [looked()], FLOW)
    other = hit(10, "detect-secrets")
    merged = merge_hits([("security", judged), ("security", other)])
    assert len(merged.findings) == 1
    assert merged.refuted == ()
    alone = merge_hits([("security", judged)])
    assert alone.findings == ()
    assert alone.refuted[0].status_reason.startswith("data flow: every value")


def test_kinds_that_data_flow_knows_whole_are_decided_by_it() -> None:
    random = hit(cwe=330)
    assert refute([random], [], FLOW, {"a.py"})[0].refuted
    assert not refute([random], [], FLOW, {"b.py"})[0].refuted
    assert not refute([hit()], [], FLOW, {"a.py"})[0].refuted
