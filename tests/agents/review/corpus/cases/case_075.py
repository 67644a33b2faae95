import hashlib

from flask import Flask, Response, request

app = Flask(__name__)


def etag(body: bytes) -> str:
    return hashlib.new("md5", body, usedforsecurity=False).hexdigest()


@app.get("/style.css")
def style():
    with open("static/style.css", "rb") as handle:
        body = handle.read()
    tag = etag(body)
    if request.if_none_match.contains(tag):
        return Response(status=304)
    response = Response(body, mimetype="text/css")
    response.set_etag(tag)
    return response
