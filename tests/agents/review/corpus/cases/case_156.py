import sqlite3
from dataclasses import dataclass

from flask import Flask, request

app = Flask(__name__)


@dataclass
class Visit:
    table: str
    agent: str

    def insert_statement(self) -> str:
        return "INSERT INTO " + self.table + " (path, agent) VALUES ('/', ?)"


@app.after_request
def record(response):
    visit = Visit(table="visits", agent=request.headers.get("User-Agent", "-"))
    db = sqlite3.connect("visits.db")
    db.execute(visit.insert_statement(), (visit.agent,))
    db.commit()
    db.close()
    return response
