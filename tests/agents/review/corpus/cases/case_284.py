import sqlite3

from flask import Flask, abort, jsonify, request

app = Flask(__name__)


def numeric(value: str) -> str:
    return str(int(value))


@app.route("/account")
def account():
    account_id = request.cookies.get("account")
    if account_id is None:
        abort(400)
    db = sqlite3.connect("bank.db")
    row = db.execute(
        "SELECT owner, balance FROM accounts WHERE id = " + numeric(account_id)
    ).fetchone()
    return jsonify(row)
