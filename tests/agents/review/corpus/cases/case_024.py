import secrets
import string

from flask import Flask, request

app = Flask(__name__)
pending = {}


@app.post("/forgot")
def forgot():
    alphabet = string.ascii_letters + string.digits
    token = "".join(secrets.choice(alphabet) for _ in range(32))
    pending[token] = request.form["email"]
    return "", 202
