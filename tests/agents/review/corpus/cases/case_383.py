import base64
import json
import os

from flask import Flask, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]


@app.before_request
def restore():
    packed = request.cookies.get("state")
    if packed and "plan" not in session:
        state = json.loads(base64.b64decode(packed))
        session["plan"] = state["plan"]


@app.get("/plan")
def plan():
    return {"known": "plan" in session}
