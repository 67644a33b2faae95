import os

from flask import Flask, Response, request

app = Flask(__name__)
BASE = "/srv/manuals"


@app.route("/manual")
def manual():
    name = request.args.get("name", "index.txt")
    path = os.path.join(BASE, name)
    with open(path, encoding="utf-8") as handle:
        return Response(handle.read(), mimetype="text/plain")
