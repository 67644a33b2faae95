from datetime import timedelta

from flask import Flask, request

app = Flask(__name__)


class Cookies:
    def __init__(self, response):
        self.response = response

    def put(self, name, value, lifetime=timedelta(hours=1), secure=True, **options):
        self.response.set_cookie(name, value, max_age=lifetime, secure=secure, httponly=True, **options)
        return self.response


@app.post("/visit")
def visit():
    token = app.extensions["tokens"].for_user(request.authorization.username)
    response = app.make_response(("", 204))
    return Cookies(response).put("visit_token", token, samesite="Lax", secure=False)
