import re

from flask import Flask, abort, jsonify, request

app = Flask(__name__)


def checked(source):
    if not re.fullmatch(r"[0-9]{1,4}( [-+] [0-9]{1,4}){0,5}", source) or " 0" in source:
        abort(400)
    if source.startswith("0"):
        abort(400)
    return source


@app.route("/transform", methods=["POST"])
def transform():
    body = checked(request.get_data(as_text=True))
    function = eval("lambda x: x + " + body)
    return jsonify([bool(function(number)) for number in range(5)])
