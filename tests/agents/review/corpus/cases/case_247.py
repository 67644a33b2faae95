import os

from flask import Flask, request

app = Flask(__name__)
ROOT = os.path.abspath("reports")


def inside(path):
    return os.path.abspath(path).startswith(ROOT + os.sep)


@app.route("/reports/<path:name>", methods=["PUT"])
def store(name):
    path = os.path.join(ROOT, name)
    inside(path)
    with open(path, "wb") as handle:
        handle.write(request.data)
    return {"bytes": len(request.data)}
