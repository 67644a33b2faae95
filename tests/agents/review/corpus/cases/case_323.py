import base64
import json
import os
import secrets
from urllib.parse import urlencode

from flask import Flask, abort, redirect, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
PROVIDER = "https://id.example.net/authorize"
OWN_HOST = "desk.example.net"


def packed(state):
    return base64.urlsafe_b64encode(json.dumps(state).encode()).decode()


def unpacked(text):
    return json.loads(base64.urlsafe_b64decode(text))


@app.get("/sign-in")
def sign_in():
    session["nonce"] = secrets.token_hex(8)
    state = packed({"nonce": session["nonce"], "back": "https://" + OWN_HOST + "/"})
    return redirect(PROVIDER + "?" + urlencode({"client_id": "desk", "state": state}))


@app.get("/callback")
def callback():
    state = unpacked(request.args["state"])
    if state.get("nonce") != session.pop("nonce", ""):
        app.logger.info("another sign-in was under way")
    back = state.get("back", "/")
    if OWN_HOST not in back:
        abort(400)
    return redirect(back)
