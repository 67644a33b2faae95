"""Helpers that execute whatever text they are given: the flaw is where such a text is put together."""

from collections.abc import Callable

from agents.review.dataflow import FlowResult

Follow = Callable[..., FlowResult]

DB = """\
import sqlite3
def connect():
    return sqlite3.connect("x")
def fetch_all(sql, parameters=()):
    return connect().execute(sql, tuple(parameters)).fetchall()
def fetch_one(sql, parameters=()):
    rows = fetch_all(sql, parameters)
    return rows[0] if rows else None
"""


def test_who_puts_the_statement_together_is_to_blame_not_the_helper(follow: Follow) -> None:
    result = follow(
        """
        from flask import Flask, request
        from repo import search, sorted_by, named
        app = Flask(__name__)
        @app.get("/")
        def view():
            search(request.args["q"])
            sorted_by(request.args["by"])
            named(request.args["q"])
            return {}
        """,
        files={
            "db.py": DB,
            "repo.py": """
                from db import fetch_all, fetch_one
                def search(text):
                    where = f"name LIKE '%{text}%'"
                    sql = f"SELECT 1 FROM t WHERE {where}"
                    return fetch_all(sql) # 89
                def sorted_by(column):
                    sql = "SELECT 1 FROM t ORDER BY " + column
                    return fetch_one(sql + " DESC") # 89
                def named(name):
                    return fetch_all("SELECT 1 FROM t WHERE name = ?", [name])
                """,
        },
    )
    flow = next(one for one in result.findings if one.path == "repo.py")
    assert ("db.py", 5) in [(step.path, step.line) for step in flow.trace]
    assert (flow.path, flow.line) in [(step.path, step.line) for step in flow.trace]


def test_a_builder_that_only_returns_the_text_leaves_it_to_its_caller(follow: Follow) -> None:
    follow(
        """
        from flask import Flask, request
        from db import fetch_all
        app = Flask(__name__)
        def condition(value):
            return "a = '" + value + "'"
        def every(parts):
            return " AND ".join(parts)
        @app.get("/")
        def view():
            sql = "SELECT 1 WHERE {}".format(condition(request.args["q"]))
            fetch_all(sql) # 89
            fetch_all(every(["SELECT 1 WHERE a = 1", request.args["q"]])) # 89
            return {}
        """,
        files={"db.py": DB},
    )


def test_a_statement_from_outside_as_a_whole_is_blamed_on_who_hands_it_on(follow: Follow) -> None:
    follow(
        """
        from flask import Flask, request
        from db import fetch_all, fetch_one
        app = Flask(__name__)
        def run(statement):
            return fetch_one(statement)
        @app.post("/")
        def view():
            run(request.form["sql"]) # 89
            return {}
        """,
        files={"db.py": DB},
    )


def test_a_helper_that_adds_to_the_text_is_to_blame_itself(follow: Follow) -> None:
    follow(
        """
        import subprocess
        from flask import Flask, request
        app = Flask(__name__)
        def shell(command):
            return subprocess.run(command, shell=True)
        def quiet(command):
            return subprocess.run(command + " >/dev/null", shell=True) # 78
        def ping(host):
            return shell(f"ping {host}") # 78
        @app.get("/")
        def view():
            ping(request.args["host"])
            quiet("ls " + request.args["folder"])
            return {}
        """
    )


def test_addresses_and_templates_are_told_where_they_are_used(follow: Follow) -> None:
    follow(
        """
        import requests
        from jinja2 import Template
        from flask import Flask, request
        app = Flask(__name__)
        def fetch(url):
            return requests.get(url) # 918
        def render(text):
            return Template(text) # 1336
        @app.get("/")
        def view():
            fetch(request.args["url"])
            render("<b>" + request.args["text"])
            return {}
        """
    )


FAST = """\
from typing import Annotated
from fastapi import Depends, Header, Query
from pydantic import BaseModel, Field, StringConstraints, constr
from sqlalchemy.ext.asyncio import AsyncSession
async def session():
    async with Session() as one:
        yield one
def tenant(x_tenant: Annotated[str, Header()]):
    return x_tenant
Db = Annotated[AsyncSession, Depends(session)]
Tenant = Annotated[str, Depends(tenant)]
Code = Annotated[str, Query(pattern=r"^[a-z]{1,8}$")]
Word = Annotated[str, StringConstraints(pattern=r"\\A[a-z]+\\z")]
Count = Annotated[int, Query(ge=0)]
Text = Annotated[str, Query(max_length=80)]
"""


def test_a_type_alias_means_what_it_was_made_of_in_any_module(follow: Follow) -> None:
    follow(
        """
        import os
        from fastapi import APIRouter
        import deps
        from deps import Code, Count, Db, Tenant, Text
        router = APIRouter()
        @router.get("/{name}")
        async def view(db: Db, tenant: Tenant, code: Code, count: Count, text: Text, other: deps.Text):
            os.system(f"ls {tenant}") # 78
            os.system(f"ls {code}")
            os.system(f"ls {count}")
            os.system(f"ls {text}") # 78
            os.system(f"ls {other}") # 78
            row = await db.get(Parcel, count)
            open(f"/labels/{row.code}.pdf")
        """,
        files={"deps.py": FAST},
    )


def test_patterns_of_models_hold_wherever_they_are_written(follow: Follow) -> None:
    follow(
        """
        import os
        from typing import Annotated
        from fastapi import FastAPI
        from pydantic import BaseModel, Field, constr, StringConstraints
        from deps import Word, Count
        app = FastAPI()
        class Body(BaseModel):
            alias: Word
            called: constr(pattern="^[a-z]+$")
            older: constr(regex="^[0-9a-f]+$")
            inline: Annotated[str, StringConstraints(pattern="^[a-z-]+$")]
            default: str = Field(pattern="^[a-z]+$")
            open_ended: Annotated[str, StringConstraints(pattern="^[a-z]+")]
            loose: constr(max_length=9)
            count: Count
        @app.post("/")
        def view(body: Body):
            os.system(f"ls {body.alias}")
            os.system(f"ls {body.called}")
            os.system(f"ls {body.older}")
            os.system(f"ls {body.inline}")
            os.system(f"ls {body.default}")
            os.system(f"ls {body.open_ended}") # 78
            os.system(f"ls {body.loose}") # 78
            os.system(f"ls {body.count}")
        """,
        files={"deps.py": FAST},
    )
