"""Sources that break parsers and walkers: nothing raises, nothing hangs, and what was not followed is named."""

import random
import time
from pathlib import Path

import pytest

from agents.review.dataflow import FlowResult, analyse_project

SECONDS_MAX = 15.0
"""Far more than needed on a busy machine, far less than a hang."""
BUDGET_S = 6.0


def look(folder: Path, source: bytes | str, name: str = "a.py") -> FlowResult:
    (folder / name).write_bytes(source.encode() if isinstance(source, str) else source)
    started = time.monotonic()
    result = analyse_project(folder, [name], budget_s=BUDGET_S)
    assert time.monotonic() - started < SECONDS_MAX
    return result


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "only a line end": b"\n",
    "bytes": bytes(range(256)) * 40,
    "bytes without nul": bytes(range(1, 256)) * 40,
    "parentheses": b"x = " + b"(" * 10_000 + b"1" + b")" * 10_000,
    "open parentheses": b"f(" * 10_000,
    "minus": b"x = " + b"-" * 5_000 + b"1\n",
    "a sum": b"x = " + b"+".join([b"a"] * 50_000),
    "a sum of texts": b"x = " + b"+".join([b"'aaaaaaaaaa'"] * 50_000),
    "calls": b"x = a" + b"()" * 5_000,
    "attributes": b"x = a" + b".b" * 20_000,
    "a chain of calls": b"x = a" + b".b()" * 10_000,
    "texts": b"x = [" + b"'a'," * 60_000 + b"]",
    "a dictionary": b"x = {" + b"'a': input()," * 30_000 + b"}",
    "a line of a megabyte": b"x = '" + b"a" * 990_000 + b"'\n",
    "a comment of a megabyte": b"#" * 990_000,
    "too large": b"#" * 1_000_001,
    "nested lists": b"[" * 50_000 + b"]" * 50_000,
    "nested functions": b"".join(b" " * depth + b"def f(a):\n" for depth in range(300))
    + b" " * 300
    + b"pass\n",
    "nested ifs": b"".join(b" " * depth + b"if a:\n" for depth in range(300)) + b" " * 300 + b"pass\n",
    "many ifs": b"import os\ndef f(a):\n"
    + b" if a: b = a\n else: b = input()\n" * 5_000
    + b" os.system(b)\n",
    "a long elif": b"def f(a):\n if a: pass\n" + b" elif a: b = 1\n" * 3_000,
    "nested loops": b"".join(b" " * depth + b"for i in a:\n" for depth in range(50)) + b" " * 50 + b"f(i)\n",
    "nested whiles": b"".join(b" " * depth + b"while a:\n" for depth in range(30))
    + b" " * 30
    + b"a = f(a)\n",
    "many functions": b"".join(
        b"def f%d(a):\n return f%d(a) + f%d(a)\n" % (i, i + 1, i + 2) for i in range(2_000)
    ),
    "all call all": b"".join(
        b"def f%d(a):\n " % i + b"".join(b"f%d(a);" % j for j in range(30)) + b"\n" for i in range(30)
    ),
    "recursion": b"import os\ndef f(a):\n os.system(a)\n return f(a + 'x')\nf(input())\n",
    "recursion of a class": b"class A(A): pass\nclass B(C): pass\nclass C(B): pass\nC().x.y()\n",
    "a class that is its own": b"class A:\n def __init__(self): self.a = A()\n def f(self): return self.a.f()\nA().f()\n",
    "a list in itself": b"import os\na = []\na.append(a)\na.append(input())\nos.system(str(a))\n",
    "powers": b"x = 9 ** 9 ** 9 ** 9\ny = 'a' * 10 ** 12\nz = 1 << 10 ** 9\nw = '%1000000000d' % 1\n",
    "doubling": b"x = 'aaaaaaaaaaaaaaaa'\n" + b"x = x + x\n" * 200,
    "doubling of lists": b"x = [1, 2]\n" + b"x = x + x\n" * 200,
    "doubling of numbers": b"x = 3\n" + b"x = x * x\n" * 200,
    "replacing": b"x = 'aaaaaaaa'\n" + b"x = x.replace('a', 'aaaaaaaa')\n" * 40,
    "a hostile expression": b"import re\ndef f(x):\n if re.match('^(a+)+$', x): eval(x)\nf('a' * 50 + 'b')\nf(input())\n",
    "formats": b"x = '{0.__class__.__mro__}'.format(1)\ny = '{:>1000000000}'.format(1)\nz = '{}'.format()\n",
    "a lonely else": b"else:\n  eval(input())\nexcept:\n  eval(input())\n",
    "half of it": b"def f(:\n  eval(input())\nclass\nimport\nfrom . import\nlambda\nx = \n@\n",
    "matches": b"match x:\n" + b" case {'a': [A(b=1), *_], **r} if r: eval(r)\n" * 500,
    "imports of itself": b"import a\nfrom a import *\nfrom . import a\nfrom .a import b\nfrom ..... import c\nimport a.a.a\n",
    "decorators": b"@a\n" * 5_000 + b"def f(): pass\n",
    "parameters": b"def f("
    + b",".join(b"a%d=b" % i for i in range(5_000))
    + b"): pass\nf("
    + b"*a," * 3_000
    + b"**b)\n",
    "lambdas": b"f = " + b"lambda a: " * 3_000 + b"a\nf(1)(2)\n",
    "comprehensions": b"x = " + b"[" * 40 + b"a" + b" for a in b]" * 40,
    "f-strings": b"x = " + b"f'{" * 20 + b"a" + b"}'" * 20,
    "walrus": b"x = " + b"(y := " * 2_000 + b"1" + b")" * 2_000,
    "surrogates": b"x = '\xed\xa0\x80'\neval(x)",
    "utf-16": "eval(input())\n".encode("utf-16"),
    "escapes": rb"x = '\x zz \u12 \N{NO} \U00110000 \ud800 \777'" + b"\nopen(x)\n",
    "deletions": b"del x, x[0], x.y, (a, b), [c]\nx = [1]\ndel x[5]\ndel x['a']\n",
    "stars": b"a, *b, *c = *d, *e\nprint(*a, **b, *c)\n*a = b\n",
    "yields": b"yield x\nawait y\nreturn z\nbreak\ncontinue\nnonlocal q\nraise\nassert\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_source_neither_raises_nor_hangs(tmp_path: Path, name: str) -> None:
    result = look(tmp_path, HOSTILE[name])
    assert {entry.path for entry in (*result.not_parsed, *result.gave_up)} <= {"a.py"}
    assert str(tmp_path) not in repr(result)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"x = 1\0\n", "holds NUL bytes"),
        (b"#" * 1_000_001, "larger than 1000000 bytes"),
        (b"x = " + b"[" * 500 + b"1" + b"]" * 500, "nested too deeply at line 1"),
        (b"x = 1\n\ndef f(:\n  pass\n", "syntax error near line 3"),
    ],
)
def test_what_is_not_parsed_is_named(tmp_path: Path, source: bytes, reason: str) -> None:
    (entry,) = look(tmp_path, source).not_parsed
    assert reason in entry.reason


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b.py").mkdir()
    result = analyse_project(tmp_path, ["a.py", "b.py", "a\0.py"], budget_s=BUDGET_S)
    assert [entry.path for entry in result.not_parsed] == ["a.py", "b.py", "a\0.py"]


def test_what_stands_beside_a_syntax_error_is_followed(tmp_path: Path) -> None:
    result = look(tmp_path, "import os\ndef f(:\n  pass\n\ndef g():\n    os.system(input())\n")
    assert [(flow.line, flow.cwe) for flow in result.findings] == [(6, 78)]


def test_newer_syntax_is_followed(tmp_path: Path) -> None:
    source = (
        "import os\ntype Name = str\nclass Box[T]:\n    def run[S](self, x: S) -> S:\n"
        "        os.system(f'ls {x + ':'}')\nBox().run(input())\n"
        "try:\n    pass\nexcept* ValueError:\n    pass\nos.system(t'{input()}')\n"
    )
    assert [(flow.line, flow.cwe) for flow in look(tmp_path, source).findings] == [(5, 78), (11, 78)]


def test_without_time_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f(a):\n    eval(input())\n")
    result = analyse_project(tmp_path, ["a.py"], budget_s=0.0)
    assert result.gave_up or result.not_parsed


def test_too_much_in_one_function_is_named_and_others_are_followed(tmp_path: Path) -> None:
    long = "def f(a):\n" + "    b = a.c(a, a) + a.d\n" * 6_000
    result = look(tmp_path, long + "def g():\n    eval(input())\n")
    assert [flow.cwe for flow in result.findings] == [94]
    assert any("gave up at f (line 1)" in entry.reason for entry in result.gave_up)


@pytest.mark.parametrize("seed", range(12))
def test_sources_that_are_cut_and_mixed(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    folder = Path(__file__).parents[4] / "agents" / "review" / "dataflow"
    text = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py"))[seed : seed + 2])
    pieces = text.split(b"\n")
    for _ in range(60):
        place = chance.randrange(len(pieces))
        match chance.randrange(4):
            case 0:
                del pieces[place]
            case 1:
                pieces.insert(place, pieces[chance.randrange(len(pieces))])
            case 2:
                pieces[place] = pieces[place][: chance.randrange(len(pieces[place]) + 1)]
            case _:
                pieces[place] = pieces[place].replace(b"(", b"[").replace(b":", b"")
    look(tmp_path, b"\n".join(pieces))


def test_the_same_sources_give_the_same_findings(tmp_path: Path) -> None:
    source = "import os\nfrom flask import request\ndef f():\n    os.system(request.args['a'] + request.args['b'])\n"
    first = look(tmp_path, source)
    assert first.findings == look(tmp_path, source).findings
