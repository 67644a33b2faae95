import os

from flask import Flask, abort, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]


@app.route("/profile", methods=["POST"])
def profile():
    role = request.form.get("role", "guest")
    if role not in ("guest", "reader"):
        abort(400)
    session["role"] = role
    return {"saved": True}
