"""Functions, classes and files together: what one puts in is found where another lets it do harm."""

from collections.abc import Callable

from agents.review.dataflow import FlowResult, told

Follow = Callable[..., object]


def test_a_value_is_followed_into_another_file_and_back(follow: Follow) -> None:
    follow(
        """
        from flask import request
        from app.db import find
        from app.clean import tidy, number
        def view():
            find(tidy(request.args["a"]))
            find(number(request.args["b"]))
        """,
        files={
            "app/__init__.py": "",
            "app/clean.py": """
        def tidy(value):
            return value.strip()
        def number(value):
            return int(value)
        """,
            "app/db.py": """
        import sqlite3
        def find(name):
            db = sqlite3.connect("x.db")
            return db.execute(f"SELECT * FROM t WHERE a = '{name}'") # 89
        """,
        },
    )


def test_relative_imports_and_packages_that_hand_names_on(follow: Follow) -> None:
    follow(
        files={
            "pkg/__init__.py": "from .shell import run\n",
            "pkg/shell.py": "import os\ndef run(cmd):\n    os.system(cmd) # 78\n",
            "pkg/sub/__init__.py": "",
            "pkg/sub/views.py": """
        from flask import request
        from .. import run
        from ..shell import run as again
        from .. import shell
        def a():
            run(request.args["a"])
        def b():
            shell.run("ls")
        """,
        },
    )


def test_modules_that_import_one_another(follow: Follow) -> None:
    follow(
        files={
            "one.py": "import two\ndef f(x):\n    two.g(x)\n",
            "two.py": "import os\nimport one\nfrom flask import request\ndef g(x):\n    os.system(x) # 78\ndef v():\n    one.f(request.args['x'])\n",
        },
    )


def test_fields_of_instances_keep_apart(follow: Follow) -> None:
    follow(
        """
        import os
        from flask import request
        class Job:
            kind = "job"
            def __init__(self, name, cmd):
                self.name = name
                self.cmd = cmd
            def safe(self):
                os.system(self.name)
            def run(self):
                os.system(self.cmd) # 78
        def view():
            job = Job("ls", request.args["x"])
            job.safe()
            job.run()
            other = Job("ls", "df")
            other.run()
        """
    )


def test_a_method_of_a_base_class_and_super(follow: Follow) -> None:
    follow(
        """
        import os
        from flask import request
        class Base:
            def __init__(self, cmd):
                self.cmd = cmd
            def go(self):
                self.act(self.cmd)
            def act(self, cmd):
                pass
        class Child(Base):
            def __init__(self, cmd):
                super().__init__("ping " + cmd)
            def act(self, cmd):
                os.system(cmd) # 78
        def view():
            Child(request.form["x"]).go()
        """
    )


def test_static_and_class_methods_and_properties(follow: Follow) -> None:
    follow(
        """
        import os
        from flask import request
        class Tool:
            @staticmethod
            def a(cmd):
                os.system(cmd) # 78
            @classmethod
            def b(cls, cmd):
                cls.a(cmd)
            @property
            def c(self):
                return request.args["c"]
        def view():
            Tool.b(request.args["x"])
            os.system(Tool().c) # 78
        """
    )


def test_a_data_class_and_a_named_tuple(follow: Follow) -> None:
    follow(
        """
        import os
        from dataclasses import dataclass
        from typing import NamedTuple
        from flask import request
        @dataclass
        class Job:
            name: str
            cmd: str = "ls"
        class Pair(NamedTuple):
            a: str
            b: str
        def view():
            job = Job(name="x", cmd=request.args["x"])
            os.system(job.name)
            os.system(job.cmd) # 78
            pair = Pair("ls", request.args["x"])
            os.system(pair.a)
            os.system(pair.b) # 78
        """
    )


def test_a_connection_that_an_object_keeps(follow: Follow) -> None:
    follow(
        """
        import sqlite3
        from flask import request
        class Repo:
            def __init__(self):
                self.db = sqlite3.connect("x")
            def find(self, where):
                return self.db.cursor().execute(where)
            def get(self, ident):
                return self.db.execute("SELECT 1 WHERE a = ?", (ident,))
        repo = Repo()
        def view():
            repo.find(request.args["q"]) # 89
            repo.get(request.args["q"])
        """
    )


def test_a_factory_makes_handlers(follow: Follow) -> None:
    follow(
        """
        import os
        from flask import Flask, request
        def create_app():
            app = Flask(__name__)
            @app.route("/a/<path:name>")
            def a(name):
                os.system(name) # 78
                return "ok"
            @app.route("/b/<int:name>")
            def b(name):
                os.system(str(name))
                return "ok"
            return app
        """
    )


def test_a_decorator_does_not_hide_a_handler(follow: Follow) -> None:
    follow(
        """
        import functools, os
        from flask import Flask
        app = Flask(__name__)
        def login(f):
            @functools.wraps(f)
            def wrapper(*args, **kwargs):
                return f(*args, **kwargs)
            return wrapper
        @app.route("/<name>")
        @login
        def view(name):
            os.system(name) # 78
            return "ok"
        """
    )


def test_a_context_manager_and_a_generator(follow: Follow) -> None:
    follow(
        """
        import sqlite3
        from contextlib import contextmanager
        from flask import request
        @contextmanager
        def cursor():
            db = sqlite3.connect("x")
            yield db.cursor()
            db.close()
        class Session:
            def __enter__(self):
                return sqlite3.connect("x")
            def __exit__(self, *args):
                pass
        def view():
            with cursor() as c:
                c.execute("SELECT " + request.args["x"]) # 89
            with Session() as s:
                s.execute("SELECT " + request.args["x"]) # 89
            with sqlite3.connect("x") as d:
                d.execute("SELECT ?", (request.args["x"],))
        """
    )


def test_asynchronous_code(follow: Follow) -> None:
    follow(
        """
        import asyncio
        from aiohttp import web
        async def read(request):
            data = await request.post()
            return data["cmd"]
        async def handler(request):
            cmd = await read(request)
            await asyncio.create_subprocess_shell("ping " + cmd) # 78
            async with something() as x:
                async for y in x:
                    await asyncio.create_subprocess_exec("ping", cmd)
        """
    )


def test_functions_in_tables(follow: Follow) -> None:
    follow(
        """
        import os
        from flask import request
        def a(x):
            os.system(x) # 78
        def b(x):
            print(x)
        ACTIONS = {"a": a, "b": b}
        def view():
            ACTIONS[request.args["k"]](request.args["x"])
        def other():
            ACTIONS["b"](request.args["x"])
        """
    )


def test_a_script_at_the_top_of_a_file(follow: Follow) -> None:
    follow(
        """
        import os, sys
        os.system("ping " + sys.argv[1]) # 78
        if __name__ == "__main__":
            eval(input()) # 94
            open(sys.argv[1])
        """
    )


def test_the_path_of_a_value_is_told(follow: Callable[..., object]) -> None:
    result = follow(
        """
        from flask import request
        import helper
        def view():
            name = request.args["id"]
            helper.run("ping " + name)
        """,
        files={"helper.py": "import os\ndef run(cmd):\n    full = cmd + '!'\n    os.system(full) # 78\n"},
    )
    assert isinstance(result, FlowResult)
    (flow,) = result.findings
    assert told(flow) == (
        "request.args['id'] (main.py:5) → name (main.py:5)"
        " → run(cmd) (line 2) → full (line 3) → os.system (line 4)"
    ).replace(" → name (main.py:5)", "")


def test_folders_without_init_and_names_of_the_standard_library(follow: Follow) -> None:
    follow(
        files={
            "srv/web/views.py": """
            import random
            import srv.core.shell
            from srv.core import shell as direct
            from flask import request
            def view():
                srv.core.shell.run(request.args["a"])
                direct.other(request.args["a"])
                random.shuffle(request.args["a"])
            """,
            "srv/core/shell.py": """
            import os
            def run(cmd):
                os.system(cmd) # 78
            def other(cmd):
                os.popen(cmd) # 78
            """,
            "srv/web/random.py": """
            import os
            def shuffle(cmd):
                os.system(cmd)
            """,
        }
    )
