import base64

from flask import Flask, Response

app = Flask(__name__)


@app.route("/resume/<state>")
def resume(state):
    target = base64.urlsafe_b64decode(state + "==").decode()
    response = Response(status=303)
    response.headers["Location"] = target
    return response
