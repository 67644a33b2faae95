import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, jsonify, request

app = Flask(__name__)
log = logging.getLogger("reports")
COLUMNS = ("id", "customer", "amount", "booked_on")


class Report:
    """Rows of the ledger between two days, narrowed down by what the user typed."""

    def __init__(self, first: str, last: str) -> None:
        self.first = first
        self.last = last
        self.clauses: list[str] = []
        self.order = "id"

    def narrow(self, text: str) -> None:
        for part in text.split(","):
            column, _, wanted = part.partition(":")
            if column in COLUMNS and wanted:
                self.clauses.append(f"{column} = '{wanted}'")

    def sort(self, column: str) -> None:
        if column in COLUMNS:
            self.order = column

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Cursor]:
        db = sqlite3.connect("ledger.db")
        try:
            yield db.cursor()
        finally:
            db.close()

    def rows(self) -> list[tuple[object, ...]]:
        where = " AND ".join(["booked_on BETWEEN ? AND ?", *self.clauses])
        sql = f"SELECT {', '.join(COLUMNS)} FROM ledger WHERE {where} ORDER BY {self.order}"
        log.debug("running a report of %d clauses", len(self.clauses))
        with self.opened() as cursor:
            cursor.execute(sql, (self.first, self.last))
            return cursor.fetchall()


@app.get("/report")
def report():
    wanted = Report(request.args.get("from", "2024-01-01"), request.args.get("to", "2024-12-31"))
    wanted.narrow(request.args.get("filter", ""))
    wanted.sort(request.args.get("sort", "id"))
    return jsonify(wanted.rows())
