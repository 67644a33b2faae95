import configparser

import ldap
from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/directory/me")
def me():
    param = request.cookies.get("who", "guest")
    settings = configparser.RawConfigParser()
    settings.add_section("lookup")
    settings.set("lookup", "attribute", "uid")
    settings.set("lookup", "value", param)
    criterion = settings.get("lookup", "value")
    conn = ldap.initialize("ldap://127.0.0.1:10389")
    rows = conn.search_s("ou=users,ou=system", ldap.SCOPE_SUBTREE, f"(uid={criterion})")
    return jsonify(found=len(rows))
