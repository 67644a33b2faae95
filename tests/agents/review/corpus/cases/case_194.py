import random
import secrets

from flask import Flask, make_response

app = Flask(__name__)
REPLICAS = ["10.0.0.4", "10.0.0.5", "10.0.0.6"]


def identifier(kind, size=16):
    return kind + secrets.token_hex(size)


@app.route("/start")
def start():
    response = make_response({"replica": random.choice(REPLICAS)})
    response.set_cookie("session_id", identifier("web-"), secure=True, httponly=True, samesite="Lax")
    return response
