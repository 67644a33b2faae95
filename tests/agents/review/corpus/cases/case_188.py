import ldap
from flask import Flask, jsonify, request

app = Flask(__name__)
BASE = "ou=people,dc=example,dc=org"


@app.route("/people")
def people():
    uid = request.args.get("uid", "*")
    directory = ldap.initialize("ldap://directory:389")
    directory.simple_bind_s()
    found = directory.search_s(BASE, ldap.SCOPE_SUBTREE, "(uid=" + uid + ")", ["cn"])
    return jsonify([dn for dn, _ in found])
