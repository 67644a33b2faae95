import sqlite3

from flask import Flask, jsonify, request

app = Flask(__name__)


class Query:
    def __init__(self, table):
        self.table = table
        self.conditions = []
        self.values = []

    def equals(self, column, value):
        self.conditions.append(column + "=?")
        self.values.append(value)
        return self

    def sql(self):
        text = "SELECT * FROM " + self.table
        if self.conditions:
            text += " WHERE " + " AND ".join(self.conditions)
        return text


@app.get("/devices")
def devices():
    query = Query("devices")
    for column in ("site", "vendor", "model"):
        if column in request.args:
            query.equals(column, request.args[column])
    with sqlite3.connect("inventory.db") as db:
        return jsonify(db.execute(query.sql(), query.values).fetchall())
