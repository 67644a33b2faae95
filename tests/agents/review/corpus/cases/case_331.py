import os

from flask import Flask, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
SWITCHES = ("dark", "compact", "sounds")


@app.post("/settings")
def settings():
    for name in SWITCHES:
        session[name] = request.form.get(name) == "on"
    return "", 204
