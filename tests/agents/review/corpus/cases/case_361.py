import os

from flask import Flask, abort, request

app = Flask(__name__)
SERVICES = ("nginx", "redis", "worker")
ACTIONS = {"status": "status", "again": "restart", "reload": "reload"}


@app.post("/service")
def service():
    name = request.form.get("name", "")
    action = ACTIONS.get(request.form.get("action", "status"), "status")
    if name not in SERVICES:
        abort(404)
    os.system("systemctl " + action + " " + name)
    return "", 204
