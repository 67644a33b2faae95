from urllib.parse import urljoin, urlparse

from flask import Flask, redirect, request

app = Flask(__name__)


def relative(url):
    parsed = urlparse(urljoin("https://desk.example.net/", url))
    return parsed.scheme == "https" and parsed.netloc == "desk.example.net" and "\\" not in url


@app.route("/return", methods=["GET", "POST"])
def back():
    url = request.values.get("url", "/").strip()
    if relative(url) and url.startswith("/") and not url.startswith("//"):
        return redirect(url)
    return redirect("/")
