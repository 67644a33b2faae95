"""Escaping holds where it was meant for: each line as it is in a handler, with `x` from the request."""

from collections.abc import Callable

import pytest

from agents.review.dataflow import FlowResult

Follow = Callable[..., FlowResult]

HEAD = """\
import html, json, os, re, shlex, sqlite3, subprocess
from urllib.parse import urlsplit, quote
from lxml import etree
from flask import Flask, abort, request, redirect, render_template_string, make_response
from markupsafe import escape
app = Flask(__name__)
run = os.system
db = sqlite3.connect("x")
tree = etree.parse("x.xml")
@app.route("/")
def view():
    x = request.args.get("x", "")
    e = html.escape(x)
    q = shlex.quote(x)
    d = x.replace("'", "''")
"""

HARMLESS = {
    "a text": 'return f"<p>{e}</p>"',
    "an attribute in quotes": "return '<p title=\"' + e + '\">'",
    "an address with a checked scheme": (
        'if urlsplit(x).scheme not in ("http", "https"):\n    abort(400)\nreturn f\'<a href="{e}">x</a>\''
    ),
    "an address that begins well": (
        'if not x.startswith(("http://", "https://")):\n    abort(400)\nreturn \'<a href="%s">\' % html.escape(x)'
    ),
    "a part of an address": "return '<a href=\"/find?q={}\">'.format(quote(x))",
    "a path of ours": "return f'<a href=\"/users/{e}\">'",
    "after a script": 'return "<script>x()</script><p>" + e',
    "json in a script, made safe": (
        'return "<script>let a = " + json.dumps(x).replace("<", "\\\\u003c") + "</script>"'
    ),
    "text that keeps quotes": 'return "<p>" + html.escape(x, quote=False) + "</p>"',
    "a word for a shell": 'run(f"ls {q}")',
    "words for a shell": 'run("ls " + " ".join(map(shlex.quote, request.args.getlist("n"))))',
    "quotes doubled within quotes": 'db.execute("SELECT 1 WHERE a = \'" + d + "\'")',
    "quotes doubled, put in quotes first": 't = "\'" + d + "\'"\ndb.execute("SELECT 1 WHERE a = " + t)',
    "none of some signs": 'if set(x) & set("{}%"):\n    abort(400)\nrender_template_string("<b>" + html.escape(x))',
    "no sign of a set": 'if not set(x).isdisjoint("{}%<"):\n    abort(400)\nrender_template_string(x)',
    "only signs of a set": 'if not set(x) <= set("abc123"):\n    abort(400)\nrun("ls " + x)',
    "no other signs": 'if set(x) - set("abc123"):\n    abort(400)\nrun("ls " + x)',
    "a script with an argument": 'subprocess.run(["sh", "-c", "echo $1", "sh", x])',
    "a source that is compiled and dropped": 'compile(x, "a", "exec")',
    "a literal of a match": 'match x:\n    case "a" | "b" as y:\n        run("ls " + y)',
    "a literal within a match": (
        'match request.get_json():\n    case {"a": "p" | "q" as y, "n": int(n)}:\n        run(f"ls {y} {n}")'
    ),
    "a guard of a match": (
        'match request.get_json():\n    case {"a": str(y)} if y in ("p", "q"):\n        run("ls " + y)'
    ),
    "a key that a match looked at": (
        'order = request.get_json()\nmatch order:\n    case {"a": "p" | "q"}:\n        run("ls " + order["a"])'
    ),
    "names of our own for columns": (
        'v = {k: request.form[k] for k in ("a", "b") if k in request.form}\n'
        'db.execute("UPDATE t SET " + ", ".join(f"{k} = :{k}" for k in v), v)'
    ),
    "a path by a pattern": 'if not re.fullmatch(r"/([a-z0-9][a-z0-9/_-]*)?", x):\n    x = "/"\nreturn redirect(x)',
    "settings of a parser put together": (
        'options = {"huge_tree": True} | {"resolve_entities": False}\n'
        "etree.fromstring(request.data, etree.XMLParser(**options))"
    ),
    "a number marked as safe": 'return render_template_string("{{ n|safe }} {{ x }}", n=len(x), x=x)',
    "a variable of XPath": 'tree.xpath("//a[@b=$x]", x=x)',
    "variables of XPath": (
        'v = {k: request.form.get(k) for k in ("a", "b")}\ntree.xpath("//a" + "".join(f"[{k}=${k}]" for k in v), **v)'
    ),
}
HARMFUL = {
    "a script": ('return "<script>let a = \'" + e + "\';</script>"', 79),
    "json in a script": ('return "<script>let a = " + json.dumps({"x": x}) + "</script>"', 79),
    "an event": ('return f"<b onclick=\\"f(\'{e}\')\\">"', 79),
    "an address": ("return f'<a href=\"{e}\">x</a>'", 79),
    "a picture's address": ("return '<img src=\"%s\">' % escape(x)", 79),
    "an attribute without quotes": ('return "<p title={}>".format(e)', 79),
    "quotes kept, in an attribute": ("return '<p title=\"' + html.escape(x, quote=False) + '\">'", 79),
    "SQL with the escaping of pages": ('db.execute("SELECT 1 WHERE a = " + e)', 89),
    "SQL with the escaping of shells": ('db.execute("SELECT 1 WHERE a = " + q)', 89),
    "a shell with the escaping of pages": ('run("ls " + e)', 78),
    "a quoted word within quotes": ("run('ls \"%s\"' % q)", 78),
    "a quoted word within single quotes": ('run("ls \'" + q + "\'")', 78),
    "doubled quotes for a number": ('db.execute("SELECT 1 WHERE a = " + d)', 89),
    "doubled quotes within others": ("db.execute(f'SELECT 1 WHERE a = \"{d}\"')", 89),
    "other signs than those that matter": ('if set(x) & set("ab"):\n    abort(400)\nrun("ls " + x)', 78),
    "a set that has too much": ('if not set(x) <= set("abc;$"):\n    abort(400)\nrun("ls " + x)', 78),
    "a command that isn't known": ('subprocess.run(["sh", "-c", x, "sh"])', 78),
    "a command put together": ('subprocess.run(["sh", "-c", "ls " + x])', 78),
    "a source that is compiled and run": ('exec(compile(x, "a", "exec"))', 94),
    "any text of a match": ('match request.get_json():\n    case {"a": str(y)}:\n        run("ls " + y)', 78),
    "another key than a match looked at": (
        'order = request.get_json()\nmatch order:\n    case {"a": "p"}:\n        run("ls " + order["b"])',
        78,
    ),
    "names of others for columns": (
        'v = dict(request.form)\ndb.execute("UPDATE t SET " + ", ".join(f"{k} = :{k}" for k in v), v)',
        89,
    ),
    "settings that turn entities on again": (
        'options = {"resolve_entities": False} | {"resolve_entities": True}\n'
        "etree.fromstring(request.data, etree.XMLParser(**options))",
        611,
    ),
    "a text marked as safe": ('return render_template_string("{{ n }} {{ x|safe }}", n=1, x=x)', 79),
}


def _function(body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return f"{HEAD}{lines}    return {{}}\n"


@pytest.mark.parametrize("name", HARMLESS)
def test_it_is_harmless_there(name: str, follow: Follow) -> None:
    follow(_function(HARMLESS[name]))


@pytest.mark.parametrize("name", HARMFUL)
def test_it_does_harm_there(name: str, follow: Follow) -> None:
    body, cwe = HARMFUL[name]
    follow(_function(f"{body} # {cwe}"))
