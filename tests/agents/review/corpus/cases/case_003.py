import ldap
from flask import Flask, jsonify, request

app = Flask(__name__)


class DirectoryQuery:
    def __init__(self):
        self.parts = []

    def matching(self, attribute, value):
        self.parts.append(f"({attribute}={value}*)")

    def __str__(self):
        return "(|" + "".join(self.parts) + ")"


@app.get("/suggest")
def suggest():
    query = DirectoryQuery()
    for attribute in ["cn", "sn", "mail"]:
        query.matching(attribute, request.args.get("prefix", "a"))
    conn = ldap.initialize("ldap://localhost")
    message = conn.search_ext("dc=example,dc=com", ldap.SCOPE_SUBTREE, str(query), sizelimit=10)
    _, data = conn.result(message)
    return jsonify(len(data))
