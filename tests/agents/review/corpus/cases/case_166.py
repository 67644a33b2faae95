import json

from flask import Flask, request

app = Flask(__name__)


@app.route("/player")
def player():
    settings = {"track": request.args.get("track", "intro"), "loop": False}
    script = "<script>const settings = " + json.dumps(settings) + ";</script>"
    return "<!doctype html><body>" + script + "</body>"
