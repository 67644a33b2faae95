import os

from flask import Flask, request, session
from itsdangerous import BadData, URLSafeSerializer

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
serializer = URLSafeSerializer(os.environ["STATE_KEY"])


@app.before_request
def restore():
    packed = request.cookies.get("state")
    if packed and "plan" not in session:
        try:
            state = serializer.loads(packed)
        except BadData:
            return
        session["plan"] = state["plan"]


@app.get("/plan")
def plan():
    return {"known": "plan" in session}
