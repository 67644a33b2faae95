import re
import sqlite3

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def dump(request: Request) -> JSONResponse:
    body = await request.json()
    table = str(body["table"])
    if not re.fullmatch(r"archive_[a-z]{1,20}", table):
        return JSONResponse({"error": "bad table"}, status_code=400)
    db = sqlite3.connect("warehouse.db")
    rows = db.execute(f"SELECT * FROM {table} LIMIT 100").fetchall()
    return JSONResponse(rows)


app = Starlette(routes=[Route("/dump", dump, methods=["POST"])])
