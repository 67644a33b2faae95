from flask import Flask, make_response, request

app = Flask(__name__)


@app.route("/login", methods=["POST"])
def login():
    response = make_response({"ok": True})
    token = app.extensions["tokens"].issue(request.form["user"], request.form["password"])
    response.set_cookie("auth", token, secure=True, httponly=True, samesite="Lax")
    return response
