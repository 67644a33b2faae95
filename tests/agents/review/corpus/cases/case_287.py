import os

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/ping")
def ping():
    host = request.args.get("host", "localhost")
    code = os.system("ping -c 1 " + host)
    return jsonify(reachable=code == 0)
