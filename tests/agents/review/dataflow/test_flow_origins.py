"""Where values come from and by which ways: answers of others, uploads, WSGI and CGI, queues, exceptions, tasks."""

from collections.abc import Callable
from textwrap import dedent

import pytest

from agents.review.dataflow import FlowResult

Follow = Callable[..., FlowResult]

CASES = {
    "what another server answers is not trusted to be XML or pickled": """
        import os, pickle, requests, httpx, yaml
        from urllib.request import urlopen
        from lxml import etree
        def feed():
            data = requests.get("https://partner.example/feed", timeout=5).content
            os.system("echo " + data.decode())
            return etree.fromstring(data, etree.XMLParser(resolve_entities=True)) # 611
        async def model():
            async with httpx.AsyncClient() as client:
                answer = await client.get("https://partner.example/model")
            return pickle.loads(answer.content) # 502
        def settings():
            return yaml.load(urlopen("https://partner.example/x").read(), Loader=yaml.Loader) # 502
        def harmless():
            return yaml.safe_load(requests.get("https://partner.example/x").text)
        """,
    "uploads of which only the type is stated": """
        import os
        from fastapi import UploadFile
        def keep(folder, upload: UploadFile):
            with open(os.path.join(folder, upload.filename), "wb") as out: # 22
                out.write(b"")
            with open(os.path.join(folder, os.path.basename(upload.filename)), "wb") as out:
                out.write(b"")
        """,
    "a WSGI application": """
        import html, os
        from urllib.parse import parse_qs
        def page(environ, start_response):
            name = parse_qs(environ["QUERY_STRING"])["name"][0]
            os.system("echo " + name) # 78
            start_response("200 OK", [("Content-Type", "text/html")])
            return [("<p>" + name).encode()] # 79
        def text(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [environ["PATH_INFO"].encode()]
        class App:
            def __call__(self, environ, start_response):
                start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
                return [html.escape(environ["PATH_INFO"]).encode()]
        """,
    "a CGI script": """
        import os
        os.system("grep " + os.environ["QUERY_STRING"]) # 78
        os.system("grep " + os.environ.get("HTTP_USER_AGENT", "")) # 78
        os.system("grep " + os.environ["HOME"])
        os.system("grep " + os.environ.get("HTTP_PROXY", ""))
        """,
    "work that is done later": """
        import os
        from fastapi import BackgroundTasks, FastAPI
        app = FastAPI()
        def ping(host, count=1):
            os.system(f"ping {host} -c {count}")  # nobody's fault but its own
        def quiet(host):
            os.system(f"ping -q {host}") # 78
        @app.post("/")
        def view(host: str, tasks: BackgroundTasks):
            tasks.add_task(quiet, host=host)
            tasks.add_task(ping, "localhost", count=2)
        """,
    "a queue between threads": """
        import queue, threading
        from flask import Flask, request
        app = Flask(__name__)
        jobs, names = queue.Queue(maxsize=9), queue.Queue()
        def worker():
            while True:
                exec(jobs.get()) # 94
        def other():
            while True:
                exec(names.get())
        threading.Thread(target=worker).start()
        threading.Thread(target=other, daemon=True).start()
        @app.post("/")
        def view():
            jobs.put(request.form["code"])
            names.put("pass")
            return {}
        """,
    "texts of exceptions": """
        import html
        from flask import Flask, jsonify, request
        app = Flask(__name__)
        class Unknown(Exception):
            def __init__(self, what):
                super().__init__(f"no {what}")
        class Quiet(Exception):
            pass
        @app.errorhandler(Unknown)
        def unknown(error):
            return f"<p>{error}</p>", 404 # 79
        @app.errorhandler(Quiet)
        def quiet(error):
            return f"<p>{error}</p>", 404
        @app.get("/a")
        def first():
            raise Unknown(request.args["what"])
        @app.get("/b")
        def second():
            raise Quiet("nothing")
        def check(text):
            if text not in ("a", "b"):
                raise ValueError("bad " + text)
        @app.get("/c")
        def third():
            try:
                check(request.args["q"])
            except ValueError as error:
                return f"<b>{error}</b>" # 79
            return "fine"
        @app.get("/d")
        def fourth():
            try:
                check(request.args["q"])
            except ValueError as error:
                return jsonify(str(error))
            return html.escape(request.args["q"])
        """,
    "query sets of the project's own": """
        from django.db import models
        from django.db.models.expressions import RawSQL
        class Rows(models.QuerySet):
            def ours(self):
                return self.filter(a=1)
            def heavy(self, weight):
                return self.annotate(w=RawSQL(f"age * {weight}", [])) # 89
            def born(self, year):
                return self.extra(where=["year = %s"], params=[year])
            def named(self, name):
                return self.extra(where=["name = '" + name + "'"]) # 89
        class Row(models.Model):
            objects = Rows.as_manager()
        class Other(models.Model):
            objects = models.Manager.from_queryset(Rows)()
        def view(request):
            Row.objects.ours().filter(b=2).heavy(request.GET["w"])
            Row.objects.born(request.GET["y"])
            Other.objects.named(request.GET["n"])
        """,
    "a handler that classes inherit": """
        import os
        from flask import Flask, request
        from flask.views import MethodView
        class Base(MethodView):
            def command(self):
                raise NotImplementedError
            def post(self):
                os.system(self.command()) # 78
                return {}
        class Ls(Base):
            def command(self):
                return "ls " + request.form["x"]
        """,
}


@pytest.mark.parametrize("name", CASES)
def test_an_origin(name: str, follow: Follow) -> None:
    follow(dedent(CASES[name]))
