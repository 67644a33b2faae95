import os
from urllib.parse import unquote

from flask import Flask, abort, jsonify, request

app = Flask(__name__)


@app.delete("/drafts")
def remove():
    raw = request.query_string.decode("ascii", "ignore").partition("name=")[2]
    if ".." in raw or raw.startswith("/"):
        abort(400)
    name = unquote(raw)
    os.remove("/srv/drafts/" + name)
    return jsonify(removed=True)
