import sqlite3

from flask import Flask, abort, jsonify, request

app = Flask(__name__)


def escaped(value: str) -> str:
    return value.replace("'", "''")


@app.route("/account")
def account():
    account_id = request.cookies.get("account")
    if account_id is None:
        abort(400)
    db = sqlite3.connect("bank.db")
    row = db.execute(
        "SELECT owner, balance FROM accounts WHERE id = " + escaped(account_id)
    ).fetchone()
    return jsonify(row)
