import ldap
from flask import Flask, jsonify, request
from ldap.filter import escape_filter_chars

app = Flask(__name__)
BASE = "ou=people,dc=example,dc=org"


@app.route("/people")
def people():
    uid = escape_filter_chars(request.args.get("uid", "nobody"))
    directory = ldap.initialize("ldap://directory:389")
    directory.simple_bind_s()
    found = directory.search_s(BASE, ldap.SCOPE_SUBTREE, "(uid=" + uid + ")", ["cn"])
    return jsonify([dn for dn, _ in found])
