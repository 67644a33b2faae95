import os

from flask import Flask, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]


@app.post("/settings")
def settings():
    for name, value in request.form.items():
        session[name] = value
    return "", 204
