import os

from flask import Flask, request

app = Flask(__name__)
ROOT = os.path.abspath("reports")


def inside(path):
    return os.path.abspath(path).startswith(ROOT + os.sep)


@app.route("/reports/<path:name>", methods=["PUT"])
def store(name):
    path = os.path.join(ROOT, name)
    if not inside(path):
        return {"error": "outside"}, 403
    with open(path, "wb") as handle:
        handle.write(request.data)
    return {"bytes": len(request.data)}
