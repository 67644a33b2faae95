from urllib.parse import urlsplit, urlunsplit

from flask import Flask, abort, redirect, request

app = Flask(__name__)
HOSTS = {"example.com", "www.example.com"}


@app.route("/go")
def go():
    parts = urlsplit(request.args["url"])
    if parts.scheme != "https" or parts.netloc not in HOSTS:
        abort(400)
    return redirect(urlunsplit(("https", parts.netloc, parts.path, parts.query, "")), code=302)
