from urllib.parse import urlparse

from flask import Flask, redirect, request

app = Flask(__name__)


def relative(url):
    parsed = urlparse(url)
    return parsed.netloc == ""


@app.route("/return", methods=["GET", "POST"])
def back():
    url = request.values.get("url", "/")
    if relative(url):
        return redirect(url)
    return redirect("/")
