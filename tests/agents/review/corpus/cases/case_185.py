import json

from flask import Flask, request

app = Flask(__name__)


@app.route("/player")
def player():
    settings = {"track": request.args.get("track", "intro"), "loop": False}
    encoded = json.dumps(settings).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    script = "<script>const settings = " + encoded + ";</script>"
    return "<!doctype html><body>" + script + "</body>"
