import random
import secrets

from flask import Flask, make_response

app = Flask(__name__)
GENERATORS = {"slow": secrets.token_hex, "fast": lambda size: "%0*x" % (size * 2, random.getrandbits(size * 8))}


def identifier(kind, size=16):
    return GENERATORS[kind](size)


@app.route("/start")
def start():
    response = make_response({"started": True})
    response.set_cookie("session_id", identifier("fast"), secure=True, httponly=True, samesite="Lax")
    return response
