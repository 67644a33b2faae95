import os
from urllib.parse import unquote

from flask import Flask, abort, jsonify, request

app = Flask(__name__)


@app.delete("/drafts")
def remove():
    raw = request.query_string.decode("ascii", "ignore").partition("name=")[2]
    name = unquote(raw)
    if "/" in name or "\\" in name or "\0" in name or name in ("", ".", ".."):
        abort(400)
    os.remove("/srv/drafts/" + name)
    return jsonify(removed=True)
