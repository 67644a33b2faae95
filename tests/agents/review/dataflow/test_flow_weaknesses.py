"""Each kind of flaw, in the libraries where it occurs: harmful calls beside harmless ones that look like them."""

from collections.abc import Callable

import pytest

FLASK = """\
from flask import Flask, request, session, make_response, render_template, render_template_string, jsonify
app = Flask(__name__)
"""

CASES = {
    "sql: sqlite3": """
        import sqlite3
        def view():
            x = request.args["x"]
            c = sqlite3.connect("db").cursor()
            c.execute("SELECT a FROM t WHERE b = '%s'" % x) # 89
            c.execute("SELECT a FROM t WHERE b = ?", (x,))
            c.executescript(f"DELETE FROM t WHERE b = {x}") # 89
            column = x if x in ("a", "b") else "a"
            c.execute(f"SELECT a FROM t ORDER BY {column}")
    """,
    "sql: an unknown cursor": """
        def find(cursor, x):
            cursor.execute("SELECT a FROM t WHERE b = " + x) # 89
            cursor.execute("SELECT a FROM t WHERE b = %s", [x])
            machine.execute("go to " + x)
        def view():
            find(open_cursor(), request.form["x"])
    """,
    "sql: psycopg": """
        import psycopg2
        from psycopg2 import sql
        def view():
            x = request.args["x"]
            with psycopg2.connect("") as db, db.cursor() as c:
                c.execute(f"SELECT {x}") # 89
                c.execute(sql.SQL("SELECT {}").format(sql.Identifier(x)))
    """,
    "sql: SQLAlchemy": """
        from sqlalchemy import create_engine, text, select
        from flask_sqlalchemy import SQLAlchemy
        db = SQLAlchemy(app)
        def view():
            x = request.args["x"]
            with create_engine("x").connect() as c:
                c.execute(text("SELECT * FROM t WHERE a = '" + x + "'")) # 89
                c.execute(text("SELECT * FROM t WHERE a = :a"), {"a": x})
            db.session.execute(f"SELECT * FROM t WHERE a = {x}") # 89
            User.query.filter_by(name=x).first()
            User.query.filter(text(f"name = '{x}'")).all() # 89
    """,
    "sql: Django": """
        from django.db import connection
        from django.http import JsonResponse
        def view(request):
            x = request.GET["x"]
            with connection.cursor() as c:
                c.execute("SELECT * FROM t WHERE a = %s" % x) # 89
                c.execute("SELECT * FROM t WHERE a = %s", [x])
            User.objects.raw(f"SELECT * FROM t WHERE a = {x}") # 89
            User.objects.extra(where=["a = " + x]) # 89
            User.objects.filter(a=x)
            return JsonResponse({})
    """,
    "command": """
        import os, subprocess
        def view():
            x = request.cookies.get("x")
            os.popen("ls " + x) # 78
            subprocess.Popen("ls " + x, shell=True) # 78
            subprocess.run(["ls", x])
            subprocess.run(f"ls {x}".split())
            subprocess.getoutput(f"ls {x}") # 78
    """,
    "code": """
        import ast
        def view():
            x = request.values["x"]
            eval(x) # 94
            exec("a = " + x) # 94
            ast.literal_eval(x)
            __import__(x) # 94
            return jsonify(eval("1 + 1"))
    """,
    "ldap": """
        import ldap, ldap3
        from ldap3.utils.conv import escape_filter_chars
        def view():
            x = request.form["x"]
            c = ldap3.Connection("s")
            c.search("dc=a", "(uid=" + x + ")") # 90
            c.search("dc=a", "(uid=" + escape_filter_chars(x) + ")")
            ldap.initialize("l").search_s("dc=a", 2, f"(uid={x})") # 90
            ldap.initialize("l").search_s("dc=a", 2, ldap.filter.filter_format("(uid=%s)", [x]))
    """,
    "xpath": """
        from lxml import etree
        import xml.etree.ElementTree as ET
        def view():
            x = request.form["x"]
            tree = etree.parse("a.xml")
            tree.xpath("//user[name='" + x + "']") # 643
            tree.xpath("//user[name=$name]", name=x)
            ET.parse("a.xml").findall(f".//user[@name='{x}']") # 643
            etree.XPath(f"//a[{x}]") # 643
    """,
    "template": """
        from jinja2 import Environment, Template
        @app.get("/")
        def view():
            x = request.form["x"]
            render_template_string("Hello " + x) # 1336
            Template(x).render() # 1336
            Environment().from_string(f"Hi {x}") # 1336
            render_template("a.html", x=x)
            return render_template_string("Hello {{ x }}", x=x)
    """,
    "template: nothing escapes": """
        from jinja2 import Environment, Template
        @app.get("/a")
        def a():
            return Template("Hello {{ x }}").render(x=request.args["x"]) # 79
        @app.get("/b")
        def b():
            env = Environment(autoescape=True)
            return env.from_string("Hello {{ x }}").render(x=request.args["x"])
        @app.get("/c")
        def c():
            return render_template_string("Hello {{ x | safe }}", x=request.args["x"]) # 79
    """,
    "path": """
        import shutil, tarfile, zipfile
        from pathlib import Path
        from flask import send_file, send_from_directory
        def view():
            x = request.args["x"]
            open("files/" + x) # 22
            Path("files", x).read_text() # 22
            (Path("files") / x).unlink() # 22
            shutil.copy(x, "b") # 22
            send_file("files/" + x) # 22
            send_from_directory("files", x)
            tarfile.open(fileobj=request.files["f"]).extractall("b") # 22
            tarfile.open(fileobj=request.files["f"]).extractall("b", filter="data")
            request.files["f"].save("files/" + request.files["f"].filename) # 22
            request.files["f"].save("files/a")
    """,
    "xss": """
        import html
        from markupsafe import Markup, escape
        @app.route("/a")
        def a():
            return "<b>" + request.args["x"] # 79
        @app.route("/b")
        def b():
            return f"<b>{escape(request.args['x'])}</b>"
        @app.route("/c")
        def c():
            return jsonify(x=request.args["x"])
        @app.route("/d")
        def d():
            return {"x": request.args["x"]}
        @app.route("/e")
        def e():
            return make_response(request.args["x"]) # 79
        @app.route("/f")
        def f():
            return request.args["x"], 200, {"Content-Type": "text/plain"}
        @app.route("/g")
        def g():
            return render_template("a.html", x=Markup(request.args["x"])) # 79
        @app.route("/h")
        def h():
            return app.response_class(request.args["x"], mimetype="text/plain")
    """,
    "xss: Django": """
        from django.http import HttpResponse, JsonResponse
        from django.utils.safestring import mark_safe
        from django.utils.html import format_html
        def a(request):
            return HttpResponse("Hi " + request.GET.get("x", "")) # 79
        def b(request):
            return HttpResponse("Hi " + request.GET["x"], content_type="text/plain")
        def c(request):
            return JsonResponse({"x": mark_safe(request.GET["x"])}) # 79
        def d(request):
            return HttpResponse(format_html("<b>{}</b>", request.GET["x"]))
    """,
    "redirect": """
        from flask import redirect, url_for
        def view():
            x = request.args.get("next")
            redirect(x) # 601
            redirect("/" + x) # 601
            redirect(url_for("index", x=x))
            redirect("https://example.org/?q=" + x)
            response = make_response("ok")
            response.headers["Location"] = x # 601
    """,
    "deserialisation": """
        import pickle, yaml, json, marshal
        def view():
            x = request.data
            pickle.loads(x) # 502
            yaml.load(x, Loader=yaml.Loader) # 502
            yaml.load(x, Loader=yaml.SafeLoader)
            yaml.safe_load(x)
            json.loads(x)
            marshal.loads(x) # 502
            pickle.loads(open("a", "rb").read())
    """,
    "xml": """
        import xml.sax
        from lxml import etree
        import defusedxml.ElementTree as safe
        def view():
            x = request.data
            etree.fromstring(x) # 611
            etree.fromstring(x, etree.XMLParser(resolve_entities=False))
            etree.fromstring(x, parser=etree.XMLParser(resolve_entities=True)) # 611
            safe.fromstring(x)
            parser = xml.sax.make_parser()
            parser.setFeature(xml.sax.handler.feature_external_ges, True)
            parser.parse(x) # 611
            other = xml.sax.make_parser()
            other.setFeature(xml.sax.handler.feature_external_ges, False)
            other.parse(x)
    """,
    "hash": """
        import hashlib
        hashlib.md5(b"a") # 328
        hashlib.new("sha1") # 328
        name = "sha256"
        hashlib.new(name)
        hashlib.md5(b"a", usedforsecurity=False)
        hashlib.sha256(b"a")
        from Crypto.Cipher import AES, DES
        DES.new(b"k") # 327
        AES.new(b"k", AES.MODE_ECB) # 327
        AES.new(b"k", AES.MODE_GCM)
    """,
    "random": """
        import random, secrets
        def make_token():
            return "".join(random.choice("abc") for _ in range(9)) # 330
        def good_token():
            return secrets.token_hex()
        def strong():
            token = random.SystemRandom().random()
        def shuffle(cards):
            first = random.choice(cards)
            session["key"] = str(random.random())[2:] # 330
            return first
    """,
    "cookie": """
        def view():
            response = make_response("ok")
            response.set_cookie("a", "b", secure=True, httponly=True)
            response.set_cookie("session", "b") # 614 1004
            response.set_cookie("theme", "b", secure=True)
            response.set_cookie("a", "b", secure=False, httponly=True) # 614
            response.set_cookie("session", "b", secure=True) # 1004
            return response
    """,
    "trust boundary": """
        def view():
            session["a"] = request.form["a"] # 501
            session[request.form["b"]] = "1" # 501
            session["n"] = int(request.form["n"])
            if request.form["c"] in ("x", "y"):
                session["c"] = request.form["c"]
    """,
    "ssrf": """
        import requests, httpx, aiohttp, urllib.request
        async def view():
            x = request.args["url"]
            requests.get(x) # 918
            requests.get("https://example.org/a", params={"q": x})
            httpx.Client().post(x, json={}) # 918
            urllib.request.urlopen("http://" + x) # 918
            async with aiohttp.ClientSession() as s:
                await s.get(x) # 918
            requests.request("GET", x) # 918
    """,
    "http.server": """
        from http.server import BaseHTTPRequestHandler
        from urllib.parse import urlparse, parse_qs
        import os, html
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                query = parse_qs(urlparse(self.path).query)
                name = query.get("name", [""])[0]
                self.send_response(200)
                self.wfile.write(f"<b>{name}</b>".encode()) # 79
                self.wfile.write(html.escape(name).encode())
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                os.system(body.decode()) # 78
            def do_PUT(self):
                self.send_header("Content-Type", "application/json")
                self.wfile.write(self.path.encode())
    """,
    "socket": """
        import socket, pickle
        def serve():
            s = socket.socket()
            s.bind(("", 1))
            conn, addr = s.accept()
            data = conn.recv(1024)
            pickle.loads(data) # 502
    """,
    "FastAPI": """
        import os
        from typing import Annotated
        from uuid import UUID
        from fastapi import FastAPI, Depends, Query, Request
        from fastapi.responses import HTMLResponse
        from pydantic import BaseModel
        api = FastAPI()
        class Item(BaseModel):
            name: str
            count: int
        def common(q: str = ""):
            return {"q": q}
        @api.get("/a/{name}")
        async def a(name: str, n: int, u: UUID):
            os.system(f"ls {n} {u}")
            os.system(f"ls {name}") # 78
        @api.post("/b")
        async def b(item: Item):
            os.system(f"ls {item.count}")
            os.system(f"ls {item.name}") # 78
            return item.name
        @api.get("/c")
        async def c(request: Request, found: Annotated[dict, Depends(common)], q: str = Query("x")):
            os.system(found["q"]) # 78
            os.system(request.query_params["x"]) # 78
            os.system(q) # 78
            return HTMLResponse("<b>" + q) # 79
    """,
    "Django URLs and classes": """
        from django.urls import path
        from django.views import View
        import os
        def show(request, name, number):
            os.system(name) # 78
            os.system(str(number))
        class Page(View):
            def get(self, request, slug):
                os.system(request.GET["x"]) # 78
                os.system(self.kwargs["slug"]) # 78
                self.helper()
            def helper(self):
                os.system(self.request.POST["x"]) # 78
        urlpatterns = [path("a/<str:name>/<int:number>", show), path("b/<slug:slug>", Page.as_view())]
    """,
    "click": """
        import click, subprocess
        @click.command()
        @click.argument("name")
        def main(name):
            subprocess.run("ls " + name, shell=True) # 78
            open(name)
    """,
}


@pytest.mark.parametrize("source", CASES.values(), ids=CASES)
def test_harm_is_told_from_what_looks_like_it(source: str, follow: Callable[..., object]) -> None:
    from textwrap import dedent

    follow(FLASK + dedent(source))


def test_no_page_is_made_of_what_a_helper_returns(follow: Callable[..., object]) -> None:
    follow(FLASK + "def helper():\n    return request.args['x']\n")


@pytest.mark.parametrize(
    ("source", "severity", "confidence"),
    [
        (
            "import os\nfrom flask import request\ndef f():\n    os.system(request.args['x'])\n",
            "critical",
            0.85,
        ),
        ("import os\nos.system(input())\n", "medium", 0.5),
    ],
)
def test_who_controls_a_value_decides_how_bad_it_is(
    source: str, severity: str, confidence: float, tmp_path: object
) -> None:
    from pathlib import Path

    from agents.review.dataflow import analyse_project

    folder = Path(str(tmp_path))
    (folder / "a.py").write_text(source)
    (flow,) = analyse_project(folder, ["a.py"], budget_s=20).findings
    assert (flow.severity, flow.confidence) == (severity, confidence)
