import sqlite3

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/badge")
def badge():
    holder = request.args.get("holder", "")
    names = ["reception", holder, "canteen"]
    names.pop(1)
    chosen = names[1]
    sql = "SELECT badge FROM badges WHERE holder = '%s'" % (chosen,)
    cursor = sqlite3.connect("badges.db").cursor()
    cursor.execute(sql)
    return jsonify(cursor.fetchone())
