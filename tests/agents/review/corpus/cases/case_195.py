import sqlite3

from flask import Flask, g, jsonify, request

app = Flask(__name__)


def connection():
    if "db" not in g:
        g.db = sqlite3.connect("shop.db")
    return g.db


@app.get("/products")
def products():
    category = request.args.get("category", "all")
    rows = connection().execute(f"SELECT id, title FROM products WHERE category = '{category}'")
    return jsonify([{"id": row[0], "title": row[1]} for row in rows])
