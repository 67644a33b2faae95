import sqlite3

from flask import Flask, jsonify, request

app = Flask(__name__)

type Row = tuple[int, str]
TABLES = {"open": "tickets", "closed": "tickets_archive"}


def tickets_for(body: dict[str, str]) -> list[Row]:
    with sqlite3.connect("tickets.db") as db:
        return db.execute(f"SELECT id, title FROM {TABLES["open"]} WHERE owner = ?", [body["owner"]]).fetchall()


@app.post("/tickets")
def tickets():
    return jsonify(tickets_for(request.get_json()))
