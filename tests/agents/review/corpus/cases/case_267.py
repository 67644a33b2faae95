import re
import sqlite3

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def dump(request: Request) -> JSONResponse:
    body = await request.json()
    table = body["table"]
    if not re.search(r"[a-z_]+", table):
        return JSONResponse({"error": "bad table"}, status_code=400)
    db = sqlite3.connect("warehouse.db")
    rows = db.execute(f"SELECT * FROM {table} LIMIT 100").fetchall()
    return JSONResponse(rows)


app = Starlette(routes=[Route("/dump", dump, methods=["POST"])])
