from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Flask, redirect, request

app = Flask(__name__)
PLACES = {"private": "/private", "inbox": "/inbox"}


def login_address(target):
    return "/login?" + urlencode({"return_to": target})


def target_of(url):
    values = parse_qs(urlsplit(url).query)
    return PLACES.get(values.get("return_to", ["private"])[0], "/private")


@app.get("/private")
def private():
    return redirect(login_address("private"))


@app.post("/login")
def login():
    if request.form.get("password") != app.config["PASSWORD"]:
        return redirect(login_address("private"))
    return redirect(target_of(request.full_path))
