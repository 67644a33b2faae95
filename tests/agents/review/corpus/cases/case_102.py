import random
import time

from flask import Flask, make_response, request

app = Flask(__name__)
remembered = {}


@app.route("/remember")
def remember():
    generator = random.Random(time.time())
    key = str(generator.getrandbits(128))
    remembered[key] = request.remote_addr
    response = make_response({"remembered": True})
    response.set_cookie("remember", key, secure=True, httponly=True, samesite="Lax")
    return response
