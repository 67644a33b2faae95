import hashlib

from flask import Flask, jsonify, request
from werkzeug.exceptions import NotFound

app = Flask(__name__)
cache = {}


def cache_key(parts):
    digest = hashlib.md5("|".join(parts).encode(), usedforsecurity=False)
    return digest.hexdigest()


@app.route("/tiles")
def tiles():
    key = cache_key([request.args["x"], request.args["y"], request.args["z"]])
    if key not in cache:
        raise NotFound
    return jsonify(cache[key])
