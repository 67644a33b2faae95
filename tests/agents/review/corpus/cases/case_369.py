import hashlib
import hmac
import json
import secrets
from pathlib import Path

from flask import Flask, abort, request

app = Flask(__name__)
FILE = Path("/var/lib/board/users.json")


class Users:
    def __init__(self, file):
        self.file = file
        self.entries = json.loads(file.read_text()) if file.exists() else {}

    def _digest(self, salt, password):
        state = hashlib.sha1()
        for piece in (salt, ":", password):
            state.update(piece.encode())
        return state.hexdigest()

    def add(self, name, password):
        salt = secrets.token_hex(8)
        self.entries[name] = [salt, self._digest(salt, password)]
        self.file.write_text(json.dumps(self.entries))

    def matches(self, name, password):
        salt, digest = self.entries.get(name, ["", ""])
        return hmac.compare_digest(digest, self._digest(salt, password))


users = Users(FILE)


@app.post("/users")
def create():
    users.add(request.form["name"], request.form["password"])
    return "", 201


@app.post("/sessions")
def sign_in():
    if not users.matches(request.form["name"], request.form["password"]):
        abort(401)
    return {"signed_in": True}
