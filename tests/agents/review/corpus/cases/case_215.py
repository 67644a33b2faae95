import sqlite3
from dataclasses import dataclass

from flask import Flask, request

app = Flask(__name__)


@dataclass
class Visit:
    path: str
    agent: str

    def insert_statement(self) -> str:
        return "INSERT INTO visits (path, agent) VALUES ('" + self.path + "', '" + self.agent + "')"


@app.after_request
def record(response):
    visit = Visit(path="/", agent=request.headers.get("User-Agent", "-"))
    db = sqlite3.connect("visits.db")
    db.executescript(visit.insert_statement())
    db.close()
    return response
