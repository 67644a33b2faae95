import sqlite3
from contextlib import closing

from flask import Flask, jsonify, request

app = Flask(__name__)


class Repository:
    table = ""

    def __init__(self, file):
        self.file = file

    def select(self, columns, tail=""):
        statement = "SELECT " + ", ".join(columns) + " FROM " + self.table + tail
        with closing(sqlite3.connect(self.file)) as db:
            return db.execute(statement).fetchall()


class EmployeeRepository(Repository):
    table = "employees"

    def named_like(self, fragment):
        return self.select(["id", "name"], " WHERE name LIKE '%" + fragment + "%'")


class Directory:
    def __init__(self, employees):
        self.employees = employees

    def search(self, words):
        hits = {}
        for word in words.split():
            for number, name in self.employees.named_like(word):
                hits[number] = name
        return hits


directory = Directory(EmployeeRepository("staff.db"))


@app.get("/staff")
def staff():
    return jsonify(directory.search(request.args.get("q", "")))
