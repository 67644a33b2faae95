import os
import time

from Crypto.Hash import SHA3_256
from flask import Flask, make_response, request

app = Flask(__name__)


def session_id(user):
    material = f"{user}:{time.time_ns()}:".encode() + os.urandom(32)
    return SHA3_256.new(material).hexdigest()


@app.post("/session")
def open_session():
    response = make_response({"open": True})
    value = session_id(request.form["user"])
    response.set_cookie("sid", value, secure=True, httponly=True, samesite="Strict")
    return response
