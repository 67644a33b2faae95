import logging

import ldap
from flask import Flask, abort, jsonify, request
from ldap.filter import filter_format

app = Flask(__name__)
log = logging.getLogger("directory")
ATTRIBUTES = {"name": "cn", "mail": "mail", "room": "roomNumber"}


class Directory:
    """Read-only view of the staff directory."""

    base = "ou=staff,dc=example,dc=org"

    def __init__(self, address):
        self.address = address
        self.connection = None

    def __enter__(self):
        self.connection = ldap.initialize(self.address)
        self.connection.set_option(ldap.OPT_NETWORK_TIMEOUT, 5)
        return self

    def __exit__(self, *_):
        self.connection.unbind_s()

    def find(self, **criteria):
        parts = [filter_format("(%s=%s)", pair) for pair in criteria.items()]
        wanted = "(&" + "".join(parts) + ")" if len(parts) > 1 else parts[0]
        return self.connection.search_s(self.base, ldap.SCOPE_ONELEVEL, wanted)


@app.get("/staff/find")
def find():
    criteria = {ATTRIBUTES[key]: value for key, value in request.args.items() if key in ATTRIBUTES}
    if not criteria:
        abort(400)
    with Directory("ldaps://ldap.example.org") as directory:
        found = directory.find(**criteria)
    log.info("%d people found", len(found))
    return jsonify(len(found))
