"""Checks and cleaners: what is harmless after them, what is not, and on which ways.

In each body `x` comes from a request, `run(…)` is a shell, `base` a folder.
"""

from collections.abc import Callable
from textwrap import indent

import pytest

HEAD = """\
import html, os, re, shlex, uuid
from pathlib import Path
from urllib.parse import urlparse
import requests
from flask import abort, redirect, request
run = os.system
ALLOWED = {"a", "b"}
HOSTS = ["example.org"]
base = "/srv/files"
def view():
    x = request.args.get("x")
"""

HARMLESS = {
    "an allow list": "if x in ALLOWED:\n    run(x)",
    "an allow list of literals": 'if x in ("a", "b"):\n    run(x)',
    "an allow list that refuses": 'if x not in ALLOWED:\n    abort(400)\nrun("ping " + x)',
    "an allow list that returns": 'if x not in ALLOWED:\n    return "no"\nrun("ping " + x)',
    "an allow list that raises": 'if x not in ALLOWED:\n    raise ValueError(x)\nrun("ping " + x)',
    "an allow list with a default": 'if x not in ALLOWED:\n    x = "a"\nrun("ping " + x)',
    "keys of a dictionary": 'known = {"a": 1}\nif x in known:\n    run(x)',
    "one value": 'if x == "a":\n    run(x)',
    "another one": 'if x != "a":\n    return\nrun(x)',
    "one of two": 'if x == "a" or x == "b":\n    run(x)',
    "digits": "if x.isdigit():\n    run('kill ' + x)",
    "not digits": "if not x.isdigit():\n    abort(400)\nrun('kill ' + x)",
    "digits and more": "if x and x.isdigit() and len(x) < 5:\n    run('kill ' + x)",
    "no digits or too long": "if not x.isdigit() or len(x) > 5:\n    abort(400)\nrun('kill ' + x)",
    "within a condition": "y = x.isdigit() and run('kill ' + x)",
    "a conditional expression": "run('kill ' + x if x.isdigit() else 'ls')",
    "a condition with a name": "ok = x.isdigit()\nif ok:\n    run(x)",
    "an assertion": "assert x.isalnum()\nrun(x)",
    "a regular expression": "if re.fullmatch(r'[a-z0-9_]+', x):\n    run(x)",
    "one with both ends": "if not re.match(r'^\\w+$', x):\n    abort(400)\nrun(x)",
    "one that is compiled": "name = re.compile(r'^[A-Za-z]{1,10}$')\nif name.match(x) is None:\n    abort(400)\nrun(x)",
    "what it matched": "m = re.fullmatch(r'(\\d+)-(\\d+)', x)\nif m:\n    run(m.group(1))",
    "what is left of it": "run(re.sub(r'[^a-zA-Z0-9]', '', x))",
    "a function that checks": "def ok(a):\n    return a in ALLOWED\nif ok(x):\n    run(x)",
    "one with more ways": "def ok(a):\n    if len(a) > 5:\n        return False\n    if not a.isalnum():\n        return False\n    return True\nif not ok(x):\n    abort(400)\nrun(x)",
    "one that raises": "def check(a):\n    if a not in ALLOWED:\n        raise ValueError(a)\ncheck(x)\nrun(x)",
    "one that gives it back": "def check(a):\n    if a not in ALLOWED:\n        raise ValueError(a)\n    return a\nrun(check(x))",
    "a loop that keeps": "good = []\nfor one in x.split(','):\n    if one in ALLOWED:\n        good.append(one)\nrun(' '.join(good))",
    "a comprehension that keeps": "run(' '.join([one for one in x.split(',') if one in ALLOWED]))",
    "all of them": "if all(one.isalnum() for one in x):\n    run(x)",
    "any that is not": "if any(one not in ALLOWED for one in x.split()):\n    abort(400)\nrun(x)",
    "isinstance": "if isinstance(x, int):\n    run('kill %s' % x)",
    "a number that raises": "try:\n    int(x)\nexcept ValueError:\n    abort(400)\nrun('kill ' + x)",
    "an identifier that raises": "uuid.UUID(x)\nrun('kill ' + x)",
    "quoted": "run('ping ' + shlex.quote(x))",
    "a list of arguments": "import subprocess\nsubprocess.run(['ping', '-c', '1', x])",
    "a list of arguments by name": "import subprocess\nargs = ['ping']\nargs.append(x)\nsubprocess.run(args, shell=False)",
    "a converted argument": "y = request.args.get('n', type=int)\nrun(f'kill {y}')",
    "match": "match x:\n    case 'a' | 'b':\n        run(x)\n    case _:\n        abort(400)",
    "a path that is resolved": "p = os.path.realpath(os.path.join(base, x))\nif not p.startswith(base + os.sep):\n    abort(403)\nopen(p)",
    "a path that lies inside": "p = (Path(base) / x).resolve()\nif not p.is_relative_to(base):\n    abort(403)\np.read_text()",
    "a path that is relative": "p = (Path(base) / x).resolve()\np.relative_to(base)\nopen(p)",
    "parents": "p = (Path(base) / x).resolve()\nif Path(base) not in p.parents:\n    abort(403)\nopen(p)",
    "a common path": "p = os.path.abspath(os.path.join(base, x))\nif os.path.commonpath([base, p]) != base:\n    abort(403)\nopen(p)",
    "no dots": "if '..' in x or x.startswith('/'):\n    abort(400)\nopen(os.path.join(base, x))",
    "a file name": "open(os.path.join(base, os.path.basename(x)))",
    "a secure file name": "from werkzeug.utils import secure_filename\nopen(os.path.join(base, secure_filename(x)))",
    "the name of a path": "open(Path(base) / Path(x).name)",
    "a host": "if urlparse(x).netloc not in HOSTS:\n    abort(400)\nrequests.get(x)",
    "a host with a name": "u = urlparse(x)\nif u.scheme != 'https' or u.hostname not in HOSTS:\n    abort(400)\nrequests.get(x)",
    "a fixed host": "requests.get(f'https://example.org/users/{x}')",
    "an allowed beginning": "if not x.startswith('https://example.org/'):\n    abort(400)\nrequests.get(x)",
    "no host": "if urlparse(x).netloc:\n    abort(400)\nreturn redirect(x)",
    "one slash": "if not x.startswith('/') or x.startswith('//'):\n    abort(400)\nreturn redirect(x)",
    "a path of this site": "return redirect('/users/' + x)",
    "escaped": "return '<b>' + html.escape(x) + '</b>'",
}

HARMFUL = {
    "an allow list that is not heeded": ("if x not in ALLOWED:\n    print('no')\nrun(x) # 78"),
    "the other branch": "if x in ALLOWED:\n    pass\nelse:\n    run(x) # 78",
    "a forbidden list": "if x in ALLOWED:\n    abort(400)\nrun(x) # 78",
    "a check of another value": "y = request.args.get('y')\nif y in ALLOWED:\n    run(x) # 78",
    "only one of two": "if x.isdigit() or os.getpid():\n    run(x) # 78",
    "digits or": "if not (x.isdigit() or x):\n    abort(400)\nrun(x) # 78",
    "a check too late": "run(x) # 78\nif x not in ALLOWED:\n    abort(400)",
    "a check that is undone": "if x not in ALLOWED:\n    abort(400)\nx = request.args.get('z')\nrun(x) # 78",
    "a part of a regular expression": "if re.match(r'[a-z]+', x):\n    run(x) # 78",
    "one that allows all": "if re.fullmatch(r'.+', x):\n    run(x) # 78",
    "one that allows blanks and signs": "if re.fullmatch(r'[\\w ;]+', x):\n    run(x) # 78",
    "a function that checks nothing": "def ok(a):\n    return len(a) < 100\nif ok(x):\n    run(x) # 78",
    "a function that checks on one way": "def ok(a):\n    if os.getpid():\n        return True\n    return a in ALLOWED\nif ok(x):\n    run(x) # 78",
    "a number that is not heeded": "try:\n    int(x)\nexcept ValueError:\n    pass\nrun(x) # 78",
    "quoted for something else": "run('ping ' + html.escape(x)) # 78",
    "quoted for another place": "from flask import make_response\nmake_response('<b>' + shlex.quote(x)) # 79",
    "a list with a shell": "import subprocess\nsubprocess.run(['sh', '-c', 'ping ' + x]) # 78",
    "a list with shell=True": "import subprocess\nsubprocess.run(['ping ' + x], shell=True) # 78",
    "a text with a shell": "import subprocess\nsubprocess.check_output('ping ' + x, shell=True) # 78",
    "the program itself": "import subprocess\nsubprocess.run([x, 'a']) # 78",
    "a path that is not resolved": "p = os.path.join(base, x)\nif p.startswith(base):\n    open(p) # 22",
    "a path that is resolved only": "open(os.path.realpath(os.path.join(base, x))) # 22",
    "the scheme of an address": "if urlparse(x).scheme in ('http', 'https'):\n    requests.get(x) # 918",
    "a beginning without an end": "if x.startswith('https://example.org'):\n    requests.get(x) # 918",
    "one slash or two": "if x.startswith('/'):\n    return redirect(x) # 601",
    "a host from outside": "requests.get(f'https://{x}/users') # 918",
    "the suffix of a file": "if os.path.splitext(x)[1] in ('.txt', '.md'):\n    open(os.path.join(base, x)) # 22",
    "a length": "if len(x) == 5:\n    run(x) # 78",
    "a loop that keeps all": "good = []\nfor one in x.split(','):\n    if one in ALLOWED:\n        print(one)\n    good.append(one)\nrun(' '.join(good)) # 78",
}


@pytest.mark.parametrize("body", HARMLESS.values(), ids=HARMLESS)
def test_a_checked_value_is_harmless(body: str, follow: Callable[..., object]) -> None:
    follow(HEAD + indent(body, "    ") + "\n")


@pytest.mark.parametrize("body", HARMFUL.values(), ids=HARMFUL)
def test_a_check_that_does_not_hold_changes_nothing(body: str, follow: Callable[..., object]) -> None:
    follow(HEAD + indent(body, "    ") + "\n")
