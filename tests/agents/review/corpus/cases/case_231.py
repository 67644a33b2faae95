import base64
import json
import os
import secrets
from urllib.parse import urlencode

from flask import Flask, abort, redirect, request, session, url_for

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
PROVIDER = "https://id.example.net/authorize"


def packed(state):
    return base64.urlsafe_b64encode(json.dumps(state).encode()).decode()


def unpacked(text):
    return json.loads(base64.urlsafe_b64decode(text))


@app.get("/sign-in")
def sign_in():
    session["nonce"] = secrets.token_hex(8)
    session["back"] = url_for("sign_in")
    state = packed({"nonce": session["nonce"], "client": "desk"})
    return redirect(PROVIDER + "?" + urlencode({"client_id": "desk", "state": state}))


@app.get("/callback")
def callback():
    state = unpacked(request.args["state"])
    if state.get("nonce") != session.pop("nonce", ""):
        app.logger.info("another sign-in was under way")
        abort(400)
    back = session.pop("back", "/")
    return redirect(back)
