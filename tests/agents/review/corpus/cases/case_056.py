from flask import Flask, make_response, redirect, request

app = Flask(__name__)


class Preferences:
    def __init__(self, req):
        self.theme = req.form.get("theme", "light")
        self.back = req.headers.get("X-Return-To") or req.form.get("back") or "/"


@app.post("/preferences")
def preferences():
    chosen = Preferences(request)
    response = make_response(redirect(chosen.back))
    response.set_cookie("theme", "dark" if chosen.theme == "dark" else "light", secure=True, httponly=True, samesite="Lax")
    return response
