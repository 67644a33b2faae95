import re

from flask import Blueprint, redirect, request

bp = Blueprint("auth", __name__)
LOCAL = re.compile(r"/([a-z0-9][a-z0-9/_-]*)?")


def local(url):
    return LOCAL.fullmatch(url) is not None


@bp.post("/login")
def login():
    target = request.form.get("next", "/home")
    if not local(target):
        target = "/home"
    return redirect(target)
