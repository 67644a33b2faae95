"""The language itself: how values move through names, texts, containers, branches and loops.

Each case is the body of a function in which `x` comes from a request and `run(…)` is a shell.
"""

from collections.abc import Callable
from textwrap import dedent, indent

import pytest

HEAD = """\
import os
from flask import request
run = os.system
def view():
    x = request.args.get("x")
"""

VULNERABLE = {
    "an f-string": 'run(f"ping {x}")',
    "a nested f-string": "run(f\"ping {'-c ' + x!r:>10}\")",
    "a sum": 'run("ping " + x)',
    "a percent sign": 'run("ping %s" % x)',
    "a percent sign with a tuple": 'run("ping %s %s" % ("a", x))',
    "a percent sign with a dictionary": 'run("ping %(h)s" % {"h": x})',
    "format": 'run("ping {}".format(x))',
    "format with a name": 'run("ping {h}".format(h=x))',
    "format_map": 'run("ping {h}".format_map({"h": x}))',
    "join": 'run(" ".join(["ping", x]))',
    "join of a list that grew": 'parts = ["ping"]\nparts.append(x)\nrun(" ".join(parts))',
    "a list that grew in a loop": 'parts = []\nfor i in range(3):\n    parts.append(x + str(i))\nrun(" ".join(parts))',
    "added to": 'cmd = "ping "\ncmd += x\nrun(cmd)',
    "added to in a loop": 'cmd = ""\nfor one in x.split(","):\n    cmd += one\nrun(cmd)',
    "a template": 'from string import Template\nrun(Template("ping $h").substitute(h=x))',
    "a buffer": 'import io\nbuffer = io.StringIO()\nbuffer.write("ping ")\nbuffer.write(x)\nrun(buffer.getvalue())',
    "a slice": "run(x[2:10])",
    "text methods": 'run(x.strip().lower().replace("a", "b").encode().decode())',
    "a dictionary": 'd = {"a": "ok", "b": x}\nrun(d["b"])',
    "get of a dictionary": 'd = {}\nd["b"] = x\nrun(d.get("b", ""))',
    "values of a dictionary": 'd = {"b": x}\nfor v in d.values():\n    run(v)',
    "items of a dictionary": 'd = {"b": x}\nfor k, v in d.items():\n    run(v)',
    "an item of a list": 'l = ["a", x]\nrun(l[1])',
    "the last of a list": 'l = ["a", x]\nrun(l[-1])',
    "what moved up in a list": 'l = ["a", x, "b"]\nl.pop(0)\nrun(l[0])',
    "an unknown index": 'l = ["a", x]\nrun(l[int(os.getpid())])',
    "unpacking": 'a, b = "ok", x\nrun(b)',
    "unpacking the rest": "a, *b = x.split()\nrun(b[0])",
    "swapping": 'a, b = x, "ok"\na, b = b, a\nrun(b)',
    "a conditional expression": 'run(x if os.getpid() else "ok")',
    "one branch": 'c = "ok"\nif os.getpid():\n    c = x\nrun(c)',
    "a constant condition that is true": 'c = "ok"\nif 7 * 18 + 106 > 200:\n    c = x\nrun(c)',
    "the other branch of one that is false": 'if 7 * 18 > 200:\n    c = "ok"\nelse:\n    c = x\nrun(c)',
    "or": 'run(x or "ok")',
    "a walrus": "if (y := x):\n    run(y)",
    "a comprehension": 'run(" ".join([one.strip() for one in x.split()]))',
    "a generator expression": 'run(" ".join(one for one in x.split()))',
    "a dictionary comprehension": 'd = {k: x for k in "ab"}\nrun(d["a"])',
    "map": 'run(" ".join(map(str.strip, x.split())))',
    "sorted": "run(sorted(x.split())[0])",
    "a lambda": "f = lambda a: 'ping ' + a\nrun(f(x))",
    "an inner function": "def f(a):\n    return 'ping ' + a\nrun(f(x))",
    "a closure": "def f():\n    run(x) # 78\nf()",
    "a generator": 'def f():\n    yield "a"\n    yield x\nfor one in f():\n    run(one)',
    "arguments by star": 'def f(*args):\n    return args[1]\nrun(f("ok", x))',
    "arguments by two stars": 'def f(**given):\n    return given["b"]\nrun(f(a="ok", b=x))',
    "given on by stars": 'def g(a, b):\n    return b\ndef f(*a, **k):\n    return g(*a, **k)\nrun(f("ok", b=x))',
    "a default": "def f(a, b=x):\n    return b\nrun(f(1) + x)",
    "recursion": "def f(a, n):\n    return a if n == 0 else f(a, n - 1)\nrun(f(x, 3))",
    "try": 'try:\n    c = x\nexcept ValueError:\n    c = "ok"\nrun(c)',
    "an exception's handler": 'c = x\ntry:\n    os.getpid()\nexcept ValueError:\n    run(c) # 78\nc = ""\nrun(c)',
    "finally": "c = ''\ntry:\n    c = x\nfinally:\n    run(c)",
    "with": "with open('f') as f:\n    c = x\nrun(c)",
    "while": 'c = ""\nwhile os.getpid():\n    c = c + x\nrun(c)',
    "while true with break": "while True:\n    c = x\n    if os.getpid():\n        break\nrun(c)",
    "match": 'match "B"[0]:\n    case "A":\n        c = "ok"\n    case "B":\n        c = x\n    case _:\n        c = "ok"\nrun(c)',
    "a name that match binds": "match x:\n    case y:\n        run(y)",
    "getattr": "class C: pass\nc = C()\nc.a = x\nrun(getattr(c, 'a'))",
    "an attribute": "class C: pass\nc = C()\nc.a = x\nrun(c.a)",
    "another name for a list": "l = []\nm = l\nm.append(x)\nrun(l[0])",
    "a nested container": 'd = {"a": [{"b": x}]}\nrun(d["a"][0]["b"])',
    "a container as a whole": 'run(str(["a", x]))',
    "copy": "import copy\nd = copy.deepcopy({'a': x})\nrun(d['a'])",
    "json": 'import json\nrun(json.loads(x)["a"])',
    "base64": "import base64\nrun(base64.b64decode(base64.b64encode(x.encode())).decode())",
    "unquote": "import urllib.parse\nrun(urllib.parse.unquote(x))",
    "a queue": "from collections import deque\nq = deque()\nq.append('a')\nq.append(x)\nq.popleft()\nrun(q.popleft())",
    "a deleted item before it": 'l = ["a", x]\ndel l[0]\nrun(l[0])',
    "configparser": 'import configparser\nc = configparser.ConfigParser()\nc.add_section("s")\nc.set("s", "k", x)\nrun(c.get("s", "k"))',
    "a global": "global shared\nshared = x\nrun(shared)",
    "zip": 'for a, b in zip(["ok"], [x]):\n    run(b)',
    "enumerate": "for i, b in enumerate([x]):\n    run(b)",
    "setdefault": "d = {}\nd.setdefault('a', x)\nrun(d['a'])",
    "update": "d = {'a': 'ok'}\nd.update({'a': x})\nrun(d['a'])",
    "update by name": "d = {'a': 'ok'}\nd.update(a=x)\nrun(d['a'])",
    "merged dictionaries": "d = {**{'a': x}, 'b': 1}\nrun(d['a'])",
    "insert": "l = ['ok']\nl.insert(0, x)\nrun(l[0])",
    "extend": "l = ['ok']\nl.extend([x])\nrun(l[1])",
    "sum of lists": "l = ['ok'] + [x]\nrun(l[1])",
    "a thread": "import threading\ndef f(a):\n    run(a) # 78\nthreading.Thread(target=f, args=(x,)).start()",
    "a pool": "from concurrent.futures import ThreadPoolExecutor\ndef f(a):\n    run(a) # 78\nThreadPoolExecutor().submit(f, x)",
    "annotations": "c: str = x\nrun(c)",
    "two targets": "a = b = x\nrun(a)",
    "a chain of elif": 'n = os.getpid()\nif n == 1:\n    c = "a"\nelif n == 2:\n    c = x\nelse:\n    c = "b"\nrun(c)',
    "continue": 'c = "ok"\nfor i in range(3):\n    if i == 1:\n        c = x\n        continue\nrun(c)',
    "a star before a list": "run(*[x])",
    "text and bytes": "run((b'ping ' + x.encode()).decode())",
}

SAFE = {
    "a constant": 'run("ping localhost")',
    "overwritten": 'c = x\nc = "ok"\nrun(c)',
    "a constant condition that is false": 'c = "ok"\nif 7 * 6 - 86 > 200:\n    c = x\nrun(c)',
    "a constant condition that is true chooses the safe one": 'c = "ok" if 7 * 18 + 106 > 200 else x\nrun(c)',
    "a nested constant condition": 'n = 106\nc = x\nif 7 * 42 - n > 100:\n    c = "ok"\nrun(c)',
    "another key": 'd = {"a": "ok", "b": x}\nrun(d["a"])',
    "another key of one that grew": 'd = {}\nd["a"] = "ok"\nd["b"] = x\nrun(d["a"])',
    "get of another key": 'd = {"a": "ok", "b": x}\nrun(d.get("a"))',
    "a key that was overwritten": 'd = {"a": x}\nd["a"] = "ok"\nrun(d["a"])',
    "another item": 'l = ["a", x]\nrun(l[0])',
    "another item after pop": 'l = ["a", x, "b"]\nl.pop(0)\nrun(l[1])',
    "another item after remove": 'l = ["a", "b", x]\nl.remove("a")\nrun(l[0])',
    "another item of an append": 'l = []\nl.append("a")\nl.append(x)\nrun(l[0])',
    "other unpacking": 'a, b = "ok", x\nrun(a)',
    "swapped": 'a, b = x, "ok"\na, b = b, a\nrun(a)',
    "match chooses the safe one": 'match "ABC"[1]:\n    case "A":\n        c = x\n    case "B":\n        c = "ok"\n    case _:\n        c = x\nrun(c)',
    "an option of another section": 'import configparser\nc = configparser.ConfigParser()\nc.add_section("s")\nc.set("s", "k", "v")\nc.set("s", "l", x)\nrun(c.get("s", "k"))',
    "another argument": 'def f(a, b):\n    return a\nrun(f("ok", x))',
    "another argument by name": 'def f(a, b):\n    return a\nrun(f(b=x, a="ok"))',
    "a function that ignores it": 'def f(a):\n    return "ok"\nrun(f(x))',
    "a function that chooses by a constant": 'def f(a, mode="safe"):\n    if mode == "safe":\n        return "ok"\n    return a\nrun(f(x))',
    "another attribute": "class C: pass\nc = C()\nc.a = x\nc.b = 'ok'\nrun(c.b)",
    "dead code after return": 'return "ok"\nrun(x)',
    "dead code after raise": "raise ValueError(x)\nrun(x)",
    "dead code after abort": "from flask import abort\nabort(400)\nrun(x)",
    "a number": "run('kill ' + str(int(x)))",
    "a number in an f-string": "run(f'kill {int(x)}')",
    "a length": "run(f'head -c {len(x)}')",
    "a comparison": "run(f'echo {x == 1}')",
    "a loop over constants": 'for one in ("a", "b"):\n    run(one)',
    "a choice of constants": 'run({"a": "ls", "b": "df"}[x])',
    "a choice with get": 'run({"a": "ls"}.get(x, "df"))',
    "a choice by comparison": 'c = "ls" if x == "a" else "df"\nrun(c)',
    "a deleted item": 'l = [x, "a"]\ndel l[0]\nrun(l[0])',
    "cleared": "l = [x]\nl.clear()\nl.append('ok')\nrun(l[0])",
    "a shadowed name": "def f(x):\n    run(x)\nf('ok')",
    "while false": "while False:\n    run(x)",
    "and with a false": "run('ok' + str(False and x))",
}


@pytest.mark.parametrize("body", VULNERABLE.values(), ids=VULNERABLE)
def test_an_outside_value_is_followed_through(body: str, follow: Callable[..., object]) -> None:
    lines = body.split("\n")
    if "# 78" not in body:
        place = max(index for index, line in enumerate(lines) if "run(" in line)
        lines[place] += " # 78"
    follow(HEAD + indent("\n".join(lines), "    ") + "\n")


@pytest.mark.parametrize("body", SAFE.values(), ids=SAFE)
def test_nothing_is_seen_where_nothing_can_happen(body: str, follow: Callable[..., object]) -> None:
    follow(HEAD + indent(dedent(body), "    ") + "\n")
