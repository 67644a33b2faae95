from urllib.parse import urlparse

from flask import Flask, abort, redirect, request

app = Flask(__name__)


@app.route("/go")
def go():
    url = request.args["url"]
    host = urlparse(url).netloc
    if not host.endswith("example.com"):
        abort(400)
    return redirect(url, code=302)
