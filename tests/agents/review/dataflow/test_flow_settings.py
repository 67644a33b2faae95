"""Cookies, sessions, archives, loaders and random numbers: what is weak by how it is called."""

from collections.abc import Callable
from textwrap import dedent

import pytest

from agents.review.dataflow import FlowResult

Follow = Callable[..., FlowResult]

CASES = {
    "session middleware": """
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.middleware.sessions import SessionMiddleware
        from fastapi import FastAPI
        bad = [Middleware(SessionMiddleware, secret_key=KEY)] # 614
        good = [Middleware(SessionMiddleware, secret_key=KEY, https_only=True)]
        app = FastAPI()
        app.add_middleware(SessionMiddleware, secret_key=KEY, https_only=False) # 614
        app.add_middleware(SessionMiddleware, secret_key=KEY, https_only=True)
        """,
    "settings by name": """
        from flask import Flask
        app = Flask(__name__)
        app.config.update(
            SESSION_COOKIE_SECURE=False, # 614
            SESSION_COOKIE_HTTPONLY=True,
        )
        app.config.from_mapping({"SESSION_COOKIE_HTTPONLY": False}) # 1004
        app.config["SESSION_COOKIE_SECURE"] = True
        """,
    "cookies of http.cookies": """
        from http.cookies import SimpleCookie
        def bad(handler, token):
            jar = SimpleCookie()
            jar["sid"] = token
            jar["sid"]["httponly"] = True
            handler.send_header("Set-Cookie", jar["sid"].OutputString()) # 614
        def good(handler, token):
            jar = SimpleCookie()
            jar["sid"] = token
            jar["sid"]["secure"] = True
            handler.send_header("Set-Cookie", jar.output(header=""))
        """,
    "cookies as texts": """
        from flask import Response
        def bad(token):
            response = Response("x")
            response.headers["Set-Cookie"] = f"sid={token}; HttpOnly; Path=/" # 614
            return response
        def good(token):
            response = Response("x")
            response.headers["Set-Cookie"] = f"sid={token}; Secure; HttpOnly; Path=/"
            return response
        def unclear(token, flags):
            response = Response("x")
            response.headers["Set-Cookie"] = f"sid={token}; HttpOnly; Path=/{flags}"
            return response
        """,
    "a jar of a client": """
        def keep(jar, cookie):
            jar.set_cookie(cookie)
        def answer(response, value):
            response.set_cookie("sid", value) # 614 1004
        """,
    "archives": """
        import tarfile
        from flask import Flask, request
        app = Flask(__name__)
        @app.post("/")
        def view():
            archive = tarfile.open(fileobj=request.files["a"].stream)
            archive.extractall("/srv", filter="fully_trusted") # 22
            archive.extractall("/srv", filter="data")
            return {}
        """,
    "loaders of anything": """
        import pickle, torch, numpy
        from flask import Flask, request
        app = Flask(__name__)
        class Loose(pickle.Unpickler):
            def persistent_load(self, pid):
                return None
        class Strict(pickle.Unpickler):
            def find_class(self, module, name):
                raise pickle.UnpicklingError(name)
        @app.post("/")
        def view():
            upload = request.files["a"]
            Loose(upload.stream).load() # 502
            Strict(upload.stream).load()
            torch.load(upload.stream) # 502
            torch.load(upload.stream, weights_only=True)
            numpy.load(upload.stream, allow_pickle=True) # 502
            return {}
        """,
    "signed before it is unpickled": """
        import hashlib, hmac, pickle
        from flask import Flask, abort, request
        app = Flask(__name__)
        @app.post("/a")
        def good():
            data = request.get_data()
            wanted = hmac.new(KEY, data, hashlib.sha256).hexdigest()
            if not hmac.compare_digest(wanted, request.headers["X-Signature"]):
                abort(403)
            return {"n": len(pickle.loads(data))}
        @app.post("/b")
        def late():
            data = request.get_data()
            found = pickle.loads(data) # 502
            wanted = hmac.new(KEY, data, hashlib.sha256).hexdigest()
            if not hmac.compare_digest(wanted, request.headers["X-Signature"]):
                abort(403)
            return {"n": len(found)}
        """,
    "random numbers for keys": """
        import random, string
        import numpy as np
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        def new_key():
            return "ak_" + np.random.bytes(24).hex() # 330
        def letters():
            return "".join(string.ascii_letters[int(random.random() * 52)] for _ in range(9))
        def seal():
            seed = bytes(random.randrange(256) for _ in range(32)) # 330
            return AESGCM(seed)
        """,
    "asynchronous clients of directories and databases": """
        import asyncpg, bonsai
        from fastapi import FastAPI
        app = FastAPI()
        client = bonsai.LDAPClient("ldaps://x")
        @app.get("/")
        async def view(name: str):
            async with client.connect(is_async=True) as connection:
                await connection.search("dc=x", 2, f"(cn={name})") # 90
                await connection.search("dc=x", 2, f"(cn={bonsai.escape_filter_exp(name)})")
            async with app.state.pool.acquire() as one:
                await one.fetch(f"SELECT 1 WHERE a = '{name}'") # 89
                await one.fetch("SELECT 1 WHERE a = $1", name)
        """,
    "pages of an environment without escaping": """
        from flask import Flask, request
        from jinja2 import Environment, FileSystemLoader, select_autoescape
        app = Flask(__name__)
        plain = Environment(loader=FileSystemLoader("x"))
        pages = Environment(loader=FileSystemLoader("x"), autoescape=select_autoescape())
        @app.get("/")
        def view():
            x = request.args["x"]
            pages.get_template("a.html").render(x=x)
            plain.get_template("a.txt").render(x=x)
            return plain.get_template("a.html").render(x=x) # 79
        """,
    "elements of a page that escape themselves": """
        from html import escape
        from flask import Flask, request
        app = Flask(__name__)
        class Tag:
            def __init__(self, name, *children):
                self.name, self.children = name, children
            def __str__(self):
                inner = "".join(str(one) if isinstance(one, Tag) else escape(one) for one in self.children)
                return f"<{self.name}>{inner}</{self.name}>"
        class Raw(Tag):
            def __str__(self):
                return "".join(str(one) for one in self.children)
        @app.get("/a")
        def good():
            x = request.args["x"]
            return str(Tag("p", Tag("b", x), x))
        @app.get("/b")
        def bad():
            return str(Tag("p", Raw("b", request.args["x"]))) # 79
        """,
}


@pytest.mark.parametrize("name", CASES)
def test_a_setting(name: str, follow: Follow) -> None:
    follow(dedent(CASES[name]))
