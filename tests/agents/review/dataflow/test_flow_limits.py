"""Projects that lead in circles or are too much: the analysis ends, says where it stopped, and is the same each time."""

import subprocess
import sys
from pathlib import Path

import pytest

from agents.review.dataflow import analyse_project, walks

BUDGET_S = 20.0

CIRCLES = {
    "dependencies": """
from fastapi import FastAPI, Depends
app = FastAPI()
def a(x=Depends(lambda: b)): return b(x)
def b(x=Depends(a)): return a(x)
class C:
    def __init__(self, d: 'D'): self.d = d
class D:
    def __init__(self, c: C): self.c = c
@app.get('/')
def show(x=Depends(a), y=Depends(b), c: C = Depends()): return x
""",
    "models": """
from fastapi import FastAPI
from pydantic import BaseModel
app = FastAPI()
class A(BaseModel):
    b: 'B'
    a: 'A'
class B(BaseModel):
    a: A
    b: 'B'
@app.post('/')
def show(a: A, b: B): return a.b.a.b.a
""",
    "decorators": "def d(f):\n    return d(d(f))\n@d\ndef g(): pass\n"
    + "".join(
        f"def d{number}(f):\n    def inner(*a, **k):\n        return f(*a, **k)\n    return inner\n"
        for number in range(200)
    )
    + "\n".join(f"@d{number}" for number in range(200))
    + "\ndef h(x):\n    return x\nh(1)\n",
    "calls": "from flask import request\ndef a(x): return b(x)\ndef b(x): return c(x) or a(x)\n"
    "def c(x): return a(x + '1') + b(x + '2') + c(x + '3')\ndef show(): return a(request.args['x'])\n",
    "classes": "class A(B): pass\nclass B(A): pass\nclass C(A, B, C):\n    def f(self): return super().f()\nC().f()\n",
}


@pytest.mark.parametrize("name", CIRCLES)
def test_a_circle_comes_to_an_end(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(CIRCLES[name])
    result = analyse_project(tmp_path, ["a.py"], budget_s=BUDGET_S)
    assert (result.findings, result.not_parsed) == ((), ())


def test_templates_that_include_themselves_come_to_an_end(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    page = (
        "{% include 'a.html' %}{% extends 'a.html' %}"
        + "{{" * 50_000
        + "{% for x in x %}" * 1_000
        + "{{ x|safe }}"
    )
    (tmp_path / "templates" / "a.html").write_text(page)
    (tmp_path / "a.py").write_text(
        "from flask import Flask, render_template, request\napp = Flask('a')\n@app.route('/')\n"
        "def show():\n    return render_template('a.html', x=request.args['x'])\n"
    )
    assert [flow.line for flow in analyse_project(tmp_path, ["a.py"], budget_s=BUDGET_S).findings] == [5]


def test_a_file_with_too_much_in_it_is_named_and_others_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walks, "FILE_STEPS_MAX", 20)
    (tmp_path / "a.py").write_text(
        "".join(f"def f{number}(a):\n    return a + a + a + a\n" for number in range(20))
    )
    (tmp_path / "b.py").write_text("def f():\n    eval(input())\n")
    result = analyse_project(tmp_path, ["a.py", "b.py"], budget_s=BUDGET_S)
    ((path, reason),) = [(one.path, one.reason) for one in result.gave_up]
    assert (path, reason.startswith("too much in it: not followed from f")) == ("a.py", True)
    assert [flow.path for flow in result.findings] == ["b.py"]


def test_calls_that_lead_too_deep_are_said_not_to_be_followed(tmp_path: Path) -> None:
    chain = "".join(f"def f{number}(x):\n    return f{number + 1}(x)\n" for number in range(30))
    (tmp_path / "a.py").write_text(
        f"from flask import request\n{chain}def show():\n    f0(request.args['x'])\n"
    )
    (one,) = analyse_project(tmp_path, ["a.py"], budget_s=BUDGET_S).gave_up
    assert "calls inside calls were not followed to the end at show" in one.reason


def test_another_order_of_hashes_gives_the_same(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys, msgspec\nfrom agents.review.dataflow import analyse_project\n"
        "text = pathlib.Path('tests/agents/review/dataflow/apps/shop_layers.txt').read_text()\n"
        "folder = pathlib.Path(sys.argv[1])\npaths = []\n"
        "for part in text.split('=== ')[1:]:\n"
        "    path, _, source = part.partition('\\n')\n    paths.append(path)\n"
        "    (folder / path).parent.mkdir(exist_ok=True)\n    (folder / path).write_text(source)\n"
        "print(msgspec.json.encode(analyse_project(folder, paths, budget_s=20)).decode())\n"
    )
    root = Path(__file__).parents[4]
    seen = {
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)],
            cwd=root,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            check=True,
            timeout=30,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(seen) == 1
    assert b"flow-sql-injection" in seen.pop()
