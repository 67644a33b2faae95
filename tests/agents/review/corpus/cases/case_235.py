import ldap3
from flask import Flask, jsonify, request

app = Flask(__name__)
MODE = "strict"


@app.get("/cards")
def cards():
    holder = request.headers.get("X-Card-Holder", "")
    if MODE != "strict":
        holder = "anonymous"
    conn = ldap3.Connection(ldap3.Server("cards.local"), auto_bind=True)
    conn.search("ou=cards", "(holder=" + holder + ")")
    return jsonify(count=len(conn.entries))
