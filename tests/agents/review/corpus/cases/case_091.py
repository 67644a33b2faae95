from flask import Blueprint, redirect, request

bp = Blueprint("auth", __name__)


def local(url):
    return url.startswith("/")


@bp.post("/login")
def login():
    target = request.form.get("next", "/home")
    if not local(target):
        target = "/home"
    return redirect(target)
