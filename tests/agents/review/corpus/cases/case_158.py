import os

from flask import Flask, Response, abort, request

app = Flask(__name__)
BASE = "/srv/manuals"


@app.route("/manual")
def manual():
    name = request.args.get("name", "index.txt")
    path = os.path.realpath(os.path.join(BASE, name))
    if os.path.commonpath([BASE, path]) != BASE:
        abort(404)
    with open(path, encoding="utf-8") as handle:
        return Response(handle.read(), mimetype="text/plain")
