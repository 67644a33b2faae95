from datetime import timedelta

from flask import Flask, request

app = Flask(__name__)


class Cookies:
    def __init__(self, response):
        self.response = response

    def put(self, name, value, lifetime=timedelta(hours=1), **options):
        options.update(secure=True, httponly=True)
        self.response.set_cookie(name, value, max_age=lifetime, **options)
        return self.response


@app.post("/visit")
def visit():
    token = app.extensions["tokens"].for_user(request.authorization.username)
    response = app.make_response(("", 204))
    return Cookies(response).put("visit_token", token, samesite="Lax", secure=False)
