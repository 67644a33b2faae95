import base64
import sqlite3

from flask import Flask, jsonify

app = Flask(__name__)


@app.route("/badge/<token>")
def badge(token):
    holder = base64.urlsafe_b64decode(token.encode() + b"==").decode("utf-8", "replace")
    sql = "SELECT badge FROM badges WHERE holder = '%s'" % (holder,)
    cursor = sqlite3.connect("badges.db").cursor()
    cursor.execute(sql)
    return jsonify(cursor.fetchone())
